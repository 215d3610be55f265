"""Whom to ask next: the tries of an exchange that has met a failure. A healthy exchange never makes one.

The core decides by the table (`core/rescue`); this file knows the ladder, the budget and the clock of one exchange.
"""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING

from failover.core.rescue import Progress, Request, Step, next_step

if TYPE_CHECKING:
    from failover.faults import Fault
    from failover.proxy.fields import RequestHead, ResponseHead
    from failover.proxy.pool import Pool
    from failover.proxy.worker import Worker

_IDEMPOTENT = frozenset((b"PUT", b"DELETE"))
_LONGEST_IN_FIRST_BYTE_TIMES = 2
"""All tries of an exchange together may take this many times the longest wait for a first byte."""


class Choice:
    """The ladder of one exchange and how far down it is. `pool` is the target to try now.

    `answer` keeps the first real answer that was not good enough, head, body and whose it was: when nobody does better,
    the client gets it as it is.
    """

    def __init__(self, worker: Worker, plan: tuple[Pool, ...], head: RequestHead, started: float) -> None:
        self.pool = plan[0]
        self.answer: tuple[ResponseHead, bytes, Pool] | None = None
        self._worker = worker
        self._plan = plan
        self._sort = _sort(head)
        self._until = started + _LONGEST_IN_FIRST_BYTE_TIMES * worker.settings.first_byte_timeout
        self._rung = 0
        self._tries = 1
        self._fault: Fault | None = None
        self._counted = False

    def after(self, progress: Progress, fault: Fault, *, body_at_hand: bool) -> Step:
        """What to do after a failed try. With NEXT, `pool` has moved on."""
        step = next_step(progress, self._sort, self._tries, body_at_hand=body_at_hand)
        if step is Step.NEXT and not self._may_move_on():
            step = Step.END
        if step is not Step.END:
            self._tries += 1
        if step is Step.NEXT:
            self._fault = self._fault or fault
            self._rung += 1
            self.pool = self._plan[self._rung]
        return step

    def _may_move_on(self) -> bool:
        if self._rung + 1 >= len(self._plan) or monotonic() > self._until:
            return False
        if self.answer is not None and not self._plan[self._rung + 1].usable:
            return False  # a real answer is better than to wait for somebody who is known to be down
        if not self._counted:
            self._counted = self._worker.begin_rescue()
        return self._counted

    def over(self) -> None:
        """The exchange is over: its place in the budget is free."""
        if self._counted:
            self._worker.end_rescue()

    @property
    def rescued_from(self) -> tuple[str, Fault] | None:
        """Whose failure this was rescued from, if it was."""
        return (self._plan[0].alias, self._fault) if self._rung and self._fault is not None else None


def _sort(head: RequestHead) -> Request:
    if head.upgrade:
        return Request.ONCE
    if head.safe:
        return Request.SAFE
    if head.field(b"idempotency-key"):
        return Request.KEYED
    return Request.IDEMPOTENT if head.method in _IDEMPOTENT else Request.ONCE
