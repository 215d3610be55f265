"""The courier: a thread with a loop of its own, in which each channel has a lane.

Nothing here can hold up the controller: it pokes, and goes on. aiohttp is loaded here, for the first message, and what
may block without end (names, pictures, foreign libraries) has threads that nobody waits for.
"""

from __future__ import annotations

import asyncio
import random
import threading
import time
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from failover.notify import lines
from failover.notify.lane import Lane, Office
from failover.notify.schedule import Schedule
from failover.notify.threads import Threads

if TYPE_CHECKING:
    from collections.abc import Callable

    import aiohttp

    from failover.incidents.base import Store
    from failover.notify.base import Courier
    from failover.notify.channels import Channel

_TO_END = 1.0  # seconds for what is under way when we close
_TO_JOIN = 2.0


def start(store: Store, channels: tuple[Channel, ...], schedule: Schedule | None = None) -> Courier:
    """A courier at work: what an earlier one left in the outbox goes out now. Without a channel it is idle."""
    return Thread(store, channels, schedule or Schedule()) if channels else Idle()


class Idle:
    """Nobody is to be told."""

    channels: tuple[str, ...] = ()

    def poke(self) -> None:
        pass

    def close(self) -> None:
        pass


class Thread:
    """See above."""

    def __init__(
        self,
        store: Store,
        channels: tuple[Channel, ...],
        schedule: Schedule,
        *,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = lambda: datetime.now(UTC).timestamp(),
        chance: Callable[[], float] = random.random,
    ) -> None:
        # for its life
        self.channels = tuple(channel.key for channel in channels)
        self._channels = channels
        self._http: aiohttp.ClientSession | None = None
        self._office = Office(store, schedule, clock, wall, chance, self._session)
        # of its loop
        self._loop: asyncio.AbstractEventLoop | None = None
        self._lanes: tuple[Lane, ...] = ()
        self._closed = asyncio.Event()
        self._thread = threading.Thread(target=self._run, name="courier", daemon=True)
        self._thread.start()

    def poke(self) -> None:
        self._call(self._poke)

    def close(self) -> None:
        self._office.closing = True
        self._call(self._poke)
        self._thread.join(_TO_END + _TO_JOIN)

    def _call(self, what: Callable[[], None]) -> None:
        """Before there is a loop nothing needs to be said: it reads the outbox first. After it nobody hears."""
        if self._loop is not None:
            with suppress(RuntimeError):
                self._loop.call_soon_threadsafe(what)

    def _poke(self) -> None:
        for lane in self._lanes:
            lane.poked.set()
        if self._office.closing:
            self._closed.set()

    def _run(self) -> None:
        try:
            with asyncio.Runner() as runner:
                runner.get_loop().set_default_executor(Threads())
                runner.run(self._work())
        except Exception:  # noqa: BLE001 - the proxy goes on, whatever becomes of its messages
            lines.mistake("courier")

    async def _work(self) -> None:
        self._lanes = tuple(Lane(channel, self._office) for channel in self._channels)
        self._loop = loop = asyncio.get_running_loop()
        working = [loop.create_task(lane.run()) for lane in self._lanes]
        if not self._office.closing:
            await self._closed.wait()
        await asyncio.wait(working, timeout=_TO_END)  # what is under way may end, if that does not take long
        for task in working:
            task.cancel()
        await asyncio.gather(*working, return_exceptions=True)
        if self._http is not None:
            await self._http.close()

    def _session(self) -> aiohttp.ClientSession:
        """Made for the first message."""
        if self._http is None:
            from failover.notify.post import session  # noqa: PLC0415 - loads aiohttp: 200 ms that are not the start's

            self._http = session(self._office.schedule.try_for)
        return self._http
