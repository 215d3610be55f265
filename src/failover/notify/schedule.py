"""When a channel is tried, and tried again. Pure: chance is handed in, times are seconds."""

from __future__ import annotations

from dataclasses import dataclass

_DAY = 86_400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """`delays`: from a failed try to the next one; the last one again and again, until `patience` after it was wanted.

    `edits`: how old an open incident's message is when it is brought up to date; `gap`: the least time between two
    messages to one channel; `late` the delay that a reader is told of. `least_after` and `longest_after` bound what a
    destination may ask for, `longest_at_start` what a clock that was wrong may have left in the outbox. `try_for`: how
    long one try may take.
    """

    delays: tuple[float, ...] = (2, 5, 15, 45, 120, 300, 900, 1800)
    jitter: float = 0.2
    patience: float = _DAY
    edits: tuple[float, ...] = (10, 30, 60, 120, *range(300, 3601, 300))
    gap: float = 1.0
    late: float = 5.0
    least_after: float = 0.5
    longest_after: float = 3600.0
    longest_at_start: float = 1800.0
    try_for: float = 15.0

    def again(self, tries: int, after: float | None, chance: float) -> float:
        """How long to wait after the `tries`-th failed try. `after`: what was asked for. `chance`: 0 to 1."""
        if after is not None:
            return self.asked(after)
        delay = self.delays[min(tries, len(self.delays)) - 1]
        return delay * (1 + self.jitter * (2 * chance - 1))

    def asked(self, after: float) -> float:
        """How long a destination may make us wait."""
        return min(max(after, self.least_after), self.longest_after)

    def at_start(self, next_at: float, now: float) -> float:
        """How long to wait for a try that another process has planned. Both are of the wall clock."""
        return min(max(next_at - now, 0.0), self.longest_at_start)

    def next_edit(self, age: float) -> float | None:
        """The next age, after this one, at which a message is brought up to date; None: only when it is over."""
        return next((edit for edit in self.edits if edit > age), None)
