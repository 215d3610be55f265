"""In which order the targets are to be tried, from what the workers were told (spec 4).

A ladder depends on the routing alone, so a worker makes it once for each routing it is told, not for each request.
"""

from __future__ import annotations

from failover.core.model import Kind, Routing, TargetState, Verdict
from failover.core.ramp import WRITES_FROM


def ladder(routing: Routing, *, safe: bool, chosen: bool = True) -> tuple[str, ...]:
    """The aliases to try, best first. A static backup never gets a write.

    `chosen` says whether the visitor belongs to the share of a ramp. Empty when a write has nowhere to go: the primary
    is down, or not yet trusted with writes, and of the backups only static ones answer.
    """
    primary, *backups = routing.targets
    if not safe:
        replicas = [backup for backup in backups if backup.kind is Kind.REPLICA]
        return _for_writes(routing, primary, backups, replicas, chosen=chosen)
    usable, unusable = _parted(backups)
    if routing.verdict is Verdict.BACKUP or (routing.verdict is Verdict.RAMP and not chosen):
        return (*usable, primary.alias, *unusable)
    return (primary.alias, *usable, *unusable)


def _for_writes(
    routing: Routing,
    primary: TargetState,
    backups: list[TargetState],
    replicas: list[TargetState],
    *,
    chosen: bool,
) -> tuple[str, ...]:
    usable, unusable = _parted(replicas)
    trusted = routing.verdict is not Verdict.BACKUP
    if routing.verdict is Verdict.RAMP:
        # Where there is no other place for them, writes need not wait for the rest of the visitors.
        trusted = routing.share >= WRITES_FROM and (chosen or not usable)
    if trusted:
        return (primary.alias, *usable, *unusable)
    if usable:
        return (*usable, primary.alias)
    if any(backup.usable for backup in backups):
        return ()
    # All down: the primary is tried anyway, for a wrong verdict must not cost a site that would answer.
    return (primary.alias, *unusable)


def _parted(states: list[TargetState]) -> tuple[list[str], list[str]]:
    usable = [state.alias for state in states if state.usable]
    return usable, [state.alias for state in states if not state.usable]
