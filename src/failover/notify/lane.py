"""One channel's way: what is due there goes out, one message at a time, whatever happens in other channels.

A lane reads the outbox, does one thing, writes down what became of it, and reads again: never two of these at once, so
what it reads is never older than what it wrote.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from failover.core.document import Occasion, Status, Telling
from failover.notify import lines, outbox
from failover.notify.errand import Errand
from failover.notify.formats import destination
from failover.notify.verdict import Receipt, Refusal, Then, Verdict

if TYPE_CHECKING:
    from collections.abc import Callable

    import aiohttp

    from failover.core.document import Document
    from failover.incidents.base import Row, Store
    from failover.notify.channels import Channel
    from failover.notify.formats import Destination
    from failover.notify.schedule import Schedule

_AFTER_A_MISTAKE = 30.0


@dataclass(slots=True)
class Office:
    """What the lanes of one courier share. `clock` is monotonic, `wall` Unix seconds, `chance` from 0 to 1.

    `quiet_until` is when a channel, or all of one format, may be spoken to again, on the monotonic clock.
    """

    store: Store
    schedule: Schedule
    clock: Callable[[], float]
    wall: Callable[[], float]
    chance: Callable[[], float]
    http: Callable[[], aiohttp.ClientSession]
    quiet_until: dict[str, float] = field(default_factory=dict)
    closing: bool = False

    def hush(self, name: str, seconds: float) -> None:
        until = self.clock() + seconds
        self.quiet_until[name] = max(self.quiet_until.get(name, until), until)


class Lane:
    """See above."""

    def __init__(self, channel: Channel, office: Office) -> None:
        # for its life
        self.channel = channel
        self.poked = asyncio.Event()
        self._office = office
        self._there: Destination | None = None
        # of what is on its way, by incident
        self._errands: dict[str, Errand] = {}

    async def run(self) -> None:
        """Until the courier closes. A mistake, ours or the store's, is logged and costs half a minute."""
        while not self._office.closing:
            try:
                await self._step()
            except Exception:  # noqa: BLE001 - nothing may end a lane
                lines.mistake(self.channel.name)
                await self._wait(_AFTER_A_MISTAKE)

    async def _step(self) -> None:
        self.poked.clear()
        await self._read()
        first = self._first()
        now = self._office.clock()
        if first is None:
            await self._wait(None)
        elif first[0] > now:
            await self._wait(first[0] - now)
        else:
            await self._do(first[1])

    async def _wait(self, seconds: float | None) -> None:
        if not self._office.closing:
            with suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await self.poked.wait()

    # What there is to do

    async def _read(self) -> None:
        rows = await asyncio.wrap_future(self._office.store.outbox((self.channel.key,)))
        now, wall = self._office.clock(), self._office.wall()
        known = self._errands
        self._errands = {incident: one for incident, one in known.items() if one.unsaved}
        for row in rows:
            if errand := known.get(row.incident):
                errand.renew(row, now, wall)
            else:
                errand = Errand(row, self._office.schedule, now, wall)
            self._errands[row.incident] = errand
        for errand in self._errands.values():
            if errand.unsaved:
                await self._keep(errand, errand.row)

    def _first(self) -> tuple[float, Errand] | None:
        """What is due first, and when; of those that are due together, the oldest."""
        quiet, now = self._office.quiet_until, self._office.clock()
        free = max(now, quiet.get(self.channel.key, now), quiet.get(self.channel.format, now))
        due = [
            (max(at, free), errand.row.wanted_at, errand)
            for errand in self._errands.values()
            if (at := errand.at(edits=self._destination.EDITS)) is not None
        ]
        at, _, errand = min(due, key=lambda one: one[:2], default=(0.0, 0.0, None))
        return (at, errand) if errand else None

    @property
    def _destination(self) -> Destination:
        if self._there is None:
            self._there = destination(self.channel.format)
        return self._there

    # Doing it

    async def _do(self, errand: Errand) -> None:
        document = await asyncio.wrap_future(self._office.store.load(errand.row.incident))
        if document is None:
            await self._keep(errand, errand.ended("the incident is not kept any more"))
        elif occasion := outbox.to_tell(errand.row, document):
            await self._put(errand, errand.begun())
            await self._tell(errand, occasion, document)
        elif outbox.wanted(errand.row) is None:
            await self._bring_up_to_date(errand, document)
        else:
            await self._keep(errand, errand.ended("the incident is not as the outbox says"))

    async def _tell(self, errand: Errand, occasion: Occasion, document: Document) -> None:
        """One try, down the ladder as far as it must."""
        while True:
            telling = Telling(
                occasion=occasion,
                document=document,
                rung=errand.rung,
                late=errand.late(self._office.clock()),
                resent=errand.resent and not self._destination.IDEMPOTENT,
            )
            outcome = await self._send(errand, telling)
            if isinstance(outcome, Receipt):
                await self._arrived(errand, telling, outcome)
                return
            reason = self.channel.masked(outcome.told)
            then = errand.settle(outcome)
            if then is not Then.PLAINER:
                await self._refused(errand, document, then, outcome, reason)
                return
            lines.shortened(self.channel, document, reason, errand.rung)

    async def _send(self, errand: Errand, telling: Telling) -> Receipt | Verdict:
        office = self._office
        try:
            receipt = await self._destination.deliver(office.http(), self.channel, telling, errand.row.remote)
        except Refusal as refusal:
            outcome: Receipt | Verdict = refusal.verdict
            if (after := refusal.verdict.after) is not None:
                everywhere = refusal.verdict.everywhere
                office.hush(self.channel.format if everywhere else self.channel.key, office.schedule.asked(after))
        except (OSError, MemoryError) as error:
            # This machine has no descriptor, thread or memory for it: a plainer form would not go either.
            words = (error.strerror if isinstance(error, OSError) else None) or "not enough memory"
            outcome = Verdict(then=Then.RETRY, reason="this machine could not send it", words=words.lower())
        except Exception as error:  # noqa: BLE001 - a form that we cannot write must not keep a plainer one back
            lines.unwritable(self.channel, telling.document)
            outcome = Verdict(then=Then.PLAINER, reason="it could not be written", words=type(error).__name__)
        else:
            outcome = receipt
            office.hush(self.channel.key, min(receipt.pause, office.schedule.longest_after))
        office.hush(self.channel.key, office.schedule.gap)
        return outcome

    async def _arrived(self, errand: Errand, telling: Telling, receipt: Receipt) -> None:
        now, tries = self._office.clock(), errand.row.tries + 1
        await self._keep(errand, errand.delivered(telling.document, receipt, now, self._office.wall()))
        for other in self._errands.values():
            other.hurry(now)  # somebody is there again
        lines.sent(self.channel, telling, tries, self.channel.masked(receipt.words))

    async def _refused(self, errand: Errand, document: Document, then: Then, verdict: Verdict, reason: str) -> None:
        office = self._office
        if then is not Then.RETRY:
            await self._keep(errand, errand.ended(reason))
            lines.failed(self.channel, document, reason, broken=then is Then.BROKEN)
            return
        now = office.clock()
        row = errand.postponed(verdict, reason, now, office.wall(), office.chance())
        await self._keep(errand, row)
        if row.over:
            lines.given_up(self.channel, document, reason, row.tries)
        else:
            lines.retry(self.channel, document, reason, row.tries, errand.due - now)

    async def _bring_up_to_date(self, errand: Errand, document: Document) -> None:
        """Change the message of an open incident. It was told already, so what fails here waits for the next time."""
        if document.status is Status.OPEN and document.updated != errand.shown:
            outcome = await self._send(errand, Telling(occasion=Occasion.UPDATED, document=document, rung=errand.rung))
            if isinstance(outcome, Verdict):
                lines.not_updated(self.channel, document, self.channel.masked(outcome.told))
            elif outcome.remote != errand.row.remote:
                await self._keep(errand, errand.replaced(outcome.remote))
        errand.edited(document, self._office.clock())

    # Writing it down

    async def _put(self, errand: Errand, row: Row) -> bool:
        try:
            await asyncio.wrap_future(self._office.store.put(row))
        except Exception:  # noqa: BLE001 - a full disk must not keep anybody from being told
            lines.not_kept(self.channel, errand.row.incident)
            return False
        return True

    async def _keep(self, errand: Errand, row: Row) -> None:
        """Until the store has it, what we know counts, and not what it says."""
        errand.unsaved = not await self._put(errand, row)
