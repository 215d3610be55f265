"""What one incident has left behind so far. Bounded, however long it is: what is alike is folded, too much is thinned.

The law: all times are seconds since the first bad signal, measured without the wall clock; `began_unix` alone ties
them to it. A record is plain values, so that it outlives its process.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from failover.core.document import Certificate, Exercise, Happening, ProbeFact, RequestFact  # noqa: TC001 - its reader reads them
from failover.core.findings import NameFact  # noqa: TC001 - as above

BEFORE_S = 60.0
"""How much of the time before the incident is kept with it, in seconds."""

_MOST_LINES, _FIRST_LINES = 60, 20
_MOST_SPANS = 40
_MOST_BUCKETS = 120
_MOST_PATHS = 200
_MOST_SAMPLES = 5
_MOST_NAMES = 10
_OTHER_PATHS = "(other paths)"

OUTCOMES = ("primary", "backup", "rescued", "failed", "refused")
"""How a request may end, in the order in which the buckets of traffic count it; `aborted` is none of them."""


@dataclass(slots=True)
class Line:
    """An entry of the timeline; `until` is when the last of `times` alike ones came."""

    after: float
    what: Happening
    text: str
    evidence: str = ""
    times: int = 1
    until: float | None = None
    who: str = ""


@dataclass(slots=True)
class Span:
    """A time in which something was the same: who served, or how the primary looked to probes."""

    start: float
    state: str
    status: int = 0
    probes: int = 0


@dataclass(slots=True)
class PathTally:
    """`healthy` were answered well by the primary, first try or not."""

    requests: int = 0
    rescued: int = 0
    failed: int = 0
    refused: int = 0
    healthy: int = 0


@dataclass(slots=True, kw_only=True)
class Record:
    """See above. `seen` is the age at which something was last written here. `began_monotonic` is when it began on the
    clock of that `boot` of the machine, for who goes on with it while the wall clock may have been set.
    """

    id: str
    began_unix: float
    boot: str = ""
    began_monotonic: float = 0.0
    resolved: bool = False
    exercise: Exercise | None = None
    episode: int = 1
    seen: float = 0.0
    # moments
    detected: float | None = None
    switched: float | None = None
    first_backup_ok: float | None = None
    primary_ok: float | None = None
    recovered: float | None = None
    # durations of what is over, and when the present one began
    on_backup: float = 0.0
    backup_since: float | None = None
    outage: float = 0.0
    bad_since: float | None = 0.0
    unknown: float = 0.0
    # what it was
    error: str = ""
    detail: str = ""
    cut: bool = False
    all_down: bool = False
    backups_down: dict[str, str] = field(default_factory=dict)
    # evidence
    probes: dict[str, int] = field(default_factory=dict)
    requests: dict[str, int] = field(default_factory=dict)
    error_statuses: dict[int, int] = field(default_factory=dict)
    good_probes: int = 0  # between bad ones; those since the last bad one may be the recovery
    good_since: int = 0
    before: ProbeFact | None = None
    first: ProbeFact | None = None
    last: ProbeFact | None = None
    latencies: tuple[float, ...] = ()
    samples: list[RequestFact] = field(default_factory=list)
    names: list[NameFact] = field(default_factory=list)
    certificate: Certificate | None = None
    body: str = ""
    # counts
    outcomes: dict[str, int] = field(default_factory=dict)
    held: int = 0
    delivered: int = 0
    clients: int = 0
    statuses: dict[int, int] = field(default_factory=dict)
    paths: dict[str, PathTally] = field(default_factory=dict)
    # stories
    lines: list[Line] = field(default_factory=list)
    dropped: int = 0
    phases: list[Span] = field(default_factory=list)
    shifts: list[Span] = field(default_factory=list)
    width: float = 1.0
    buckets: list[list[int]] = field(default_factory=list)

    def moment(self, after: float) -> datetime:
        """A time of this record on the wall clock, to the millisecond."""
        return datetime.fromtimestamp(round(self.began_unix + after, 3), UTC)

    @property
    def errors(self) -> int:
        """How many requests ended in an error that a user saw."""
        return self.outcomes.get("failed", 0) + self.outcomes.get("refused", 0)

    # -- stories

    def tell(self, after: float, what: Happening, text: str, evidence: str = "", who: str = "") -> None:
        """One more line of the timeline. What was said in the line before is folded into it."""
        last = self.lines[-1] if self.lines else None
        if last is not None and (last.what, last.text, last.who) == (what, text, who):
            last.times += 1
            last.until = after
            return
        self.lines.append(Line(after, what, text, evidence, who=who))
        if len(self.lines) > _MOST_LINES:
            del self.lines[_FIRST_LINES]
            self.dropped += 1

    @property
    def dropped_after(self) -> int:
        """Behind how many lines the dropped ones were."""
        return _FIRST_LINES

    def shift(self, after: float, side: str) -> None:
        """From now on this side serves."""
        if not self.shifts or self.shifts[-1].state != side:
            self.shifts.append(Span(after, side))
            _thin(self.shifts)

    def phase(self, after: float, state: str, status: int) -> bool:
        """A probe showed the primary like this. True when that is new."""
        new = not self.phases or (self.phases[-1].state, self.phases[-1].status) != (state, status)
        if new:
            self.phases.append(Span(after, state, status))
            _thin(self.phases)
        self.phases[-1].probes += 1
        return new

    # -- evidence

    def sample(self, request: RequestFact) -> None:
        if len(self.samples) < _MOST_SAMPLES:
            self.samples.append(request)

    def named(self, name: NameFact) -> None:
        self.names.append(name)
        del self.names[:-_MOST_NAMES]

    # -- counts

    def count(self, outcome: str, path: str, status: int, number: int, *, ramp: bool = False) -> None:
        """`ramp`: what the primary answers well by now speaks for its recovery, not against its failure."""
        self.outcomes[outcome] = self.outcomes.get(outcome, 0) + number
        if outcome == "aborted":
            return
        if status:
            self.statuses[status] = self.statuses.get(status, 0) + number
        if path not in self.paths and len(self.paths) >= _MOST_PATHS:
            path = _OTHER_PATHS
        tally = self.paths.setdefault(path, PathTally())
        tally.requests += number
        if outcome == "primary":
            tally.healthy += 0 if ramp else number
        elif outcome != "backup":
            setattr(tally, outcome, getattr(tally, outcome) + number)

    def flow(self, after: float, outcome: str, number: int) -> None:
        """Add to the traffic of that second; the seconds grow with the incident, so that there are never many."""
        while (place := int((max(after, -BEFORE_S) + BEFORE_S) / self.width)) >= _MOST_BUCKETS:
            self.width *= 2
            merged = [self.buckets[n : n + 2] for n in range(0, len(self.buckets), 2)]
            self.buckets = [[sum(both) for both in zip(*pair, strict=True)] for pair in merged]
        while len(self.buckets) <= place:
            self.buckets.append([0] * len(OUTCOMES))
        self.buckets[place][OUTCOMES.index(outcome)] += number

    # -- the course of it

    def go_bad(self, after: float) -> None:
        self.primary_ok = None
        if self.bad_since is None:
            self.bad_since = after

    def go_good(self, after: float) -> None:
        if self.bad_since is not None:
            self.outage += after - self.bad_since
            self.bad_since = None
        self.primary_ok = after

    def go_to_backup(self, after: float) -> None:
        if self.backup_since is None:
            self.backup_since = after

    def leave_backup(self, after: float) -> None:
        if self.backup_since is not None:
            self.on_backup += after - self.backup_since
            self.backup_since = None

    def copy(self) -> Record:
        """Another one with the same content: what is written there is not written here."""
        return replace(
            self,
            backups_down=dict(self.backups_down),
            probes=dict(self.probes),
            requests=dict(self.requests),
            error_statuses=dict(self.error_statuses),
            samples=list(self.samples),
            names=list(self.names),
            outcomes=dict(self.outcomes),
            statuses=dict(self.statuses),
            paths={path: replace(tally) for path, tally in self.paths.items()},
            lines=[replace(line) for line in self.lines],
            phases=[replace(span) for span in self.phases],
            shifts=[replace(span) for span in self.shifts],
            buckets=[list(bucket) for bucket in self.buckets],
        )


def name_of(primary: str, began_unix: float) -> str:
    """A name that sorts by time, can be typed, and is hardly ever given twice."""
    began = datetime.fromtimestamp(began_unix, UTC)
    mark = hashlib.sha256(f"{primary} {began_unix:.6f}".encode()).hexdigest()[:3]
    return f"inc_{began:%Y%m%d_%H%M%S}_{mark}"


def _thin(spans: list[Span]) -> None:
    """Of too many spans the shortest one in the middle goes into the one before it."""
    if len(spans) <= _MOST_SPANS:
        return
    place = min(range(1, len(spans) - 1), key=lambda n: spans[n + 1].start - spans[n].start)
    spans[place - 1].probes += spans[place].probes
    del spans[place]
