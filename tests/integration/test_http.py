"""HTTP through the real program, to the byte: framing, forwarding, streams, tunnels, refusals."""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
import socket
import threading

import pytest

from support.program import Program
from support.raw import RawOrigin, Wire, dial, ok

GET = b"GET / HTTP/1.1\r\nHost: site.example\r\n\r\n"


@pytest.fixture(scope="module")
def origin():
    with RawOrigin() as origin:
        yield origin


@pytest.fixture(scope="module")
def backup():
    with RawOrigin(lambda wire, _: wire.send(ok(b"from the backup"))) as backup:
        yield backup


@pytest.fixture(scope="module")
def proxy(origin, backup):
    args = ("--workers", "1", "--check-interval", "1h", "--max-body", "1MB")
    with Program("--primary", origin.url, "--backup", backup.url, *args) as program:
        program.ready()
        yield program


@pytest.fixture
def script(origin):
    """Says how the primary answers in this test; what it was asked stands in `origin.heads`."""
    origin.heads.clear()

    def use(answer):
        origin.script = answer if callable(answer) else lambda wire, _head: wire.send(answer)

    use(ok())
    return use


@pytest.fixture
def client(proxy):
    with dial(proxy.port) as wire:
        yield wire


def body_by_length(wire: Wire, head: bytes) -> bytes:
    size = re.search(rb"(?i)content-length: (\d+)", head)
    return wire.read_exactly(int(size[1])) if size else b""


# -- heads


def test_a_request_reaches_the_primary_and_its_answer_the_client(client, script, origin):
    script(ok(b"hello", b"X-App: 1\r\n"))
    client.send(GET)
    head, body = client.read_answer()
    assert head.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"X-App: 1\r\n" in head
    assert b"Proxy-Status: failover; next-hop=primary\r\n" in head
    assert body == b"hello"


def test_the_target_is_told_who_asked_and_how(client, script, origin):
    client.send(GET)
    client.read_answer()
    head = origin.heads[0]
    assert b"Host: site.example\r\n" in head, "an address as target gets the client's Host"
    assert b"X-Forwarded-For: 127.0.0.1\r\n" in head
    assert b"X-Forwarded-Proto: http\r\n" in head
    assert b"X-Forwarded-Host: site.example\r\n" in head
    assert re.search(rb"X-Request-ID: [0-9a-f]{20}\r\n", head)
    assert re.search(rb"Via: 1\.1 failover-[0-9a-f]+\r\n", head)


def test_forwarding_fields_of_a_stranger_are_not_believed(client, script, origin):
    client.send(
        b"GET / HTTP/1.1\r\nHost: site.example\r\nX-Forwarded-For: 6.6.6.6\r\nX-Forwarded-Proto: https\r\n"
        b"X-Forwarded-Host: evil\r\nX-Forwarded-Port: 1\r\nForwarded: for=6.6.6.6\r\nX-Request-ID: mine-1\r\n\r\n"
    )
    client.read_answer()
    head = origin.heads[0]
    assert b"6.6.6.6" not in head
    assert b"evil" not in head
    assert b"Port" not in head
    assert b"X-Request-ID: mine-1\r\n" in head


def test_hop_by_hop_fields_end_here_in_both_directions(client, script, origin):
    script(
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: X-Hop, keep-alive\r\nX-Hop: 1\r\n"
        b"Keep-Alive: timeout=5\r\nProxy-Connection: x\r\nX-Stay: 1\r\n\r\nok"
    )
    client.send(
        b"GET / HTTP/1.1\r\nHost: a\r\nConnection: X-Mine, keep-alive\r\nX-Mine: 1\r\nKeep-Alive: 3\r\nTE: trailers\r\n"
        b"Proxy-Connection: x\r\nProxy-Authorization: secret\r\nX-Stays: 1\r\n\r\n"
    )
    head, _ = client.read_answer()
    asked = origin.heads[0]
    for gone in (b"X-Mine", b"Keep-Alive", b"TE:", b"Proxy-Connection", b"Proxy-Authorization", b"Connection:"):
        assert gone not in asked, gone
    assert b"X-Stays: 1\r\n" in asked
    for gone in (b"X-Hop", b"Keep-Alive", b"Proxy-Connection", b"Connection:"):
        assert gone not in head, gone
    assert b"X-Stay: 1\r\n" in head


