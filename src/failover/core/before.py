"""The time before an incident: what is remembered of it while all is well, so that a story has a beginning."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from failover.core import evidence
from failover.core.record import BEFORE_S

if TYPE_CHECKING:
    from collections.abc import Iterator

    from failover.core.document import ProbeFact
    from failover.core.facts import Met, Probed
    from failover.core.findings import NameFact
    from failover.core.record import Record

_PENDING_S = 3.0
_NAMES_S = 600.0


class Before:
    """Bounded, however long all is well. Times are monotonic seconds."""

    def __init__(self) -> None:
        self._probe: ProbeFact | None = None
        self._latencies: deque[float] = deque(maxlen=20)
        self._usual: deque[tuple[float, int]] = deque(maxlen=120)
        self._names: deque[tuple[float, NameFact]] = deque(maxlen=10)
        self._pending: deque[tuple[float, Probed | Met]] = deque(maxlen=10)

    def answered(self, probe: Probed) -> None:
        """The primary answered a probe well."""
        self._probe = probe.fact
        self._latencies.append(probe.latency)

    def requests(self, now: float, number: int) -> None:
        self._usual.append((now, number))

    def named(self, now: float, name: NameFact) -> None:
        self._names.append((now, name))

    def bad(self, now: float, fact: Probed | Met) -> None:
        """What may turn out to be the beginning."""
        self._pending.append((now, fact))

    def fill(self, record: Record, origin: float, now: float) -> None:
        """Put it into a new record, whose first bad signal was at `origin`."""
        record.before, record.latencies = self._probe, tuple(self._latencies)
        record.shift(-BEFORE_S, "primary")
        if self._probe is not None:
            record.phase(-BEFORE_S, "ok", self._probe.status)
        for at, requests in self._usual:
            if -BEFORE_S <= at - origin < 0:
                record.flow(at - origin, "primary", requests)
        for at, name in self._names:
            if now - at <= _NAMES_S:
                evidence.named(record, name, at - origin)

    def beginning(self, first_bad: float) -> Iterator[tuple[float, Probed | Met]]:
        """What came just before the verdict is what the verdict is about; given once."""
        pending = [(max(at, first_bad), fact) for at, fact in self._pending if at >= first_bad - _PENDING_S]
        self._pending.clear()
        yield from pending
