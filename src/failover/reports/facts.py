"""What the long forms all say, as plain texts: each escapes them for itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from failover.core.words import count, lasting
from failover.reports.words import counted, moment, number, percent, plain

if TYPE_CHECKING:
    from collections.abc import Iterator

    from failover.core.document import Document, PathCount, ProbeFact

_PHASES = {"dns": "name", "tcp": "TCP", "tls": "TLS", "head": "first byte", "body": "body"}


def durations(told: Document) -> Iterator[tuple[str, str]]:
    """Each number with the name that it is defined by."""
    spans = told.durations
    going_on = "" if told.resolved else " so far"
    if spans.to_detect is not None:
        yield "time to detect", lasting(spans.to_detect)
    if spans.to_switch is not None:
        yield "time to switch", lasting(spans.to_switch)
    if spans.on_backup is not None:
        yield "on the backup", f"{lasting(spans.on_backup)}{going_on}"
    yield "outage", f"{lasting(spans.outage)}{going_on}"
    if spans.unknown:
        yield "unknown", f"{lasting(spans.unknown)}, in which the proxy was off"


def exercise_facts(told: Document) -> Iterator[tuple[str, str]]:
    """What a drill was, and how it went; nothing for an incident."""
    drill = told.exercise
    if drill is None:
        return
    yield "sort", f"{drill.percent} % of the visitors" if drill.sort == "percent" else plain(drill.sort)
    yield "who", plain(drill.who, 80) or "somebody"
    yield "planned", lasting(drill.planned)
    if drill.passed is not None:
        yield "passed", "yes" if drill.passed else "no"
        yield "it ended because", plain(drill.reason, 200)
    if drill.compared:
        yield "answers compared", f"{number(drill.compared)}, of which {number(drill.different)} differed"


def findings(told: Document) -> list[str]:
    """What differed between the sides, a sentence each with the path."""
    return [] if told.exercise is None else [plain(found, 300) for found in told.exercise.findings]


def impact_table(told: Document) -> list[tuple[str, str]]:
    """The counts, the two that matter most first."""
    counts = told.counts
    rows = [
        ("Downtime hidden", number(counts.hidden)),
        ("Failed", f"{number(counts.failed)} ({percent(counts.failed, counts.total)})"),
        ("Requests", number(counts.total)),
        ("Served by the backup", number(counts.by_backup)),
        ("Rescued", number(counts.rescued)),
        ("Served by the primary", number(counts.by_primary)),
        ("Writes held", f"{number(counts.held)}, {number(counts.delivered)} of them delivered"),
        ("Refused", number(counts.refused)),
        ("Left by the client", number(counts.aborted)),
        ("Clients", number(counts.clients)),
    ]
    return rows[:3] + [(label, value) for label, value in rows[3:] if not value.startswith("0")]


def path_facts(path: PathCount) -> str:
    """`11,204 requests, 20 rescued, 2 failed`."""
    tallies = (("rescued", path.rescued), ("failed", path.failed), ("refused", path.refused))
    return counted(path.requests, "request") + "".join(f", {number(value)} {what}" for what, value in tallies if value)


def error_facts(told: Document) -> Iterator[tuple[str, str, str]]:
    """Each way in which the primary failed: its type, how often it was met and what it means, what to check."""
    for error in told.errors:
        met = " and ".join(
            count(value, what) for value, what in ((error.probes, "probe"), (error.requests, "request")) if value
        )
        yield error.error, f"it {plain(error.sentence)} ({met})", plain(error.check)


def probe_facts(told: Document) -> Iterator[str]:
    """The last good probe before, the first bad one, and the newest."""
    evidence = told.evidence
    for when, probe in (("last good probe before", evidence.before), ("first bad probe", evidence.first)):
        if probe is not None:
            yield f"{when}: {_probe(probe)}"
    if evidence.last is not None and evidence.last != evidence.first:
        yield f"newest probe: {_probe(evidence.last)}"
    for request in evidence.requests:
        status = f" with {request.status}" if request.status else ", cut"
        answered = f"answered by {plain(request.answered_by, 40)}{status} after {lasting(request.took)}"
        yield f"{plain(request.method, 20)} {plain(request.path, 100)} met {plain(request.error, 40)}, {answered}"


def _probe(probe: ProbeFact) -> str:
    parts = [moment(probe.at), plain(probe.address, 60), plain(probe.error, 40), plain(probe.detail, 120)]
    parts += [f"status {probe.status}"] if probe.status else []
    parts += [f"{_PHASES.get(phase, phase)} {took:g} ms" for phase, took in probe.took.items()]
    parts += [f"{plain(name, 40)}: {plain(value, 80)}" for name, value in sorted(probe.headers.items())]
    certificate = probe.certificate
    if certificate is not None:
        until = f" until {moment(certificate.not_after)}" if certificate.not_after else ""
        issue = f" ({plain(certificate.issue, 80)})" if certificate.issue else ""
        parts.append(f"certificate of {plain(certificate.issuer, 80)}{until}{issue}")
    return ", ".join(part for part in parts if part)


def recurrence(told: Document) -> str:
    past = told.recurrence
    if not past.incidents:
        return f"the first incident in {past.days} days"
    mean = f", {lasting(past.mean_outage)} long on average" if past.mean_outage is not None else ""
    last = f", the last one was {plain(past.last_id, 60)}" if past.last_id else ""
    alike = f"{past.same_cause} of them with the same cause"
    return f"{count(past.incidents, 'incident')} in the {past.days} days before{mean}, {alike}{last}"


def budget(told: Document) -> Iterator[str]:
    found = told.budget
    if found is None:
        return
    yield (
        f"error budget ({found.slo:g} % of {number(found.requests)} requests since {found.since:%Y-%m-%d}): "
        f"this incident used {found.spent * 100:.3g} %, {found.left * 100:.3g} % is left"
    )


def worth_noting(told: Document) -> Iterator[tuple[str, str]]:
    """What went well, what went wrong and what was luck, as far as numbers tell."""
    counts, spans = told.counts, told.durations
    answered = counts.total - counts.failed - counts.refused - counts.aborted
    if counts.total:
        yield "Well", f"{percent(answered, counts.total)} of the requests were answered"
    if spans.to_detect is not None and spans.to_detect < 1:
        yield "Well", f"it was noticed within {lasting(spans.to_detect)}"
    if counts.delivered:
        yield (
            "Well",
            f"{count(counts.delivered, 'write')} waited and {'was' if counts.delivered == 1 else 'were'} delivered",
        )
    if counts.failed:
        yield "Wrong", f"{count(counts.failed, 'request')} failed"
    if counts.refused:
        yield "Wrong", f"{count(counts.refused, 'write')} had to be refused"
    if any(not place.usable for place in told.backups):
        yield "Wrong", f"down as well: {', '.join(place.alias for place in told.backups if not place.usable)}"
    if told.durations.unknown:
        yield "Wrong", f"the proxy itself was off for {lasting(told.durations.unknown)}"
    if told.episode > 1:
        yield "Wrong", f"it failed {told.episode} times"
    if not counts.total:
        yield "Lucky", "nobody asked for anything meanwhile"
    elif counts.total < 10:
        yield "Lucky", f"only {count(counts.total, 'request')} came meanwhile"


def human_prompts() -> tuple[str, ...]:
    """What a machine cannot know."""
    return ("Root cause", "Contributing factors", "What we learned", "Owner", "Ticket")
