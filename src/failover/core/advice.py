"""What could be done so that it does not happen again, or is noticed even less: one sentence a rule, from numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from failover.core.words import count, lasting

if TYPE_CHECKING:
    from collections.abc import Callable

    from failover.core.document import Document

_SLOW_TO_DETECT_S = 5.0
_RESTARTS = frozenset({"deploy_or_restart", "process_gone"})
_CERTIFICATES = frozenset({"certificate_expired", "certificate_not_yet_valid"})


def suggestions(told: Document) -> tuple[str, ...]:
    """At most one sentence a rule, the most useful first."""
    return tuple(sentence for rule in _RULES if (sentence := rule(told)))


def _no_backup(told: Document) -> str:
    down = [place.alias for place in told.backups if not place.usable]
    if len(down) < len(told.backups):
        return ""
    return "Put a page that needs nothing of the rest last in the ladder (a static host elsewhere): no backup was left."


def _writes(told: Document) -> str:
    counts = told.counts
    if not counts.refused:
        return ""
    turned = f"{count(counts.refused, 'write')} {'was' if counts.refused == 1 else 'were'} told to come back later"
    if all(place.kind == "static" for place in told.backups):
        return f"{turned}: a backup that is a second app (a replica) would have taken them."
    return f"{turned}: send an Idempotency-Key with writes, and a replica may answer them."


def _certificate(told: Document) -> str:
    if told.cause is None or told.cause.kind not in _CERTIFICATES:
        return ""
    return "Renew certificates by themselves (ACME), and be warned two weeks before one ends."


def _restart(told: Document) -> str:
    if told.cause is None or told.cause.kind not in _RESTARTS or not told.recurrence.same_cause:
        return ""
    times = told.recurrence.same_cause + 1
    return (
        f"It looked like this {times} times in {told.recurrence.days} days: restart without a gap, or run two of them."
    )


def _again(told: Document) -> str:
    if told.episode < 3:
        return ""
    waits = "let a person say when it serves again (--failback manual)"
    return f"It failed {told.episode} times in a row: give it time to warm up, or {waits}."


def _detection(told: Document) -> str:
    took = told.durations.to_detect
    if took is None or took < _SLOW_TO_DETECT_S:
        return ""
    return (
        f"It took {lasting(took)} to be sure: probe more often (--check-interval), or name a quick page (--check-path)."
    )


def _probe_only(told: Document) -> str:
    if told.cause is None or told.cause.kind != "probe_only":
        return ""
    return (
        "Probe a page that is well whenever users are (--check-path), or say which statuses are good (--check-expect)."
    )


def _users_only(told: Document) -> str:
    if told.cause is None or told.cause.kind not in {"users_only", "partial_outage"}:
        return ""
    return "Probe a page that needs what users need, the database say (--check-path): the probes did not see this."


_RULES: tuple[Callable[[Document], str], ...] = (
    _no_backup,
    _certificate,
    _writes,
    _probe_only,
    _users_only,
    _restart,
    _again,
    _detection,
)