def test_a_loop_is_seen_by_our_own_name_in_via(proxy, client, script, origin):
    client.send(GET)
    client.read_answer()
    via = re.search(rb"Via: (.*)\r\n", origin.heads[0])[1]
    client.send(b"GET / HTTP/1.1\r\nHost: a\r\nVia: 1.1 other, " + via + b"\r\n\r\n")
    head, _ = client.read_answer()
    assert head.startswith(b"HTTP/1.1 508 ")
    assert len(origin.heads) == 1


def test_the_via_of_others_is_kept(client, script, origin):
    client.send(b"GET / HTTP/1.1\r\nHost: a\r\nVia: 1.1 cdn\r\n\r\n")
    client.read_answer()
    assert re.search(rb"Via: 1\.1 cdn, 1\.1 failover-", origin.heads[0])


def test_any_method_that_is_a_token_passes(client, script, origin):
    client.send(b"BREW /pot HTTP/1.1\r\nHost: a\r\n\r\n")
    assert client.read_answer()[1] == b"ok"
    assert origin.heads[0].startswith(b"BREW /pot HTTP/1.1\r\n")


def test_an_absolute_target_becomes_a_path_and_overrules_host(client, script, origin):
    client.send(b"GET http://site.example?x=1 HTTP/1.1\r\nHost: other\r\n\r\n")
    client.read_answer()
    assert origin.heads[0].startswith(b"GET /?x=1 HTTP/1.1\r\nHost: site.example\r\n")


# -- bodies


