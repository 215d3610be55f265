"""Targets whose answers lie: about their length, number, or end. Whoever asked sees it; nobody else ever does."""

from __future__ import annotations

import os
import queue
import signal
import socket
import threading
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from support.memory import linux_only
from support.program import PATIENCE, Program
from support.raw import RawOrigin, answer_while_pushing, dial, ok, push

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
POST = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n"
UPGRADE = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: WebSocket, echo/2\r\n\r\n"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
SWITCHED = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: %b\r\n\r\n"


@pytest.fixture(scope="module")
def origin():
    with RawOrigin() as origin:
        yield origin


@pytest.fixture(scope="module")
def program(origin):
    times = ("--idle-timeout", "500ms", "--first-byte-timeout", "2s", "--max-body", "1GB")
    args = ("--workers", "1", "--check-interval", "1h", "--observe", "--log-level", "debug", *times)
    with (
        RawOrigin(lambda wire, _head: wire.send(ok(b"honest"))) as backup,
        Program("--primary", origin.url, "--backup", backup.url, *args) as program,
    ):
        program.ready()
        workers = program.workers()
        before = open_files(workers[0])
        yield program
        wait_until(lambda: open_files(workers[0]) <= before, "each connection to be closed")
        assert program.workers() == workers
        assert "Traceback" not in program.log


def open_files(pid: int) -> int:
    listed = Path(f"/proc/{pid}/fd")
    return len(list(listed.iterdir())) if listed.exists() else 0


def wait_until(reached, what: str) -> None:
    tick = threading.Event()
    for _ in range(int(PATIENCE / 0.05)):
        if reached():
            return
        tick.wait(0.05)
    raise AssertionError(f"waited in vain for {what}")


@pytest.fixture
def script(origin):
    origin.heads.clear()

    def use(answer):
        origin.script = answer if callable(answer) else lambda wire, _head: wire.send(answer)

    use(ok(b"honest"))
    return use


def assert_honest(client) -> None:
    client.send(GET)
    head, body = client.read_answer()
    assert body == b"honest", head


