"""The two ends of the proxy in these tests: a target that keeps what it was asked, and a client that reads answers."""

from __future__ import annotations

import re
import threading
from typing import TYPE_CHECKING

from support.raw import RawOrigin, Wire, ok

if TYPE_CHECKING:
    from wire.corpus import Asked, Case

CONTROL = b"GET /control HTTP/1.1\r\nHost: control\r\n\r\n"


class Recorder(RawOrigin):
    """A target that is as strict as we are: `got` are the whole requests in order, each answered with its target."""

    def __init__(self) -> None:
        self.got: list[tuple[bytes, bytes, bytes, list[bytes], list[bytes]]] = []
        self.came = threading.Condition()
        super().__init__(self._answer)

    def _answer(self, wire: Wire, head: bytes) -> None:
        line, *fields = head[:-4].split(b"\r\n")
        method, target, version = line.split(b" ")
        assert version == b"HTTP/1.1", head
        body, trailers = read_body(wire, fields)
        with self.came:
            self.got.append((method, target, body, trailers, fields))
            self.came.notify_all()
        answer = ok(b"" if method == b"HEAD" else target)
        wire.send(answer.replace(b"Length: 0", b"Length: 9") if method == b"HEAD" else answer)


def worker_has_read(wire: Wire) -> None:
    """Wait until the one worker has read all that came before: it has answered somebody else since."""
    wire.send(CONTROL)
    assert wire.read_answer()[1] == b"/control"


def read_body(wire: Wire, fields: list[bytes]) -> tuple[bytes, list[bytes]]:
    """The body behind a head with these fields, and its trailers: as the standard says and not a bit otherwise."""
    framing = [one for one in fields if one.lower().startswith((b"content-length:", b"transfer-encoding:"))]
    assert len(framing) <= 1, framing
    if not framing:
        return b"", []
    name, _, value = framing[0].partition(b":")
    if name.lower() == b"content-length":
        assert value.strip(b" \t").isdigit(), framing
        return wire.read_exactly(int(value)), []
    assert value.strip(b" \t") == b"chunked", framing
    body = b""
    while True:
        line = wire.read_until(b"\r\n")[:-2]
        assert re.fullmatch(rb"[0-9A-Fa-f]+", line)
        if not int(line, 16):
            break
        body += wire.read_exactly(int(line, 16))
        end = wire.read_exactly(2)
        assert end == b"\r\n", end
    trailers = []
    while line := wire.read_until(b"\r\n")[:-2]:
        trailers.append(line)
    return body, trailers


def read_answers(wire: Wire, case: Case) -> list[tuple[int, bytes]]:
    """The answers to a case, each with its body; checked to be those that are wanted, and no byte more."""
    asked = iter(case.asked)
    got = []
    for wanted in case.statuses:
        head = wire.read_head()
        status = int(head[9:12])
        assert status == wanted, (status, wanted, head)
        body = b""
        if status >= 200:
            own = b"\r\nProxy-Status: failover; next-hop" not in head
            method = case.got.method if own else next(asked).method
            if method != b"HEAD":
                body, _ = read_body(wire, head[:-4].split(b"\r\n")[1:])
        got.append((status, body))
    return got


def check_asked(got: tuple[bytes, bytes, bytes, list[bytes], list[bytes]], wanted: Asked) -> None:
    """What came is what was to come."""
    method, target, body, trailers, fields = got
    assert (method, target, body) == (wanted.method, wanted.target, wanted.body)
    check_fields(b"\r\n" + b"\r\n".join(fields) + b"\r\n", trailers, wanted)


def check_fields(head: bytes, trailers: list[bytes], wanted: Asked) -> None:
    if wanted.many:
        assert len(trailers) == wanted.many
    else:
        assert trailers == wanted.trailers
    for one in wanted.fields:
        assert b"\r\n" + one in head, head
    for one in wanted.without:
        assert one not in head, head
