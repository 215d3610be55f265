"""From a record to the document: what happened, in numbers and in plain words. All of it is derived from the record."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from failover.core import drilled
from failover.core.advice import suggestions
from failover.core.cause import suspect
from failover.core.document import (
    Budget,
    Confidence,
    Counts,
    Document,
    Durations,
    Entry,
    ErrorCount,
    Evidence,
    Happening,
    Moments,
    PathCount,
    Phase,
    Place,
    Recurrence,
    Severity,
    Shift,
    Status,
    Subject,
    Traffic,
)
from failover.core.findings import Findings
from failover.core.model import PRIMARY, ErrorType
from failover.core.record import BEFORE_S, OUTCOMES
from failover.core.words import CHECK, SENTENCE, count, failing, lasting

if TYPE_CHECKING:
    from datetime import datetime

    from failover.core.document import Cause, ProbeFact
    from failover.core.record import PathTally, Record, Span

_MOST_PATHS = 10
_CRITICAL_PART = 0.01
_DEMONSTRATED = frozenset({"own_network", "both_down"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """What the record does not know: who the targets are, and what was before.

    `requests` and `failed` are of the time since `since`, at most 30 days, this incident included.
    """

    primary: Place
    backups: tuple[Place, ...]
    version: str
    slo: float
    link: str = ""
    recurrence: Recurrence = field(default_factory=Recurrence)
    since: datetime | None = None
    requests: int = 0
    failed: int = 0


def document(record: Record, now: float, setting: Setting) -> Document:
    """The incident as it is at the age `now`, in seconds."""
    end = record.recovered if record.resolved and record.recovered is not None else max(now, record.seen)
    counts = _counts(record)
    findings = _findings(record, end, setting)
    cause = suspect(findings) if record.exercise is None else None
    subject = Subject.NETWORK if record.cut and record.switched is None else Subject.PRIMARY
    told = Document(
        id=record.id,
        status=Status.RESOLVED if record.resolved else Status.OPEN,
        severity=_severity(record, counts),
        title=_title(record, cause),
        summary="",
        primary=setting.primary,
        backups=tuple(replace(place, usable=place.alias not in record.backups_down) for place in setting.backups),
        moments=_moments(record),
        updated=record.moment(max(now, record.seen)),
        version=setting.version,
        subject=subject,
        episode=record.episode,
        link=setting.link and f"{setting.link}/incidents/{record.id}",
        durations=_durations(record, end),
        counts=counts,
        paths=_paths(record)[:_MOST_PATHS],
        statuses={str(status): number for status, number in sorted(record.statuses.items())},
        errors=_errors(record),
        cause=cause,
        timeline=_timeline(record),
        phases=_phases(record, end),
        shifts=_shifts(record, end),
        traffic=_traffic(record),
        evidence=Evidence(
            before=record.before,
            first=record.first,
            last=record.last,
            requests=tuple(record.samples),
            changed=changes(record.before, record.first, record.last),
            body=record.body,
        ),
        recurrence=setting.recurrence,
        budget=_budget(counts, setting),
        exercise=record.exercise,
    )
    told = replace(told, summary=_summary(record, told))
    return replace(told, suggestions=suggestions(told) if told.exercise is None else drilled.advice(told.exercise))


# Numbers


def _counts(record: Record) -> Counts:
    of = record.outcomes.get
    return Counts(
        total=sum(record.outcomes.values()),
        by_primary=of("primary", 0),
        by_backup=of("backup", 0),
        rescued=of("rescued", 0),
        held=record.held,
        delivered=record.delivered,
        failed=of("failed", 0),
        refused=of("refused", 0),
        aborted=of("aborted", 0),
        clients=record.clients,
    )


def _severity(record: Record, counts: Counts) -> Severity:
    if record.exercise is not None:
        return Severity.DRILL
    nobody = record.all_down and record.switched is not None
    if nobody or counts.failed > counts.total * _CRITICAL_PART:
        return Severity.CRITICAL
    return Severity.MAJOR if counts.failed or counts.refused else Severity.MINOR


def _moments(record: Record) -> Moments:
    def moment(after: float | None) -> datetime | None:
        return None if after is None else record.moment(after)

    return Moments(
        first_bad=record.moment(0.0),
        detected=moment(record.detected),
        switched=moment(record.switched),
        first_backup_ok=moment(record.first_backup_ok),
        primary_ok=moment(record.primary_ok),
        recovered=moment(record.recovered) if record.resolved else None,
    )


def _durations(record: Record, end: float) -> Durations:
    on_backup = record.on_backup + (end - record.backup_since if record.backup_since is not None else 0.0)
    outage = record.outage + (end - record.bad_since if record.bad_since is not None else 0.0)
    return Durations(
        to_detect=_rounded(record.detected),
        to_switch=None if record.switched is None else _rounded(record.switched - (record.detected or 0.0)),
        on_backup=None if record.switched is None else _rounded(on_backup),
        outage=round(max(outage, 0.0), 3),
        unknown=round(record.unknown, 3),
    )


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(max(seconds, 0.0), 3)


def _paths(record: Record) -> tuple[PathCount, ...]:
    """Those that met trouble first, then by the number of requests."""

    def rank(item: tuple[str, PathTally]) -> tuple[int, int, str]:
        path, tally = item
        return (-tally.failed - tally.refused, -tally.requests, path)

    return tuple(
        PathCount(
            path=path,
            requests=tally.requests,
            rescued=tally.rescued,
            failed=tally.failed,
            refused=tally.refused,
        )
        for path, tally in sorted(record.paths.items(), key=rank)
    )


def _errors(record: Record) -> tuple[ErrorCount, ...]:
    kinds = {**record.probes, **record.requests}
    found = [
        ErrorCount(
            error=error,
            sentence=SENTENCE[ErrorType(error)],
            check=CHECK[ErrorType(error)],
            probes=record.probes.get(error, 0),
            requests=record.requests.get(error, 0),
        )
        for error in kinds
    ]
    return tuple(sorted(found, key=lambda one: (-one.probes - one.requests, one.error)))


def _budget(counts: Counts, setting: Setting) -> Budget | None:
    """None while nobody knows of any requests."""
    allowed = setting.requests * (1 - setting.slo / 100)
    if setting.since is None or not allowed:
        return None
    return Budget(
        slo=setting.slo,
        since=setting.since,
        requests=setting.requests,
        failed=setting.failed,
        spent=round(counts.failed / allowed, 4),
        left=round(max(1 - setting.failed / allowed, 0.0), 4),
    )


# Stories


def _timeline(record: Record) -> tuple[Entry, ...]:
    entries = [
        Entry(
            at=record.moment(line.after),
            after=round(line.after, 3),
            what=line.what,
            text=line.text,
            evidence=line.evidence,
            times=line.times,
            until=None if line.until is None else record.moment(line.until),
            who=line.who,
        )
        for line in record.lines
    ]
    if record.dropped:
        place = record.dropped_after
        left_out = entries[place - 1]
        text = f"{record.dropped} more entries were left out"
        entries.insert(place, replace(left_out, what=Happening.MORE, text=text, evidence="", times=1, until=None))
    return tuple(entries)


def _phases(record: Record, end: float) -> tuple[Phase, ...]:
    return tuple(
        Phase(
            start=record.moment(start),
            end=record.moment(until),
            state=span.state,
            status=span.status,
            probes=span.probes,
        )
        for span, start, until in _ends(record.phases, end)
    )


def _shifts(record: Record, end: float) -> tuple[Shift, ...]:
    return tuple(
        Shift(start=record.moment(start), end=record.moment(until), side=span.state)
        for span, start, until in _ends(record.shifts, end)
    )


def _ends(spans: list[Span], end: float) -> list[tuple[Span, float, float]]:
    """Each with its beginning and its end, which is where the next one begins."""
    starts = [span.start for span in spans] + [max(end, spans[-1].start if spans else end)]
    return [(span, starts[place], max(starts[place + 1], starts[place])) for place, span in enumerate(spans)]


def _traffic(record: Record) -> tuple[Traffic, ...]:
    """From the first request on, or from the first bad signal."""
    began = int(BEFORE_S / record.width)
    first = next((place for place, bucket in enumerate(record.buckets) if any(bucket)), began)
    first = min(first, began)
    return tuple(
        Traffic(
            start=record.moment(place * record.width - BEFORE_S),
            seconds=record.width,
            **dict(zip(OUTCOMES, bucket, strict=True)),
        )
        for place, bucket in enumerate(record.buckets)
        if place >= first
    )


# Words


def _title(record: Record, cause: Cause | None) -> str:
    if record.exercise is not None:
        return drilled.title(record.exercise)
    if cause is not None and (cause.confidence is not Confidence.LOW or cause.kind in _DEMONSTRATED):
        return cause.title
    return _failing(record)


def _failing(record: Record) -> str:
    told = failing(PRIMARY, ErrorType(record.error) if record.error else None, record.detail)
    return f"{told[:1].upper()}{told[1:]}"


def _summary(record: Record, told: Document) -> str:
    """Two sentences: what failed for how long, and what users saw of it."""
    counts = told.counts
    if told.exercise is not None:
        return drilled.summary(told.exercise, counts)
    if told.subject is Subject.NETWORK:
        what = f"Nobody could be reached from here for {lasting(told.durations.outage)}; nothing was switched."
    elif told.resolved:
        what = f"{_failing(record)}; it was down for {lasting(told.durations.outage)}."
    else:
        what = f"{_failing(record)}; it has been down for {lasting(told.durations.outage)}."
    if not counts.total:
        return f"{what} Nobody asked for anything meanwhile."
    errors = counts.failed + counts.refused
    seen = "nobody saw an error" if not errors else _errors_seen(counts)
    if not counts.hidden:
        return f"{what} {count(counts.total, 'request')} came meanwhile: {seen}."
    return f"{what} The backup answered {counts.hidden:,} of {counts.total:,} requests: {seen}."


def _errors_seen(counts: Counts) -> str:
    parts = [f"{counts.failed:,} failed"] if counts.failed else []
    if counts.refused:
        parts.append(
            f"{counts.refused:,} {'writes were' if counts.refused > 1 else 'write was'} told to come back later"
        )
    return ", ".join(parts)


def changes(before: ProbeFact | None, first: ProbeFact | None, last: ProbeFact | None) -> tuple[str, ...]:
    """What is different since the last good probe, in words."""
    if before is None:
        return ()
    now = next(
        (fact for fact in (first, last) if fact is not None and (fact.status or fact.certificate)), first or last
    )
    if now is None:
        return ()
    found = []
    if before.address and now.address and before.address != now.address:
        found.append(f"address: {before.address} before, {now.address} in the incident")
    for name in sorted({*before.headers, *now.headers} & {"Server", "Location", "Via", "X-Powered-By"}):
        old, new = before.headers.get(name, "none"), now.headers.get(name, "none")
        if now.status and old != new:
            found.append(f"{name}: {old} before, {new} in the incident")
    if now.status and before.status != now.status:
        found.append(f"status: {before.status} before, {now.status} in the incident")
    if now.status and before.length and before.length != now.length:
        found.append(f"length of the page: {before.length:,} bytes before, {now.length:,} in the incident")
    if before.certificate and now.certificate and before.certificate.sha256 != now.certificate.sha256:
        found.append(f"certificate: of {before.certificate.issuer} before, of {now.certificate.issuer} in the incident")
    return tuple(found)


# Evidence for the cause


def _findings(record: Record, end: float, setting: Setting) -> Findings:
    paths = _paths(record)
    failing_at = [path for path in paths if path.failed or path.rescued]
    healthy = [path for path in paths if record.paths[path.path].healthy and not (path.failed or path.rescued)]
    return Findings(
        probes=record.probes,
        requests=record.requests,
        statuses=record.error_statuses,
        good_probes=record.good_probes + (0 if record.probes else record.good_since),
        good_requests=sum(tally.healthy for tally in record.paths.values()),
        phases=tuple(phase for phase in _phases(record, end) if phase.start >= record.moment(0.0)),
        before=record.before,
        first=record.first,
        last=record.last,
        samples=tuple(record.samples),
        body=record.body,
        failing=tuple(failing_at),
        healthy=tuple(healthy),
        latencies=record.latencies,
        names=tuple(record.names),
        certificate=record.certificate,
        backups=len(setting.backups),
        backups_down=record.backups_down,
        network_cut=record.cut,
        resolved=record.resolved,
    )
