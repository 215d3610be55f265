"""What an attack on the data plane found, each finding a case: nothing leaks, nothing reaches another exchange."""

from __future__ import annotations

import contextlib
import select
import socket
import threading

import pytest

from support.memory import linux_only, share
from support.program import PATIENCE, Program
from support.raw import RawOrigin, dial, ok, push

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"


@pytest.fixture(scope="module")
def origin():
    with RawOrigin() as origin:
        yield origin


@pytest.fixture(scope="module")
def proxy(origin):
    times = ("--idle-timeout", "500ms", "--first-byte-timeout", "3s", "--head-timeout", "500ms", "--max-body", "1GB")
    args = ("--workers", "1", "--check-interval", "1h", "--log-level", "debug", *times)
    with Program("--primary", origin.url, "--backup", "http://127.0.0.1:1", *args) as program:
        yield program.ready()
        assert "Traceback" not in program.log


@pytest.fixture
def script(origin):
    origin.heads.clear()

    def use(answer):
        origin.script = answer if callable(answer) else lambda wire, _head: wire.send(answer)

    use(ok())
    return use


def test_a_slow_reader_leaves_no_deaf_connection_behind_for_others(proxy, script):
    """Its last bytes pause the target's connection, which goes back to the pool in the same moment."""
    sizes = iter(range(3_900_000, 4_500_000, 40_000))
    script(lambda wire, head: wire.send(ok(b"x" * (next(sizes) if b"/big" in head else 2))))
    for _ in range(15):
        with dial(proxy.port) as slow, dial(proxy.port) as other:
            slow.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
            slow.send(b"GET /big HTTP/1.1\r\nHost: a\r\n\r\n")
            slow.read_head()
            for _ in range(3):
                other.send(GET)
                assert other.read_answer()[0].startswith(b"HTTP/1.1 200 ")


def test_a_long_answer_behind_a_large_upload_is_not_cut(proxy, script):
    """The upload pauses and goes on; afterwards the client owes nothing, however long the answer takes."""
    go = threading.Event()

    def answer(wire, head):
        if b"/up" not in head:
            wire.send(ok())
            return
        go.wait(20)
        wire.read_exactly(int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0]))
        wire.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: 1\n\n")
        go.clear()
        go.wait(20)
        wire.send(b"data: 2\n\n")
        wire.close()

    script(answer)
    for size in (3_100_000, 4_200_000, 6_000_000):
        with dial(proxy.port) as client, dial(proxy.port) as clock:
            sender = threading.Thread(
                target=client.send,
                args=(b"POST /up HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % size, b"x" * size),
                daemon=True,
            )
            sender.start()
            go.set()
            client.read_until(b"data: 1")
            clock.send(GET)
            clock.read_answer()
            assert clock.is_closed(), "the idle time has passed for one who owes a request"
            go.set()
            assert client.read_until(b"data: 2")
        go.clear()


def test_who_uploads_for_ever_and_never_reads_has_an_end(proxy, script):
    def echo(wire, _head):
        wire.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while data := wire.sock.recv(65536):
            wire.send(b"%x\r\n%b\r\n" % (len(data), data))

    script(echo)
    with dial(proxy.port) as client:
        client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 900000000\r\n\r\n")
        client.sock.settimeout(20)
        push(client)
        assert client.sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) or ended(client)


def ended(wire) -> bool:
    """Whether the connection breaks or ends within patience, without reading what it carries."""
    poll = select.poll()
    poll.register(wire.sock, select.POLLRDHUP | select.POLLHUP | select.POLLERR)
    return bool(poll.poll(20_000))


