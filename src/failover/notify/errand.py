"""One row of the outbox on its way: when it is due, how often it failed, in which form it goes. Pure.

`now` is a monotonic clock. The wall clock, `wall`, is read only to write times down, and once for what another process
has written: it may have been wrong then.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from failover.core.document import Rung, Status
from failover.notify import outbox
from failover.notify.verdict import Then

if TYPE_CHECKING:
    from datetime import datetime

    from failover.core.document import Document
    from failover.incidents.base import Row
    from failover.notify.schedule import Schedule
    from failover.notify.verdict import Receipt, Verdict


class Errand:
    """See above. `unsaved`: the store has not taken the row as it stands here, which therefore counts."""

    def __init__(self, row: Row, schedule: Schedule, now: float, wall: float) -> None:
        self._schedule = schedule
        # of the row
        self.row = row
        self.unsaved = False
        # of what is to be told now
        self.due = now + schedule.at_start(row.next_at, wall)
        self.since = now - _past(row.wanted_at, wall, schedule.patience)
        self.rung = Rung.RICH
        self.resent = row.sending
        self._doubted = False
        # of what was told, while it may be changed
        self._told = now - _past(row.told_at, wall, schedule.patience)
        self._edit = schedule.next_edit(now - self._told)
        self.shown: datetime | None = None

    def renew(self, row: Row, now: float, wall: float) -> None:
        """The row as the store has it. What is new is told at once, however often the last thing failed."""
        mine = self.row
        if self.unsaved:
            row = replace(mine, wanted_episode=row.wanted_episode, wanted_status=row.wanted_status,
                          wanted_at=row.wanted_at)  # fmt: skip
        if row.wanted_at != mine.wanted_at:
            self.since = now - _past(row.wanted_at, wall, self._schedule.patience)
        is_new = _wanted(row) != _wanted(mine)
        if is_new or (mine.over and not row.over) or (mine.told_status is not None and row.told_status is None):
            row = replace(row, over=False)
            self.due, self.rung, self._doubted = now, Rung.RICH, False
        self.row = row

    def at(self, *, edits: bool) -> float | None:
        """When there is something to do; None: nothing, until somebody says so. `edits`: messages can be changed."""
        if self.row.over:
            return None
        if outbox.wanted(self.row) is not None:
            return self.due
        if edits and self.row.remote and self.row.told_status is Status.OPEN and self._edit is not None:
            return self._told + self._edit
        return None

    def late(self, now: float) -> str:
        return outbox.late(now - self.since, self.row.last_error, self._schedule.late)

    def begun(self) -> Row:
        """What is written down before a try."""
        return replace(self.row, sending=True)

    def delivered(self, document: Document, receipt: Receipt, now: float, wall: float) -> Row:
        """It was taken: what is written down now."""
        self.resent, self._doubted, self.rung = False, False, Rung.RICH
        self._told, self._edit = now, self._schedule.next_edit(0.0)
        self.shown = document.updated
        self.row = replace(
            self.row,
            told_episode=document.episode,
            told_status=document.status,
            told_at=wall,
            next_at=0.0,
            tries=0,
            sending=False,
            remote=receipt.remote or self.row.remote,
            last_error="",
            over=False,
        )
        return self.row

    def edited(self, document: Document, now: float) -> None:
        """It was brought up to date, or there was a reason not to: on to the next time."""
        self.shown = document.updated
        self._edit = self._schedule.next_edit(now - self._told)

    def replaced(self, remote: str) -> Row:
        """The message is another one now."""
        self.row = replace(self.row, remote=remote)
        return self.row

    def hurry(self, now: float) -> None:
        """The destination is there again: why wait."""
        self.due = min(self.due, now)

    def settle(self, verdict: Verdict) -> Then:
        """What to do about a refusal, with what is known of the tries before it."""
        then = verdict.then
        if then is Then.DOUBTFUL:
            then = Then.PLAINER if self._doubted and self.rung < Rung.LINE else Then.RETRY
            self._doubted = then is Then.RETRY
        if then is Then.PLAINER and self.rung is Rung.LINE:
            return Then.REFUSED
        if then is Then.PLAINER:
            self.rung = Rung(self.rung + 1)
        return then

    def postponed(self, verdict: Verdict, told: str, now: float, wall: float, chance: float) -> Row:
        """It failed and is tried again, or has been tried for long enough. `told`: why, without a secret."""
        tries = self.row.tries + 1
        delay = self._schedule.again(tries, verdict.after, chance)
        self.due = now + delay
        over = self.due - self.since > self._schedule.patience
        self.resent = self.resent or verdict.unsure
        self.row = replace(self.row, next_at=wall + delay, tries=tries, sending=self.resent, last_error=told, over=over)
        return self.row

    def ended(self, told: str) -> Row:
        """It will not be taken: nothing more is tried until there is something new."""
        self.row = replace(self.row, tries=self.row.tries + 1, sending=False, last_error=told, over=True, next_at=0.0)
        return self.row


def _wanted(row: Row) -> tuple[int, Status]:
    return row.wanted_episode, row.wanted_status


def _past(when: float, wall: float, longest: float) -> float:
    """How long ago that was; a clock may have been wrong, so neither in the future nor longer than may matter."""
    return min(max(wall - when, 0.0), longest)
