"""The incident that `failover notify test` sends: it never was, and says so."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from failover import __version__
from failover.core.document import (
    Cause,
    Confidence,
    Counts,
    Document,
    Durations,
    Entry,
    Happening,
    Moments,
    PathCount,
    Phase,
    Place,
    Severity,
    Shift,
    Status,
    Traffic,
)

if TYPE_CHECKING:
    from failover.core.model import Target


def sample(primary: Target, backups: tuple[Target, ...], now: datetime) -> Document:
    """A crash of half a minute that nobody noticed, a minute ago."""
    began = now - timedelta(seconds=60)

    def at(seconds: float) -> datetime:
        return began + timedelta(seconds=seconds)

    def entry(after: float, what: Happening, text: str) -> Entry:
        return Entry(at=at(after), after=after, what=what, text=text)

    return Document(
        id=f"test_{began:%Y%m%d_%H%M%S}",
        status=Status.RESOLVED,
        severity=Severity.DRILL,
        title="This is a test: nothing has happened",
        summary="This is a test of the way that incidents take. The primary is well, as far as this message knows.",
        primary=Place(alias=primary.alias, url=primary.url),
        backups=tuple(Place(alias=one.alias, url=one.url, kind=one.kind.value) for one in backups),
        moments=Moments(
            first_bad=at(0), detected=at(0.1), switched=at(0.1), first_backup_ok=at(0.1), primary_ok=at(30),
            recovered=at(38),
        ),
        updated=now,
        version=__version__,
        durations=Durations(to_detect=0.1, to_switch=0.0, on_backup=37.9, outage=30.0),
        counts=Counts(total=420, by_backup=414, rescued=6, clients=17),
        paths=(PathCount(path="/", requests=420, rescued=6),),
        cause=Cause(
            kind="test",
            title="Somebody wanted to know whether messages arrive",
            confidence=Confidence.HIGH,
            facts=("failover notify test was called",),
        ),
        timeline=(
            entry(0.0, Happening.FAILING, "a request failed: primary refused connections"),
            entry(0.1, Happening.SWITCHED, "switched to the backup"),
            entry(30.0, Happening.ANSWERING, "primary answers probes"),
            entry(38.0, Happening.RECOVERED, "the primary serves everybody again"),
        ),
        phases=(
            Phase(start=at(0), end=at(30), state="connection_refused", probes=60),
            Phase(start=at(30), end=at(38), state="ok", status=200, probes=8),
        ),
        shifts=(
            Shift(start=at(0), end=at(0.1), side="primary"),
            Shift(start=at(0.1), end=at(30.5), side="backup"),
            Shift(start=at(30.5), end=at(38), side="ramp"),
        ),
        traffic=(
            Traffic(start=at(0), seconds=19, backup=204, rescued=6),
            Traffic(start=at(19), seconds=19, backup=210),
        ),
    )  # fmt: skip
