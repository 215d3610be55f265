"""The life of an incident: from the first bad signal to the recovery, and open again when it fails soon after.

The law: facts come in with the time they happened at, and what is to be kept or told goes out. A suspicion is a draft:
it becomes an incident when the verdict is BACKUP, or when it clears but a user has seen an error; else it is forgotten.
A primary that fails again within 5 minutes of its recovery opens the same incident again.
"""

from __future__ import annotations

from enum import IntEnum, StrEnum
from typing import TYPE_CHECKING

from failover.core import drilled, evidence
from failover.core.before import Before
from failover.core.document import Happening
from failover.core.events import (
    NetworkChanged,
    ReadyToGoBack,
    ShareChanged,
    TargetChanged,
    VerdictChanged,
    Withheld,
)
from failover.core.facts import Described, DrillBegan, DrillEnded, Fact, Met, Named, Probed, Seen, Usual
from failover.core.helm import Steer, Steered
from failover.core.model import PRIMARY, Verdict
from failover.core.record import Record, name_of
from failover.core.words import lasting, nth

if TYPE_CHECKING:
    from failover.core.document import ProbeFact

REOPENS_WITHIN_S = 300.0
_TELL_AFTER_S = 1.0
_CLOSE_AFTER_S = 1.5
_KEEP_EVERY_S = 2.0
_KEEP_SELDOM_S = 15.0
_LONG_S = 600.0
_GAP_S = 1.0


class Want(IntEnum):
    """What is to be done with the incident after a fact: nothing, keep it, keep it and tell of it."""

    NOTHING = 0
    KEEP = 1
    TELL = 2


class Stage(StrEnum):
    QUIET = "quiet"
    DRAFT = "draft"  # a suspicion
    CLEARING = "clearing"  # it has cleared; the last counts are on their way
    OPEN = "open"
    CLOSING = "closing"  # the primary serves again; the last counts are on their way
    SETTLED = "settled"  # over, and may be opened again


