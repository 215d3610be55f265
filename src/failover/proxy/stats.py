"""What a worker counts: plain integers, so that counting costs a request next to nothing."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from failover.channel import Counters
from failover.observe.metrics import BUCKETS, METHODS, NO_UPSTREAM, OTHER_METHOD

if TYPE_CHECKING:
    from collections.abc import Mapping

    from failover.core.model import ErrorType
    from failover.proxy.pool import Pool

_MOST_ANSWERS = 500


class Tally:
    """The answers of one target, or our own: by method and status, and by how long they took. All only grow.

    The hot path adds here directly: a call would cost more than the counting.
    """

    __slots__ = ("answers", "buckets", "seconds")

    def __init__(self) -> None:
        self.answers: dict[tuple[bytes, int], int] = {}
        self.buckets = [0] * (len(BUCKETS) + 1)
        self.seconds = 0.0

    def first(self, key: tuple[bytes, int]) -> None:
        """An answer that has no row yet."""
        if len(self.answers) >= _MOST_ANSWERS:
            key = (OTHER_METHOD.encode(), key[1])  # somebody invents methods
        self.answers[key] = self.answers.get(key, 0) + 1

    def rows(self) -> dict[tuple[str, int], int]:
        rows: Counter[tuple[str, int]] = Counter()
        for (method, status), number in self.answers.items():
            word = method.decode("latin-1")
            rows[word if word in METHODS else OTHER_METHOD, status] += number
        return rows


class Stats:
    """Plain counters: the hot path adds, the controller reads once a second. All only grow."""

    def __init__(self) -> None:
        self.connections = 0
        self.over_connections = 0
        self.over_client_limit = 0
        self.made_room = 0
        self.failed_handshakes = 0
        self.unanswered = 0  # exchanges that ended before their client had seen anything
        self.failed_tries = 0
        self.rescued_tries = 0
        self.refused = 0
        self.rejected = 0
        self.aborted = 0
        self.cut = 0
        self.delivered = 0
        self.failed = 0
        self.turned_away = 0
        self.received_bytes = 0
        self.sent_bytes = 0
        self.own = Tally()
        self._errors: Counter[tuple[str, str]] = Counter()
        self._rescued: Counter[str] = Counter()
        self._failures: Counter[str] = Counter()

    def try_failed(self, alias: str, error: ErrorType) -> None:
        self.failed_tries += 1
        self._errors[alias, error.value] += 1

    def was_rescued(self, error: str) -> None:
        self._rescued[error] += 1

    def has_failed(self, reason: str) -> None:
        self.failed += 1
        self._failures[reason] += 1

    def told(self, slot: int, pools: Mapping[str, Pool], gauges: dict[str, int]) -> Counters:
        """All of it for the controller. `gauges` are what there is at this moment."""
        tallies = {alias: pool.tally for alias, pool in pools.items()} | {NO_UPSTREAM: self.own}
        return Counters(
            slot=slot,
            values={name: value for name, value in vars(self).items() if isinstance(value, int)}
            | {"exchanges": self.unanswered + sum(sum(tally.answers.values()) for tally in tallies.values())}
            | gauges,
            good={alias: pool.good for alias, pool in pools.items()},
            busy={alias: len(pool.open) - len(pool.idle) for alias, pool in pools.items()},
            answers=[(alias, *key, number) for alias, one in tallies.items() for key, number in one.rows().items()],
            durations={alias: (one.buckets, one.seconds) for alias, one in tallies.items()},
            errors=[(*key, number) for key, number in self._errors.items()],
            rescued=dict(self._rescued),
            failures=dict(self._failures),
        )
