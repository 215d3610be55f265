"""What is said of a drill in its report: a title, a summary, and what to do with what it found."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from failover.core.document import Exercise
from failover.core.words import count, lasting

if TYPE_CHECKING:
    from failover.core.document import Counts
    from failover.core.drill import Plan
    from failover.core.facts import DrillEnded

_WHAT = {"shadow": "Shadow drill", "percent": "Drill with {percent} % of the visitors", "full": "Full drill"}


def begun(plan: Plan) -> Exercise:
    return Exercise(sort=plan.sort.value, planned=plan.seconds, percent=plan.percent, who=plan.who)


def ended(drill: Exercise, end: DrillEnded) -> Exercise:
    return replace(
        drill,
        passed=end.passed,
        reason=end.reason,
        compared=end.compared,
        different=end.different,
        findings=end.findings,
    )


def title(drill: Exercise) -> str:
    what = _WHAT.get(drill.sort, "Drill").format(percent=drill.percent)
    if drill.passed is None:
        return f"{what}, running"
    return f"{what}: passed" if drill.passed else f"{what}: {drill.reason}"


def summary(drill: Exercise, counts: Counts) -> str:
    """Two sentences: what was tried, and what users saw of it."""
    if drill.sort == "shadow":
        what = f"The backup was asked {count(drill.compared, 'question')} of users, {lasting(drill.planned)} planned"
        seen = f"{drill.different:,} of the answers differed" if drill.different else "all answers looked alike"
        tried = f"{what}: {seen if drill.compared else 'nothing was compared'}."
    else:
        whom = f"{drill.percent} % of the visitors" if drill.sort == "percent" else "everybody"
        tried = f"The backup was to answer {whom} for {lasting(drill.planned)}: it answered {counts.hidden:,} requests."
    errors = counts.failed + counts.refused
    saw = "No user saw an error" if not errors else f"{count(errors, 'request')} ended in an error that a user saw"
    return f"{tried} {saw}." + (f" It ended because {drill.reason}." if drill.passed is False else "")


def advice(drill: Exercise) -> tuple[str, ...]:
    if drill.passed is None:
        return ()
    if drill.passed:
        next_one = {"shadow": "failover drill --percent 5", "percent": "failover drill --full"}.get(drill.sort)
        return (f"The next step: {next_one}.",) if next_one else ("Repeat it after each change to the backup.",)
    alike = "Bring the backup up to date: each path below looks different there." if drill.findings else ""
    return tuple(filter(None, (alike, "Look at both sides with failover check, and repeat the drill.")))
