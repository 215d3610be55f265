"""What is counted for the long run: all requests, those that failed, and those a backup answered unseen."""

from __future__ import annotations

from typing import TYPE_CHECKING

from failover.core.model import PRIMARY
from failover.observe.metrics import NO_UPSTREAM

if TYPE_CHECKING:
    from failover.channel import Counters

_NOT_HIDDEN = frozenset({PRIMARY, NO_UPSTREAM})


class Ledger:
    """What has been counted since it was last written down: `requests`, `failed`, `hidden`."""

    def __init__(self) -> None:
        self._counted: dict[int, tuple[int, int, int]] = {}
        self.requests = self.failed = self.hidden = 0

    def count(self, worker: int, counters: Counters, *, drilling: bool) -> int:
        """Take over a worker's counters; how many requests are new. What a drill does is not hidden downtime."""
        total, failed = counters.values.get("exchanges", 0), counters.values.get("failed", 0)
        hidden = sum(number for alias, _, _, number in counters.answers if alias not in _NOT_HIDDEN)
        # What a worker counted before we first heard of it was written down by our predecessor.
        before = self._counted.get(worker, (total, failed, hidden))
        self._counted[worker] = (total, failed, hidden)
        self.requests += total - before[0]
        self.failed += failed - before[1]
        self.hidden += 0 if drilling else hidden - before[2]
        return total - before[0]

    def left(self, worker: int) -> None:
        self._counted.pop(worker, None)

    def take(self) -> tuple[int, int, int]:
        """All of it, to be written down."""
        taken = (self.requests, self.failed, self.hidden)
        self.requests = self.failed = self.hidden = 0
        return taken
