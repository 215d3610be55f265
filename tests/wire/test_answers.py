"""Every case of a target's bytes against the real program: what its client gets, and whether the connection is kept."""

from __future__ import annotations

import contextlib
import socket
import threading

import pytest

from support.program import PATIENCE, Program, alive
from support.raw import RawOrigin, Wire, dial, ok
from wire.corpus import ANSWERS
from wire.peers import CONTROL, check_fields, read_body


class Target(RawOrigin):
    """A target that answers with the bytes of a case, and everybody who asks for `/control` as one should."""

    def __init__(self) -> None:
        self.case = ANSWERS[0]
        self.place = 0
        self.between = lambda: None
        self.wires: list[Wire] = []
        self.last: Wire | None = None
        super().__init__(self._answer)

    def _answer(self, wire: Wire, head: bytes) -> None:
        if head.startswith(b"GET /control "):
            self.last = wire
            wire.send(ok(b"control"))
            return
        self.wires.append(wire)
        if self.place:
            wire.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            wire.send(self.case.sent[: self.place])
            self.between()
        wire.send(self.case.sent[self.place :])
        if self.case.then_closed:
            wire.sock.shutdown(socket.SHUT_WR)
            wire.read_all()
            raise EOFError


@pytest.fixture(scope="module")
def target():
    with Target() as target:
        yield target


@pytest.fixture(scope="module")
def proxy(target):
    times = ("--head-timeout", "5s", "--idle-timeout", "5s", "--first-byte-timeout", "5s")
    args = ("--workers", "1", "--check-interval", "1h", *times)
    with Program("--primary", target.url, "--backup", "http://127.0.0.1:1", *args) as program:
        workers = program.ready().workers()
        yield program
        assert program.workers() == workers
        assert all(map(alive, workers))
        assert "Traceback" not in program.log


def read_answer(wire, case):
    """What the client got: the statuses, and of the last one the head, body and trailers. `cut` where it ends early."""
    statuses, head, body, trailers = [], b"", b"", []
    with contextlib.suppress(EOFError, ConnectionResetError):
        while True:
            head = wire.read_head()
            status = head[9:12].decode()
            if status < "200":
                statuses.append(status)
                check_fields(head, [], type(case.got)(b"", b"", without=case.got.without))
                continue
            fields = head[:-4].split(b"\r\n")[1:]
            bare = case.to.startswith(b"HEAD") or status in {"204", "304"}
            sized = b"ransfer-Encoding" in head or b"ontent-Length" in head
            if not bare and not sized:
                body = wire.read_all()
            elif not bare:
                body, trailers = read_body(wire, fields)
            return [*statuses, status], head, body, trailers
    return [*statuses, "cut"], head, body, trailers


@pytest.mark.parametrize("seen", ["new", "known"])
@pytest.mark.parametrize("case", ANSWERS, ids=str)
def test_an_answer_is_read_as_is_written_beside_it(case, seen, proxy, target):
    run(case, proxy, target)


IN_PARTS = {
    "answer-trailers", "answer-early-hints", "answer-chunks-to-http10", "answer-304-with-length",
    "answer-with-lf-in-head", "answer-chunk-extension-lf", "answer-interim-with-length", "answer-cut-in-chunk",
}  # fmt: skip


@pytest.mark.parametrize("case", [case for case in ANSWERS if case.name[4:] in IN_PARTS], ids=str)
def test_an_answer_in_two_packets_is_the_same_answer(case, proxy, target):
    with dial(proxy.port) as clock:

        def worker_has_read():
            clock.send(CONTROL)
            assert clock.read_answer()[1] == b"control"

        target.between = worker_has_read
        try:
            for target.place in range(1, len(case.sent)):
                run(case, proxy, target)
        finally:
            target.place = 0


def test_all_parts_of_the_list_are_cases():
    assert {case.name[4:] for case in ANSWERS} >= IN_PARTS


def run(case, proxy, target):
    target.case = case
    target.wires.clear()
    with dial(proxy.port) as client:
        client.send(case.to)
        statuses, head, body, trailers = read_answer(client, case)
        assert statuses == list(case.answers) or (case.or_cut and statuses == ["cut"])
        if case.valid:
            assert body == case.got.body
            check_fields(head, trailers, case.got)
        else:
            assert b"hello" not in body
            assert len(target.wires) == 1, "a write is sent once"
        if case.ends or statuses[-1] == "cut" or case.to.endswith(b"HTTP/1.0\r\nHost: a\r\n\r\n"):
            assert client.is_closed()
    with dial(proxy.port) as other:
        other.send(CONTROL)
        assert other.read_answer()[1] == b"control"
    assert (target.last is target.wires[0]) == bool(case.kept)


def test_bytes_that_come_when_nobody_asked_end_their_connection(proxy, target):
    told, asked = threading.Event(), []

    def answer(wire, head):
        asked.append(wire)
        wire.send(ok(b"fine"))
        if b"/late" in head:
            told.wait(PATIENCE)
            wire.send(ok(b"WRONG"))
            assert wire.is_closed()
            ended.set()
            raise EOFError

    ended = threading.Event()
    script, target.script = target.script, answer
    try:
        with dial(proxy.port) as client:
            client.send(b"GET /late HTTP/1.1\r\nHost: a\r\n\r\n")
            assert client.read_answer()[1] == b"fine"
            told.set()
            assert ended.wait(PATIENCE)
            client.send(b"GET /next HTTP/1.1\r\nHost: a\r\n\r\n")
            assert client.read_answer()[1] == b"fine"
    finally:
        target.script = script
    assert asked[0] is not asked[1]
