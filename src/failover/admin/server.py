"""The thread that serves the pages: with a loop of its own, so that nobody who looks can hold up who decides.

What it needs (aiohttp, Jinja2, prometheus-client) is loaded in it, when somebody asks for the first time: it is half of
what the controller would hold, and many a proxy is never looked at. The first answer takes half a second longer.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from failover.admin.base import RING
from failover.admin.place import control_socket
from failover.observe import log

if TYPE_CHECKING:
    import socket
    from collections.abc import Awaitable, Callable, Sequence
    from pathlib import Path

    from aiohttp import web

    from failover.admin.base import Desk, Event, Sheet
    from failover.admin.history import History, Named
    from failover.admin.live import Hub
    from failover.incidents.base import Store

_TO_JOIN_S = 3.0
_TO_END_S = 0.5
_BACKLOG = 128
_FIRST_READ_S = 1.0

_log = log.get("admin")


@dataclass(frozen=True, slots=True)
class Plan:
    """What is served, and where. `local` and `public` are listening sockets, `ports` those of the public port.

    `local_host` is the address that `local` was asked for, `rows` are the settings with their sources. `peers` are the
    users of the workers, who alone ask at `public`.
    """

    local: tuple[socket.socket, ...]
    public: socket.socket | None
    ports: tuple[int, ...]
    local_host: str
    peers: frozenset[int]
    token: str = field(repr=False)
    public_url: str | None
    slo: float
    channels: Sequence[Named]
    rows: list[tuple[str, str, str]]
    test_channels: Callable[[], Awaitable[list[tuple[str, str, bool, str]]]]


def start(plan: Plan, store: Store, desk: Desk) -> Thread:
    return Thread(plan, store, desk)


class Thread:
    """See above. What is published before the pages are ready is what they show first."""

    def __init__(self, plan: Plan, store: Store, desk: Desk) -> None:
        self._plan = plan
        self._store = store
        self._desk = desk
        self._loop: asyncio.AbstractEventLoop | None = None
        self._sheet: Sheet | None = None
        self._events: deque[Event] = deque(maxlen=RING)
        self._publish: Callable[[Sheet], None] | None = None
        self._tell: Callable[[Event], None] | None = None
        self._closed = threading.Event()
        self._close: Callable[[], None] | None = None
        self._thread = threading.Thread(target=self._run, name="pages", daemon=True)
        self._thread.start()

    # -- from the controller's thread

    def publish(self, sheet: Sheet) -> None:
        self._sheet = sheet
        if self._publish is not None:
            self._call(self._publish, sheet)

    def tell(self, event: Event) -> None:
        if self._tell is not None:
            self._call(self._tell, event)
        else:
            self._events.append(event)

    def close(self) -> None:
        self._closed.set()
        if self._close is not None:
            self._call(self._close)
        self._thread.join(_TO_JOIN_S)

    def _call(self, what: Callable[..., None], *args: object) -> None:
        if self._loop is not None:
            with suppress(RuntimeError):  # it has just been closed
                self._loop.call_soon_threadsafe(what, *args)

    # -- the thread

    def _run(self) -> None:
        try:
            with asyncio.Runner() as runner:
                runner.run(self._serve())
        except Exception:  # noqa: BLE001 - the proxy serves without its pages as well
            _log.exception("the pages have ended by a mistake in the program", action="admin.failed")

    async def _serve(self) -> None:
        plan = self._plan
        control, where = control_socket(plan.ports)
        local, public = list(plan.local), plan.public if plan.token else None
        try:
            if await self._asked([sock for sock in (*local, public, control) if sock is not None]):
                await self._answer(control)
        finally:
            _remove(where)
            if control is not None:
                control.close()

    async def _asked(self, sockets: list[socket.socket]) -> bool:
        """Wait until somebody knocks: True. False: closed before."""
        self._loop = loop = asyncio.get_running_loop()
        knocked = asyncio.Event()
        for sock in sockets:
            loop.add_reader(sock, knocked.set)
        self._close = knocked.set
        if not self._closed.is_set():
            await knocked.wait()
        for sock in sockets:
            loop.remove_reader(sock)
        return not self._closed.is_set()

    async def _answer(self, control: socket.socket | None) -> None:
        from aiohttp import web  # noqa: PLC0415 - see above

        from failover.admin.app import Office, application  # noqa: PLC0415 - as above
        from failover.admin.guard import Door, Guard, Way, local_door  # noqa: PLC0415 - as above
        from failover.admin.history import History  # noqa: PLC0415 - as above
        from failover.admin.live import Hub  # noqa: PLC0415 - as above
        from failover.admin.metrics import Metrics  # noqa: PLC0415 - as above
        from failover.admin.pages import Painter  # noqa: PLC0415 - as above

        plan = self._plan
        loop = asyncio.get_running_loop()
        history = History(self._store, plan.channels, plan.slo, _wall)
        painter = Painter(history, plan.rows, _wall)
        hub = Hub(lambda: painter.draw(hub))
        metrics = Metrics(lambda: hub.sheet, history)
        office = Office(hub, self._store, history, metrics, self._desk, plan.test_channels, plan.rows, _wall)
        guard, doors = Guard(), []
        if plan.local:
            door = local_door(plan.local_host, plan.token, plan.public_url)
            doors += [(door, sock) for sock in plan.local]
        if plan.public is not None and plan.token:
            doors.append((Door(Way.PUBLIC, "/__failover", plan.token, peers=plan.peers), plan.public))
        if control is not None:
            doors.append((Door(Way.SOCKET), control))
        done = asyncio.Event()
        self._publish, self._tell, self._close = hub.publish, hub.tell, done.set
        for event in tuple(self._events):
            hub.tell(event)
        if self._sheet is not None:
            hub.publish(self._sheet)
        with suppress(TimeoutError):  # then the first page is without a past
            async with asyncio.timeout(_FIRST_READ_S):
                await history.refresh("", hub.last_id)
        runners: list[web.AppRunner] = []
        reading = loop.create_task(_keep_reading(history, hub))
        try:
            for door, sock in doors:
                runner = web.AppRunner(
                    application(door, office, guard),
                    access_log=None,
                    logger=_quiet(),
                    handle_signals=False,
                    shutdown_timeout=_TO_END_S,
                    keepalive_timeout=30.0,
                )
                await runner.setup()
                runners.append(runner)
                await web.SockSite(runner, sock, backlog=_BACKLOG).start()
            if not self._closed.is_set():
                await done.wait()
        finally:
            hub.end()
            reading.cancel()
            await asyncio.gather(*(runner.cleanup() for runner in runners), return_exceptions=True)


def _quiet() -> logging.Logger:
    """For aiohttp: what our handlers meet we tell ourselves, and nobody fills our log with requests that are none."""
    quiet = logging.getLogger("failover.admin.http")
    quiet.setLevel(logging.CRITICAL)
    return quiet


async def _keep_reading(history: History, hub: Hub) -> None:
    """The past is read when it may have changed, whether somebody looks or not: metrics show it too."""
    while True:
        state = hub.sheet.state if hub.sheet is not None else None
        await history.refresh(state.incident if state is not None else "", hub.last_id)
        await hub.news(5.0)
        await asyncio.sleep(0.25)


def _remove(where: Path | None) -> None:
    if where is not None:
        with suppress(OSError):
            where.unlink()


def _wall() -> float:
    return time.time()  # noqa: TID251 - the pages are read in the time of people
