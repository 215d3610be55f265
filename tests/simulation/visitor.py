"""Simulated visitors: each has an address and one connection at a time, sends requests, and keeps what it got."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from simulation.link import Line
from simulation.target import field as field_of

NEVER_READ = "closed after the last answer"
"""How a pipelined visit ends when the answer before it says that it is the last (RFC 9112 section 9.6), or is cut."""


@dataclass(slots=True)
class Visit:
    """One request of a visitor. `worker` is who accepted it; `status` 0 means that no answer came.

    `turn_at` is when the one before it on its connection had its answer. `ending` is how it ended: answered, cut
    (within an answer), closed (before one), left (by the visitor), NEVER_READ, or nothing while it is under way.
    """

    name: str
    method: str
    keyed: bool
    sent_at: float
    size: int = 0
    worker: str = ""
    whole_at: float = -1.0
    turn_at: float = -1.0
    status: int = 0
    head: bytes = b""
    body: bytes = b""
    ending: str = ""
    ended_at: float = -1.0

    @property
    def safe(self):
        return self.method in ("GET", "HEAD")

    @property
    def took(self):
        """From when it could be answered until it was, in seconds."""
        return self.ended_at - max(self.turn_at, self.whole_at)

    @property
    def once(self):
        return self.method in ("POST", "PATCH") and not self.keyed

    def __str__(self):
        key = " with a key" if self.keyed else ""
        end = f"{self.ending} {self.status or ''}".strip() or "waits"
        return f"{self.name} {self.method}{key} by {self.worker or 'nobody'}: {end}"


@dataclass(slots=True)
class Plan:
    """What a visitor is going to do. A request: pause before it, method, keyed, body size, in pieces, leaves after."""

    address: str
    arrives: float
    requests: list = field(default_factory=list)
    pipelines: bool = False


class Connection(asyncio.Protocol):
    """One connection of a visitor, who hears of it as long as it is the present one."""

    def __init__(self, visitor):
        self.visitor = visitor

    def connection_made(self, transport):
        self.end = transport

    def data_received(self, data):
        if self.visitor.end is self.end:
            self.visitor.data_received(data)

    def connection_lost(self, exc):
        if self.visitor.end is self.end:
            self.visitor.connection_lost()


class Visitor:
    """Plays a plan, over one connection as long as that lasts."""

    def __init__(self, world, plan, chance):
        self.world = world
        self.plan = plan
        self.chance = chance
        self.end = None
        self._buffer = b""
        self._open = []  # the visits that wait for an answer, in order

    @property
    def done(self):
        return not self.plan.requests and not self._open

    def start(self):
        self._plan_next()

    def _plan_next(self):
        if self.plan.requests:
            self.world.loop.at(self.world.now + self.plan.requests[0][0], self._send_next)

    def _connect(self):
        chance = self.chance
        delay = chance.choice((0.0005, 0.005, 0.03))
        pieces = None if chance.random() < 0.7 else lambda: chance.choice((1, 7, 100, 1400))
        window = chance.choice((1 << 30, 1 << 30, 1 << 14))
        self._buffer = b""
        self.end = self.world.public.connect(Line(lambda: delay, window, pieces), None, (self.plan.address, 1024))
        self.end.begin(Connection(self))

    def _send_next(self):
        if not self.plan.requests:
            return
        if self.end is None or self.end.is_closing() or (self._open and not self.plan.pipelines):
            if self._open:
                return
            self._connect()
        _, method, keyed, size, pieces, leaves = self.plan.requests.pop(0)
        visit = self.world.visit(method, keyed)
        visit.worker, visit.size = self.worker, size
        visit.turn_at = visit.sent_at if not self._open else -1.0
        self._open.append(visit)
        head = f"{method} /{visit.name} HTTP/1.1\r\nHost: site\r\nX-Visit: {visit.name}\r\n"
        if keyed:
            head += f"Idempotency-Key: {visit.name}\r\n"
        chunked = size and self.chance.random() < 0.2
        if chunked:
            head += "Transfer-Encoding: chunked\r\n"
            body = b"%x\r\n%s\r\n0\r\n\r\n" % (size, b"x" * size)
        else:
            if size:
                head += f"Content-Length: {size}\r\n"
            body = b"x" * size
        data = head.encode() + b"\r\n" + body
        if leaves is not None:
            self.world.loop.at(self.world.now + leaves, self._leave, self.end)
        if pieces:
            self._send_in_pieces(visit, self.end, data)
        else:
            self.end.write(data)
            visit.whole_at = self.world.now
        if self.plan.pipelines:
            self._plan_next()

    @property
    def worker(self):
        process = self.end.peer.process
        return process.name if process is not None else ""

    def _send_in_pieces(self, visit, end, data):
        """A slow link, or a client that makes up its body as it goes."""
        if end.closed or visit.ending:
            return
        size = self.chance.randrange(1, len(data) + 1)
        end.write(data[:size])
        if size < len(data):
            self.world.loop.at(
                self.world.now + self.chance.uniform(0.0, 0.3), self._send_in_pieces, visit, end, data[size:]
            )
        else:
            visit.whole_at = self.world.now

    def _leave(self, end):
        """Away in the middle of it, or just after."""
        if end is self.end and not end.closed:
            self._end_all("left", "left")
            end.lingers = self.chance.random() < 0.5
            end.abort()
            self._plan_next()

    # -- called by the connection

    def data_received(self, data):
        self._buffer += data
        while self._buffer and self._read_answer():
            pass

    def connection_lost(self):
        if self._open:
            first = self._open[0]
            if self._buffer:
                first.head = self._buffer
            self._end_all(*(("cut", NEVER_READ) if self._buffer else ("closed", "closed")))
        self._plan_next()

    def _end_all(self, first, others):
        """The visits that wait get no answer: the first may have the beginning of one."""
        for n, visit in enumerate(self._open):
            self._end_visit(visit, others if n else first)
        self._open.clear()

    def _end_visit(self, visit, how):
        visit.worker = visit.worker or self.worker
        visit.ending = how
        visit.ended_at = self.world.now
        self.world.ended(visit)

    def _read_answer(self):
        """One whole answer, if it is here."""
        end = self._buffer.find(b"\r\n\r\n") + 4
        if end == 3:
            return False
        head = self._buffer[:end]
        status = int(head[9:12])
        if status < 200:
            self._buffer = self._buffer[end:]
            return True
        if not self._open:
            self.world.fail("an answer that nobody had asked for", head[:200])
            self.end.abort()
            return False
        visit = self._open[0]
        body, rest = self._body(visit, head, status, end)
        if rest < 0:
            return False
        self._buffer = self._buffer[rest:]
        self._open.pop(0)
        if self._open:
            self._open[0].turn_at = self.world.now
        visit.status, visit.head, visit.body = status, head, body
        self._end_visit(visit, "answered")
        if field_of(head, b"connection").lower() == b"close":
            self._end_all(NEVER_READ, NEVER_READ)
            self.end.close()
        if not self.plan.pipelines:
            self._plan_next()
        return True

    def _body(self, visit, head, status, end):
        """The body, and where the next answer begins: -1 while it is not whole."""
        buffer = self._buffer
        if visit.method == "HEAD" or status in (204, 304):
            return b"", end
        if field_of(head, b"transfer-encoding"):
            body, at = b"", end
            while (line := buffer.find(b"\r\n", at)) >= 0:
                size = int(buffer[at:line], 16)
                if line + 2 + size + 2 > len(buffer):
                    break
                body += buffer[line + 2 : line + 2 + size]
                at = line + 2 + size + 2
                if not size:
                    return body, at
            return b"", -1
        length = int(field_of(head, b"content-length") or b"0")
        return (buffer[end : end + length], end + length) if len(buffer) >= end + length else (b"", -1)
