"""The visitors, as a process: `python -m chaos.visitors --port N --rate 150 --methods GET`, in tests/.

An open loop: request n is due at start + n / rate, whatever became of those before it. Each visitor has an address of
his own (127.1.x.y, where the system has those) and keeps his connection; the one who has rested longest asks next. When
all of them wait for an answer a new one comes, up to `--most`; beyond that a request waits for somebody to be free, and
that counts: latency is from the moment when the request was due. As a browser does, a visitor asks for a page once
more, on a fresh connection, when the kept one ended without a byte; some proxies count on that.

Each request that is over is a line: `did ID METHOD DUE TICK BEGAN DONE TIMES STATUS ORIGIN OUTCOME`, all moments being
of the monotonic clock that the processes of a machine share. TICK - DUE is how late we ourselves were, TIMES how often
it was asked. Told `finish` we ask no more, and end when all is answered or a patience has passed; we end at once when
our input does.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import gc
import os
import signal
import socket
import time
from collections import deque
from dataclasses import dataclass

import uvloop

from chaos.message import HEAD_END, closes, end_of_the_lab, field, length

WHOLE, CUT, NONE = "whole", "cut", "none"
_LAST_ANSWER_WITHIN = 20.0


@dataclass(slots=True, eq=False)
class Request:
    id: str
    method: str
    due: float
    tick: float
    began: float = 0.0
    times: int = 0
    status: int = 0
    origin: str = "-"


class Crowd:
    """Who is idle, what is due, what is still open."""

    def __init__(self, port: int, rate: float, methods: list[str], visitors: int, most: int) -> None:
        self.loop = asyncio.get_running_loop()
        self.port, self._rate, self._methods, self._most = port, rate, methods, most
        self._own_addresses = _has_addresses()
        self._visitors = 0
        self._idle = deque(self._new() for _ in range(visitors))
        self._due: deque[Request] = deque()  # for whom nobody is free
        self._open: set[Request] = set()
        self._asked = 0
        self._finishing = False
        self.over = asyncio.Event()
        self._start = time.monotonic() + 0.1
        self._timer = self.loop.call_at(self._start, self._tick)
        print(f"began {self._start!r}", flush=True)

    def _new(self) -> Visitor:
        number = self._visitors
        self._visitors += 1
        return Visitor(self, f"127.1.{number // 250}.{number % 250 + 1}" if self._own_addresses else None)

    def finish(self) -> None:
        """Ask no more; `over` is set once nothing is open, or after a while."""
        self._timer.cancel()
        self._finishing = True
        self.loop.call_later(_LAST_ANSWER_WITHIN, self.over.set)
        self._look()

    def give_up(self) -> None:
        """What is still open has no answer."""
        for request in list(self._open):
            self._tell(request, NONE)

    def _tick(self) -> None:
        now = time.monotonic()
        while (due := self._start + self._asked / self._rate) <= now:
            method = self._methods[self._asked % len(self._methods)]
            request = Request(str(self._asked), method, due, time.monotonic())
            self._asked += 1
            self._open.add(request)
            self._due.append(request)
            self._serve()
        self._timer = self.loop.call_at(due, self._tick)

    def _serve(self) -> None:
        while self._due and (self._idle or self._visitors < self._most):
            visitor = self._idle.popleft() if self._idle else self._new()
            visitor.ask(self._due.popleft())

    def over_with(self, visitor: Visitor, request: Request, outcome: str) -> None:
        self._tell(request, outcome)
        self._idle.append(visitor)
        self._serve()
        self._look()

    def _tell(self, request: Request, outcome: str) -> None:
        self._open.discard(request)
        line = (
            f"did {request.id} {request.method} {request.due!r} {request.tick!r} {request.began!r} "
            f"{time.monotonic()!r} {request.times} {request.status} {request.origin} {outcome}\n"
        )
        os.write(1, line.encode())  # at once: somebody waits for it

    def _look(self) -> None:
        if self._finishing and not self._open:
            self.over.set()


class Visitor:
    """One client: an address, at most one kept connection, at most one request."""

    def __init__(self, crowd: Crowd, address: str | None) -> None:
        self._crowd = crowd
        self._from = (address, 0) if address else None
        self._kept: Connection | None = None
        self._fresh = True
        self._connecting: asyncio.Task[None] | None = None

    def ask(self, request: Request) -> None:
        request.began = time.monotonic()
        self._ask(request)

    def _ask(self, request: Request) -> None:
        request.times += 1
        self._fresh = self._kept is None
        if self._kept is not None:
            self._kept.ask(request, self._crowd.port)
        else:
            self._connecting = self._crowd.loop.create_task(self._connect(request))

    async def _connect(self, request: Request) -> None:
        loop, port = self._crowd.loop, self._crowd.port
        try:
            _, connection = await loop.create_connection(
                lambda: Connection(self), "127.0.0.1", port, local_addr=self._from
            )
        except OSError:
            self._crowd.over_with(self, request, NONE)
        else:
            self._kept = connection
            connection.ask(request, port)

    def over_with(self, request: Request, outcome: str, *, keep: bool) -> None:
        if not keep:
            self._kept = None
        if outcome == NONE and request.method == "GET" and not self._fresh:
            self._ask(request)
            return
        self._crowd.over_with(self, request, outcome)

    def lost(self, connection: Connection) -> None:
        if self._kept is connection:
            self._kept = None


class Connection(asyncio.Protocol):
    def __init__(self, visitor: Visitor) -> None:
        self._visitor = visitor
        self._transport: asyncio.Transport | None = None
        self._request: Request | None = None
        self._head = b""
        self._buffer = b""

    def ask(self, request: Request, port: int) -> None:
        self._request = request
        if self._transport is None:  # ended in the moment that it was made
            self._over(NONE)
            return
        body = request.id.encode() if request.method == "POST" else b""
        sized = f"Content-Length: {len(body)}\r\n" if body else ""
        head = f"{request.method} / HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nX-Id: {request.id}\r\n{sized}\r\n"
        self._transport.write(head.encode() + body)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        request = self._request
        if request is None:  # an answer that nobody asked for, as a 408
            self._leave()
            return
        if not self._head:
            end = self._buffer.find(HEAD_END)
            if end < 0:
                return
            self._head, self._buffer = self._buffer[: end + 2], self._buffer[end + len(HEAD_END) :]
            request.status = int(self._head[9:12])
            request.origin = field(self._head, "X-Origin") or "-"
        size = length(self._head)
        if size is not None and len(self._buffer) >= size:
            self._over(WHOLE)

    def connection_lost(self, error: Exception | None) -> None:
        self._transport = None
        self._visitor.lost(self)
        if self._request is None:
            return
        if not self._head:
            self._over(CUT if self._buffer else NONE)
        else:  # a head with no length: the end of the connection is the end of the answer
            sized = length(self._head) is not None or field(self._head, "Transfer-Encoding") is not None
            self._over(CUT if sized or error else WHOLE)

    def _over(self, outcome: str) -> None:
        request, self._request = self._request, None
        assert request is not None
        keep = outcome == WHOLE and self._transport is not None and not closes(self._head)
        self._head = self._buffer = b""
        if not keep:
            self._leave()
        self._visitor.over_with(request, outcome, keep=keep)

    def _leave(self) -> None:
        if self._transport is not None:
            self._transport.abort()
            self._transport = None
        self._visitor.lost(self)


def _has_addresses() -> bool:
    """Linux has all of 127.0.0.0/8; other systems have 127.0.0.1, and all visitors come from there."""
    with socket.socket() as trying:
        try:
            trying.bind(("127.1.0.1", 0))
        except OSError:
            return False
    return True


async def visit(port: int, rate: float, methods: list[str], visitors: int, most: int) -> None:
    loop = asyncio.get_running_loop()
    crowd = Crowd(port, rate, methods, visitors, most)

    def ordered() -> None:
        if os.read(0, 4096):
            crowd.finish()
        else:
            loop.remove_reader(0)
            crowd.over.set()

    loop.set_exception_handler(end_of_the_lab)
    loop.add_reader(0, ordered)
    loop.add_signal_handler(signal.SIGTERM, crowd.over.set)
    await crowd.over.wait()
    crowd.give_up()


def main() -> None:
    flags = argparse.ArgumentParser(description=__doc__)
    flags.add_argument("--port", type=int, required=True)
    flags.add_argument("--rate", type=float, default=150.0)
    flags.add_argument("--methods", default="GET")
    flags.add_argument("--visitors", type=int, default=256)
    flags.add_argument("--most", type=int, default=256)
    args = flags.parse_args()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the lab, which ends us
    # We are the clock: what delays us would be measured as the proxy's delay.
    gc.disable()  # we live for a minute
    with contextlib.suppress(OSError):  # for root alone
        os.setpriority(os.PRIO_PROCESS, 0, -10)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(visit(args.port, args.rate, args.methods.split(","), args.visitors, args.most))


if __name__ == "__main__":
    main()
