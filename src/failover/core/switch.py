"""Who serves: the verdict on the primary, moved by signals and by time.

The law of this file:

1.  Only `TABLE` (table.py) moves the verdict. A move that is not in it cannot happen.
2.  Time comes in, a deadline goes out. `handle(event, now)` changes the state first and hands back what is to be done;
    afterwards `wake_at()` lies after `now`, or is None. No clock, socket, log or random is known here.
3.  Each `Probe` handed out is answered by exactly one probe signal; that is how probes in flight are counted.
4.  The verdict is about the primary alone. A backup's health orders the ladder (routing.py) and moves no verdict.
5.  One exception to 4: errors that our own network makes just as well are no verdict on the primary before somebody
    else was heard. If nobody is, the routing stays as it is.
"""

from __future__ import annotations

import math

from failover.core import pace
from failover.core.events import (
    Doubt,
    Effect,
    Event,
    NetworkChanged,
    Probe,
    ReadyToGoBack,
    RoutingChanged,
    ShareChanged,
    Signal,
    Source,
    TargetChanged,
    VerdictChanged,
    Withheld,
)
from failover.core.health import Health, may_be_network, says_nothing
from failover.core.helm import Helm, Steer
from failover.core.hold_down import HoldDown
from failover.core.memory import Memory
from failover.core.model import PRIMARY, ErrorType, Verdict
from failover.core.pace import Rules, Watch
from failover.core.ramp import Ramp
from failover.core.table import TABLE, Sign
from failover.core.words import answered, lasting

_CALM = 2.0
_PROOF_LASTS = 2.0
_BACKUP_FAIL, _BACKUP_RECOVER = 2, 1


