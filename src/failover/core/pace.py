"""How often each target is probed: slowly in good times, fast where a verdict hangs on it. All in seconds."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from failover.core.model import Verdict

if TYPE_CHECKING:
    from collections.abc import Sequence

    from failover.core.health import Health

_SUSPECT = 0.25
_CONFIRM = 0.04  # a user met the failure: a refused primary is confirmed within 100 ms of that request (spec 8)
_BACKUP_AT_FIRST = 0.5
_AT_FIRST = 10.0
_BACKUPS_IN_INCIDENT = 2.0
_MOST_IN_FLIGHT = 4
_DOUBT = 0.05  # a hung primary is confirmed within a second of the first hung request


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


def primary_interval(rules: Rules, verdict: Verdict, since: float, health: Health) -> float:
    """From one probe of the primary to the next, `since` seconds after the verdict was reached."""
    if verdict is Verdict.SUSPECT:
        return min(_SUSPECT, rules.check_interval)
    if health.doubts:
        return min(_in_doubt(health), rules.check_interval)
    proving = verdict is Verdict.BACKUP and 0 < health.good_probes < rules.recover_threshold
    if verdict is Verdict.RAMP or proving or (verdict is Verdict.BACKUP and since < _AT_FIRST):
        return min(_BACKUP_AT_FIRST, rules.check_interval)
    return rules.check_interval


def backup_interval(rules: Rules, verdict: Verdict, health: Health) -> float:
    """From one probe of a backup to the next: faster in an incident, or while it is doubted."""
    if verdict is not Verdict.PRIMARY or (health.bad_row and not health.down):
        return min(_BACKUPS_IN_INCIDENT, rules.backup_check_interval)
    return rules.backup_check_interval


def in_flight_limit(verdict: Verdict, *, primary: bool, doubted: bool) -> int:
    """How many probes of a target may run at once: where much hangs on it, a hung one must not delay the next."""
    return _MOST_IN_FLIGHT if primary and (doubted or verdict is not Verdict.PRIMARY) else 1


def hurry_after_bad(watch: Watch, rules: Rules, *, probe: bool, primary: bool, suspect: bool, now: float) -> None:
    """Bring the next probe forward after a bad signal, where it decides something."""
    health = watch.health
    if primary:
        if not suspect or health.bad_row >= rules.fail_threshold > 1:
            return  # all that is missing is time, or somebody else who is heard
        if probe and health.bad_requests:
            watch.hurry(now + _CONFIRM)
        elif not probe and not health.bad_probes:
            watch.hurry(max(now, watch.started + _CONFIRM))  # an answer in between took the probe out of the row
    elif not probe:
        watch.hurry(max(now, watch.started + _SUSPECT))
    elif not watch.health.down:
        watch.hurry(now + _BACKUPS_IN_INCIDENT)


def hurry_in_doubt(watch: Watch, now: float) -> None:
    """A request has doubts: look now, but no more often than in a suspicion as long as probes are answered."""
    watch.hurry(max(now, watch.started + (_in_doubt(watch.health) if watch.in_flight else _SUSPECT)))


def _in_doubt(health: Health) -> float:
    """Several probes at a time, but not while none of them can have been answered yet."""
    return max(_DOUBT, health.slowest)


def network_is_fine(primary: Health, backups: Sequence[Watch]) -> bool:
    """False while all we know of the primary could be our own network's fault: nobody else was heard since."""
    if not primary.network_only or primary.first_bad is None or not backups:
        return True
    return any(watch.heard >= primary.first_bad for watch in backups)


def nobody_is_heard(primary: Health, backups: Sequence[Watch], now: float) -> bool:
    """Whether nobody was heard since the primary was lost. Asks the backups as soon as that may be so."""
    if not primary.network_only or not primary.bad_row:
        return False
    lost = primary.first_bad or 0.0
    for watch in backups:
        if watch.started < lost:
            watch.hurry(now)
    return all(watch.unheard >= lost for watch in backups)
