"""The life of an incident: from the first bad signal to the recovery, and open again when it fails soon after.

The law: facts come in with the time they happened at, and what is to be kept or told goes out. A suspicion is a draft:
it becomes an incident when the verdict is BACKUP, or when it clears but a user has seen an error; else it is forgotten.
A primary that fails again within 5 minutes of its recovery opens the same incident again.
"""

from __future__ import annotations

import hashlib
from collections import deque
from datetime import UTC, datetime
from enum import IntEnum, StrEnum
from typing import TYPE_CHECKING

from failover.core import evidence
from failover.core.document import Happening
from failover.core.events import (
    GoBack,
    NetworkChanged,
    ReadyToGoBack,
    ShareChanged,
    TargetChanged,
    VerdictChanged,
)
from failover.core.facts import Described, Fact, Met, Named, Probed, Seen, Usual
from failover.core.model import PRIMARY, Verdict
from failover.core.record import BEFORE_S, Record
from failover.core.words import lasting, nth

if TYPE_CHECKING:
    from failover.core.document import ProbeFact
    from failover.core.findings import NameFact

REOPENS_WITHIN_S = 300.0
_TELL_AFTER_S = 1.0
_CLOSE_AFTER_S = 1.5
_KEEP_EVERY_S = 2.0
_KEEP_SELDOM_S = 15.0
_LONG_S = 600.0
_PENDING_S = 3.0
_NAMES_S = 600.0
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
        self._down: dict[str, str] = {}
        # the time before
        self._before: ProbeFact | None = None
        self._latencies: deque[float] = deque(maxlen=20)
        self._usual: deque[tuple[float, int]] = deque(maxlen=120)
        self._names: deque[tuple[float, NameFact]] = deque(maxlen=10)
        self._pending: deque[tuple[float, Probed | Met]] = deque(maxlen=10)
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
                self._usual.append((now, requests))
            case TargetChanged():
                self._target_changed(fact, now)
            case Named(name):
                self._names.append((now, name))
                if self.record is not None and self.active:
                    evidence.named(self.record, name, self.after(now))
            case Described(certificate) if self.record is not None and self.active:
                self.record.certificate = certificate
            case ShareChanged(share):
                self._tell(now, Happening.RAMP, f"the primary is tried with {share} % of the visitors")
            case NetworkChanged():
                self._network_changed(fact, now)
            case ReadyToGoBack(reason):
                self._tell(
                    now, Happening.ANSWERING, "the primary is well and waits for a person to give it back", reason
                )
            case GoBack():
                self._tell(now, Happening.PERSON, "a person wants the primary to serve again")
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
        if settled is not None and settled.recovered is not None:
            if self.after(first_bad) - settled.recovered <= REOPENS_WITHIN_S:
                self.record = record = settled.copy()
                record.go_bad(self.after(first_bad))
                self.stage = Stage.DRAFT
                self._replay(first_bad)
                return want
            self._settled = None
        began_unix = wall - (now - first_bad)
        self._origin = first_bad
        self.record = record = Record(id=_name(self._primary, began_unix), began_unix=began_unix)
        self.stage = Stage.DRAFT
        record.before, record.latencies = self._before, tuple(self._latencies)
        record.backups_down = dict(self._down)
        record.shift(-BEFORE_S, "primary")
        if self._before is not None:
            record.phase(-BEFORE_S, "ok", self._before.status)
        for at, requests in self._usual:
            if -BEFORE_S <= self.after(at) < 0:
                record.flow(self.after(at), "primary", requests)
        for at, name in self._names:
            if now - at <= _NAMES_S:
                evidence.named(record, name, self.after(at))
        if change.error is not None:
            record.error, record.detail = change.error.value, change.detail
        self._replay(first_bad)
        return want

    def _replay(self, first_bad: float) -> None:
        """What came just before the verdict is what the verdict is about."""
        for at, fact in self._pending:
            if at >= first_bad - _PENDING_S:
                self._evidence(fact, max(at, first_bad))
        self._pending.clear()

    def _switched(self, record: Record, change: VerdictChanged, after: float, now: float) -> Want:
        if change.old is Verdict.RAMP:
            record.tell(after, Happening.RELAPSED, "the primary failed on its way back", change.reason)
            record.shift(after, self._side())
            return Want.KEEP
        if self.stage is Stage.DRAFT and record.resolved:
            record.resolved, record.recovered = False, None
            record.episode += 1
            record.tell(after, Happening.REOPENED, f"the primary fails again, for the {nth(record.episode)} time")
        record.detected = after if record.detected is None else record.detected
        record.switched = after if record.switched is None else record.switched
        record.go_to_backup(after)
        up = [alias for alias in self._backups if alias not in self._down]
        if up:
            name = "the backup" if up[0] == "backup" else up[0]
            record.tell(after, Happening.SWITCHED, f"switched to {name}", change.reason)
        else:
            record.all_down = True
            record.tell(after, Happening.SWITCHED, "the primary is down and so is every backup", change.reason)
        record.shift(after, self._side())
        first_word = self.stage is not Stage.OPEN
        self.stage = Stage.OPEN
        self._keep_at = now + _KEEP_EVERY_S
        self._close_at = None
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
        again = self.stage is Stage.CLEARING and self._settled is not None
        if self.stage is Stage.CLEARING and record.errors == (self._settled.errors if self._settled else 0):
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

    # -- evidence

    def _evidence(self, fact: Probed | Met, now: float) -> Want:
        if isinstance(fact, Probed) and fact.fact.target != PRIMARY:
            self._backup_probed(fact.fact, now)
            return Want.NOTHING
        record = self.record
        good = isinstance(fact, Probed) and not fact.fact.error
        if record is None or not self.active:
            if not good:
                self._pending.append((now, fact))
            elif isinstance(fact, Probed):
                self._before = fact.fact
                self._latencies.append(fact.latency)
            return Want.NOTHING
        after = self.after(now)
        if isinstance(fact, Met):
            evidence.met(record, fact, after)
            return Want.NOTHING
        return self._probed(record, fact.fact, after, now)

    def _probed(self, record: Record, fact: ProbeFact, after: float, now: float) -> Want:
        evidence.probed(record, fact, after)
        if not fact.error and self.stage is Stage.OPEN and self._verdict is Verdict.PRIMARY:
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

    def _tell(self, now: float, what: Happening, text: str, evidence: str = "") -> None:
        if self.record is not None and self.active:
            self.record.tell(self.after(now), what, text, evidence)

    def _side(self) -> str:
        if self._verdict is Verdict.RAMP:
            return "ramp"
        if self._verdict is not Verdict.BACKUP:
            return "primary"
        return "none" if all(alias in self._down for alias in self._backups) else "backup"


def _name(primary: str, began_unix: float) -> str:
    """A name that sorts by time, can be typed, and is hardly ever given twice."""
    began = datetime.fromtimestamp(began_unix, UTC)
    mark = hashlib.sha256(f"{primary} {began_unix:.6f}".encode()).hexdigest()[:3]
    return f"inc_{began:%Y%m%d_%H%M%S}_{mark}"
