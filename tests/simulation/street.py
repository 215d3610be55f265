"""One worker between clients and targets that do as they are told: exchanges whole, on a virtual clock.

Unlike a `World` there is no controller and no chance in it: what everybody does stands in a script, so that what went
wrong can be made smaller. `play(stage, script)` gives the street after all has come to its end.
"""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass, field

from failover.channel import Told
from failover.core.model import Kind, Routing, TargetState, Verdict
from failover.launch import Launch
from failover.proxy.worker import Worker
from failover.settings.model import Settings
from fuzz.reference import Chunks
from simulation.clock import Process, VirtualLoop, in_order
from simulation.link import Line, Listening
from simulation.network import Network, Road
from simulation.world import NOBODY

ALIASES = ("primary", "backup")
ADDRESSES = {"primary": ("10.9.0.1", 8000), "backup": ("10.9.0.2", 8000)}
_IDLE = 2.0
_QUIET = 8.0  # longer than an idle connection to a target lives
_SETTINGS = Settings(
    primary="http://10.9.0.1:8000",
    backup=("http://10.9.0.2:8000",),
    backup_kind="replica",
    workers=1,
    max_connections=1000,
    access_log=False,
    idle_timeout=_IDLE,
    head_timeout=_IDLE,
    first_byte_timeout=_IDLE,
    connect_timeout=1.0,
    hold_writes=1.0,
    max_body=1_000_000,
)


@dataclass(slots=True)
class Answer:
    """How the targets answer one request. `fault` is what goes wrong with it, on the targets in `faulty` alone."""

    status: int = 200
    framing: str = "length"  # chunked, close
    size: int = 0
    interim: tuple[int, ...] = ()
    early: bool = False  # before the body of the request is there
    pieces: tuple[int, ...] = ()  # sizes, over and over
    pause: float = 0.0  # before each of them
    fault: str = ""
    faulty: tuple[str, ...] = ALIASES
    closes: str = ""  # behind the answer: says so, or just does


@dataclass(slots=True)
class Request:
    method: str = "GET"
    framing: str = "length"
    size: int = 0
    version: str = "1.1"
    keyed: bool = False
    expects: bool = False
    closes: bool = False
    answer: Answer = field(default_factory=Answer)


@dataclass(slots=True)
class Client:
    """One connection: its requests go out as one stream in these pieces. `leaves` says when it goes, and how."""

    requests: list[Request]
    pieces: tuple[int, ...] = ()
    pause: float = 0.0
    begins: float = 0.0
    stops_reading: tuple[float, float] | None = None  # when, and for how long
    leaves: tuple[float, str] | None = None
    half_closes: bool = False


@dataclass(slots=True)
class Script:
    clients: list[Client]
    verdicts: list[tuple[float, str]] = field(default_factory=list)
    window: int = 1 << 18


@dataclass(slots=True)
class Received:
    """One request as a target got it."""

    name: str
    method: str
    alias: str
    body: bytes = b""
    trailers: tuple[bytes, ...] = ()
    whole: bool = False


