"""How long the way back stays closed after a switch: longer each time the primary fails again soon after it recovered.

0 s the first time; 15 s x 2^n, at most 10 min, when it failed again within 10 min of a recovery; one step is forgotten
for each 10 min that it was healthy.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

_FIRST = 15.0
_LONGEST = 600.0
_HEALTHY = 600.0
_MOST_STEPS = 7  # 15 s x 2^6 is past the longest: more steps would only take longer to forget


@dataclass(frozen=True, slots=True)
class HoldDown:
    """`steps` counts failures soon after a recovery; `recovered` is when the last recovery was, monotonic seconds."""

    steps: int = 0
    recovered: float | None = None

    @property
    def seconds(self) -> float:
        """How long to stay on the backup at least, counted from the switch to it."""
        return min(_FIRST * 2.0 ** (self.steps - 1), _LONGEST) if self.steps else 0.0

    def after_failure(self, now: float) -> HoldDown:
        """The primary failed: forget what its healthy time allows, and grow if that time was short."""
        if self.recovered is None:
            return self
        healthy = now - self.recovered
        kept = max(self.steps - int(healthy // _HEALTHY), 0)
        return replace(self, steps=min(kept + 1, _MOST_STEPS) if healthy < _HEALTHY else kept)

    def after_recovery(self, now: float) -> HoldDown:
        return replace(self, recovered=now)
