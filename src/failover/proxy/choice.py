"""Whom to ask next: the tries of an exchange that has met a failure, or waits. A healthy exchange never makes one.

The core decides by the table (`core/rescue`); this file knows the ladder, the budget and the clock of one exchange.
"""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING

from failover.core.rescue import MAX_TRIES, Progress, Request, Step, next_step, with_nobody_next

if TYPE_CHECKING:
    from collections.abc import Callable

    from failover.faults import Fault
    from failover.proxy.fields import RequestHead, ResponseHead
    from failover.proxy.pool import Pool
    from failover.proxy.race import Rival
    from failover.proxy.worker import Worker

_IDEMPOTENT = frozenset((b"PUT", b"DELETE"))
_LONGEST_IN_FIRST_BYTE_TIMES = 2
"""All tries of an exchange together may take this many times the longest wait for a first byte."""


class Choice:
    """The ladder of one exchange and how far down it is. `pool` is the target to try now, `first` the one tried first.

    `plan` gives the ladder as it is at the moment, `since` is when the first try began. `answer` keeps the first real
    answer that was not good enough, head, body and whose it was: when nobody does better, the client gets it as it is.
    `rival` is a second try that runs beside the first.
    """

    def __init__(
        self,
        worker: Worker,
        head: RequestHead,
        first: Pool,
        plan: Callable[[], tuple[Pool, ...]],
        since: float,
    ) -> None:
        self.pool = first
        self.answer: tuple[ResponseHead, bytes, Pool] | None = None
        self.rival: Rival | None = None
        self._worker = worker
        self._plan = plan
        self._sort = sort_of(head)
        self._until = since + _LONGEST_IN_FIRST_BYTE_TIMES * worker.settings.first_byte_timeout
        self._first = first
        self._tried = [first]
        self._tries = 1
        self._fault: Fault | None = None
        self._counted = False
        self._sent = False

    def after(self, progress: Progress, fault: Fault, *, body_at_hand: bool) -> Step:
        """What to do after a failed try. With NEXT, `pool` has moved on; where a rival runs, to the rival's."""
        if self.rival is not None:
            self.move_to(self.rival.pool, fault)
            return Step.NEXT
        if progress is Progress.NOTHING_SENT and self._sent and self._sort is not Request.KEYED:
            progress = Progress.SENT  # not in this try, but in an earlier one
        self._sent = self._sent or progress is not Progress.NOTHING_SENT
        step = next_step(progress, self._sort, self._tries, body_at_hand=body_at_hand)
        pool = self._next() if step is Step.NEXT else None
        if pool is None and (step is Step.NEXT or self._tries >= MAX_TRIES):
            step = with_nobody_next(progress, self._sort)
        if step is Step.SAME_FRESH or pool is not None:
            self._tries += 1
        if pool is not None:
            self._tried.append(pool)
            self.move_to(pool, fault)
        return step

    def beside(self) -> Pool | None:
        """A target to ask beside the one that keeps us waiting, if there is one that is not known to be down."""
        if self.rival is not None or self._tries >= MAX_TRIES:
            return None
        pool = self._next()
        if pool is None or not pool.usable:
            return None
        self._tries += 1
        self._tried.append(pool)
        return pool

    def untried(self, pool: Pool) -> None:
        """It was not asked after all, and may be asked yet; the try is spent."""
        self._tried.remove(pool)

    def move_to(self, pool: Pool, fault: Fault) -> None:
        """From now on this target is the one that is asked."""
        self._fault = self._fault or fault
        self.pool = pool

    def _next(self) -> Pool | None:
        if monotonic() > self._until or not self._worker.settings.rescue:
            return None
        pool = next((pool for pool in self._plan() if pool not in self._tried), None)
        if pool is None or (self.answer is not None and not pool.usable):
            return None  # a real answer is better than to wait for somebody who is known to be down
        if not self._counted:
            self._counted = self._worker.begin_rescue()
        return pool if self._counted else None

    @property
    def is_last(self) -> bool:
        """True for the last try that there is."""
        return self._tries >= MAX_TRIES

    def settle(self) -> None:
        """An answer is passed on: nobody else is asked any more."""
        rival, self.rival = self.rival, None
        if rival is not None:
            rival.drop()

    def over(self) -> None:
        """The exchange is over: its place in the budget is free."""
        self.settle()
        if self._counted:
            self._counted = False
            self._worker.end_rescue()

    @property
    def rescued_from(self) -> tuple[str, Fault] | None:
        """Whose failure this was rescued from, if it was."""
        return (self._first.alias, self._fault) if self.pool is not self._first and self._fault is not None else None


def sort_of(head: RequestHead) -> Request:
    """What sort of request this is, as far as repeating it goes."""
    if head.upgrade:
        return Request.ONCE
    if head.safe:
        return Request.SAFE
    if head.field(b"idempotency-key"):
        return Request.KEYED
    return Request.IDEMPOTENT if head.method in _IDEMPOTENT else Request.ONCE
