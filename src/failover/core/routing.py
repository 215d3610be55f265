"""In which order the targets are to be tried, from what the workers were told (spec 4).

A ladder depends on the routing alone, so a worker makes it once for each routing it is told, not for each request.
"""

from __future__ import annotations

from failover.core.model import Kind, Routing, TargetState, Verdict


def ladder(routing: Routing, *, safe: bool) -> tuple[str, ...]:
    """The aliases to try, best first. A static backup never gets a write.

    Empty when a write has nowhere to go: the primary is down, and of the backups only static ones answer.
    """
    primary, *backups = routing.targets
    if not safe:
        replicas = [backup for backup in backups if backup.kind is Kind.REPLICA]
        return _for_writes(routing.verdict, primary, backups, replicas)
    usable, unusable = _parted(backups)
    if routing.verdict is Verdict.BACKUP:
        return (*usable, primary.alias, *unusable)
    return (primary.alias, *usable, *unusable)


def _for_writes(
    verdict: Verdict, primary: TargetState, backups: list[TargetState], replicas: list[TargetState]
) -> tuple[str, ...]:
    usable, unusable = _parted(replicas)
    if verdict is not Verdict.BACKUP:
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