def test_an_upgrade_before_the_upload_is_complete_is_refused(proxy, script):
    script(b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n")
    with dial(proxy.port) as client:
        client.send(
            b"POST / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n"
            b"Content-Length: 9000000\r\n\r\n",
        )
        assert client.read_head().startswith(b"HTTP/1.1 502 ")


def test_a_client_that_leaves_during_a_handshake_leaves_no_tunnel(proxy, script):
    arrived, left, free = threading.Event(), threading.Event(), threading.Event()

    def answer(wire, _head):
        arrived.set()
        left.wait(20)
        with contextlib.suppress(OSError):
            wire.send(b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n")
        if wire.is_closed():
            free.set()

    script(answer)
    with dial(proxy.port) as client:
        client.send(b"GET /ws HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n")
        assert arrived.wait(20)
    left.set()
    assert free.wait(20)


def test_a_tunnel_of_which_one_side_is_gone_has_an_end(proxy, script):
    def answer(wire, _head):
        wire.send(b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n")
        wire.send(b"x" * 8_000_000)
        wire.close()

    script(answer)
    with dial(proxy.port) as client:
        client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
        client.send(b"GET /ws HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n")
        assert ended(client)


@pytest.mark.parametrize("length", [b"0" * 5000 + b"5", b"05", b"5_0", b"\xd9\xa5", b"9" * 30])
def test_a_length_that_is_not_plainly_a_number_is_refused(proxy, script, length):
    with dial(proxy.port) as client:
        client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: " + length + b"\r\n\r\nhello")
        assert client.read_head().startswith(b"HTTP/1.1 400 ")
    script(b"HTTP/1.1 200 OK\r\nContent-Length: " + length + b"\r\n\r\nhello")
    with dial(proxy.port) as client:
        client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n")
        assert client.read_head().startswith(b"HTTP/1.1 502 ")


def test_pipelined_requests_before_a_closed_half_are_all_answered(proxy, script):
    with dial(proxy.port) as client:
        client.send(GET * 5 + b"GET / HT")
        client.sock.shutdown(socket.SHUT_WR)
        assert client.read_all().count(b"HTTP/1.1 200 ") == 5


def test_a_cut_answer_without_length_is_seen_to_be_cut_by_http10_too(proxy, script):
    def answer(wire, _head):
        wire.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")
        wire.reset()

    script(answer)
    with dial(proxy.port) as client:
        client.send(b"GET / HTTP/1.0\r\n\r\n")
        with pytest.raises(ConnectionResetError):
            client.read_all()


def test_a_write_that_had_a_1xx_is_never_sent_again(proxy, script, origin):
    seen = {}

    def answer(wire, head):
        key = wire.sock.getpeername()
        seen[key] = seen.get(key, 0) + 1
        if head.startswith(b"PUT"):
            wire.send(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n")
            wire.sock.shutdown(socket.SHUT_RDWR)
        else:
            wire.send(ok())

    script(answer)
    with dial(proxy.port) as client:
        client.send(GET)
        client.read_answer()
        client.send(b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n")
        assert client.read_head().startswith(b"HTTP/1.1 103 ")
        assert client.read_head().startswith(b"HTTP/1.1 502 ")
    assert sum(head.startswith(b"PUT") for head in origin.heads) == 1


@pytest.mark.parametrize(
    "fields",
    [
        b"Upgrade: websocket\r\n",
        b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAAA\r\n",
        b"Upgrade: h2c\r\nHTTP2-Settings: AAAA\r\n",
    ],
)
def test_an_upgrade_not_rightly_asked_for_stays_here(proxy, script, origin, fields):
    with dial(proxy.port) as client:
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\n" + fields + b"\r\n")
        client.read_answer()
    assert b"pgrade" not in origin.heads[0]
    assert b"HTTP2" not in origin.heads[0]


def test_nobody_gets_round_the_forwarding_fields(proxy, script, origin):
    def answer(wire, _head):
        origin.heads.append(wire.read_until(b"\r\n\r\n"))
        wire.send(ok())

    script(answer)
    with dial(proxy.port) as client:
        client.send(
            b"POST / HTTP/1.1\r\nHost: a\r\nX_Forwarded_For: 6.6.6.6\r\nTransfer_Encoding: x\r\nX-a_b: 1\r\n"
            b"Transfer-Encoding: chunked\r\n\r\n"
            b"0\r\nX-Forwarded-For: 6.6.6.6\r\nX_Forwarded_Host: evil\r\nForwarded: for=6.6.6.6\r\nX-Sum: 1\r\n\r\n",
        )
        client.read_answer()
    head, trailers = origin.heads
    assert b"6.6.6.6" not in head
    assert b"Transfer_Encoding" not in head
    assert b"X-a_b: 1\r\n" in head
    assert trailers == b"0\r\nX-Sum: 1\r\n\r\n"


def test_an_answer_survives_what_the_client_sends_behind_its_last_request(proxy, script):
    script(ok(b"x" * 60000))
    for _ in range(5):
        with dial(proxy.port) as client:
            client.send(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n" + GET * 5000)
            assert len(client.read_answer()[1]) == 60000


@pytest.mark.parametrize("method", [b"PLAY", b"PRI", b"SETUP", b"PURGE", b"M-SEARCH"])
def test_a_method_is_judged_alike_whatever_was_seen_before(proxy, script, method):
    with dial(proxy.port) as client:
        for field in (b"X-New: " + method, b"X-New: " + method):
            client.send(method + b" / HTTP/1.1\r\nHost: a\r\n" + field + b"\r\n\r\n")
            assert client.read_answer()[0].startswith(b"HTTP/1.1 200 ")


def test_empty_lines_for_ever_are_no_request(proxy):
    with dial(proxy.port) as client:
        push(client, b"\r\n")
        assert ended(client)


def test_trailers_for_ever_have_an_end(proxy, script):
    script(lambda wire, _head: wire.is_closed())
    with dial(proxy.port) as client:
        client.send(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n")
        threading.Thread(target=push, args=(client, b"Host: a\r\n" * 1000), daemon=True).start()
        assert client.read_head().startswith(b"HTTP/1.1 400 ")


def test_a_static_backup_leaves_no_trace_in_caches(script, origin):
    program = Program(
        "--primary", "http://127.0.0.1:1", "--backup", origin.url, "--backup-kind", "static", "--check-interval", "1h",
    )  # fmt: skip
    with program, dial(program.ready().port) as client:
        script(b"HTTP/1.1 404 Not Found\r\nCache-Control: max-age=60\r\nContent-Length: 2\r\n\r\nno")
        client.send(b"GET /api HTTP/1.1\r\nHost: a\r\nAccept: */*\r\n\r\n")
        head, _ = client.read_answer()
        assert head.startswith(b"HTTP/1.1 404 ")
        assert b"Cache-Control: no-store" in head
        assert b"max-age" not in head
        client.send(b"GET /page HTTP/1.1\r\nHost: a\r\nAccept: Text/HTML\r\n\r\n")
        assert client.read_answer()[0].startswith(b"HTTP/1.1 503 ")
        script(ok(b"hi", b"Content-Type:  Text/Html\r\nCache-Control: max-age=60\r\nSet-Cookie: a=1\r\n"))
        client.send(GET)
        head, body = client.read_answer()
        assert body == b"hi"
        assert b"Cache-Control: no-store" in head
        assert b"Set-Cookie" not in head


def test_a_target_that_does_not_take_a_request_is_doubted_whatever_it_took_before():
    with RawOrigin() as origin, RawOrigin(lambda wire, _head: wire.send(ok(b"backup"))) as backup:
        over = threading.Event()

        def answer_early_and_read_no_more(wire, _head):
            wire.read_exactly(15_000)
            wire.send(ok())
            over.wait()

        origin.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        origin.script = answer_early_and_read_no_more
        args = ("--workers", "1", "--check-interval", "1h", "--first-byte-timeout", "1m")
        with (
            Program("--primary", origin.url, "--backup", backup.url, *args) as program,
            dial(program.ready().port) as client,
        ):
            assert origin.probed.wait(PATIENCE), "as each start does"
            client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 40000\r\n\r\n", bytes(40_000))
            assert client.read_answer()[1] == b"ok"
            origin.probed.clear()
            client.send(GET)
            assert origin.probed.wait(PATIENCE)
            over.set()


@linux_only
def test_large_heads_are_not_kept_by_who_is_idle():
    count = 100
    with (
        RawOrigin() as origin,
        Program("--primary", origin.url, "--backup", "http://127.0.0.1:1", "--workers", "1") as program,
        contextlib.ExitStack() as staying,
    ):
        port, workers = program.ready().port, program.workers()
        before = share(workers)
        for number in range(count):
            client = staying.enter_context(dial(port))
            client.send(b"GET / HTTP/1.1\r\nHost: a\r\nX: %d-%b\r\n\r\n" % (number, b"x" * 60_000))
            client.read_answer()
        each = (share(workers) - before) / count
    assert each < 150_000, f"each costs {each:.0f} bytes"
