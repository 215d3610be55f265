from __future__ import annotations


class Tally:
    """One worker's good answers, as far as they prove something: those that surely came after a bad signal."""

    def __init__(self) -> None:
        self._good: dict[str, int] = {}
        self.counted_at = float("inf")

    def count(self, good: dict[str, int], last_bad: dict[str, float], now: float) -> list[str]:
        """Take over new counters; the targets that answered well since their last bad signal, if there was one."""
        proven = [
            alias
            for alias, total in good.items()
            if total > self._good.get(alias, total) and last_bad.get(alias, now) < self.counted_at
        ]
        self._good, self.counted_at = good, now
        return proven
