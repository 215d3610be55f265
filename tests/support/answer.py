"""What a scripted origin answers: a status, headers and a body, and what goes wrong with it.

The faults have the names of weather and are made in `weather`; a body may be bytes, a `Pattern` (large, never in
memory) or a `Feed` (whose next piece the test sends when it likes).
"""

from __future__ import annotations

import asyncio
import hashlib
import random
import threading
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Mapping

_STEP = 1 << 16


@cache
def _block() -> memoryview:
    return memoryview(random.Random(2).randbytes(1_048_573) * 2)  # a prime length: no piece of 2**n bytes repeats soon


class Pattern:
    """A body of `length` bytes that are the same each time and look like noise."""

    def __init__(self, length: int) -> None:
        self.length = length

    def __len__(self) -> int:
        return self.length

    def pieces(self) -> Iterator[memoryview]:
        block, size = _block(), len(_block()) // 2
        for place in range(0, self.length, _STEP):
            first = place % size
            yield block[first : first + min(_STEP, self.length - place)]

    @property
    def sha256(self) -> str:
        told = hashlib.sha256()
        for piece in self.pieces():
            told.update(piece)
        return told.hexdigest()


class Feed:
    """A body that comes in pieces, each when the test says so; from any thread. One exchange at a time."""

    def __init__(self) -> None:
        self._waiting: list[bytes | None] = []
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._more: asyncio.Event | None = None

    def send(self, piece: bytes) -> None:
        self._put(piece)

    def event(self, data: str, **fields: str) -> None:
        """One server-sent event."""
        self._put("".join(f"{name}: {value}\n" for name, value in (*fields.items(), ("data", data))).encode() + b"\n")

    def end(self) -> None:
        self._put(None)

    def _put(self, piece: bytes | None) -> None:
        with self._lock:
            self._waiting.append(piece)
            if self._loop is not None and self._more is not None:
                self._loop.call_soon_threadsafe(self._more.set)

    async def pieces(self) -> AsyncIterator[bytes]:
        more = asyncio.Event()
        with self._lock:
            self._loop, self._more = asyncio.get_running_loop(), more
        try:
            while True:
                with self._lock:
                    waiting, self._waiting = self._waiting, []
                    more.clear()
                for piece in waiting:
                    if piece is None:
                        return
                    yield piece
                if not waiting:
                    await more.wait()
        finally:
            with self._lock:
                self._loop = self._more = None


Fault = Literal["hang", "close", "reset"]


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer. Framing headers are written by the origin unless `headers` has them.

    `interim`: 1xx heads before it, each a status and headers. `delay`: seconds before the head. `fault`: instead of a
    head, once the request is read: `hang` (until the client leaves), `close` (a clean end) or `reset`. `cut_at`: body
    bytes (of the body itself, not of its framing) after which the connection ends as `cut_by` says; `half_close` ends
    only our sending side. `trickle`: bytes a second. `length`: a Content-Length to claim instead of the true one.
    `raw`: bytes to send instead of everything, after which the connection is closed. `upgrade`: the protocol switched
    to; afterwards all that comes is sent back. `reads`: body bytes of the request that are read before answering.
    """

    status: int = 200
    body: bytes | Pattern | Feed = b""
    headers: tuple[tuple[str, str], ...] = ()
    reason: str = "Told"
    version: str = "1.1"
    chunked: bool = False
    trailers: tuple[tuple[str, str], ...] = ()
    interim: tuple[tuple[int, Mapping[str, str]], ...] = ()
    delay: float = 0.0
    fault: Fault | None = None
    cut_at: int | None = None
    cut_by: Literal["close", "reset", "half_close"] = "reset"
    trickle: float = 0.0
    length: int | None = None
    close: bool = False
    raw: bytes | None = None
    upgrade: str | None = None
    reads: int | None = None


def text(body: str, status: int = 200, **more: object) -> Answer:
    """A small plain answer."""
    return Answer(status, body.encode(), (("Content-Type", "text/plain; charset=utf-8"),), **more)


def events(feed: Feed) -> Answer:
    """An event stream."""
    return Answer(body=feed, headers=(("Content-Type", "text/event-stream"), ("Cache-Control", "no-store")))


def upgrade(protocol: str = "echo") -> Answer:
    """Switch protocols and send back whatever comes."""
    return Answer(status=101, reason="Switching Protocols", upgrade=protocol)
