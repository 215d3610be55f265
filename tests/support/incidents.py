# ruff: noqa: E501 - facts stand best in one line each
"""Incident documents to render: each as a real incident would be, all of them the same each time."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from failover.core.document import (
    Budget,
    Cause,
    Certificate,
    Confidence,
    Counts,
    Document,
    Durations,
    Entry,
    ErrorCount,
    Evidence,
    Exercise,
    Happening,
    Moments,
    PathCount,
    Phase,
    Place,
    ProbeFact,
    Recurrence,
    RequestFact,
    Severity,
    Shift,
    Status,
    Subject,
    Traffic,
)

BEGAN = datetime(2026, 11, 23, 14, 13, 20, tzinfo=UTC)


def at(seconds: float) -> datetime:
    return BEGAN + timedelta(seconds=seconds)


def entry(after: float, what: Happening, text: str, evidence: str = "", **more) -> Entry:
    return Entry(at=at(after), after=after, what=what, text=text, evidence=evidence, **more)


def probe(after: float, error: str = "", **more) -> ProbeFact:
    return ProbeFact(at=at(after), target="primary", error=error, address="203.0.113.10:443", **more)


_CERTIFICATE = Certificate(
    subject="myapp.com",
    issuer="R11, Let's Encrypt",
    names=("myapp.com", "www.myapp.com"),
    not_before=at(-30 * 86400),
    not_after=at(60 * 86400),
    sha256="9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
)
_BEFORE = probe(
    -2.0, status=200, took={"dns": 0.1, "tcp": 8.2, "tls": 12.9, "head": 18.4, "body": 0.3},
    headers={"Server": "gunicorn", "Content-Type": "text/html"}, length=5120, certificate=_CERTIFICATE,
)  # fmt: skip
_REFUSED = ErrorCount(
    error="connection_refused",
    sentence="refused connections",
    check="Is the process running, and does it listen on this port?",
    probes=47,
    requests=30,
)


def resolved() -> Document:
    """A crash, 15 minutes, a restart; three users saw it."""
    return Document(
        id="inc_20261123_141320_k3",
        status=Status.RESOLVED,
        severity=Severity.MAJOR,
        title="Primary refused connections",
        summary="Primary refused connections for 14 min 53 s; 18317 of 18342 requests did not notice, 3 failed.",
        primary=Place(alias="primary", url="https://myapp.com"),
        backups=(
            Place(alias="backup", url="https://myapp-backup.s3.amazonaws.com", kind="static"),
            Place(alias="backup-2", url="https://sorry.myapp.com"),
        ),
        moments=Moments(
            first_bad=at(0), detected=at(0.9), switched=at(0.9), first_backup_ok=at(0.4), primary_ok=at(892),
            recovered=at(894),
        ),
        updated=at(895),
        version="1.0.0",
        link="https://status.myapp.com/incidents/inc_20261123_141320_k3",
        durations=Durations(to_detect=0.9, to_switch=0.001, on_backup=893.1, outage=892.0),
        counts=Counts(
            total=18342, by_primary=0, by_backup=18290, rescued=27, held=24, delivered=2, failed=3, refused=22, clients=1204
        ),
        paths=(
            PathCount(path="/api/items/:id", requests=11204, rescued=20, failed=2),
            PathCount(path="/", requests=4391, rescued=7),
            PathCount(path="/api/cart", requests=812, failed=1, refused=22),
        ),
        statuses={"200": 18100, "304": 217, "502": 3, "503": 22},
        errors=(
            _REFUSED,
            ErrorCount(
                error="http_5xx",
                sentence="answered with a server error",
                check="Read the app's own log of this minute.",
                probes=5,
            ),
        ),
        cause=Cause(
            kind="process_gone",
            title="The app's process was gone and was started again",
            confidence=Confidence.HIGH,
            facts=(
                "47 of 47 probes and 30 of 30 requests were refused: nothing listened on 203.0.113.10:443",
                "the host itself answered",
                "refused, then 503, then 200: it was started again",
            ),
            check="Read the app's log and the memory of the machine at 14:13:20 UTC.",
        ),
        timeline=(
            entry(0, Happening.FAILING, "a request failed: primary refused connections", "GET /api/items/:id"),
            entry(0.1, Happening.SUSPECTED, "primary is suspected", "1 request failed"),
            entry(0.4, Happening.RESCUED, "the first request was rescued", "GET /api/items/:id, backup answered 200 in 88 ms"),
            entry(0.9, Happening.SWITCHED, "switched to the backup", "3 failures in a row, 2 of them probes"),
            entry(300, Happening.FAILING, "primary answered with a server error", "503, “server is starting”", times=5, until=at(320)),
            entry(600, Happening.NOTE, "rolled back v42", who="ada"),
            entry(892, Happening.ANSWERING, "primary answers probes again", "200 in 41 ms"),
            entry(892.5, Happening.RAMP, "the primary is tried with 5 % of the visitors"),
            entry(894, Happening.RECOVERED, "switched back to the primary", "it failed no visitor"),
        ),
        phases=(
            Phase(start=at(-60), end=at(0), state="ok", status=200, probes=30),
            Phase(start=at(0), end=at(300), state="connection_refused", probes=47),
            Phase(start=at(300), end=at(892), state="http_5xx", status=503, probes=5),
            Phase(start=at(892), end=at(894), state="ok", status=200, probes=2),
        ),
        shifts=(
            Shift(start=at(-60), end=at(0.9), side="primary"),
            Shift(start=at(0.9), end=at(892.5), side="backup"),
            Shift(start=at(892.5), end=at(894), side="ramp"),
        ),
        traffic=(
            Traffic(start=at(-60), seconds=30, primary=610),
            Traffic(start=at(-30), seconds=30, primary=590),
            Traffic(start=at(0), seconds=30, backup=570, rescued=27, failed=3),
            *(Traffic(start=at(30 * n), seconds=30, backup=560 + 37 * n % 100, refused=n % 3) for n in range(1, 30)),
        ),
        evidence=Evidence(
            before=_BEFORE,
            first=probe(0.1, "connection_refused", detail="connection refused", took={"dns": 0.1, "tcp": 0.4}),
            last=probe(893.9, status=200, took={"dns": 0.1, "tcp": 8.0, "tls": 12.0, "head": 20.6, "body": 0.2}),
            requests=(
                RequestFact(
                    at=at(0), method="GET", path="/api/items/7", error="connection_refused", answered_by="backup",
                    status=200, took=0.088,
                ),
                RequestFact(
                    at=at(0.2), method="POST", path="/api/cart", error="connection_terminated",
                    answered_by="failover", status=502, took=0.003,
                ),
            ),
            changed=("the length of the page: 5120 before, 187 in the incident",),
            body="server is starting",
        ),
        recurrence=Recurrence(incidents=3, same_cause=2, mean_outage=660.0, last_id="inc_20261111_030000_aa"),
        budget=Budget(slo=99.9, since=at(-30 * 86400), requests=6_412_000, failed=250, spent=0.0039, left=0.961),
        suggestions=(
            "This is the 3rd outage in 30 days that looks like a restart: restart without a gap, or run two of them.",
            "22 writes were turned away: send an Idempotency-Key with them, and the replica may answer.",
        ),
    )  # fmt: skip


def opened() -> Document:
    """The same, two seconds after the switch."""
    whole = resolved()
    return replace(
        whole,
        status=Status.OPEN,
        severity=Severity.MINOR,
        summary="Primary refuses connections; the backup answers, nobody has seen an error so far.",
        moments=Moments(first_bad=at(0), detected=at(0.9), switched=at(0.9), first_backup_ok=at(0.4)),
        updated=at(2.9),
        durations=Durations(to_detect=0.9, to_switch=0.001, on_backup=2.0, outage=2.9),
        counts=Counts(total=61, by_backup=34, rescued=27, clients=41),
        paths=whole.paths[:2],
        statuses={"200": 61},
        errors=(replace(_REFUSED, probes=7, requests=30),),
        cause=Cause(
            kind="process_gone",
            title="The app's process seems to be gone",
            confidence=Confidence.MEDIUM,
            facts=("7 of 7 probes and 30 of 30 requests were refused", "the host itself answered"),
            check="Is the app running? Read its log.",
        ),
        timeline=whole.timeline[:4],
        phases=(whole.phases[0], Phase(start=at(0), end=at(2.9), state="connection_refused", probes=7)),
        shifts=(whole.shifts[0], Shift(start=at(0.9), end=at(2.9), side="backup")),
        traffic=(*whole.traffic[:2], Traffic(start=at(0), seconds=1, backup=34, rescued=27)),
        evidence=replace(whole.evidence, last=whole.evidence.first, changed=(), body=""),
        suggestions=(),
    )


def sparse() -> Document:
    """As little as there can be: one bad signal, no traffic, no cause yet."""
    return Document(
        id="inc_20261123_141320_00",
        status=Status.OPEN,
        severity=Severity.MINOR,
        title="Primary failed",
        summary="Primary failed.",
        primary=Place(alias="primary", url="http://127.0.0.1:3000"),
        backups=(Place(alias="backup", url="http://127.0.0.1:3001"),),
        moments=Moments(first_bad=at(0)),
        updated=at(0),
    )


def both_down() -> Document:
    """The backup is down as well: everybody sees it."""
    begun = opened()
    return replace(
        begun,
        id="inc_20261123_141320_bd",
        severity=Severity.CRITICAL,
        title="Primary and backup are down",
        summary="Primary refuses connections and the backup is down too: 480 of 500 requests failed.",
        backups=tuple(replace(place, usable=False) for place in begun.backups),
        counts=Counts(total=500, by_backup=20, failed=480, clients=300),
        paths=(PathCount(path="/", requests=500, failed=480),),
        statuses={"200": 20, "503": 480},
        shifts=(begun.shifts[0], Shift(start=at(0.9), end=at(2.9), side="none")),
        traffic=(Traffic(start=at(0), seconds=1, backup=20, failed=480),),
    )


def own_network() -> Document:
    """Not the app: the network of the proxy itself."""
    return replace(
        sparse(),
        id="inc_20261123_141320_nw",
        status=Status.RESOLVED,
        severity=Severity.MAJOR,
        subject=Subject.NETWORK,
        title="The network of this proxy was cut",
        summary="Nobody could be reached from here for 12 s; 40 requests failed. Nothing was switched.",
        moments=Moments(first_bad=at(0), recovered=at(12)),
        updated=at(12),
        durations=Durations(outage=12.0),
        counts=Counts(total=40, failed=40, clients=9),
        cause=Cause(
            kind="own_network",
            title="The network of this proxy was cut",
            confidence=Confidence.HIGH,
            facts=("neither the primary nor a backup could be reached", "both came back in the same second"),
            check="Look at the network and the name servers of the machine that runs failover.",
        ),
    )


def hostile() -> Document:
    """Every text from outside is an attack on whoever renders it."""
    evil = (
        "</script><img src=x onerror=alert(1)> <!channel> <@U1> @everyone `*_~|[x](http://evil.example) \x1b[31m\u202e"
    )
    whole = resolved()
    return replace(
        whole,
        id="inc_20261123_141320_ev",
        title=f"Primary answered {evil}",
        summary=f"Primary answered {evil}.",
        primary=replace(whole.primary, url="http://myapp.example/a&b<c>"),
        paths=(PathCount(path=f"/{evil}", requests=5, failed=5),),
        cause=replace(whole.cause, title=evil, facts=(evil, evil + "\n# not a heading\n---"), check=evil),
        timeline=(
            entry(0, Happening.FAILING, evil, evil + "\n| a | b |"),
            entry(5, Happening.NOTE, evil * 40, who=evil),
        ),
        evidence=replace(whole.evidence, body=evil * 10, changed=(evil,)),
        suggestions=(evil,),
    )


def long() -> Document:
    """48 hours and 10,000 probes, with as much of everything as a document may hold."""
    whole = resolved()
    end = 48 * 3600.0
    states = ("connection_refused", "http_response_timeout", "http_5xx", "connection_timeout")
    step = end / 40
    return replace(
        whole,
        id="inc_20261121_141320_lg",
        moments=replace(whole.moments, primary_ok=at(end - 2), recovered=at(end)),
        updated=at(end),
        durations=Durations(to_detect=0.9, to_switch=0.001, on_backup=end - 0.9, outage=end - 2, unknown=4.0),
        counts=Counts(total=3_456_789, by_backup=3_456_000, rescued=527, held=240, delivered=2, failed=40, refused=222, clients=98765),
        paths=tuple(PathCount(path=f"/a/rather/long/path/number/{n}/:id", requests=90_000 - n, failed=n) for n in range(10)),
        statuses={str(status): 1000 + status for status in (200, 201, 204, 206, 301, 302, 304, 400, 404, 429, 500, 502, 503)},
        errors=tuple(replace(_REFUSED, error=state, probes=2500, requests=10) for state in states),
        timeline=(
            *whole.timeline[:4],
            *(
                entry(
                    60 + n * step, Happening.FAILING, f"primary {states[n % 4].replace('_', ' ')}", f"probe {n * 250}",
                    times=250, until=at(60 + (n + 1) * step),
                )
                for n in range(39)
            ),
            entry(end - 1000, Happening.MORE, "57 more entries were left out"),
            *(replace(one, at=at(end + one.after - 894), after=end + one.after - 894) for one in whole.timeline[-3:]),
        ),
        phases=tuple(
            Phase(start=at(n * step), end=at((n + 1) * step), state=states[n % 4], probes=250) for n in range(40)
        ),
        shifts=(whole.shifts[0], Shift(start=at(0.9), end=at(end), side="backup")),
        traffic=tuple(Traffic(start=at(n * 1440), seconds=1440, backup=28_000 + n, failed=n % 2) for n in range(120)),
    )  # fmt: skip


def drill() -> Document:
    """A full drill that did not pass: the backup looks different on two paths. It was asked by the shadow before."""
    return replace(
        sparse(),
        id="inc_20261123_141320_d1",
        status=Status.RESOLVED,
        severity=Severity.DRILL,
        title="Shadow drill: 2 of 41 answers differed between primary and backup",
        summary="The backup was asked 41 questions of users, 1 min planned: 2 of the answers differed. No user saw it.",
        moments=Moments(first_bad=at(0), recovered=at(60)),
        updated=at(62),
        cause=None,
        timeline=(
            entry(0, Happening.PERSON, "began a shadow drill of 60 s: the backup is asked what users ask", who="Ann"),
            entry(60, Happening.RECOVERED, "the drill is over: 2 of 41 answers differed between primary and backup"),
        ),
        exercise=Exercise(
            sort="shadow",
            planned=60.0,
            who="Ann",
            passed=False,
            reason="2 of 41 answers differed between primary and backup",
            compared=41,
            different=2,
            findings=(
                "/items/:id: the title is “Shop” on the primary and “Error” on the backup",
                "/about: the status is 200 on the primary and 404 on the backup",
            ),
        ),
        suggestions=("Look at both sides with failover check, and repeat the drill.",),
    )


ALL = {
    "drill": drill,
    "resolved": resolved,
    "opened": opened,
    "sparse": sparse,
    "both_down": both_down,
    "own_network": own_network,
    "hostile": hostile,
    "long": long,
}
