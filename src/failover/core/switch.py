"""Who serves: the verdict on the primary, moved by signals and by time.

The law of this file:

1.  Only `TABLE` moves the verdict. A move that is not in it cannot happen; docs/verdicts.md is drawn from it.
2.  Time comes in, a deadline goes out. `handle(event, now)` changes the state first and hands back what is to be done;
    afterwards `wake_at()` lies after `now`, or is None. No clock, socket, log or random is known here.
3.  Each `Probe` handed out is answered by exactly one probe signal; that is how probes in flight are counted.
4.  The verdict is about the primary alone. A backup's health orders the ladder (routing.py) and moves no verdict: a
    primary that is down is down, whether or not anybody can stand in for it.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from failover.core.events import Effect, Event, Probe, RoutingChanged, Signal, Source, TargetChanged, VerdictChanged
from failover.core.health import Health, HealthMemory
from failover.core.hold_down import HoldDown
from failover.core.model import ErrorType, Verdict
from failover.core.pace import Rules, Watch, backup_interval, hurry_after_bad, in_flight_limit, primary_interval
from failover.core.words import lasting

PRIMARY = "primary"
"""The primary's alias."""

_CALM = 2.0
_BACKUP_FAIL, _BACKUP_RECOVER = 2, 1


class Sign(StrEnum):
    """What signals and time amount to, for the verdict."""

    BAD = "a bad signal"
    DOWN = "fail_threshold bad signals in a row, at least one of them a probe's"
    CALM = "a good probe, and 2 s without a bad signal"
    PROVEN = "recover_threshold good probes in a row, and the hold-down passed"


TABLE: dict[tuple[Verdict, Sign], Verdict] = {
    (Verdict.PRIMARY, Sign.BAD): Verdict.SUSPECT,
    (Verdict.PRIMARY, Sign.DOWN): Verdict.BACKUP,  # only with a fail_threshold of 1
    (Verdict.SUSPECT, Sign.DOWN): Verdict.BACKUP,
    (Verdict.SUSPECT, Sign.CALM): Verdict.PRIMARY,
    (Verdict.BACKUP, Sign.PROVEN): Verdict.PRIMARY,  # a ramp has its place here, between the two
}


@dataclass(frozen=True, slots=True)
class Memory:
    """A `Switch` as a value, taken at the monotonic time `taken`; all other times are ages at that moment.

    Probes in flight are not in it: they die with the process that made them.
    """

    taken: float
    verdict: Verdict
    age: float
    hold_steps: int
    recovered_age: float | None
    healths: dict[str, HealthMemory]


