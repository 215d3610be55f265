"""What a worker counts: plain integers, so that counting costs a request next to nothing."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from typing import TYPE_CHECKING

from failover.channel import Counters
from failover.observe.metrics import BUCKETS, METHODS, OTHER_METHOD

if TYPE_CHECKING:
    from failover.core.model import ErrorType

_MOST_ANSWERS = 500


class Stats:
    """Plain counters: the hot path adds, the controller reads once a second. All only grow."""

    def __init__(self) -> None:
        self.connections = 0
        self.begun = 0
        self.exchanges = 0
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
        self._answers: dict[tuple[str, bytes, int], int] = {}
        self._durations: dict[str, list[int]] = {}
        self._seconds: dict[str, float] = {}
        self._errors: Counter[tuple[str, str]] = Counter()
        self._rescued: Counter[str] = Counter()
        self._failures: Counter[str] = Counter()

    def answered(self, by: str, method: bytes, status: int, took: float) -> None:
        """A request has its answer: whose it was, and how long it took, in seconds. On the hot path."""
        answers, key = self._answers, (by, method, status)
        if key in answers:
            answers[key] += 1
        else:
            self._first_answer(key)
        self._durations[by][bisect_left(BUCKETS, took)] += 1
        self._seconds[by] += took

    def _first_answer(self, key: tuple[str, bytes, int]) -> None:
        by, _method, status = key
        if len(self._answers) >= _MOST_ANSWERS:
            key = (by, OTHER_METHOD.encode(), status)  # somebody invents methods
        self._answers[key] = self._answers.get(key, 0) + 1
        self._durations.setdefault(by, [0] * (len(BUCKETS) + 1))
        self._seconds.setdefault(by, 0.0)

    def try_failed(self, alias: str, error: ErrorType) -> None:
        self.failed_tries += 1
        self._errors[alias, error.value] += 1

    def was_rescued(self, error: str) -> None:
        self._rescued[error] += 1

    def has_failed(self, reason: str) -> None:
        self.failed += 1
        self._failures[reason] += 1

    def told(self, slot: int, good: dict[str, int], busy: dict[str, int], gauges: dict[str, int]) -> Counters:
        """All of it for the controller. `gauges` are what there is at this moment, `busy` requests by target."""
        answers: Counter[tuple[str, str, int]] = Counter()
        for (by, method, status), number in self._answers.items():
            word = method.decode("latin-1")
            answers[by, word if word in METHODS else OTHER_METHOD, status] += number
        return Counters(
            slot=slot,
            values={name: value for name, value in vars(self).items() if not name.startswith("_")} | gauges,
            good=good,
            busy=busy,
            answers=[(*key, number) for key, number in answers.items()],
            durations={by: (buckets, self._seconds[by]) for by, buckets in self._durations.items()},
            errors=[(*key, number) for key, number in self._errors.items()],
            rescued=dict(self._rescued),
            failures=dict(self._failures),
        )
