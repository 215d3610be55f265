"""What the pages show of the past: incidents, days and deliveries, read from the store now and then."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

from failover.observe import log

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from failover.core.document import Document
    from failover.incidents.base import Day, Store

DAYS = 30
_DAY_S = 86400.0
_SHOWN = 20
_USUAL_S = 10.0
_OPEN_S = 2.0

_log = log.get("admin")


@dataclass(frozen=True, slots=True)
class Named:
    """A channel as people see it: `name` is its address, masked."""

    key: str
    name: str
    format: str


@dataclass(frozen=True, slots=True)
class Channel:
    name: str
    format: str
    waiting: int = 0
    told_at: float = 0.0
    last_error: str = ""
    given_up: bool = False


class History:
    """The last that was read. `slo` is the share of requests, in percent, that are to succeed."""

    def __init__(self, store: Store, channels: Sequence[Named], slo: float, wall: Callable[[], float]) -> None:
        self._store = store
        self._named = tuple(channels)
        self._slo = slo
        self._wall = wall
        self._due = 0.0
        self._read_for: tuple[str, int] | None = None
        self._reading = False
        self.incidents: list[Document] = []
        self.days: list[Day] = []
        self.channels: list[Channel] = [Channel(one.name, one.format) for one in channels]
        self.ephemeral = ""

    @property
    def budget_left(self) -> float | None:
        """What is left of the error budget of the last 30 days, 1.0 is all of it; None where nobody asked for anything.

        Below 0 more has failed than was to be allowed.
        """
        requests, failed = sum(day.requests for day in self.days), sum(day.failed for day in self.days)
        allowed = requests * (1 - self._slo / 100)
        return round(1 - failed / allowed, 4) if allowed else None

    @property
    def hidden_today(self) -> int:
        today = self._wall() // _DAY_S * _DAY_S
        return sum(day.hidden for day in self.days if day.start >= today)

    async def refresh(self, incident: str, events: int) -> None:
        """Read again what may have changed: soon after an event, every 2 s in an incident, else every 10 s."""
        now = self._wall()
        if self._reading or (now < self._due and (incident, events) == self._read_for):
            return
        self._reading = True
        try:
            await self._read(now)
        except Exception as error:  # noqa: BLE001 - the pages show what was read before
            _log.debug("the store could not be read for the pages", detail=str(error))
        finally:
            self._reading = False
            self._read_for = (incident, events)
            self._due = now + (_OPEN_S if incident else _USUAL_S)

    async def _read(self, now: float) -> None:
        store, since = self._store, (now // _DAY_S - DAYS + 1) * _DAY_S
        keys = tuple(one.key for one in self._named)
        self.incidents = await asyncio.wrap_future(store.listed(_SHOWN))
        self.days = await asyncio.wrap_future(store.days(since))
        self.ephemeral = await asyncio.wrap_future(store.opened())
        boxes = {box.channel: box for box in await asyncio.wrap_future(store.mailboxes(keys))}
        self.channels = [
            Channel(one.name, one.format, box.waiting, box.told_at, box.last_error, box.given_up)
            if (box := boxes.get(one.key)) is not None
            else Channel(one.name, one.format)
            for one in self._named
        ]
