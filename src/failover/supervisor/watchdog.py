"""The service manager's watchdog (`WatchdogSec=` in the unit): who is looked after, and when it is fed.

A dead child is nobody's business but the supervisor's. What it cannot see is a child that lives and does nothing: so,
where somebody watches, children say every little while that their loop turns. Who falls silent is killed and comes
back, which costs what that one had in hand; the service as a whole is given up, by feeding no more, only when there
is nobody to serve or nobody to decide for so long.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from failover.supervisor.nursery import NEVER

if TYPE_CHECKING:
    from collections.abc import Sequence

    from failover.supervisor.nursery import Seat

_PULSES = 6  # of a child within the period
_MEALS = 4  # of the service manager within it


@dataclass(slots=True)
class Watchdog:
    """`period` is what the service manager waits for a sign of life, in seconds; 0: nobody watches."""

    period: float = 0.0
    _well_at: float = 0.0
    _next_meal: float = 0.0
    _looked_at: float = 0.0

    @property
    def pulse(self) -> float:
        """How often a child says that it lives, in seconds; 0: not at all."""
        return self.period / _PULSES

    @property
    def patience(self) -> float:
        """How long a child may be silent, and a role unfilled."""
        return self.period / 2

    def due(self) -> float:
        """When to look again, or NEVER."""
        return self._looked_at + self.period / _MEALS if self.period else NEVER

    def silent(self, seats: Sequence[Seat], now: float) -> list[Seat]:
        """Who has served, and has said nothing for too long."""
        if not self.period:
            return []
        late = now - self._looked_at > self.patience
        self._looked_at = now
        if late:  # it was we who did not run, and perhaps nobody did: all begin anew
            for seat in seats:
                seat.heard = max(seat.heard, now)
            self._well_at = now
        return [seat for seat in seats if seat.ready and not seat.leaving and now - seat.heard > self.patience]

    def hungry(self, seats: Sequence[Seat], now: float) -> bool:
        """Whether the service manager is to be told now that all is well. `seats` are those of the present."""
        if not self.period or now < self._next_meal:
            return False
        roles = {seat.is_controller for seat in seats if seat.ready}
        if roles >= {seat.is_controller for seat in seats}:
            self._well_at = now
        if now - self._well_at > self.patience:
            return False
        self._next_meal = now + self.period / _MEALS
        return True