@contextmanager
def frozen(pid: int):
    """A process that finds all that came meanwhile in one look."""
    os.kill(pid, signal.SIGSTOP)
    try:
        wait_until(lambda: Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "T", "a stop")
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def unread(local: int, remote: int) -> bool:
    """Whether the kernel has bytes for the socket of this machine with these ports."""
    rows = [row.split() for row in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    ports = [f":{local:04X}", f":{remote:04X}"]
    return any([row[1][-5:], row[2][-5:]] == ports and not row[4].endswith(":00000000") for row in rows)


# -- one answer too many


@linux_only
@pytest.mark.parametrize("method", [b"GET", b"HEAD", b"POST"])
def test_bytes_that_come_behind_the_next_request_of_another_are_not_its_answer(program, origin, script, method):
    """The worker finds both at once, the other client's request first."""
    go, sent = threading.Event(), queue.Queue()

    def answer(wire, head):
        if b"/first" not in head:
            wire.send(ok(b"honest"))
            return
        wire.send(ok(b"" if method == b"HEAD" else b"first"))
        go.wait(PATIENCE)
        wire.send(ok(b"stolen"))
        sent.put(wire.sock.getpeername()[1])

    script(answer)
    with dial(program.port) as one, dial(program.port) as other:
        assert_honest(other)
        one.send(method + b" /first HTTP/1.1\r\nHost: a\r\n\r\n")
        one.read_head()
        with frozen(program.workers()[0]):
            other.send(GET)
            wait_until(lambda: unread(program.port, other.sock.getsockname()[1]), "the request")
            go.set()
            port = sent.get(timeout=PATIENCE)
            wait_until(lambda: unread(port, origin.port), "what nobody asked for")
        assert other.read_answer()[1] == b"honest"


@pytest.mark.parametrize(
    "answer",
    [
        ok(b"right") + b"!",
        ok(b"right") + ok(b"stolen"),
        CHUNKED + b"5\r\nright\r\n0\r\n\r\n" + ok(b"stolen"),
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nright" + ok(b"stolen"),
    ],
    ids=["one byte", "two answers", "behind the last chunk", "behind a close"],
)
@pytest.mark.parametrize("client", ["GET", "POST"])
def test_what_lies_behind_an_answer_is_for_nobody(program, script, answer, client):
    script(lambda wire, head: wire.send(answer if b"/lie" in head else ok(b"honest")))
    with dial(program.port) as one, dial(program.port) as other:
        one.send(f"{client} /lie HTTP/1.1\r\nHost: a\r\n\r\n".encode())
        got = one.read_answer()[1]
        assert b"right" in got or (client, got) == ("GET", b"honest"), "it may have been raced"
        assert b"stolen" not in got
        for _ in range(3):
            assert_honest(other)
        assert_honest(one)


def test_a_body_one_byte_short_is_waited_for_and_then_a_failure(program, script):
    script(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok")
    with dial(program.port) as client:
        client.send(POST)
        assert client.read_answer()[0].startswith(b"HTTP/1.1 504 ")


def test_bytes_on_a_kept_connection_close_it(program, script):
    def answer(wire, _head):
        wire.send(ok(b"honest"))
        go.wait(PATIENCE)
        wire.send(b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n")
        closed.put(wire.is_closed())

    go, closed = threading.Event(), queue.Queue()
    script(answer)
    with dial(program.port) as client:
        client.send(GET)
        client.read_answer()
        go.set()
        assert closed.get(timeout=PATIENCE)
        script(ok(b"honest"))
        assert_honest(client)


# -- answers without a body that say they have one


@pytest.mark.parametrize("field", [b"Content-Length: 5", b"Transfer-Encoding: chunked"])
def test_an_answer_that_can_have_no_body_is_never_said_to_have_one(program, script, field):
    """Else the client waits for it, or takes the next answer for it (RFC 9110 section 8.6)."""
    script(b"HTTP/1.1 204 No Content\r\n" + field + b"\r\n\r\n")
    with dial(program.port) as client:
        client.send(GET)
        head = client.read_head()
        assert head.startswith(b"HTTP/1.1 204 ")
        assert field.partition(b":")[0] not in head
        script(ok(b"honest"))
        assert_honest(client)


def test_a_body_for_ever_behind_the_head_of_a_head_request_has_an_end(program, script):
    pushed = threading.Event()

    def answer(wire, _head):
        wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n")
        push(wire)
        pushed.set()

    script(answer)
    with dial(program.port) as client:
        client.send(b"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n")
        client.read_head()
        assert pushed.wait(PATIENCE)
        script(ok(b"honest"))
        assert_honest(client)


# -- answers without an end


@pytest.mark.parametrize(
    ("line", "most"), [(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n", 70_000), (b"X-Junk: y\r\n", 1000)]
)
def test_heads_for_ever_have_an_end(program, script, line, most):
    pushed = threading.Event()

    def answer(wire, _head):
        wire.send(b"" if line.startswith(b"HTTP") else b"HTTP/1.1 200 OK\r\n")
        push(wire, line * 1000)
        pushed.set()

    script(answer)
    with dial(program.port) as client:
        client.send(POST.replace(b"Host: a", b"Host: a\r\nConnection: close"))
        got = client.read_all()
        assert pushed.wait(PATIENCE)
    assert b"HTTP/1.1 502 " in got
    assert len(got) < most


@pytest.mark.parametrize("line", [b"H", b"HTTP/1.1 103 Early Hints\r\n\r\n"], ids=["bytes", "interim answers"])
def test_the_time_for_a_head_is_one_for_all_of_it(program, script, line):
    """One byte, or one interim answer, at a time, each of them before the time is over."""
    over = threading.Event()

    def answer(wire, _head):
        wire.send(b"HTTP/1.1 200 OK\r\nX: " if len(line) == 1 else b"")
        with suppress(OSError):
            while not over.wait(0.1):
                wire.send(line)

    script(answer)
    with dial(program.port) as client:
        client.send(POST.replace(b"Host: a", b"Host: a\r\nConnection: close"))
        assert b"HTTP/1.1 504 " in client.read_all()
    over.set()


@pytest.mark.parametrize(
    "rest",
    [
        b"5\r\nhello!\r\n",
        b"-5\r\nhello\r\n",
        b"0x5\r\nhello\r\n",
        b"FFFFFFFFFFFFFFFFF\r\nhello\r\n",
        b"5;" + b"a" * 2000 + b"\r\nhello\r\n",
        b"0\r\n" + b"X: y\r\n" * 5000,
        b"0\r\nContent-Length : 5\r\n\r\n",
    ],
    ids=["longer", "negative", "0x", "huge", "extension", "trailers", "trailer"],
)
def test_chunks_that_lie_are_cut_where_they_do(program, script, rest):
    script(CHUNKED + b"5\r\nright\r\n" + rest)
    with dial(program.port) as client:
        client.send(POST.replace(b"Host: a", b"Host: a\r\nConnection: close"))
        with suppress(ConnectionResetError):
            assert client.read_all().startswith(b"HTTP/1.1 502 ")
    with dial(program.port) as client:
        script(ok(b"honest"))
        assert_honest(client)


def test_chunks_of_a_byte_for_ever_end_with_their_client(program, script):
    pushed = threading.Event()

    def answer(wire, _head):
        wire.send(CHUNKED)
        push(wire, b"1\r\nx\r\n" * 1000)
        pushed.set()

    script(answer)
    with dial(program.port) as client:
        client.send(GET)
        client.read_exactly(50_000)
    assert pushed.wait(PATIENCE)


# -- 101


@pytest.mark.parametrize("protocol", [b"evil", b"h2c", b"websocket, evil"])
def test_a_protocol_that_nobody_asked_for_is_not_changed_to(program, script, protocol):
    script(SWITCHED % protocol + b"stolen")
    with dial(program.port) as client:
        client.send(UPGRADE)
        head, _ = client.read_answer()
    assert head.startswith(b"HTTP/1.1 502 ")
    assert b"error=http_upgrade_failed" in head


@pytest.mark.parametrize("protocol", [b"websocket", b"Echo/2"])
def test_a_protocol_that_was_offered_is_changed_to(program, script, protocol):
    script(SWITCHED % protocol)
    with dial(program.port) as client:
        client.send(UPGRADE)
        assert b"Upgrade: " + protocol in client.read_head()


def test_a_101_that_nobody_asked_for_is_no_answer(program, script):
    script(SWITCHED % b"websocket" + b"stolen")
    with dial(program.port) as client:
        client.send(POST)
        assert client.read_answer()[0].startswith(b"HTTP/1.1 502 ")


# -- answers that come too early


def test_an_early_answer_outruns_the_reset_behind_it(program, script):
    """It is sent without reading the upload, and the connection then broken under our writing."""

    def answer(wire, _head):
        wire.send(b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno")
        wire.close()

    script(answer)
    for _ in range(20):
        assert answer_while_pushing(program.port, 900_000_000).startswith(b"HTTP/1.1 413 ")


def test_an_answer_before_the_body_and_more_behind_it_stays_with_who_asked(program, script):
    def answer(wire, head):
        if b"POST" not in head:
            wire.send(ok(b"honest"))
            return
        wire.send(ok(b"early"))
        push(wire, ok(b"stolen"))

    script(answer)
    with dial(program.port) as one, dial(program.port) as other:
        one.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n", bytes(500))
        assert one.read_answer()[1] == b"early"
        assert_honest(other)
        with suppress(OSError):
            one.send(bytes(500))
        with suppress(ConnectionResetError):
            assert one.read_all() == b""


def test_an_answer_whose_target_ends_its_half_at_once_is_whole(program, script):
    def answer(wire, _head):
        wire.send(ok(b"right"))
        wire.sock.shutdown(socket.SHUT_WR)
        closed.put(wire.is_closed())

    closed = queue.Queue()
    script(answer)
    with dial(program.port) as client:
        for _ in range(3):
            client.send(POST)
            assert client.read_answer()[1] == b"right"
            # A write that goes out before that end has come here is lost with it, and nobody could know.
            assert closed.get(timeout=PATIENCE)


# -- targets that speak, or close, before they are asked


def test_a_target_that_closes_every_second_connection_costs_no_safe_request(program, origin, script):
    script(ok(b"right", b"Connection: close\r\n"))
    accept, turns = origin._serve, iter(range(1000))
    origin._serve = lambda wire: wire.close() if next(turns) % 2 else accept(wire)
    try:
        with dial(program.port) as client:
            for _ in range(20):
                client.send(GET)
                assert client.read_answer()[1] in (b"right", b"honest")
    finally:
        origin._serve = accept


def test_a_target_that_speaks_first_is_no_target(program, origin, script):
    banner = b"220 mail.example ESMTP\r\n"
    accept = origin._serve
    origin._serve = lambda wire: (wire.send(banner), wire.is_closed(), wire.close())
    try:
        with dial(program.port) as client:
            for _ in range(3):
                client.send(POST)
                assert client.read_answer()[0].startswith(b"HTTP/1.1 502 ")
                assert_honest(client)
    finally:
        origin._serve = accept