class Incidents:
    """At most one incident at a time. `record` is the one that is written now, or was last."""

    def __init__(self, primary: str, backups: tuple[str, ...]) -> None:
        self._primary = primary
        self._backups = backups
        self.stage = Stage.QUIET
        self.record: Record | None = None
        self._settled: Record | None = None  # what a draft that comes to nothing goes back to
        self._origin = 0.0
        self._verdict = Verdict.PRIMARY
        self._planned = False
        self._down: dict[str, str] = {}
        self._before = Before()
        # deadlines
        self._tell_at: float | None = None
        self._keep_at: float | None = None
        self._close_at: float | None = None

    def wake_at(self) -> float | None:
        """When to send a `Tick` if nothing happens before."""
        return min((at for at in (self._tell_at, self._keep_at, self._close_at) if at is not None), default=None)

    def after(self, now: float) -> float:
        """Seconds since the first bad signal of the record."""
        return now - self._origin

    @property
    def active(self) -> bool:
        return self.stage not in (Stage.QUIET, Stage.SETTLED)

    @property
    def opened(self) -> str:
        """The id of the incident that is open, or empty. A drill is none."""
        record = self.record
        is_open = record is not None and self.stage in (Stage.OPEN, Stage.CLOSING)
        return record.id if record is not None and is_open and record.exercise is None else ""

    @property
    def kept(self) -> Record | None:
        """The record that is to be kept: no draft, which may come to nothing."""
        return self._settled if self.stage in (Stage.DRAFT, Stage.CLEARING) else self.record

    # -- life after death

    def resume(self, record: Record, now: float, wall: float, *, reborn: bool, verdict: Verdict) -> Want:
        """Go on with what a predecessor has written. `reborn`: the controller alone was gone, and traffic went on."""
        age = max(wall - record.began_unix, record.seen)
        self._verdict = verdict
        if record.resolved:
            if age - (record.recovered or 0.0) > REOPENS_WITHIN_S:
                return Want.NOTHING
            self._settle(record)
            self._origin = now - age
            return Want.NOTHING
        self.record, self.stage, self._origin = record, Stage.OPEN, now - age
        if record.exercise is not None:
            ended = DrillEnded(passed=False, reason="the proxy was started again", earnest=True)
            return self._drill_ended(record, ended, now)
        self._down = dict(record.backups_down)
        gap = age - record.seen
        if reborn:
            record.tell(age, Happening.GAP, "the controller was started again", "traffic went on without it")
        elif gap > _GAP_S:
            record.unknown += gap
            record.shift(record.seen, "unknown")
            record.tell(record.seen, Happening.GAP, f"the proxy was off for {lasting(gap)}", "what happened is unknown")
            record.shift(age, self._side())
        self._keep_at = now + _KEEP_EVERY_S
        return Want.TELL

    # -- facts

    def handle(self, fact: Fact, now: float, wall: float) -> Want:
        """Take one fact that came at the time `now`, monotonic seconds, which is `wall` by the clock on the wall."""
        want = self._due(now)
        match fact:
            case VerdictChanged():
                want = max(want, self._verdict_changed(fact, now, wall))
            case Probed() | Met():
                want = max(want, self._evidence(fact, now))
            case Seen() if self.record is not None and self.active:
                backup_ok = None if fact.backup_ok is None else self.after(fact.backup_ok)
                evidence.saw(self.record, fact, self.after(now), backup_ok, ramp=self._verdict is Verdict.RAMP)
            case Usual(requests):
                self._before.requests(now, requests)
            case TargetChanged():
                self._target_changed(fact, now)
            case Named(name):
                self._before.named(now, name)
                if self.record is not None and self.active:
                    evidence.named(self.record, name, self.after(now))
            case Described(certificate) if self.record is not None and self.active:
                self.record.certificate = certificate
            case ShareChanged(share):
                self._tell(now, Happening.RAMP, f"the primary is tried with {share} % of the visitors")
            case NetworkChanged():
                self._network_changed(fact, now)
            case ReadyToGoBack(reason):
                self._tell(now, Happening.ANSWERING, "the primary is well and waits for a person", reason)
            case DrillBegan():
                want = max(want, self._drill_began(fact, now, wall))
            case DrillEnded() if self.record is not None and self.record.exercise is not None:
                want = max(want, self._drill_ended(self.record, fact, now))
            case Steer():
                self._tell(now, Happening.PERSON, fact.deed, who=fact.who or "a person")
            case Steered(wish):
                self._tell(now, Happening.PERSON, f"that is over: {wish.told}")
            case Withheld(reason):
                self._tell(now, Happening.PERSON, "the backup would serve now if nobody had said to hold", reason)
        if self.record is not None and self.active:
            self.record.seen = max(self.record.seen, self.after(now))
        return want

    def _due(self, now: float) -> Want:
        """Do what is due by now."""
        record = self.record
        if self._close_at is not None and now >= self._close_at and record is not None:
            return self._close(record)
        if self._tell_at is not None and now >= self._tell_at:
            self._tell_at = None
            return Want.TELL
        if self._keep_at is not None and now >= self._keep_at:
            self._keep_at = now + (_KEEP_EVERY_S if self.after(now) < _LONG_S else _KEEP_SELDOM_S)
            return Want.KEEP
        return Want.NOTHING

    # -- the verdict

    def _verdict_changed(self, change: VerdictChanged, now: float, wall: float) -> Want:
        self._verdict = change.new
        self._planned = change.planned_after(planned=self._planned)
        if self._planned and not self.active:
            return Want.NOTHING
        want = Want.NOTHING
        if change.new is Verdict.SUSPECT or not self.active:
            want = self._begin(change, now, wall)
        record = self.record
        if record is None:
            return want
        after = self.after(now)
        if change.new is Verdict.SUSPECT:
            record.tell(after, Happening.SUSPECTED, "primary is suspected", change.reason)
            return want
        if change.new is Verdict.BACKUP:
            return self._switched(record, change, after, now)
        if change.new is Verdict.PRIMARY:
            record.leave_backup(after)
        record.shift(after, self._side())
        if record.exercise is not None:
            record.tell(after, Happening.RAMP, f"the verdict is {change.new.name}", change.reason)
            return Want.KEEP
        if change.new is Verdict.RAMP:
            record.tell(after, Happening.RAMP, "the primary is tried with 5 % of the visitors", change.reason)
            return Want.KEEP
        return self._primary_serves(record, change.reason, after, now)

    def _begin(self, change: VerdictChanged, now: float, wall: float) -> Want:
        """A draft, or the settled incident once more; an incident whose last counts are awaited is over now."""
        want = self._close(self.record) if self.record is not None and self._close_at is not None else Want.NOTHING
        if self.active:
            return want
        first_bad = now if change.first_bad is None else min(change.first_bad, now)
        settled = self._settled
        if settled is not None and settled.recovered is not None and settled.exercise is None:
            if self.after(first_bad) - settled.recovered <= REOPENS_WITHIN_S:
                self.record = record = settled.copy()
                record.go_bad(self.after(first_bad))
                self.stage = Stage.DRAFT
                self._replay(first_bad)
                return want
            self._settled = None
        began_unix = wall - (now - first_bad)
        self._origin = first_bad
        self.record = record = Record(id=name_of(self._primary, began_unix), began_unix=began_unix)
        self.stage, record.backups_down = Stage.DRAFT, dict(self._down)
        self._before.fill(record, first_bad, now)
        if change.error is not None:
            record.error, record.detail = change.error.value, change.detail
        self._replay(first_bad)
        return want

    def _replay(self, first_bad: float) -> None:
        for at, fact in self._before.beginning(first_bad):
            self._evidence(fact, at)

    def _switched(self, record: Record, change: VerdictChanged, after: float, now: float) -> Want:
        relapsed = change.old is Verdict.RAMP and change.wanted is None and record.exercise is None
        if relapsed and self.stage is Stage.OPEN:
            record.tell(after, Happening.RELAPSED, "the primary failed on its way back", change.reason)
            record.shift(after, self._side())
            return Want.KEEP
        if self.stage is Stage.DRAFT and record.resolved:
            record.resolved, record.recovered = False, None
            record.episode += 1
            record.tell(after, Happening.REOPENED, f"the primary fails again, for the {nth(record.episode)} time")
        if record.exercise is None:
            record.detected = after if record.detected is None else record.detected
        record.switched = after if record.switched is None else record.switched
        record.go_to_backup(after)
        self._keep_at = now + _KEEP_EVERY_S
        up = [alias for alias in self._backups if alias not in self._down]
        if up:
            name = "the backup" if up[0] == "backup" else up[0]
            record.tell(after, Happening.SWITCHED, f"switched to {name}", change.reason)
        else:
            record.all_down = True
            record.tell(after, Happening.SWITCHED, "the primary is down and so is every backup", change.reason)
        record.shift(after, self._side())
        first_word = self.stage is not Stage.OPEN and record.exercise is None
        self.stage, self._close_at = Stage.OPEN, None
        if first_word:
            self._tell_at = now + _TELL_AFTER_S
        return Want.KEEP

    def _primary_serves(self, record: Record, reason: str, after: float, now: float) -> Want:
        """The primary serves everybody: with the last counts an incident is over, and a draft may be forgotten."""
        if self.stage is Stage.DRAFT:
            self.stage = Stage.CLEARING
            record.tell(after, Happening.RECOVERED, "primary is no longer suspected", reason)
        else:
            self.stage = Stage.CLOSING
            record.tell(after, Happening.RECOVERED, "the primary serves everybody again", reason)
        if record.bad_since is not None:
            record.go_good(after)
        record.recovered = after
        self._close_at = now + _CLOSE_AFTER_S
        self._tell_at = self._keep_at = None
        return Want.KEEP if self.stage is Stage.CLOSING else Want.NOTHING

    def _close(self, record: Record) -> Want:
        self._close_at = self._tell_at = self._keep_at = None
        before = self._settled if self._settled is not None and self._settled.id == record.id else None
        again = self.stage is Stage.CLEARING and before is not None
        if self.stage is Stage.CLEARING and record.errors == (before.errors if before is not None else 0):
            self._forget()
            return Want.NOTHING
        self._settle(record)
        return Want.KEEP if again else Want.TELL  # nobody is woken for one blip more within minutes

    def _settle(self, record: Record) -> None:
        record.resolved = True
        self.record = self._settled = record
        self.stage = Stage.SETTLED

    def _forget(self) -> None:
        self.record, self.stage = self._settled, Stage.SETTLED if self._settled is not None else Stage.QUIET

    # -- drills

    def _drill_began(self, began: DrillBegan, now: float, wall: float) -> Want:
        """A record of its own. It is told when it is over."""
        want = self._close(self.record) if self.record is not None and self._close_at is not None else Want.NOTHING
        if self.active:
            return want
        plan = began.plan
        self._origin, self._settled = now, None
        self.record = record = Record(id=name_of(self._primary, wall), began_unix=wall, bad_since=None)
        record.exercise = drilled.begun(plan)
        self.stage = Stage.OPEN
        self._keep_at = now + _KEEP_EVERY_S
        record.shift(0.0, self._side())
        record.tell(0.0, Happening.PERSON, f"began {plan.told}", who=plan.who or "a person")
        return max(want, Want.KEEP)

    def _drill_ended(self, record: Record, ended: DrillEnded, now: float) -> Want:
        if record.exercise is None or self.stage is not Stage.OPEN:
            return Want.NOTHING
        after = self.after(now)
        record.exercise = drilled.ended(record.exercise, ended)
        record.leave_backup(after)
        record.tell(after, Happening.RECOVERED, f"the drill is over: {ended.reason}")
        record.recovered = after
        self.stage, self._close_at, self._keep_at = Stage.CLOSING, now + _CLOSE_AFTER_S, None
        return self._close(record) if ended.earnest else Want.KEEP

    # -- evidence

    def _evidence(self, fact: Probed | Met, now: float) -> Want:
        if isinstance(fact, Probed) and fact.fact.target != PRIMARY:
            self._backup_probed(fact.fact, now)
            return Want.NOTHING
        record = self.record
        good = isinstance(fact, Probed) and not fact.fact.error
        if record is None or not self.active:
            if not good:
                self._before.bad(now, fact)
            elif isinstance(fact, Probed):
                self._before.answered(fact)
            return Want.NOTHING
        after = self.after(now)
        if isinstance(fact, Met):
            evidence.met(record, fact, after)
            return Want.NOTHING
        return self._probed(record, fact.fact, after, now)

    def _probed(self, record: Record, fact: ProbeFact, after: float, now: float) -> Want:
        evidence.probed(record, fact, after)
        drill = record.exercise is not None
        if not fact.error and self.stage is Stage.OPEN and self._verdict is Verdict.PRIMARY and not drill:
            # The proxy was off when it came back: there was no switch that could have told of it.
            return self._primary_serves(record, "it answered a probe when the proxy was started", after, now)
        return Want.NOTHING

    def _backup_probed(self, fact: ProbeFact, now: float) -> None:
        record = self.record
        good = not fact.error and record is not None and self.stage is Stage.OPEN
        if good and record is not None and record.switched is not None and record.first_backup_ok is None:
            record.first_backup_ok = self.after(now)

    # -- the others

    def _target_changed(self, change: TargetChanged, now: float) -> None:
        if change.usable:
            self._down.pop(change.target, None)
        else:
            self._down[change.target] = change.error.value if change.error is not None else ""
        record = self.record
        if record is None or not self.active:
            return
        record.backups_down = dict(self._down)
        text = f"{change.target} is usable again" if change.usable else f"{change.target} is down too"
        record.tell(self.after(now), Happening.BACKUP, text, change.reason)
        record.all_down = record.all_down or self._side() == "none"
        record.shift(self.after(now), self._side())

    def _network_changed(self, change: NetworkChanged, now: float) -> None:
        text = "nobody can be reached from here" if change.cut else "the network of this proxy is back"
        if self.record is not None and self.active:
            self.record.cut = self.record.cut or change.cut
        self._tell(now, Happening.NETWORK, text, change.reason)

    def _tell(self, now: float, what: Happening, text: str, evidence: str = "", who: str = "") -> None:
        if self.record is not None and self.active:
            self.record.tell(self.after(now), what, text, evidence, who)

    def _side(self) -> str:
        if self._verdict is Verdict.RAMP:
            return "ramp"
        if self._verdict is not Verdict.BACKUP:
            return "primary"
        return "none" if all(alias in self._down for alias in self._backups) else "backup"