def test_a_body_by_length_and_a_chunked_one_arrive_whole(client, script, origin):
    got = []

    def answer(wire, head):
        if b"Transfer-Encoding: chunked" in head:
            got.append(wire.read_until(b"\r\n\r\n"))
        else:
            got.append(body_by_length(wire, head))
        wire.send(ok())

    script(answer)
    client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n01234", b"56789")
    assert client.read_answer()[1] == b"ok"
    client.send(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5;ext=1\r\nhello\r\n")
    client.send(b"1\r\n!\r\n0\r\nX-Sum: 1\r\nContent-Length: 9\r\n\r\n")
    assert client.read_answer()[1] == b"ok"
    assert got[0] == b"0123456789"
    assert got[1] == b"5\r\nhello\r\n1\r\n!\r\n0\r\nX-Sum: 1\r\n\r\n", "framed anew, trailers kept, framing ones not"


def test_a_chunked_answer_is_framed_anew_with_its_trailers(client, script):
    script(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;a=b\r\nabc\r\n0\r\nX-T: 1\r\n\r\n")
    client.send(GET)
    head = client.read_head()
    assert b"Transfer-Encoding: chunked\r\n" in head
    assert client.read_until(b"\r\n\r\n") == b"3\r\nabc\r\n0\r\nX-T: 1\r\n\r\n"


def test_an_answer_without_length_ends_with_its_connection(client, script):
    def answer(wire, _head):
        wire.send(b"HTTP/1.1 200 OK\r\n\r\n", b"all ", b"of it")
        wire.close()

    script(answer)
    client.send(GET)
    head, body = client.read_answer()
    assert b"chunked" in head
    assert re.sub(rb"\r\n?|[0-9a-f]+\r\n", b"", body).replace(b"0", b"") == b"all of it"


def test_an_http10_client_gets_no_chunks_and_no_surprise(proxy, script, origin):
    script(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n")
    with dial(proxy.port) as client:
        client.send(b"GET / HTTP/1.0\r\n\r\n")
        answer = client.read_all()
    assert answer.endswith(b"\r\n\r\nabc")
    assert b"chunked" not in answer
    assert b"Connection: close\r\n" in answer


def test_an_http10_client_may_keep_its_connection(proxy, script):
    with dial(proxy.port) as client:
        for _ in range(2):
            client.send(b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
            head, body = client.read_answer()
            assert b"Connection: keep-alive\r\n" in head
            assert body == b"ok"


def test_an_http10_origin_is_answered_for_in_http11(client, script):
    def answer(wire, _head):
        wire.send(b"HTTP/1.0 200 Fine\r\nContent-Length: 2\r\n\r\nok")
        wire.close()

    script(answer)
    for _ in range(2):
        client.send(GET)
        head, body = client.read_answer()
        assert head.startswith(b"HTTP/1.1 200 Fine\r\n")
        assert body == b"ok"


@pytest.mark.parametrize("status", [b"204 No Content", b"304 Not Modified"])
def test_answers_that_have_no_body_end_with_their_head(client, script, status):
    script(b"HTTP/1.1 " + status + b'\r\nETag: "1"\r\n\r\n')
    for _ in range(2):
        client.send(GET)
        assert client.read_head().startswith(b"HTTP/1.1 " + status)
    assert client.buffer == b""


def test_head_keeps_the_length_and_has_no_body(client, script):
    script(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
    for _ in range(2):
        client.send(b"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n")
        assert b"Content-Length: 1000000\r\n" in client.read_head()
    assert client.buffer == b""


def test_interim_answers_pass_and_100_is_ours(client, script, origin):
    def answer(wire, head):
        wire.send(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n")
        wire.send(ok())

    script(answer)
    client.send(GET)
    assert client.read_head().startswith(b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n")
    assert client.read_answer()[1] == b"ok"


def test_expect_100_continue_is_answered_here(client, script, origin):
    def answer(wire, head):
        assert body_by_length(wire, head) == b"12345"
        wire.send(ok())

    script(answer)
    client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n")
    assert client.read_head() == b"HTTP/1.1 100 Continue\r\n\r\n"
    client.send(b"12345")
    assert client.read_answer()[1] == b"ok"
    assert b"Expect" not in origin.heads[0]


def test_pipelined_requests_are_answered_in_order(client, script, origin):
    script(lambda wire, head: wire.send(ok(head.split(b" ")[1])))
    client.send(b"".join(b"GET /%d HTTP/1.1\r\nHost: a\r\n\r\n" % n for n in range(50)))
    assert [client.read_answer()[1] for _ in range(50)] == [b"/%d" % n for n in range(50)]


def test_a_head_cut_at_every_byte_is_one_head(proxy, script, origin):
    request = b"POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n"

    def answer(wire, head):
        wire.read_until(b"0\r\n\r\n")
        wire.send(ok())

    script(answer)
    with dial(proxy.port) as client:
        client.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for place in range(len(request)):
            client.send(request[place : place + 1])
        assert client.read_answer()[1] == b"ok"


def test_a_large_body_streams_both_ways_unchanged(client, script):
    data = bytes(range(256)) * 3900

    def answer(wire, head):
        wire.send(ok(body_by_length(wire, head)))

    script(answer)
    client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % len(data))
    threading.Thread(target=client.send, args=(data,), daemon=True).start()
    _head, body = client.read_answer()
    assert hashlib.sha256(body).digest() == hashlib.sha256(data).digest()


def test_an_early_answer_reaches_a_client_that_is_still_sending(proxy, script):
    script(lambda wire, _head: wire.send(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno"))
    with dial(proxy.port) as client:
        client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 500000\r\n\r\n" + b"x" * 1000)
        head, body = client.read_answer()
        assert head.startswith(b"HTTP/1.1 403 ")
        assert b"Connection: close\r\n" in head
        assert body == b"no"
        assert client.is_closed()


# -- streams and tunnels


def test_an_event_stream_comes_without_delay(client, script):
    go = threading.Event()

    def answer(wire, _head):
        wire.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n")
        go.wait(20)
        wire.send(b"data: 1\n\n")
        go.clear()
        go.wait(20)
        wire.send(b"data: 2\n\n")

    script(answer)
    client.send(GET)
    assert b"text/event-stream" in client.read_head(), "the head does not wait for the first event"
    go.set()
    assert b"data: 1" in client.read_until(b"\n\n")
    go.set()
    assert b"data: 2" in client.read_until(b"\n\n")


def test_a_client_that_leaves_an_event_stream_frees_the_target(proxy, script):
    left = threading.Event()

    def answer(wire, _head):
        wire.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: 1\n\n")
        if wire.is_closed():
            left.set()

    script(answer)
    with dial(proxy.port) as client:
        client.send(GET)
        client.read_until(b"data: 1")
    assert left.wait(20)


def test_an_upgrade_becomes_a_tunnel(client, script, origin):
    def answer(wire, head):
        wire.send(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nX: 1\r\n\r\nhi")
        while data := wire.sock.recv(100):
            wire.send(data.upper())

    script(answer)
    client.send(b"GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
    head = client.read_head()
    assert head.startswith(b"HTTP/1.1 101 Switching Protocols\r\n")
    assert b"Upgrade: websocket\r\n" in head
    assert b"onnection: upgrade\r\n" in head
    assert client.read_exactly(2) == b"hi"
    client.send(b"abc")
    assert client.read_exactly(3) == b"ABC"
    assert b"Upgrade: websocket\r\n" in origin.heads[0]
    client.sock.shutdown(socket.SHUT_WR)
    assert client.is_closed()


def test_an_upgrade_that_is_refused_is_an_ordinary_answer(client, script):
    script(b"HTTP/1.1 426 Upgrade Required\r\nContent-Length: 2\r\n\r\nno")
    client.send(b"GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
    assert client.read_answer()[0].startswith(b"HTTP/1.1 426 ")
    script(ok())
    client.send(GET)
    assert client.read_answer()[1] == b"ok"


# -- connections to the target


def test_connections_to_the_target_are_used_again(client, script, origin):
    peers = set()

    def answer(wire, _head):
        peers.add(wire.sock.getpeername())
        wire.send(ok())

    script(answer)
    for _ in range(20):
        client.send(GET)
        client.read_answer()
    assert len(peers) == 1


def test_a_kept_connection_closed_under_the_request_is_no_error(client, script, origin):
    """Story 7: no error, no verdict."""
    seen = {}

    def answer(wire, head):
        key = wire.sock.getpeername()
        seen[key] = seen.get(key, 0) + 1
        if seen[key] == 2:
            wire.sock.shutdown(socket.SHUT_RDWR)
            wire.close()
            return
        wire.send(ok())

    script(answer)
    for _ in range(6):
        client.send(GET)
        head, body = client.read_answer()
        assert head.startswith(b"HTTP/1.1 200")
        assert body == b"ok"
        assert b"next-hop=primary" in head


def test_a_post_on_a_connection_closed_under_it_is_never_sent_twice(client, script, origin):
    seen = {}

    def answer(wire, head):
        key = wire.sock.getpeername()
        seen[key] = seen.get(key, 0) + 1
        if head.startswith(b"POST"):
            wire.close()
            return
        wire.send(ok())

    script(answer)
    client.send(GET)
    client.read_answer()
    client.send(b"POST /pay HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n")
    head, _ = client.read_answer()
    assert head.startswith(b"HTTP/1.1 502 ")
    assert b"Proxy-Status: failover; error=connection_terminated; next-hop=primary\r\n" in head
    assert sum(h.startswith(b"POST") for h in origin.heads) == 1


def test_a_post_never_meets_a_kept_connection_that_is_closed_already(client, script, origin):
    closed = threading.Semaphore(0)

    def answer(wire, _head):
        wire.send(ok())
        wire.sock.shutdown(socket.SHUT_RDWR)  # without having said so
        wire.close()
        closed.release()

    script(answer)
    for _ in range(20):
        client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n")
        assert client.read_answer()[1] == b"ok"
        assert closed.acquire(timeout=20)


def test_bytes_behind_an_answer_reach_nobody(proxy, script):
    script(ok() + b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil")
    with dial(proxy.port) as client:
        for _ in range(3):
            client.send(GET)
            assert client.read_answer()[1] == b"ok"


@pytest.mark.parametrize(
    "answer",
    [
        b"garbage\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX : 1\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.1 200 O\x01K\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
    ],
)
def test_an_answer_that_breaks_the_protocol_is_a_502(client, script, answer):
    script(answer)
    client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n")
    head, _ = client.read_answer()
    assert head.startswith(b"HTTP/1.1 502 ")
    assert b"error=http_protocol_error" in head


def test_a_large_answer_that_is_cut_is_seen_to_be_cut(proxy, script):
    """Story 5: never ended as if it were complete."""

    def answer(wire, _head):
        wire.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"10000\r\n" + b"x" * 65536 + b"\r\n")
        wire.close()

    script(answer)
    with dial(proxy.port) as client:
        client.send(GET)
        assert client.read_head().startswith(b"HTTP/1.1 200")
        try:
            rest = client.read_all()
        except ConnectionResetError:
            rest = b""
        assert b"0\r\n\r\n" not in rest[-5:]


# -- refusals


@pytest.mark.parametrize(
    ("status", "request_bytes"),
    [
        (400, b"GET / HTTP/1.1\r\n\r\n"),
        (400, b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"),
        (400, b"GET / HTTP/1.1\r\nHost: a b\r\n\r\n"),
        (400, b"GET / HTTP/1.1\r\nHost: a\nX: 1\r\n\r\n"),
        (400, b"GET / HTTP/1.1\nHost: a\n\n"),
        (400, b"GET / HTTP/1.1\r\nHost: a\r\nX: a\rb\r\n\r\n"),
        (400, b"GET / HTTP/1.1\r\nHost: a\r\nX: a\r\n b\r\n\r\n"),
        (400, b"GET / HTTP/1.1\r\nHost: a\r\nX : a\r\n\r\n"),
        (400, b"GET / HTTP/1.1\r\nHost: a\r\nX: a\0b\r\n\r\n"),
        (400, b"GET / HTTP/1.1\r\nHost: a\r\n: a\r\n\r\n"),
        (400, b"GET /a#b HTTP/1.1\r\nHost: a\r\n\r\n"),
        (400, b"GET a HTTP/1.1\r\nHost: a\r\n\r\n"),
        (400, b"GET /\xff HTTP/1.1\r\nHost: a\r\n\r\n"),
        (400, b"GET  / HTTP/1.1\r\nHost: a\r\n\r\n"),
        (400, b"GET http://u:p@a/ HTTP/1.1\r\nHost: a\r\n\r\n"),
        (400, b"G(T / HTTP/1.1\r\nHost: a\r\n\r\n"),
        (400, b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
        (400, b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabc"),
        (400, b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +3\r\n\r\nabc"),
        (400, b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"),
        (400, b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n"),
        (400, b"POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
        (400, b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"),
        (400, b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nabc\r\n0\r\n\r\n"),
        (405, b"CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n"),
        (413, b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000001\r\n\r\n"),
        (413, b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nF4241\r\n" + b"x" * 1000001),
        (417, b"POST / HTTP/1.1\r\nHost: a\r\nExpect: 200-ok\r\nContent-Length: 1\r\n\r\n"),
        (431, b"GET / HTTP/1.1\r\nHost: a\r\n" + b"X: " + b"a" * 66000 + b"\r\n\r\n"),
        (431, b"GET / HTTP/1.1\r\nHost: a\r\n" + b"X: 1\r\n" * 128 + b"\r\n"),
        (505, b"GET / HTTP/2.0\r\nHost: a\r\n\r\n"),
    ],
)
def test_bad_requests_are_refused_and_the_connection_closed(proxy, script, origin, status, request_bytes):
    script(lambda wire, _head: wire.is_closed())
    with dial(proxy.port) as client:
        threading.Thread(target=_send_all, args=(client, request_bytes), daemon=True).start()
        head, _ = client.read_answer()
        assert head.startswith(b"HTTP/1.1 %d " % status), head
        assert b"Connection: close\r\n" in head
        assert client.is_closed()


def _send_all(client, data):
    with contextlib.suppress(OSError):  # refused before all of it was sent
        client.send(data)


def test_nothing_behind_a_bad_request_is_read(proxy, script, origin):
    with dial(proxy.port) as client:
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\nX : 1\r\n\r\n" + b"GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n")
        assert client.read_all().count(b"HTTP/1.1 ") == 1
    assert origin.heads == []


# -- our own paths


def test_health_ready_and_state(client, origin, backup, script):
    client.send(b"GET /__failover/health HTTP/1.1\r\nHost: a\r\n\r\n")
    assert client.read_answer()[1] == b"OK"
    client.send(b"GET /__failover/ready HTTP/1.1\r\nHost: a\r\n\r\n")
    assert client.read_answer()[0].startswith(b"HTTP/1.1 200 ")
    client.send(b"GET /__failover/state HTTP/1.1\r\nHost: a\r\n\r\n")
    state = json.loads(client.read_answer()[1])
    assert state["on_backup"] is False
    assert state["primary"] == origin.url
    assert state["backup"] == backup.url
    assert {"since_unix", "fail_count", "recover_count", "mode"} <= set(state)


@pytest.mark.parametrize(
    "path",
    [
        b"/__failover",
        b"/__failover/",
        b"/__failover/nothing",
        b"/__failover/..%2f__failover/x",
        b"//__failover/state",
        b"/./__failover/state",
        b"/a/../__failover/state",
        b"/%5f%5ffailover/state",
        b"/%255f%255ffailover/state",
        b"/__failover%2fstate",
        b"/__failover/state/../x",
        b"/__failover;a=1/state",
        b"/%5F_failover\\state",
    ],
)
def test_every_spelling_of_our_own_paths_stays_here(client, script, origin, path):
    client.send(b"GET " + path + b" HTTP/1.1\r\nHost: a\r\n\r\n")
    head, _body = client.read_answer()
    assert head.startswith((b"HTTP/1.1 404 ", b"HTTP/1.1 200 ", b"HTTP/1.1 400 "))
    assert origin.heads == []


def test_a_path_that_only_looks_like_ours_is_forwarded(client, script, origin):
    for path in (b"/x/__failover/state", b"/__failovers", b"/a?b=/__failover/state", b"/100%25"):
        client.send(b"GET " + path + b" HTTP/1.1\r\nHost: a\r\n\r\n")
        client.read_answer()
    assert len(origin.heads) == 4


# -- errors


def test_errors_are_pages_for_browsers_and_problems_for_programs(client, script):
    script(lambda wire, _head: wire.close())
    client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nAccept: text/html\r\n\r\n")
    head, body = client.read_answer()
    assert head.startswith(b"HTTP/1.1 502 ")
    assert b"Content-Type: text/html" in head
    assert b"<!doctype html>" in body
    client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n")
    head, body = client.read_answer()
    assert b"Content-Type: application/problem+json" in head
    assert b"Cache-Control: no-store" in head
    assert json.loads(body)["status"] == 502


def test_a_chunked_body_that_is_empty_arrives_even_when_no_target_was_connected_yet(proxy, script, origin):
    def answer(wire, _head):
        wire.read_until(b"0\r\n\r\n")
        wire.send(ok(b"", b"Connection: close\r\n"))

    script(answer)
    with dial(proxy.port) as client:
        for _ in range(3):
            client.send(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n")
            assert client.read_answer()[0].startswith(b"HTTP/1.1 200 ")


def test_who_does_not_read_gets_no_more_answers(proxy, script, origin):
    """Answers to pipelined requests wait until they are read: a bounded buffer, never memory."""
    script(lambda wire, _head: wire.send(ok(b"x" * 60000)))
    asked = 2000
    with dial(proxy.port) as client:
        client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        sender = threading.Thread(target=_send_all, args=(client, GET * asked), daemon=True)
        sender.start()
        with dial(proxy.port) as other:
            for _ in range(200):  # while the other one is served, the silent one stands still
                other.send(GET)
                other.read_answer()
        before = len(origin.heads)
        with dial(proxy.port) as other:
            for _ in range(100):
                other.send(GET)
                other.read_answer()
        assert len(origin.heads) - before == 100
        assert before - 200 < asked / 2
        for _ in range(asked):
            assert len(client.read_answer()[1]) == 60000


# -- rescue of safe requests


@pytest.mark.parametrize(
    "failure",
    [
        b"HTTP/1.1 503 Down\r\nContent-Length: 4\r\n\r\ndown",
        b"HTTP/1.1 502 Bad\r\nTransfer-Encoding: chunked\r\n\r\n4\r\ndown\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf",
        b"HTTP/1.1 200 OK\r\nContent-Length: 200000\r\n\r\n",
        b"nonsense\r\n\r\n",
        b"HTTP/1.1 200",
        b"",
    ],
)
def test_a_safe_request_that_the_primary_fails_is_answered_by_the_backup(client, script, failure):
    def answer(wire, _head):
        wire.send(failure)
        wire.sock.shutdown(socket.SHUT_RDWR)

    script(answer)
    for method in (b"GET", b"OPTIONS"):
        client.send(method + b" / HTTP/1.1\r\nHost: a\r\n\r\n")
        head, body = client.read_answer()
        assert head.startswith(b"HTTP/1.1 200 ")
        assert body == b"from the backup"
        assert b'Proxy-Status: failover; next-hop=backup; details="rescued from primary: ' in head


@pytest.mark.parametrize("method", [b"POST", b"PUT", b"PATCH"])
def test_a_write_that_was_sent_is_never_sent_to_another(client, script, origin, backup, method):
    def answer(wire, _head):
        wire.sock.shutdown(socket.SHUT_RDWR)

    script(answer)
    asked = len(backup.heads)
    client.send(method + b" / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi")
    assert client.read_answer()[0].startswith(b"HTTP/1.1 502 ")
    assert len(backup.heads) == asked


def test_a_write_is_given_the_gateway_error_as_it_is(client, script):
    script(b"HTTP/1.1 503 Busy\r\nContent-Length: 4\r\nX-App: 1\r\n\r\nbusy")
    client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi")
    head, body = client.read_answer()
    assert head.startswith(b"HTTP/1.1 503 Busy\r\n")
    assert b"X-App: 1\r\n" in head
    assert body == b"busy"


def test_when_nobody_does_better_the_first_real_answer_is_given():
    with RawOrigin(lambda wire, _: wire.send(b"HTTP/1.1 503 Mine\r\nContent-Length: 5\r\n\r\nfirst")) as first:
        args = ("--backup", "http://127.0.0.1:1", "--check-interval", "1h", "--workers", "1")
        with Program("--primary", first.url, *args) as program, dial(program.ready().port) as client:
            client.send(GET)
            head, body = client.read_answer()
            assert head.startswith(b"HTTP/1.1 503 Mine\r\n")
            assert body == b"first"
            assert b"next-hop=primary\r\n" in head, "its own answer, rescued from nobody"


def test_a_500_is_an_answer_like_any_other(client, script):
    script(b"HTTP/1.1 500 Oops\r\nContent-Length: 4\r\n\r\noops")
    client.send(GET)
    assert client.read_answer()[1] == b"oops"


@pytest.mark.parametrize(
    "framing", [b"Content-Length: 5\r\n\r\nhello", b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"]
)
@pytest.mark.parametrize(
    "first", [b"GET / HTTP/1.1\r\nHost: a\r\n", b"POST / HTTP/1.1\r\nHost: a\r\nIdempotency-Key: 1\r\n"]
)
def test_a_body_kept_beside_is_sent_again_whole(client, script, backup, first, framing):
    got = []

    def refuse(wire, head):
        read_body(wire, head)
        wire.sock.shutdown(socket.SHUT_RDWR)

    def read_body(wire, head):
        return wire.read_until(b"0\r\n\r\n") if b"chunked" in head else body_by_length(wire, head)

    def accept(wire, head):
        got.append(read_body(wire, head))
        wire.send(ok(b"from the backup"))

    script(refuse)
    before, backup.script = backup.script, accept
    client.send(first + framing)
    assert client.read_answer()[1] == b"from the backup"
    backup.script = before
    assert got in ([b"hello"], [b"5\r\nhello\r\n0\r\n\r\n"])


def test_a_large_body_that_may_not_be_repeated_is_proxied_once(client, script, backup):
    """Story 17."""

    def answer(wire, head):
        body_by_length(wire, head)
        wire.sock.shutdown(socket.SHUT_RDWR)

    script(answer)
    asked = len(backup.heads)
    client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 200000\r\n\r\n" + b"x" * 200000)
    assert client.read_answer()[0].startswith(b"HTTP/1.1 502 ")
    assert len(backup.heads) == asked