def content(name, size):
    """A body that is this one's and no other's, at every place."""
    mark = f"<{name}>".encode()
    return (mark * (size // len(mark) + 1))[:size]


def sliced(data, sizes):
    """`data` in pieces of these sizes, over and over."""
    found, at, n = [], 0, 0
    while at < len(data):
        size = sizes[n % len(sizes)] if sizes and n < 60 else len(data)
        found.append(data[at : at + size])
        at += size
        n += 1
    return found


class Street:
    """See above. `wrong` holds what was seen to be wrong while it happened."""

    def __init__(self, stage, script):
        self.script = script
        self.clock = stage.clock
        self.clock.now = 1000.0
        self.network = Network()
        self.loop = VirtualLoop(self.clock, self.network)
        self.network.loop = self.loop
        self.public = Listening(self.loop, random.Random(0))
        self.channel = Listening(self.loop, random.Random(0))
        self.process = Process("worker")
        self.wrong = []
        self.ledger = []
        self.requests = {}
        self.visitors = []
        self.lines = []
        for alias in ALIASES:
            self.network.hosts[ADDRESSES[alias]] = Host(self, alias, script.window)

    def log(self, level, event):
        self.lines.append((level, event))

    def told(self, process):
        """What the world asks when the controller has spoken; there is none here."""

    def run(self):
        self.loop.call_soon(self._begin, context=self.process.context)
        self.loop.run_for(0.01)
        for at, verdict in self.script.verdicts:
            self.loop.call_at(self.clock.now + at, self._tell, verdict, context=self.process.context)
        for n, client in enumerate(self.script.clients):
            self.visitors.append(Visitor(self, n, client))
        for _ in range(60):
            self.loop.run_for(0.5)
            if all(visitor.over for visitor in self.visitors):
                break
        self.loop.run_for(_QUIET)

    def left_behind(self):
        """What the worker still has after the end of all connections."""
        worker, pools = self.worker, self.worker.pools.values()
        things = {
            "clients": worker.crowd.downstreams,
            "clients that were turned away": worker.crowd.refused,
            "tunnels": worker.crowd.tunnels,
            "held writes": worker.hold.waiting,
            "rescues": worker._rescues,
            "connections to targets": [one for pool in pools for one in (*pool.open, *pool.idle)],
            "tries to connect": [one for pool in pools for one in pool._connecting],
            "sockets": list(self.process.ends)[1:],  # the first is the way to the controller
            "files": [file for file in self.process.files if not file.closed],
        }
        return {name: found for name, found in things.items() if found}

    def close(self):
        self.loop.wind_up()

    def _begin(self):
        launch = Launch(_SETTINGS, "", "a token", 0, (self.public,), NOBODY, False, NOBODY)
        self.worker = Worker(launch, self.loop)
        in_order(self.worker)
        for pool in self.worker.pools.values():
            in_order(pool)
        self.worker.start()
        self._tell("primary")

    def _tell(self, verdict):
        states = tuple(TargetState(alias, True, (ADDRESSES[alias],), Kind.REPLICA) for alias in ALIASES)
        self.worker._told(Told(Routing(Verdict(verdict), 0.0, 0, 0, states, share=50)))


def play(stage, script, prepare=None):
    stage.chance.seed(0)
    stage.world = street = Street(stage, script)
    if prepare is not None:
        prepare(street)
    try:
        street.run()
    finally:
        street.close()
    return street


class Visitor(asyncio.Protocol):
    """One client's connection. `got` is all that came, `ended` how it ended: by an end, a reset, or not at all."""

    def __init__(self, street, number, client):
        self.street = street
        self.client = client
        self.number = number
        self.names = [f"c{number}r{n}" for n in range(len(client.requests))]
        self.got = b""
        self.ended = ""
        self.left = False
        self.sent_all = False
        self.over = False
        street.requests.update(zip(self.names, client.requests, strict=True))
        street.loop.at(street.clock.now + client.begins, self._connect)

    def _connect(self):
        street, client = self.street, self.client
        self.end = street.public.connect(Line(lambda: 0.001, street.script.window), None, (f"192.0.2.{self.number}", 1))
        self.end.begin(self)
        stream = b"".join(map(written, self.names, client.requests))
        at = street.clock.now
        for piece in sliced(stream, client.pieces):
            street.loop.at(at, self._send, piece)
            at += client.pause
        street.loop.at(at, self._sent)
        if client.stops_reading is not None:
            when, how_long = client.stops_reading
            street.loop.at(street.clock.now + when, self._pause)
            street.loop.at(street.clock.now + when + how_long, self._resume)
        if client.leaves is not None:
            street.loop.at(street.clock.now + client.leaves[0], self._leave, client.leaves[1])

    def _send(self, piece):
        if not self.end.is_closing():
            self.end.write(piece)

    def _sent(self):
        if not self.end.is_closing():
            self.sent_all = True
            if self.client.half_closes:
                self.end.write_eof()

    def _pause(self):
        self.end.pause_reading()

    def _resume(self):
        if not self.end.closed:
            self.end.resume_reading()

    def _leave(self, how):
        if self.over:
            return
        self.left = self.over = True
        self.end.lingers = how != "reset"
        self.end.abort()

    def data_received(self, data):
        self.got += data

    def eof_received(self):
        self.ended = self.ended or "end"
        return False

    def connection_lost(self, exc):
        self.over = True
        if exc is not None:
            self.ended = "reset"


def written(name, request):
    """A request as it goes over the wire."""
    lines = [f"{request.method} /{name} HTTP/{request.version}", "Host: site", f"X-Name: {name}"]
    if request.keyed:
        lines.append(f"Idempotency-Key: {name}")
    if request.closes:
        lines.append("Connection: close")
    elif request.version == "1.0":
        lines.append("Connection: keep-alive")
    if request.expects:
        lines.append("Expect: 100-continue")
    body = content(name, request.size)
    if request.framing == "chunked":
        lines.append("Transfer-Encoding: chunked")
        chunks = [b"%x;n=%d\r\n%b\r\n" % (len(one), n, one) for n, one in enumerate(sliced(body, (7, 300, 20_000)))]
        body = b"".join(chunks) + b"0\r\nX-Sum: %d\r\nContent-Length: 7\r\n\r\n" % request.size
    elif request.size or request.method in {"POST", "PUT"}:
        lines.append(f"Content-Length: {request.size}")
    return "\r\n".join([*lines, "", ""]).encode() + body


class Stranger(asyncio.Protocol):
    """A client that sends these pieces, whatever they are, a moment apart, and closes its half in the end."""

    def __init__(self, street, pieces):
        self.street = street
        self.got = b""
        street.loop.at(street.clock.now + 0.02, self._connect, pieces)

    def _connect(self, pieces):
        loop = self.street.loop
        self.end = self.street.public.connect(Line(lambda: 0.001), None, ("198.51.100.1", 1))
        self.end.begin(self)
        for n, piece in enumerate([*pieces, None]):
            loop.at(loop.time() + 0.002 * n, self._send, piece)

    def _send(self, piece):
        if not self.end.is_closing():
            if piece is None:
                self.end.write_eof()
            else:
                self.end.write(piece)

    def data_received(self, data):
        self.got += data


class Babbler(asyncio.Protocol):
    """A target that says these pieces to whatever it is sent, and then closes (1), resets (2), or waits first (0)."""

    def __init__(self, street, pieces, end):
        self.street = street
        self.pieces = pieces
        self.ends = end

    def connection_made(self, transport):
        self.end = transport

    def data_received(self, data):
        loop = self.street.loop
        pieces, self.pieces = self.pieces, []
        for n, piece in enumerate(pieces):
            loop.at(loop.time() + 0.002 * n, self._write, piece)
        if pieces:
            later = 0.002 * len(pieces) if self.ends else 10.0
            loop.at(loop.time() + later, self._end)

    def _end(self):
        self.end.lingers = self.ends != 2
        self.end.abort()

    def _write(self, piece):
        if not self.end.is_closing():
            self.end.write(piece)


class Host:
    """One target."""

    def __init__(self, street, alias, window):
        self.street = street
        self.alias = alias
        self.listens = True
        self.road = Road(street.network, lambda: 0.002, window)

    def accept(self, end):
        end.begin(Talk(self))


class Talk(asyncio.Protocol):
    """One connection to a target, which reads what it is sent strictly and answers one request at a time."""

    def __init__(self, host):
        self.host = host
        self.street = host.street
        self._buffer = b""
        self._request = None  # the one that is read
        self._length = 0
        self._answering = ""

    def connection_made(self, transport):
        self.end = transport

    def data_received(self, data):
        self._buffer += data
        while self._buffer and (self._read_body() if self._request is not None else self._read_head()):
            pass

    def connection_lost(self, exc):
        self._answering = self._answering or "gone"

    def _read_head(self):
        head, mark, rest = self._buffer.partition(b"\r\n\r\n")
        if not mark:
            return False
        first, *lines = head.split(b"\r\n")
        fields = {}
        for line in lines:
            name, _, value = line.partition(b": ")
            fields.setdefault(name.lower(), value)
        name = fields.get(b"x-name", b"").decode("latin-1")
        self._say(first.endswith(b" HTTP/1.1"), "a head that is none", head)
        self._say(not self._answering, "a request before the answer to the one before was over", name, self._answering)
        self._say(fields.get(b"connection") in {None, b"upgrade"}, "a field of one hop has passed", head)
        known = self.street.requests.get(name)
        self._say(known is None or first.split(b" ")[1] == f"/{name}".encode(), "fields of two requests", head)
        self._buffer = rest
        self._length = -1 if b"transfer-encoding" in fields else int(fields.get(b"content-length", 0))
        self._request = Received(name, first.split(b" ")[0].decode(), self.host.alias)
        self.street.ledger.append(self._request)
        self.answer = known.answer if known is not None else Answer()
        self._answering = name or "a stranger's"
        if self.answer.early and self._length:
            self._begin(self._request)
        return self._read_body()

    def _read_body(self):
        received = self._request
        if self._length < 0:
            try:
                chunks = Chunks(self._buffer)
            except ValueError as error:
                self._say(False, "chunks that are none", received.name, error)
                self.end.abort()
                return False
            received.body = chunks.payload
            if not chunks.whole:
                return False
            received.trailers, self._buffer = tuple(chunks.trailers), chunks.rest
        else:
            received.body = self._buffer[: self._length]
            if len(received.body) < self._length:
                return False
            self._buffer = self._buffer[self._length :]
        received.whole = True
        self._request = None
        if not (self.answer.early and self._length):
            self._begin(received)
        elif self._answering == "said":
            self._answering = ""
        return True

    def _say(self, well, *what):
        if not well:
            self.street.wrong.append(what)

    # -- the answer

    def _begin(self, received):
        answer = self.answer
        fault = answer.fault if self.host.alias in answer.faulty else ""
        if fault == "hangs":
            return
        out = reply(received.name, received.method, answer, self.host.alias)
        if fault in {"resets at once", "closes at once"}:
            out = b""
        elif fault in {"cut by a reset", "cut by a close"}:
            out = out[: -1 - (len(out) // 3)]
        elif fault == "talks nonsense":
            out = b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n"
        elif fault == "says too much":
            out += b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\nX-Name: nobody\r\n\r\nnobody"
        ends = "reset" if "reset" in fault else "close" if "close" in fault or answer.closes else ""
        if answer.framing == "close" and not fault:
            ends = ends or "close"
        at = self.street.clock.now
        for piece in sliced(out, answer.pieces):
            at += answer.pause
            self.street.loop.at(at, self._write, piece)
        self.street.loop.at(at, self._said, ends)

    def _write(self, piece):
        if not self.end.is_closing():
            self.end.write(piece)

    def _said(self, ends):
        self._answering = "said" if self._request is not None else ""
        if ends == "reset":
            self.end.lingers = False
            self.end.abort()
        elif ends:
            self.end.close()


def has_body(method, status):
    return method != "HEAD" and status not in {204, 304}


def reply(name, method, answer, alias):
    """An answer as it goes over the wire."""
    out = b"".join(b"HTTP/1.1 %d Hm\r\nX-Name: %b\r\n\r\n" % (status, name.encode()) for status in answer.interim)
    lines = [f"HTTP/1.1 {answer.status} Hm", f"X-Name: {name}", f"X-Target: {alias}"]
    if answer.closes == "says so":
        lines.append("Connection: close")
    body = content(name, answer.size)
    if answer.framing == "chunked":
        lines.append("Transfer-Encoding: chunked")
        more = b";a=b" if answer.size % 2 else b""  # what nobody reads, and nobody gets
        chunks = [b"%x%b\r\n%b\r\n" % (len(one), more, one) for one in sliced(body, (5, 400, 30_000))]
        body = b"".join(chunks) + b"0%b\r\nX-Sum: %d\r\n\r\n" % (more, answer.size)
    elif answer.framing == "length":
        lines.append(f"Content-Length: {answer.size}")
    if not has_body(method, answer.status):
        body = b""
    return out + "\r\n".join([*lines, "", ""]).encode() + body
