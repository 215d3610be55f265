"""The way back in steps: which share of the visitors gets the primary that has just recovered, and for how long.

5, 25, 50, 100 % of the visitors, `--ramp-step` (2 s) a step with traffic (spec section 9). A step in which no visitor
came to the primary proves nothing, so it takes twice as long; then the probes, which go on all the while, must do.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

STEPS = (5, 25, 50, 100)
"""Percent of visitors."""

WRITES_FROM = 50
"""The share from which on writes go to the primary."""

_WITHOUT_TRAFFIC = 2.0


@dataclass(frozen=True, slots=True)
class Ramp:
    """`length` is a step's in seconds, `since` is when the present one began, monotonic seconds; `proven` says that the
    primary answered a visitor in it. `fixed` is a share that no step changes, that of a drill.
    """

    length: float
    since: float
    step: int = 0
    proven: bool = False
    fixed: int | None = None

    @property
    def share(self) -> int:
        if self.fixed is not None:
            return self.fixed
        return STEPS[self.step] if self.length else STEPS[-1]

    @property
    def next_at(self) -> float:
        """When the next step is due if nothing happens before."""
        return self.since + self.length * (1.0 if self.proven else _WITHOUT_TRAFFIC)

    @property
    def last(self) -> bool:
        """True in the last step: when it is over, the ramp is. Steps without a length are one."""
        return self.step == len(STEPS) - 1 or not self.length

    def answered(self) -> Ramp:
        """The primary answered a visitor well."""
        return self if self.proven else replace(self, proven=True)

    def next(self, now: float) -> Ramp:
        return Ramp(self.length, now, self.step + 1)


def is_chosen(number: int, share: int) -> bool:
    """Whether a visitor belongs to the share; `number` is a hash of the client's address, the same in all workers."""
    return number % 100 < share