class Switch:
    """Knows the primary's verdict and each target's health. `backups` are the aliases of the ladder, in order."""

    def __init__(self, rules: Rules, backups: tuple[str, ...], now: float) -> None:
        self._rules = rules
        self._watches = {PRIMARY: Watch(Health(rules.fail_threshold, rules.recover_threshold), now)}
        for alias in backups:
            self._watches[alias] = Watch(Health(_BACKUP_FAIL, _BACKUP_RECOVER), now)
        self._hold_down = HoldDown()
        self._since = now
        self.verdict = Verdict.PRIMARY

    # What others read.

    @property
    def fail_count(self) -> int:
        """Consecutive bad signals about the primary, counted up to the threshold."""
        return min(self._primary.bad_row, self._rules.fail_threshold)

    @property
    def recover_count(self) -> int:
        """Consecutive good probes of the primary while a backup serves, counted up to the threshold."""
        return min(self._primary.good_probes, self._rules.recover_threshold) if self.verdict is Verdict.BACKUP else 0

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
        if self.verdict is Verdict.BACKUP and self._recovering:
            times.append(self._since + self._hold_down.seconds)
        return min(times, default=None)

    # What happens.

    def handle(self, event: Event, now: float) -> tuple[Effect, ...]:
        """Take one event at the time `now`, monotonic seconds, and say what is to be done."""
        known = self._view()
        up = {alias: self.usable(alias) for alias in self._watches}
        if isinstance(event, Signal) and event.target in self._watches:
            self._take(event, now)
        effects: list[Effect] = []
        while (sign := self._sign(now)) is not None:
            effects.append(self._move(sign, now))
        effects.extend(self._backups_changed(up, now))
        effects.extend(self._due_probes(now))
        if self._view() != known:
            effects.append(RoutingChanged())
        return tuple(effects)

    def _take(self, signal: Signal, now: float) -> None:
        watch = self._watches[signal.target]
        probe = signal.source is Source.PROBE
        if probe and watch.in_flight:
            watch.in_flight -= 1
        before = watch.health.bad_row
        watch.health.take(signal, now)
        if watch.health.bad_row > before and not signal.good:
            suspect = self.verdict is Verdict.SUSPECT
            hurry_after_bad(watch, probe=probe, primary=signal.target == PRIMARY, suspect=suspect, now=now)

    def _sign(self, now: float) -> Sign | None:
        health = self._primary
        if self.verdict is Verdict.BACKUP:
            return Sign.PROVEN if self._recovering and now >= self._since + self._hold_down.seconds else None
        if health.down:
            return Sign.DOWN
        if self.verdict is Verdict.PRIMARY:
            return Sign.BAD if health.bad_row else None
        calm = self._calming and (health.last_bad is None or now >= health.last_bad + _CALM)
        return Sign.CALM if calm else None

    def _move(self, sign: Sign, now: float) -> VerdictChanged:
        old, new = self.verdict, TABLE[self.verdict, sign]
        health = self._primary
        if new is Verdict.BACKUP:
            self._hold_down = self._hold_down.after_failure(now)
        elif old is Verdict.BACKUP:
            self._hold_down = self._hold_down.after_recovery(now)
        reason = self._reason(sign, now)
        self.verdict, self._since = new, now
        self._set_pace(now)
        bad = sign in (Sign.BAD, Sign.DOWN)
        return VerdictChanged(
            old=old,
            new=new,
            reason=reason,
            error=health.error if bad else None,
            detail=health.detail if bad else "",
            probes=health.bad_probes,
            requests=health.bad_requests,
            first_bad=health.first_bad if bad else None,
            hold_down=self._hold_down.seconds if new is Verdict.BACKUP else 0.0,
        )

    def _reason(self, sign: Sign, now: float) -> str:
        if sign is Sign.CALM:
            return f"{PRIMARY} answered a probe, and no bad signal came for {lasting(_CALM)}"
        if sign is Sign.PROVEN:
            probes = self._primary.good_probes
            answered = "a probe" if probes == 1 else f"{probes} probes in a row"
            return f"{PRIMARY} answered {answered}, {lasting(now - self._since)} after the switch"
        story = self._primary.story(PRIMARY, now)
        recovered = self._hold_down.recovered
        if sign is Sign.DOWN and self._hold_down.steps and recovered is not None:
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
            suspect = alias == PRIMARY and self.verdict is Verdict.SUSPECT
            probes.append(Probe(alias, watch.health.quick_timeout(longest) if suspect else longest))
        return probes

    # Small questions.

    @property
    def _primary(self) -> Health:
        return self._watches[PRIMARY].health

    @property
    def _calming(self) -> bool:
        return self._primary.good_probes > 0 and not self._primary.bad_row

    @property
    def _recovering(self) -> bool:
        return self._primary.good_probes >= self._rules.recover_threshold

    def _interval(self, alias: str, now: float) -> float:
        if alias == PRIMARY:
            return primary_interval(self._rules, self.verdict, now - self._since)
        return backup_interval(self._rules, self.verdict, self._watches[alias].health)

    def _may_probe(self, alias: str, watch: Watch) -> bool:
        return watch.in_flight < in_flight_limit(self.verdict, primary=alias == PRIMARY)

    def _view(self) -> tuple[object, ...]:
        """What the workers know of all this."""
        targets = tuple((self.usable(alias), self.error(alias)) for alias in self._watches)
        return (self.verdict, self.fail_count, self.recover_count, targets)

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
        )

    @classmethod
    def restore(cls, rules: Rules, backups: tuple[str, ...], memory: Memory, now: float) -> Switch:
        """A successor that knows what the dead one knew, and probes everybody at once.

        Backups that are no longer there are forgotten. A memory from the future, that is from before a reboot, counts
        as taken now.
        """
        switch = cls(rules, backups, now)
        taken = min(memory.taken, now)
        switch.verdict = memory.verdict
        switch._since = taken - memory.age
        recovered = None if memory.recovered_age is None else taken - memory.recovered_age
        switch._hold_down = HoldDown(memory.hold_steps, recovered)
        for alias, health in memory.healths.items():
            if alias in switch._watches:
                switch._watches[alias].health.restore(health, taken)
        return switch


def diagram() -> str:
    """The table as a Mermaid state diagram; docs/verdicts.md has it."""
    lines = ["stateDiagram-v2", "    [*] --> PRIMARY"]
    lines += [f"    {old.name} --> {new.name}: {sign}" for (old, sign), new in TABLE.items()]
    return "\n".join(lines)
