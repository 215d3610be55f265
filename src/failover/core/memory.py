"""All that a switch knows as a value: what a controller hands to its successor."""

from __future__ import annotations

from dataclasses import dataclass, field

from failover.core.health import HealthMemory  # noqa: TC001 - whoever decodes a memory reads its types
from failover.core.helm import Steer  # noqa: TC001 - as above
from failover.core.model import Verdict  # noqa: TC001 - as above


@dataclass(frozen=True, slots=True)
class Memory:
    """A `Switch` as a value, taken at the monotonic time `taken`; all other times are ages at that moment.

    The `until` of `pin` is how many seconds were left. Probes in flight are not in it: they die with the process that
    made them.
    """

    taken: float
    verdict: Verdict
    age: float
    hold_steps: int
    recovered_age: float | None
    healths: dict[str, HealthMemory]
    ramp_step: int = 0
    ramp_age: float = 0.0
    ramp_proven: bool = False
    asked: bool = False
    ready: bool = False
    cut: bool = False
    heard: dict[str, float] = field(default_factory=dict)
    unheard: dict[str, float] = field(default_factory=dict)
    pin: Steer | None = None
    planned: bool = False
