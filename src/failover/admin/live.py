"""The event stream: what happens, as it happens, to every page that is open, with a replay of what one has missed.

Everything is written once and sent to all. A page gets the parts that have changed, already drawn; a program gets the
state and the events as JSON. Who does not read fast enough loses his stream, and comes back for the rest.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING

import msgspec
from aiohttp import web

from failover.admin.base import RING

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from failover.admin.base import Event, Sheet

MOST_STREAMS = 100
_HEARTBEAT_S = 15.0
_RETRY_MS = 1000
_WRITTEN_WITHIN_S = 10.0
_SHORTEST_GAP_S = 0.2

_encode = msgspec.json.Encoder().encode
Parts = dict[str, str]


class Hub:
    """What was published last, and who waits for the next. Everything here runs on the loop of the pages."""

    def __init__(self, draw: Callable[[], Awaitable[Parts]]) -> None:
        self._draw = draw
        self.sheet: Sheet | None = None
        self.events: deque[Event] = deque(maxlen=RING)
        self.streams = 0
        self.turn = 0
        self.ended = False
        self._news = asyncio.Event()
        self._parts: Parts = {}
        self._drawn_of: tuple[object, int] | None = None
        self._drawing = asyncio.Lock()

    def publish(self, sheet: Sheet) -> None:
        self.sheet = sheet
        self._wake()

    def tell(self, event: Event) -> None:
        self.events.append(event)
        self._wake()

    def end(self) -> None:
        """The pages close: every stream ends now, and whoever reads it may come back."""
        self.ended = True
        self._wake()

    def _wake(self) -> None:
        self.turn += 1
        news, self._news = self._news, asyncio.Event()
        news.set()

    async def news(self, within: float, seen: int | None = None) -> bool:
        """Wait for what is newer than the turn `seen`, or than now. False after so many seconds without."""
        if seen is not None and seen != self.turn:
            return True
        try:
            async with asyncio.timeout(within):
                await self._news.wait()
        except TimeoutError:
            return False
        return True

    @property
    def last_id(self) -> int:
        return self.events[-1].id if self.events else 0

    def since(self, last: int) -> list[Event]:
        """The events after that one. One that nobody here knows is of another life: then all that there are."""
        known = [event for event in self.events if event.id > last]
        return known if not self.events or last <= self.events[-1].id else list(self.events)

    async def parts(self) -> Parts:
        """The parts of the page as they are now, drawn once for all who look."""
        async with self._drawing:
            of = (self.sheet, self.last_id)
            if self._drawn_of != of:
                self._parts = await self._draw()
                self._drawn_of = of
        return self._parts


async def page_stream(request: web.Request, hub: Hub) -> web.StreamResponse:
    """For a page: the parts that have changed since it was drawn, at most a few times a second."""
    shown: Parts = {}

    async def changes() -> bytes:
        parts = await hub.parts()
        changed = {name: part for name, part in parts.items() if shown.get(name) != part}
        shown.update(changed)
        now = hub.sheet.state.now if hub.sheet is not None else 0.0
        return message(_encode({"now": now, "parts": changed}), event="parts", number=hub.last_id)

    return await _stream(request, hub, changes)


async def event_stream(request: web.Request, hub: Hub) -> web.StreamResponse:
    """For a program: what it has missed since `Last-Event-ID`, then each event, and the state whenever it changes."""
    last = _last_seen(request.headers)
    seen: dict[str, object] = {}

    async def changes() -> bytes:
        nonlocal last
        events = hub.since(last)
        last = hub.last_id if events else last
        out = [message(_encode(event), event="happened", number=event.id) for event in events]
        if hub.sheet is not None and seen.get("sheet") is not hub.sheet:
            seen["sheet"] = hub.sheet
            out.append(message(_encode(hub.sheet.state), event="state"))
        return b"".join(out)

    return await _stream(request, hub, changes)


def message(data: bytes, *, event: str, number: int = 0) -> bytes:
    """One message of a stream (HTML standard, section 9.2.6). JSON has no line ends of its own."""
    identified = b"id: %d\n" % number if number else b""
    return b"%bevent: %b\ndata: %b\n\n" % (identified, event.encode(), data)


async def _stream(request: web.Request, hub: Hub, changes: Callable[[], Awaitable[bytes]]) -> web.StreamResponse:
    if hub.streams >= MOST_STREAMS:
        raise web.HTTPServiceUnavailable(text="too many streams are open", headers={"Retry-After": "10"})
    response = web.StreamResponse(
        headers={
            "Content-Type": "text/event-stream; charset=utf-8",
            "Cache-Control": "no-store, no-transform",
            "X-Accel-Buffering": "no",
        }
    )
    hub.streams += 1
    try:
        await response.prepare(request)
        if request.method == "HEAD":
            return response
        await _write(response, b"retry: %d\n\n" % _RETRY_MS)
        while not hub.ended:
            turn = hub.turn
            await _write(response, await changes())
            await asyncio.sleep(_SHORTEST_GAP_S)
            if not await hub.news(_HEARTBEAT_S, turn):
                await _write(response, b": still here\n\n")
    except ConnectionError:
        pass  # it left
    except TimeoutError:  # it does not read, not even the end
        if request.transport is not None:
            request.transport.abort()
    finally:
        hub.streams -= 1
    return response


async def _write(response: web.StreamResponse, data: bytes) -> None:
    async with asyncio.timeout(_WRITTEN_WITHIN_S):
        await response.write(data)


def _last_seen(headers: Mapping[str, str]) -> int:
    given = headers.get("Last-Event-ID", "")
    return int(given) if given.isascii() and given.isdigit() and len(given) < 20 else 0
