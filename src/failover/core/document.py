"""The incident document, `failover.incident/v1`: all that is known of one incident, as plain values.

It is the only source: whatever is shown or sent is a pure rendering of it, and its JSON is these types written out.
Moments are UTC, to the millisecond. Durations are seconds, sizes are counts. A text may hold words from outside (an
error page, a header): who renders it escapes it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime  # noqa: TC003 - read at run time by who writes and reads the JSON
from enum import IntEnum, StrEnum

SCHEMA = "failover.incident/v1"


class Status(StrEnum):
    OPEN = "open"
    RESOLVED = "resolved"


class Severity(StrEnum):
    """`critical`: the backup is down too, or more than 1 % failed. `major`: some user saw an error. `minor`: none."""

    CRITICAL = "critical"
    MAJOR = "major"
    MINOR = "minor"
    DRILL = "drill"


class Subject(StrEnum):
    """Whose incident it is: the app's, or that of the network of this proxy."""

    PRIMARY = "primary"
    NETWORK = "network"


class Confidence(StrEnum):
    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"


class Happening(StrEnum):
    """What an entry of the timeline is about."""

    FAILING = "failing"  # the primary's first bad signal, and each new way in which it fails
    SUSPECTED = "suspected"
    SWITCHED = "switched"
    RESCUED = "rescued"  # the first request that was answered by somebody else
    FAILED = "failed"  # the first request whose user saw an error
    BACKUP = "backup"  # a backup went down or came back
    ANSWERING = "answering"  # the primary answers probes again
    RAMP = "ramp"
    RELAPSED = "relapsed"
    RECOVERED = "recovered"
    REOPENED = "reopened"
    NAME = "name"  # a name resolves no more, again, or to other addresses
    NETWORK = "network"
    GAP = "gap"  # the proxy was off: what happened then is unknown
    PERSON = "person"  # a person did something
    NOTE = "note"  # a person wrote something
    MORE = "more"  # entries that were left out


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A target, without credentials and query."""

    alias: str
    url: str
    kind: str = "replica"
    usable: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Moments:
    """`first_bad`: first bad signal. `detected`: the threshold was reached. `switched`: new requests go to the backup.
    `first_backup_ok`: first good answer of a backup. `primary_ok`: first good probe of the primary since it went bad
    for the last time. `recovered`: the primary serves everybody again.
    """

    first_bad: datetime
    detected: datetime | None = None
    switched: datetime | None = None
    first_backup_ok: datetime | None = None
    primary_ok: datetime | None = None
    recovered: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Durations:
    """Differences of the moments, measured without the wall clock. In an open incident `on_backup` and `outage` run on.

    `unknown` is how long the proxy itself was off.
    """

    to_detect: float | None = None
    to_switch: float | None = None
    on_backup: float | None = None
    outage: float = 0.0
    unknown: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """Requests while the primary was in doubt or down.

    `by_primary` and `by_backup` were answered there at the first try, `rescued` by another target after the first one
    failed. `held` waited for somebody who can take a write, and `delivered` of them found one. `failed`: the client got
    an error of ours, a gateway error, or a cut answer. `refused`: writes told to come back. `aborted`: the client left.
    `clients` is how many different ones there were; no address is kept.
    """

    total: int = 0
    by_primary: int = 0
    by_backup: int = 0
    rescued: int = 0
    held: int = 0
    delivered: int = 0
    failed: int = 0
    refused: int = 0
    aborted: int = 0
    clients: int = 0

    @property
    def hidden(self) -> int:
        """Requests in which the downtime was not seen: served by the backup, or rescued."""
        return self.by_backup + self.rescued


@dataclass(frozen=True, slots=True, kw_only=True)
class PathCount:
    """Requests of one path, ids in it folded to `:id`, without a query."""

    path: str
    requests: int
    rescued: int = 0
    failed: int = 0
    refused: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorCount:
    """One way in which the primary failed, how often probes and requests met it, and what it means in plain words."""

    error: str
    sentence: str
    check: str
    probes: int = 0
    requests: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One line of the timeline. `after` is seconds since `first_bad`, `evidence` the fact that it rests on.

    `times` and `until` tell of entries that were folded into one.
    """

    at: datetime
    after: float
    what: Happening
    text: str
    evidence: str = ""
    times: int = 1
    until: datetime | None = None
    who: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Phase:
    """A time in which the primary looked the same to probes: `ok`, or an error type. `status` 0: no answer."""

    start: datetime
    end: datetime
    state: str
    status: int = 0
    probes: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Shift:
    """Who served from `start` to `end`: `primary`, `backup`, `ramp` (both), `none`, `unknown` (the proxy was off)."""

    start: datetime
    end: datetime
    side: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Traffic:
    """Requests in the `seconds` from `start`, by outcome. The first minute is from before the incident."""

    start: datetime
    seconds: float
    primary: int = 0
    backup: int = 0
    rescued: int = 0
    failed: int = 0
    refused: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """What a target's certificate says. `issue` is why it was not accepted, if it was not."""

    subject: str = ""
    issuer: str = ""
    names: tuple[str, ...] = ()
    not_before: datetime | None = None
    not_after: datetime | None = None
    sha256: str = ""
    issue: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeFact:
    """One probe. `took` is milliseconds by phase: `dns`, `tcp`, `tls`, `head`, `body`. `error` is empty for a good one.

    `headers` are those that tell of a platform or a plan; `body` is the beginning of an error page, secrets masked.
    """

    at: datetime
    target: str
    error: str = ""
    detail: str = ""
    status: int = 0
    took: dict[str, float] = field(default_factory=dict)
    address: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    body: str = ""
    length: int = 0
    certificate: Certificate | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestFact:
    """One of the first requests that met the failure. `answered_by` is a target's alias, or `failover`: ourselves."""

    at: datetime
    method: str
    path: str
    error: str
    detail: str = ""
    answered_by: str = ""
    status: int = 0
    took: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What the suspected cause rests on. `before` is the last good probe of the primary, `first` the first bad one,
    `last` the newest one; `changed` says in words what is different between before and after.
    """

    before: ProbeFact | None = None
    first: ProbeFact | None = None
    last: ProbeFact | None = None
    requests: tuple[RequestFact, ...] = ()
    changed: tuple[str, ...] = ()
    body: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cause:
    """What probably happened, never called the root cause. `check` is what to look at first."""

    kind: str
    title: str
    confidence: Confidence
    facts: tuple[str, ...] = ()
    check: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recurrence:
    """Earlier incidents of the last `days`, without this one. `mean_outage` is seconds."""

    days: int = 30
    incidents: int = 0
    same_cause: int = 0
    mean_outage: float | None = None
    last_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """The error budget: of `requests` since `since`, at most 30 days, a share of 1 - `slo` may fail.

    `spent` is the part of the budget that this incident used, `left` what is left of it after all; 1.0 is the whole.
    """

    slo: float
    since: datetime
    requests: int
    failed: int
    spent: float
    left: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Exercise:
    """What a drill was: its sort (`shadow`, `percent`, `full`), who wanted it and for how long, in seconds; and how it
    went. `passed` is None while it runs. `findings` are differences between the sides, each with the path.
    """

    sort: str
    planned: float
    percent: int = 0
    who: str = ""
    passed: bool | None = None
    reason: str = ""
    compared: int = 0
    different: int = 0
    findings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """One incident. `title` and `summary` say it in one line and in one sentence each.

    `episode` is 1, and one more each time that the primary failed again within minutes of its recovery.
    """

    id: str
    status: Status
    severity: Severity
    title: str
    summary: str
    primary: Place
    backups: tuple[Place, ...]
    moments: Moments
    updated: datetime
    schema: str = SCHEMA
    version: str = ""
    subject: Subject = Subject.PRIMARY
    episode: int = 1
    link: str = ""
    durations: Durations = Durations()
    counts: Counts = Counts()
    paths: tuple[PathCount, ...] = ()
    statuses: dict[str, int] = field(default_factory=dict)
    errors: tuple[ErrorCount, ...] = ()
    cause: Cause | None = None
    timeline: tuple[Entry, ...] = ()
    phases: tuple[Phase, ...] = ()
    shifts: tuple[Shift, ...] = ()
    traffic: tuple[Traffic, ...] = ()
    evidence: Evidence = Evidence()
    recurrence: Recurrence = Recurrence()
    budget: Budget | None = None
    suggestions: tuple[str, ...] = ()
    exercise: Exercise | None = None

    @property
    def resolved(self) -> bool:
        return self.status is Status.RESOLVED


class Occasion(StrEnum):
    """Why somebody is told of an incident."""

    OPENED = "incident.opened"
    UPDATED = "incident.updated"
    REOPENED = "incident.reopened"
    RESOLVED = "incident.resolved"
    TEST = "notification.test"

    @property
    def event(self) -> str:
        """The word that the messages have had for it from the beginning."""
        if self is Occasion.TEST:
            return "TEST"
        return "RECOVERY" if self is Occasion.RESOLVED else "FAILOVER"


class Rung(IntEnum):
    """How rich a message is: one step down each time that a destination refuses the form of it."""

    RICH = 0
    SAFE = 1
    LINE = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Telling:
    """One message to be written. `late` says why it comes later than it should, in a sentence, or nothing.

    `resent`: an earlier try may have arrived, nobody knows.
    """

    occasion: Occasion
    document: Document
    rung: Rung = Rung.RICH
    late: str = ""
    resent: bool = False
