"""What can happen to the switch (events), and what it wants done about it (effects). Nothing here decides or acts.

Times are seconds of one monotonic clock, handed in by whoever calls.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum

from failover.core.helm import Steer, Steered
from failover.core.model import ErrorType, Verdict


class Source(StrEnum):
    """Who saw it: a probe of ours, or a request of a user."""

    PROBE = "probe"
    LIVE = "live"


@dataclass(frozen=True, slots=True)
class Signal:
    """One piece of evidence about a target.

    `latency` is how long a good probe took, whole, in seconds, and `began` when a bad one did. `last_good` belongs to a
    live signal: when the same worker got a good answer from the target last.
    """

    source: Source
    target: str
    good: bool
    error: ErrorType | None = None
    detail: str = ""
    latency: float | None = None
    last_good: float = -math.inf
    began: float = math.inf


@dataclass(frozen=True, slots=True)
class Doubt:
    """A live request met what may mean nothing, and no signal yet: it waits for its answer for much longer than this
    target needs, or a kept connection was closed under it. `last_good` as in `Signal`.
    """

    target: str
    last_good: float = -math.inf


@dataclass(frozen=True, slots=True)
class Tick:
    """Time has passed: the hour that `wake_at` named has come."""


Event = Signal | Doubt | Steer | Tick


@dataclass(frozen=True, slots=True)
class Probe:
    """Start a probe. Whoever does must hand back exactly one probe signal for it, within `timeout` seconds or so."""

    target: str
    timeout: float


@dataclass(frozen=True, slots=True)
class VerdictChanged:
    """A legal move of the verdict, explained: `probes` and `requests` are the bad signals in a row that led to it,
    `first_bad` is when the first of them came. `hold_down` is how long the way back is closed, from now, in seconds.
    `wanted`: it is not the machine that moved it, but this wish of a person.
    """

    old: Verdict
    new: Verdict
    reason: str
    error: ErrorType | None = None
    detail: str = ""
    probes: int = 0
    requests: int = 0
    first_bad: float | None = None
    hold_down: float = 0.0
    wanted: Steer | None = None

    @property
    def side_changed(self) -> bool:
        """True when another kind of target serves from now on: a suspicion changes nobody's side, and the primary
        serves again when the ramp is over.
        """
        backup = (Verdict.BACKUP, Verdict.RAMP)
        return (self.old in backup) != (self.new in backup)

    def planned_after(self, *, planned: bool) -> bool:
        """Whether all is as a person wanted it and not as usual; it was `planned` before. That is no incident, until
        the primary fails.
        """
        return self.error is None and self.new is not Verdict.PRIMARY and (planned or self.wanted is not None)


@dataclass(frozen=True, slots=True)
class TargetChanged:
    """A backup became known bad, or good again."""

    target: str
    usable: bool
    reason: str
    error: ErrorType | None = None


@dataclass(frozen=True, slots=True)
class ShareChanged:
    """The ramp has reached its next step: so many percent of the visitors get the primary from now on."""

    share: int


@dataclass(frozen=True, slots=True)
class ReadyToGoBack:
    """The primary has proved itself, and a person must say that it serves again (`--failback manual`)."""

    reason: str


@dataclass(frozen=True, slots=True)
class NetworkChanged:
    """Nobody can be reached, so it is our own network that is cut, and nothing is switched; or it is back."""

    cut: bool
    reason: str


@dataclass(frozen=True, slots=True)
class Withheld:
    """The backup would serve from now on if nobody had said to hold."""

    reason: str


@dataclass(frozen=True, slots=True)
class RoutingChanged:
    """What the workers were told is no longer true: tell them anew."""


Effect = (
    Probe
    | VerdictChanged
    | TargetChanged
    | ShareChanged
    | ReadyToGoBack
    | NetworkChanged
    | Steered
    | Withheld
    | RoutingChanged
)
