"""How often each target is probed: slowly in good times, fast where a verdict hangs on it. All in seconds."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from failover.core.model import Verdict

if TYPE_CHECKING:
    from failover.core.health import Health

_SUSPECT = 0.25
_CONFIRM = 0.04  # a user met the failure: a refused primary is confirmed within 100 ms of that request (spec 8)
_BACKUP_AT_FIRST = 0.5
_AT_FIRST = 10.0
_BACKUPS_IN_INCIDENT = 2.0
_IN_FLIGHT_SUSPECT = 4
_DOUBT = 0.05  # several at a time, so that a hung primary is confirmed within a second of the first hung request


@dataclass(frozen=True, slots=True)
class Rules:
    """The settings that verdicts depend on. Times are seconds."""

    fail_threshold: int = 3
    recover_threshold: int = 2
    check_interval: float = 2.0
    check_timeout: float = 2.0
    backup_check_interval: float = 15.0
    failback_manual: bool = False
    ramp_step: float = 2.0


class Watch:
    """One target's health, and when to look at it next. `due` is the time of the next probe.

    `heard` is when anything came from it last, an error of its own included; `unheard` when a probe found nobody there.
    """

    __slots__ = ("due", "health", "heard", "in_flight", "started", "unheard")

    def __init__(self, health: Health, now: float) -> None:
        self.health = health
        self.due = now
        self.started = -math.inf
        self.in_flight = 0
        self.heard = self.unheard = -math.inf

    def start(self, now: float, interval: float) -> None:
        self.started = now
        self.due = now + interval
        self.in_flight += 1

    def hurry(self, at: float) -> None:
        """Look no later than at this time."""
        self.due = min(self.due, at)


def primary_interval(rules: Rules, verdict: Verdict, since: float, *, doubted: bool) -> float:
    """From one probe of the primary to the next, `since` seconds after the verdict was reached."""
    if verdict is Verdict.SUSPECT:
        return min(_SUSPECT, rules.check_interval)
    if doubted:
        return min(_DOUBT, rules.check_interval)
    if verdict is Verdict.RAMP or (verdict is Verdict.BACKUP and since < _AT_FIRST):
        return min(_BACKUP_AT_FIRST, rules.check_interval)
    return rules.check_interval


def backup_interval(rules: Rules, verdict: Verdict, health: Health) -> float:
    """From one probe of a backup to the next: faster in an incident, or while it is doubted."""
    if verdict is not Verdict.PRIMARY or (health.bad_row and not health.down):
        return min(_BACKUPS_IN_INCIDENT, rules.backup_check_interval)
    return rules.backup_check_interval


def in_flight_limit(verdict: Verdict, *, primary: bool, doubted: bool) -> int:
    """How many probes of a target may run at once: in a suspicion a hung one must not delay the next."""
    return _IN_FLIGHT_SUSPECT if primary and (doubted or verdict is Verdict.SUSPECT) else 1


def hurry_after_bad(watch: Watch, *, probe: bool, primary: bool, suspect: bool, now: float) -> None:
    """Bring the next probe forward after a bad signal, where it decides something."""
    if primary:
        if suspect and probe and watch.health.bad_requests:
            watch.hurry(now + _CONFIRM)
        elif suspect and not probe and not watch.health.bad_probes:
            watch.hurry(max(now, watch.started + _CONFIRM))  # an answer in between took the probe out of the row
    elif not probe:
        watch.hurry(max(now, watch.started + _SUSPECT))
    elif not watch.health.down:
        watch.hurry(now + _BACKUPS_IN_INCIDENT)


def hurry_in_doubt(watch: Watch, now: float) -> None:
    """A request has doubts: look now, but no more often than in a suspicion as long as probes are answered."""
    watch.hurry(max(now, watch.started + (_DOUBT if watch.in_flight else _SUSPECT)))
