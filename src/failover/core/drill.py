"""Drills: what happens if the primary fails, tried while it does not. Pure: when one may begin, and when it must end.

`shadow` asks the backup what users ask of the primary, and compares; nobody notices. `percent` gives a part of the
visitors to the backup, `full` all of them. A drill that a user would notice ends at once, and says why.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from failover.core.model import Verdict
from failover.core.words import count, lasting

if TYPE_CHECKING:
    from collections.abc import Sequence

SHORTEST_S, LONGEST_S = 5.0, 3600.0
USUAL_S = 60.0
_MOST_BACKUP_ERRORS = 3
_MOST_BACKUP_ERROR_PART = 0.05
_VERIFIED_WITHIN_S = 60.0


class Sort(StrEnum):
    SHADOW = "shadow"
    PERCENT = "percent"
    FULL = "full"


@dataclass(frozen=True, slots=True)
class Plan:
    """A drill as somebody wants it. `percent` is the share of visitors that the backup gets; `seconds` its length."""

    sort: Sort
    seconds: float = USUAL_S
    percent: int = 0
    who: str = ""

    @property
    def told(self) -> str:
        length = lasting(self.seconds)
        return {
            Sort.SHADOW: f"a shadow drill of {length}: the backup is asked what users ask",
            Sort.PERCENT: f"a drill of {length}: the backup answers {self.percent} % of the visitors",
            Sort.FULL: f"a full drill of {length}: the backup answers everybody",
        }[self.sort]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """What is the case when a drill is asked for. `backups` are aliases of usable ones, with the seconds since a probe
    was last answered well by each.
    """

    verdict: Verdict
    incident: str
    pinned: str
    drilling: bool
    network_cut: bool
    primary_usable: bool
    backups: Sequence[tuple[str, float | None]]


def refusal(plan: Plan, scene: Scene) -> str:
    """Why this drill must not begin, in a sentence; empty when it may."""
    if not SHORTEST_S <= plan.seconds <= LONGEST_S:
        return f"a drill takes from {lasting(SHORTEST_S)} to {lasting(LONGEST_S)}"
    if plan.sort is Sort.PERCENT and not 1 <= plan.percent <= 99:
        return "a share is from 1 to 99 percent; for everybody there is the full drill"
    if scene.drilling:
        return "a drill runs already"
    if scene.incident:
        return f"an incident is open ({scene.incident}): this is no drill"
    if scene.pinned:
        return f"{scene.pinned}; take that back first (failover switch auto)"
    if scene.network_cut:
        return "our own network seems to be cut"
    if scene.verdict is not Verdict.PRIMARY or not scene.primary_usable:
        return "the primary does not serve everybody at the moment"
    fresh = [alias for alias, age in scene.backups if age is not None and age <= _VERIFIED_WITHIN_S]
    if not scene.backups:
        return "no backup is usable: a drill would be an outage"
    if not fresh:
        return "no backup has answered a probe within the last minute"
    return ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Counted:
    """Counters that only grow, as they are at one moment, but for `held`, which is how many wait now.

    `backup_answers` and `backup_errors` are answers and failed tries of all backups.
    """

    failed: int = 0
    refused: int = 0
    held: int = 0
    backup_answers: int = 0
    backup_errors: int = 0


@dataclass(frozen=True, slots=True)
class Verdicts:
    """How a drill ended: `passed`, and why it is over, in words."""

    passed: bool
    reason: str


class Drill:
    """One drill, from its beginning at the time `now`, monotonic seconds, to its end."""

    def __init__(self, plan: Plan, now: float, counted: Counted) -> None:
        self.plan = plan
        self.began = now
        self.ends = now + plan.seconds
        self._before = counted
        self.compared = 0
        self.different = 0
        self.findings: dict[str, int] = {}

    def answered(self, counted: Counted) -> int:
        """How many answers the backups have given in it."""
        return counted.backup_answers - self._before.backup_answers

    def differs(self, where: str, sentences: Sequence[str]) -> None:
        """Both sides were asked the same; what was different, if anything. `where` is a path, folded."""
        self.compared += 1
        self.different += bool(sentences)
        for sentence in sentences:
            found = f"{where}: {sentence}"
            if found in self.findings or len(self.findings) < 50:
                self.findings[found] = self.findings.get(found, 0) + 1

    def over(self, now: float, counted: Counted, *, backup_usable: bool) -> Verdicts | None:
        """How it has ended, if it has. What a user would notice ends it before its time."""
        before = self._before
        if failed := counted.failed - before.failed:
            return Verdicts(False, f"{count(failed, 'request')} failed, so users saw an error")
        if counted.refused > before.refused:
            return Verdicts(False, "a write was told to come back later")
        if self.plan.sort is not Sort.SHADOW and counted.held:
            return Verdicts(False, "a write had to wait, because the backup takes none")
        if not backup_usable:
            return Verdicts(False, "the backup went down")
        errors = counted.backup_errors - before.backup_errors
        if errors >= _MOST_BACKUP_ERRORS and errors > _MOST_BACKUP_ERROR_PART * (self.answered(counted) + errors):
            return Verdicts(False, f"the backup failed {count(errors, 'time')}; users got their answers elsewhere")
        if now < self.ends:
            return None
        if self.plan.sort is not Sort.SHADOW and not self.answered(counted):
            return Verdicts(False, "nobody asked the backup for anything, so nothing was tried")
        if self.plan.sort is Sort.SHADOW and not self.compared:
            return Verdicts(False, "nothing could be compared")
        if self.different:
            compared = f"{self.different} of {count(self.compared, 'answer')}"
            return Verdicts(False, f"{compared} differed between primary and backup")
        if self.plan.sort is Sort.SHADOW and not self.compared:
            return Verdicts(False, "there was nothing to compare: the primary gave no good answer to any question")
        return Verdicts(True, "its time was over")
