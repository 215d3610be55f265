"""Limits that hold, and who is believed: time-outs, connections, trusted proxies, the access log (spec section 7)."""

from __future__ import annotations

import json
import re
import threading

import pytest

from support.program import Program
from support.raw import PATIENCE, RawOrigin, dial, ok

GET = b"GET / HTTP/1.1\r\nHost: site.example\r\n\r\n"
QUIET = ("--workers", "1", "--check-interval", "1h")


@pytest.fixture
def origin():
    with RawOrigin() as origin:
        yield origin


def run(origin: RawOrigin, *args: str, backup: str = "http://127.0.0.1:1") -> Program:
    return Program("--primary", origin.url, "--backup", backup, *QUIET, *args)


def test_a_head_that_does_not_come_is_a_408(origin):
    with run(origin, "--head-timeout", "200ms") as program, dial(program.ready().port) as client:
        client.send(b"GET / HTTP/1.1\r\nHost:")
        head, _ = client.read_answer()
        assert head.startswith(b"HTTP/1.1 408 ")
        assert client.is_closed()
    assert origin.heads == []


def test_a_silent_connection_is_closed_without_a_word(origin):
    with run(origin, "--head-timeout", "200ms") as program, dial(program.ready().port) as client:
        assert client.read_all() == b""


def test_an_idle_connection_is_closed_after_its_time(origin):
    with run(origin, "--idle-timeout", "300ms") as program, dial(program.ready().port) as client:
        client.send(GET)
        assert client.read_answer()[1] == b"ok"
        assert client.read_all() == b""


def test_a_body_that_stalls_is_a_408_and_no_failure_of_the_target(origin):
    origin.script = lambda wire, _head: wire.is_closed()
    with run(origin, "--idle-timeout", "300ms") as program, dial(program.ready().port) as client:
        client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n123")
        assert client.read_answer()[0].startswith(b"HTTP/1.1 408 ")
        assert client.is_closed()
        assert "suspect" not in program.log


def test_a_target_that_never_answers_is_a_504(origin):
    origin.script = lambda wire, _head: wire.is_closed()
    with run(origin, "--first-byte-timeout", "300ms") as program, dial(program.ready().port) as client:
        client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n")
        head, _ = client.read_answer()
        assert head.startswith(b"HTTP/1.1 504 ")
        assert b"error=http_response_timeout; next-hop=primary" in head


def test_an_event_stream_may_be_silent_for_longer_than_the_idle_time(origin):
    release = []

    def script(wire, head):
        if b"/stream" in head:
            wire.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n")
            release.append(wire)
        else:
            wire.send(ok())

    origin.script = script
    with run(origin, "--idle-timeout", "300ms") as program:
        port = program.ready().port
        with dial(port) as stream, dial(port) as idle:
            stream.send(b"GET /stream HTTP/1.1\r\nHost: a\r\n\r\n")
            stream.read_head()
            idle.send(GET)
            idle.read_answer()
            assert idle.is_closed(), "the idle time has passed for others"
            release[0].send(b"data: 1\n\n")
            assert b"data: 1" in stream.read_until(b"\n\n")


def test_connections_over_the_limit_are_told_to_come_back(origin):
    answer = threading.Event()
    asked = threading.Barrier(3)

    def script(wire, _head):
        if not answer.is_set():
            asked.wait(PATIENCE)
            answer.wait(PATIENCE)
        wire.send(ok())

    origin.script = script
    with run(origin, "--max-connections", "2") as program:
        port = program.ready().port
        with dial(port) as first, dial(port) as second:
            for client in (first, second):
                client.send(GET)
            asked.wait(PATIENCE)
            with dial(port) as third:
                third.send(GET)
                head, _ = third.read_answer()
                assert head.startswith(b"HTTP/1.1 503 ")
                assert re.search(rb"Retry-After: \d+\r\n", head)
                assert third.is_closed()
            answer.set()
            for client in (first, second):
                assert client.read_answer()[1] == b"ok", "those inside notice nothing"
        with dial(port) as again:
            again.send(GET)
            assert again.read_answer()[1] == b"ok"


