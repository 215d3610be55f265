"""What the life of an incident is told of: facts alone, each as it came in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from failover.core.events import (
    NetworkChanged,
    ReadyToGoBack,
    ShareChanged,
    TargetChanged,
    Tick,
    VerdictChanged,
    Withheld,
)
from failover.core.helm import Steer, Steered

if TYPE_CHECKING:
    from failover.core.document import Certificate, ProbeFact, RequestFact
    from failover.core.drill import Plan
    from failover.core.findings import NameFact
    from failover.core.model import ErrorType


@dataclass(frozen=True, slots=True)
class Probed:
    """A probe has ended. `latency` is seconds."""

    fact: ProbeFact
    latency: float = 0.0


@dataclass(frozen=True, slots=True)
class Met:
    """A request met a failing primary."""

    error: ErrorType
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Named:
    """News of the primary's name."""

    name: NameFact


@dataclass(frozen=True, slots=True)
class Described:
    """What an unverified look at the primary's certificate showed."""

    certificate: Certificate


@dataclass(frozen=True, slots=True)
class Seen:
    """What a worker has seen since it last told: requests by outcome, path and status, each with their number.

    `clients` is how many of them nobody had told of before. `backup_ok` is when a backup answered well for the first
    time in that while, in monotonic seconds.
    """

    rows: tuple[tuple[str, str, int, int], ...] = ()
    held: int = 0
    delivered: int = 0
    clients: int = 0
    samples: tuple[RequestFact, ...] = ()
    body: str = ""
    backup_ok: float | None = None


@dataclass(frozen=True, slots=True)
class Usual:
    """So many requests were answered in the last second or so, and nothing was wrong."""

    requests: int


@dataclass(frozen=True, slots=True)
class DrillBegan:
    """A person tries what happens if the primary fails."""

    plan: Plan


@dataclass(frozen=True, slots=True)
class DrillEnded:
    """It is over; `findings` are differences between the sides."""

    passed: bool
    reason: str
    compared: int = 0
    different: int = 0
    findings: tuple[str, ...] = ()
    earnest: bool = False


Fact = (
    VerdictChanged
    | TargetChanged
    | ShareChanged
    | NetworkChanged
    | ReadyToGoBack
    | Steer
    | Steered
    | Withheld
    | Tick
    | Probed
    | Met
    | Named
    | Described
    | Seen
    | Usual
    | DrillBegan
    | DrillEnded
)