class Switch:
    """Knows the primary's verdict and each target's health. `backups` are the aliases of the ladder."""

    def __init__(self, rules: Rules, backups: tuple[str, ...], now: float) -> None:
        self._rules = rules
        self._watches = {PRIMARY: Watch(Health(rules.fail_threshold, rules.recover_threshold), now)}
        for alias in backups:
            self._watches[alias] = Watch(Health(_BACKUP_FAIL, _BACKUP_RECOVER), now)
        self._hold_down = HoldDown()
        self._since = now
        self._ramp = Ramp(rules.ramp_step, now)
        self.helm = Helm()
        self._planned = False  # the backup serves because a person wanted it, not because anything failed
        # What was told, and is not told again: a switch that somebody's hold keeps back; that the primary could be
        # given back; that our own network is cut.
        self._withheld = self._ready = self.network_cut = False
        self.verdict = Verdict.PRIMARY

    # What others read.

    @property
    def fail_count(self) -> int:
        """Consecutive bad signals about the primary, counted up to the threshold."""
        return min(self._primary.bad_row, self._rules.fail_threshold)

    @property
    def recover_count(self) -> int:
        """Consecutive good probes of the primary while a backup serves, counted up to the threshold."""
        backup_serves = self.verdict in (Verdict.BACKUP, Verdict.RAMP)
        return min(self._primary.good_probes, self._rules.recover_threshold) if backup_serves else 0

    @property
    def share(self) -> int:
        """Percent of the visitors that the primary gets."""
        if self.verdict is Verdict.RAMP:
            return self._ramp.share
        return 0 if self.verdict is Verdict.BACKUP else 100

    def usable(self, alias: str) -> bool:
        """False when the target is known bad. Nothing is, before a probe was answered."""
        return not self._watches[alias].health.down

    def error(self, alias: str) -> ErrorType | None:
        """Why the target is known bad, or is about to be; None for a healthy one."""
        health = self._watches[alias].health
        return health.error if health.down or health.bad_row else None

    def wake_at(self) -> float | None:
        """When to send a `Tick` if nothing happens before."""
        times = [watch.due for alias, watch in self._watches.items() if self._may_probe(alias, watch)]
        if self.verdict is Verdict.SUSPECT and self._calming and self._primary.last_bad is not None:
            times.append(self._primary.last_bad + _CALM)
        way_back = self.helm.pin is None and not self._rules.failback_manual
        if self.verdict is Verdict.BACKUP and self._recovering and way_back:
            times.append(self._since + self._hold_down.seconds)
        if self.verdict is Verdict.RAMP and self._may_step:
            times.append(self._ramp.next_at)
        if self.helm.ends_at is not None:
            times.append(self.helm.ends_at)
        return min(times, default=None)

    # What happens.

    def handle(self, event: Event, now: float) -> tuple[Effect, ...]:
        """Take one event at the time `now`, monotonic seconds, and say what is to be done."""
        known = self._view()
        up = {alias: self.usable(alias) for alias in self._watches}
        self._take(event, now)
        over = self.helm.expire(self.verdict, now)
        effects: list[Effect] = [over] if over is not None else []
        while (sign := self._sign(now)) is not None:
            effects.append(self._move(sign, now))
        effects.extend(self._found_down(now))
        effects.extend(self._ramp_changed(now))
        effects.extend(self._told_once(now))
        effects.extend(self._backups_changed(up, now))
        effects.extend(self._due_probes(now))
        if self._view() != known:
            effects.append(RoutingChanged())
        return tuple(effects)

    def _take(self, event: Event, now: float) -> None:
        if isinstance(event, Steer):
            self.helm.take(event, self.verdict)
        elif isinstance(event, Doubt) and event.target in self._watches:
            watch = self._watches[event.target]
            if event.target == PRIMARY:
                watch.health.doubt(event.last_good, now)
            # A backup is looked at sooner and judged as usual: it may be all that there is, and busy.
            pace.hurry_in_doubt(watch, now)
        elif isinstance(event, Signal) and event.target in self._watches:
            self._take_signal(event, self._watches[event.target], now)

    def _take_signal(self, signal: Signal, watch: Watch, now: float) -> None:
        probe = signal.source is Source.PROBE
        if probe and watch.in_flight:
            watch.in_flight -= 1
        before, doubted = watch.health.bad_row, watch.health.doubts > 0
        watch.health.take(signal, now)
        if signal.good or not (may_be_network(signal) or says_nothing(signal)):
            watch.heard = now
        elif probe and may_be_network(signal):
            watch.unheard = now
        if signal.good:
            if doubted and probe:
                watch.due = max(watch.due, watch.started + self._interval(signal.target, now))
            if signal.target == PRIMARY and not probe:
                self._ramp = self._ramp.answered()
        elif watch.health.bad_row > before:
            suspect = self.verdict is Verdict.SUSPECT
            primary = signal.target == PRIMARY
            pace.hurry_after_bad(watch, self._rules, probe=probe, primary=primary, suspect=suspect, now=now)

    def _sign(self, now: float) -> Sign | None:
        if wanted := self.helm.wants(self.verdict):
            return wanted
        sign = self._signs(now)
        return sign if sign is not None and self.helm.allows(sign, self.verdict) else None

    def _signs(self, now: float) -> Sign | None:
        """What signals and time amount to, whatever anybody wants."""
        health = self._primary
        if self.verdict is Verdict.BACKUP:
            return Sign.PROVEN if self._recovering and self._may_go_back(now) else None
        if self._row_is_full and pace.network_is_fine(health, self._backup_watches):
            return Sign.DOWN
        if self.verdict is Verdict.RAMP:
            if health.bad_row:
                return Sign.BAD
            over = self._ramp.last and now >= self._ramp.next_at
            return Sign.RAMPED if over or self._ramp.fixed is not None else None
        if self.verdict is Verdict.PRIMARY:
            return Sign.BAD if health.bad_row else None
        calm = self._calming and (health.last_bad is None or now >= health.last_bad + _CALM)
        return Sign.CALM if calm else None

    def _move(self, sign: Sign, now: float) -> VerdictChanged:
        old, new = self.verdict, TABLE[self.verdict, sign]
        pin = self.helm.pin
        if new is Verdict.BACKUP:
            self._planned = sign is Sign.WANTED
            if not self._planned:
                self._hold_down = self._hold_down.after_failure(now)
                self.helm.failed()
        elif old is Verdict.BACKUP and not self._planned:
            self._hold_down = self._hold_down.after_recovery(now)
        reason = self._reason(sign, now)
        self.verdict, self._since = new, now
        fixed = 100 - pin.share if sign is Sign.DRILLED and pin is not None else None
        self._ramp = Ramp(self._rules.ramp_step, now, fixed=fixed)
        self.helm.asked = self._ready = False
        self._set_pace(now)
        wanted = pin if sign in (Sign.WANTED, Sign.DRILLED) else None
        return self._change(old, reason, bad=sign in (Sign.BAD, Sign.DOWN), wanted=wanted)

    def _change(self, old: Verdict, reason: str, *, bad: bool, wanted: Steer | None = None) -> VerdictChanged:
        health = self._primary
        return VerdictChanged(
            old=old,
            new=self.verdict,
            reason=reason,
            error=health.error if bad else None,
            detail=health.detail if bad else "",
            probes=health.bad_probes,
            requests=health.bad_requests,
            first_bad=health.first_bad if bad else None,
            hold_down=self._hold_down.seconds if self.verdict is Verdict.BACKUP and not self._planned else 0.0,
            wanted=wanted,
        )

    def _found_down(self, now: float) -> list[Effect]:
        """The backup serves because a person wanted it, and now the primary is down: no move, but a failure."""
        down = self._row_is_full and pace.network_is_fine(self._primary, self._backup_watches)
        if self.verdict is not Verdict.BACKUP or not self._planned or not down:
            return []
        self._planned = False
        self._hold_down = self._hold_down.after_failure(now)
        return [self._change(Verdict.BACKUP, self._primary.story(PRIMARY, now), bad=True)]

    def _reason(self, sign: Sign, now: float) -> str:
        if sign in (Sign.WANTED, Sign.DRILLED) and self.helm.pin is not None:
            return self.helm.pin.told
        if sign is Sign.CALM:
            return f"{PRIMARY} answered a probe, and no bad signal came for {lasting(_CALM)}"
        if sign is Sign.PROVEN:
            told = f"{answered(PRIMARY, self._primary.good_probes)}, {lasting(now - self._since)} after the switch"
            return f"{told}; a person asked for it" if self.helm.asked else told
        if sign is Sign.RAMPED:
            ramped = f"{PRIMARY} failed no visitor in the {lasting(now - self._since)} of the ramp"
            return ramped if self._ramp.fixed is None else "the drill is over"
        story = self._primary.story(PRIMARY, now)
        recovered = self._hold_down.recovered
        if TABLE[self.verdict, sign] is Verdict.BACKUP and self._hold_down.steps and recovered is not None:
            again = f"it had recovered {lasting(now - recovered)} before"
            return f"{story}; {again}, so the way back is closed for {lasting(self._hold_down.seconds)}"
        return story

    def _set_pace(self, now: float) -> None:
        """A new verdict: look at the primary at once if it is suspected, and at the backups soon in an incident."""
        for alias, watch in self._watches.items():
            if alias == PRIMARY:
                interval = self._interval(alias, now)
                watch.due = now if self.verdict is Verdict.SUSPECT else now + interval
            else:
                watch.hurry(max(now, watch.started + self._interval(alias, now)))

    def _ramp_changed(self, now: float) -> list[Effect]:
        ramping = self.verdict is Verdict.RAMP and self._may_step and not self._ramp.last
        if not ramping or now < self._ramp.next_at:
            return []
        self._ramp = self._ramp.next(now)
        return [ShareChanged(self._ramp.share)]

    def _told_once(self, now: float) -> list[Effect]:
        effects: list[Effect] = []
        manual = self._rules.failback_manual and self.helm.pin is None
        ready = self.verdict is Verdict.BACKUP and manual and self._recovering
        if ready and not self._ready:
            effects.append(
                ReadyToGoBack(f"{answered(PRIMARY, self._primary.good_probes)}; the way back waits for a person")
            )
        self._ready = ready
        suspect = self.verdict is Verdict.SUSPECT
        cut = suspect and pace.nobody_is_heard(self._primary, self._backup_watches, now) and self._row_is_full
        if cut and not self.network_cut:
            story = self._primary.story(PRIMARY, now)
            effects.append(NetworkChanged(cut=True, reason=f"{story}; no backup was reached either"))
        elif self.network_cut and not cut:
            effects.append(NetworkChanged(cut=False, reason=f"{PRIMARY} or a backup was heard again"))
        self.network_cut = cut
        withheld = self._signs(now) is Sign.DOWN and not self.helm.allows(Sign.DOWN, self.verdict)
        if withheld and not self._withheld:
            effects.append(Withheld(self._primary.story(PRIMARY, now)))
        self._withheld = withheld
        return effects

    def _backups_changed(self, up: dict[str, bool], now: float) -> list[Effect]:
        changes: list[Effect] = []
        for alias, watch in self._watches.items():
            if alias == PRIMARY or self.usable(alias) == up[alias]:
                continue
            health = watch.health
            reason = f"{alias} answers again" if up[alias] is False else health.story(alias, now)
            changes.append(TargetChanged(alias, usable=not health.down, reason=reason, error=self.error(alias)))
        return changes

    def _due_probes(self, now: float) -> list[Effect]:
        probes: list[Effect] = []
        longest = self._rules.check_timeout
        for alias, watch in self._watches.items():
            if watch.due > now or not self._may_probe(alias, watch):
                continue
            watch.start(now, self._interval(alias, now))
            quick = alias == PRIMARY and (watch.health.doubts > 0 or self.verdict is Verdict.SUSPECT)
            probes.append(Probe(alias, watch.health.quick_timeout(longest) if quick else longest))
        return probes

    # Small questions.

    @property
    def _primary(self) -> Health:
        return self._watches[PRIMARY].health

    @property
    def _calming(self) -> bool:
        return self._primary.good_probes > 0 and not self._primary.bad_row and not self._primary.down

    @property
    def _backup_watches(self) -> list[Watch]:
        return [watch for alias, watch in self._watches.items() if alias != PRIMARY]

    @property
    def _row_is_full(self) -> bool:
        # down by the row at hand, not by one that our own network made and has ended
        health = self._primary
        return health.down and health.bad_probes > 0 and health.bad_row >= self._rules.fail_threshold

    def _may_go_back(self, now: float) -> bool:
        if self.helm.asked:
            return True
        return not self._rules.failback_manual and now >= self._since + self._hold_down.seconds

    @property
    def _may_step(self) -> bool:
        return self.helm.pin is None and self._ramp.fixed is None

    @property
    def _recovering(self) -> bool:
        return self._primary.good_probes >= self._rules.recover_threshold

    def _interval(self, alias: str, now: float) -> float:
        if alias == PRIMARY:
            return pace.primary_interval(self._rules, self.verdict, now - self._since, self._primary)
        return pace.backup_interval(self._rules, self.verdict, self._watches[alias].health)

    def _may_probe(self, alias: str, watch: Watch) -> bool:
        doubted = watch.health.doubts > 0
        return watch.in_flight < pace.in_flight_limit(self.verdict, primary=alias == PRIMARY, doubted=doubted)

    def _view(self) -> tuple[object, ...]:
        targets = tuple((self.usable(alias), self.error(alias) is None) for alias in self._watches)
        return (self.verdict, self.fail_count, self.recover_count, self.share, self.helm.pin, self.helm.asked, targets)

    # Life after death.

    def snapshot(self, now: float) -> Memory:
        recovered = self._hold_down.recovered
        return Memory(
            taken=now,
            verdict=self.verdict,
            age=now - self._since,
            hold_steps=self._hold_down.steps,
            recovered_age=None if recovered is None else now - recovered,
            healths={alias: watch.health.snapshot(now) for alias, watch in self._watches.items()},
            ramp_step=self._ramp.step,
            ramp_age=now - self._ramp.since,
            ramp_proven=self._ramp.proven,
            asked=self.helm.asked,
            pin=self.helm.left(now),
            planned=self._planned,
            ready=self._ready,
            cut=self.network_cut,
            heard={alias: now - watch.heard for alias, watch in self._watches.items() if watch.heard > -math.inf},
            unheard={alias: now - watch.unheard for alias, watch in self._watches.items() if watch.unheard > -math.inf},
        )

    @classmethod
    def restore(cls, rules: Rules, backups: tuple[str, ...], memory: Memory, now: float) -> Switch:
        """A successor that knows what the dead one knew, and probes everybody at once.

        Backups that are no longer there are forgotten. A memory from the future, that is from before a reboot, counts
        as taken now. Proof that the primary is well grows stale: what was told longer ago must be proved anew.
        """
        switch = cls(rules, backups, now)
        taken = min(memory.taken, now)
        switch.verdict = memory.verdict
        switch._since = taken - memory.age
        recovered = None if memory.recovered_age is None else taken - memory.recovered_age
        switch._hold_down = HoldDown(memory.hold_steps, recovered)
        switch._ramp = Ramp(rules.ramp_step, taken - memory.ramp_age, memory.ramp_step, memory.ramp_proven)
        switch.helm = Helm.restore(memory.pin, taken, asked=memory.asked)
        switch._planned, switch._ready, switch.network_cut = memory.planned, memory.ready, memory.cut
        for alias, health in memory.healths.items():
            if alias in switch._watches:
                switch._watches[alias].health.restore(health, taken)
                switch._watches[alias].heard = taken - memory.heard.get(alias, math.inf)
                switch._watches[alias].unheard = taken - memory.unheard.get(alias, math.inf)
        if now - taken > _PROOF_LASTS:
            switch._primary.good_probes = 0
            switch._ramp = Ramp(rules.ramp_step, now, memory.ramp_step)
        return switch