def test_a_trusted_proxy_is_believed(origin):
    origin.script = lambda wire, _head: wire.send(ok(b"", b"Location: %b/x\r\n" % origin.url.encode()))
    with run(origin, "--trusted-proxies", "127.0.0.0/8") as program, dial(program.ready().port) as client:
        client.send(
            b"GET / HTTP/1.1\r\nHost: internal\r\nX-Forwarded-For: 9.9.9.9\r\nX-Forwarded-Proto: https\r\n"
            b"X-Forwarded-Host: shop.example\r\nX-Forwarded-Port: 443\r\n\r\n",
        )
        head, _ = client.read_answer()
    asked = origin.heads[0]
    assert b"X-Forwarded-For: 9.9.9.9, 127.0.0.1\r\n" in asked
    assert b"X-Forwarded-Proto: https\r\n" in asked
    assert b"X-Forwarded-Host: shop.example\r\n" in asked
    assert b"X-Forwarded-Port: 443\r\n" in asked
    assert b"Location: https://shop.example/x\r\n" in head


def test_a_client_that_closes_its_half_still_gets_its_answer(origin):
    import socket

    with run(origin) as program, dial(program.ready().port) as client:
        client.send(GET)
        client.sock.shutdown(socket.SHUT_WR)
        assert client.read_all().endswith(b"ok")


def test_a_client_that_leaves_in_mid_upload_is_no_failure_of_the_target(origin):
    gone = []
    origin.script = lambda wire, _head: gone.append(wire.read_all())
    with run(origin) as program, dial(program.ready().port) as other:
        with dial(program.port) as client:
            client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n", b"x" * 1000)
            client.reset()
        origin.script = lambda wire, _head: wire.send(ok())
        other.send(GET)
        assert other.read_answer()[1] == b"ok"
        other.send(b"GET /__failover/state HTTP/1.1\r\nHost: a\r\n\r\n")
        assert json.loads(other.read_answer()[1])["fail_count"] == 0


def test_the_access_log_has_a_line_for_each_exchange_without_its_query(origin):
    with run(origin, "--access-log", "--json-logs") as program, dial(program.ready().port) as client:
        client.send(b"GET /a?token=secret HTTP/1.1\r\nHost: a\r\n\r\n")
        client.read_answer()
        line = json.loads(program.wait_for("exchange.done").string)
    assert line["url.path"] == "/a"
    assert line["http.response.status_code"] == 200
    assert line["http.request.method"] == "GET"
    assert line["failover.target"] == "primary"
    assert "secret" not in program.log


@pytest.mark.parametrize(("mode", "shown"), [("minimal", {"on_backup", "since_unix"}), ("off", None)])
def test_how_much_the_state_tells(origin, mode, shown):
    with run(origin, "--public-state", mode) as program, dial(program.ready().port) as client:
        client.send(b"GET /__failover/state HTTP/1.1\r\nHost: a\r\n\r\n")
        head, body = client.read_answer()
    if shown is None:
        assert head.startswith(b"HTTP/1.1 404 ")
    else:
        assert set(json.loads(body)) == shown


def test_secrets_in_addresses_are_used_and_never_shown(origin):
    url = origin.url.replace("//", "//user:pass@") + "/base?key=hidden"
    program = Program("--primary", url, "--backup", "http://127.0.0.1:1", *QUIET)
    with program, dial(program.ready().port) as client:
        client.send(b"GET /x HTTP/1.1\r\nHost: a\r\n\r\n")
        client.read_answer()
        client.send(b"GET /__failover/state HTTP/1.1\r\nHost: a\r\n\r\n")
        state = json.loads(client.read_answer()[1])
    assert state["primary"] == origin.url + "/base"
    assert b"GET /base/x HTTP/1.1\r\n" in origin.heads[0]
    assert b"Authorization: Basic dXNlcjpwYXNz\r\n" in origin.heads[0]
    assert "pass" not in program.log
    assert "hidden" not in program.log
