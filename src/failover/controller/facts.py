"""From what a probe found out to what an incident keeps of it. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from failover.core.document import ProbeFact

if TYPE_CHECKING:
    from datetime import datetime

    from failover.controller.prober import Result


def probe_fact(result: Result, at: datetime) -> ProbeFact:
    """The probe that began or ended `at`, UTC."""
    signal = result.signal
    return ProbeFact(
        at=at,
        target=signal.target,
        error=signal.error.value if signal.error is not None else "",
        detail=signal.detail,
        status=result.status,
        took={phase: round(seconds * 1000, 1) for phase, seconds in result.took.items()},
        address=result.address,
        headers=dict(result.headers),
        body=result.body,
        length=result.length,
        certificate=result.certificate,
    )
