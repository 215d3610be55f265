"""What every message says, and in which order, before it is escaped. The labels are as old as the program: tools and
people look for them. A `width` is how many characters of a foreign text are taken.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from failover.core.document import Happening, Occasion, Severity, Subject
from failover.core.words import count, lasting, nth
from failover.reports.words import counted, headline, moment, number, percent, plain, times_of

if TYPE_CHECKING:
    from datetime import datetime

    from failover.core.document import Document, Entry, Place, Telling

TITLE = "Failover Incident Report"

RED, YELLOW, GREEN, GREY = "#e01e5a", "#ecb22e", "#2eb67d", "#868686"

_LINK = re.compile(r"https?://[^\s<>|\"'`\\^{}()\[\]]{1,480}", re.ASCII)
_BACKUPS = 3
_REASONS = 3


@dataclass(frozen=True, slots=True)
class Fact:
    """A label and what stands behind it. `raw`: an address, to be shown letter by letter. `at`: the moment that the
    text tells, for those who can show it in the reader's own time.
    """

    label: str
    text: str
    raw: bool = False
    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the timeline. Without `at` it says how many were left out. `clock` is in UTC."""

    text: str
    evidence: str = ""
    at: datetime | None = None
    clock: str = ""


def title(telling: Telling, width: int) -> str:
    test = "TEST: " if telling.occasion is Occasion.TEST else ""
    return plain(f"{test}{TITLE}: {headline(telling.document)}", max(min(width, 150), 60))


def notes(telling: Telling, width: int) -> tuple[str, ...]:
    """What has to be known before the rest is believed, a sentence each."""
    document = telling.document
    said = []
    if telling.occasion is Occasion.TEST:
        said.append("TEST: this is a sample, nothing has happened.")
    if document.severity is Severity.DRILL:
        said.append("DRILL: this was made on purpose, the app itself was well.")
    if document.episode > 1:
        said.append(f"REOPENED: {_subject(document)} failed for the {nth(document.episode)} time in this incident.")
    if telling.late:
        said.append(f"LATE: {plain(telling.late, width)}")
    if telling.resent:
        said.append("RESENT: an earlier try may have arrived as well.")
    return tuple(said)


def _subject(document: Document) -> str:
    return "the network of this proxy" if document.subject is Subject.NETWORK else "the primary"


def facts(telling: Telling, width: int) -> tuple[Fact, ...]:
    """Ten at most. Downtime hidden is the first number, what failed the second."""
    document, counts = telling.document, telling.document.counts
    at = happened(telling)
    said = [
        Fact("Event", telling.occasion.event),
        Fact("Severity", document.severity.value),
        Fact("Downtime hidden", counted(counts.hidden, "request")),
        Fact("Failed", f"{number(counts.failed)} of {number(counts.total)} ({percent(counts.failed, counts.total)})"),
        Fact("Timestamp", moment(at), at=at),
        Fact("Duration", duration(document)),
        Fact("Primary", _place(document.primary, width), raw=True),
        Fact("Backup", backups(document, width), raw=True),
    ]
    if counts.clients:
        said.append(Fact("Clients", number(counts.clients)))
    if document.budget:
        spent, left = percent(document.budget.spent, 1), percent(document.budget.left, 1)
        said.append(Fact("Error budget", f"{spent} spent by this, {left} left"))
    return tuple(said)


def happened(telling: Telling) -> datetime:
    """When that was which is told."""
    document, moments = telling.document, telling.document.moments
    if telling.occasion is Occasion.RESOLVED:
        return moments.recovered or document.updated
    if telling.occasion is Occasion.REOPENED:
        again = [entry.at for entry in document.timeline if entry.what is Happening.REOPENED]
        return again[-1] if again else document.updated
    if telling.occasion is Occasion.TEST:
        return document.updated
    return moments.switched or moments.detected or moments.first_bad


def duration(document: Document) -> str:
    """How long somebody else served, or how long it was out if nobody did. `14 min 53 s (893 s)`."""
    on_backup, outage = document.durations.on_backup, document.durations.outage
    seconds = outage if on_backup is None else on_backup
    whole = f" ({number(round(seconds))} s)" if round(seconds) >= 120 else ""
    return lasting(seconds) + whole + ("" if document.resolved else " so far")


def backups(document: Document, width: int) -> str:
    shown = [_place(place, width) for place in document.backups[:_BACKUPS]]
    more = len(document.backups) - len(shown)
    return ", ".join(shown) + (f" and {more} more" if more else "") or "none"


def _place(place: Place, width: int) -> str:
    where = plain(place.url, width) or plain(place.alias, width) or "unknown"
    return where + ("" if place.usable else " (down)")


def details(document: Document, width: int) -> str:
    """What happened, and how soon it was seen, in a few sentences."""
    took = document.durations
    said = [plain(document.summary, width)]
    if took.to_detect is not None:
        switched = "" if took.to_switch is None else f", switched {lasting(took.to_switch)} later"
        said.append(f"Detected in {lasting(took.to_detect)}{switched}.")
    if took.unknown:
        said.append(f"The proxy was off for {lasting(took.unknown)}: what happened then is unknown.")
    if document.recurrence.incidents:
        again = document.recurrence
        same = f", {again.same_cause} of them with the same cause" if again.same_cause else ""
        said.append(f"{count(again.incidents, 'earlier incident')} in {count(again.days, 'day')}{same}.")
    return " ".join(one for one in said if one)


def cause(document: Document, width: int) -> tuple[Fact, ...]:
    """What probably happened, what that rests on, and what to look at first. Nothing, while nothing is suspected."""
    suspected = document.cause
    if suspected is None:
        return ()
    named = plain(suspected.title, width) or plain(suspected.kind, width) or "unknown"
    reasons = [plain(fact, width) for fact in suspected.facts[:_REASONS]]
    said = (
        Fact(f"Suspected cause ({suspected.confidence.value} confidence)", named),
        Fact("Because", "; ".join(filter(None, reasons))),
        Fact("Check", plain(suspected.check, width)),
    )
    return tuple(fact for fact in said if fact.text)


def advice(document: Document, width: int) -> tuple[str, ...]:
    """What may be done so that it does not come again: for when it is over."""
    shown = document.suggestions[:2] if document.resolved else ()
    return tuple(filter(None, (plain(one, width) for one in shown)))


def timeline(document: Document, width: int) -> tuple[Line, ...]:
    """Twelve lines at most, six where they are narrow: the beginning and the end, and how many are between them."""
    entries, most = document.timeline, 12 if width >= 80 else 6
    if len(entries) <= most:
        return tuple(_line(document, entry, width) for entry in entries)
    head, tail = entries[: most // 2], entries[len(entries) - (most - 1 - most // 2) :]
    left_out = Line(f"… {number(len(entries) - len(head) - len(tail))} more entries …")
    return (
        *(_line(document, entry, width) for entry in head),
        left_out,
        *(_line(document, entry, width) for entry in tail),
    )


def _line(document: Document, entry: Entry, width: int) -> Line:
    text, who = plain(entry.text, width) or entry.what.value, plain(entry.who, min(width, 40))
    if who:
        text = f"{who}: {text}" if entry.what is Happening.NOTE else f"{text} (by {who})"
    if entry.times > 1:
        text += f" ({number(entry.times)} times"
        text += f", until {times_of(document)(entry.until)})" if entry.until else ")"
    return Line(text, plain(entry.evidence, width), entry.at, times_of(document)(entry.at))


def link(document: Document) -> str:
    """Where the whole report is, or nothing: a link that some form could not hold unharmed is none."""
    return document.link if _LINK.fullmatch(document.link) else ""


def command(document: Document) -> str:
    return f"failover incidents show {name(document)}"


def name(document: Document) -> str:
    """The incident's id, as it is shown."""
    return plain(document.id, 64)


def color(telling: Telling) -> str:
    """`#rrggbb`: green is over, yellow came again, red is open."""
    if telling.occasion is Occasion.TEST:
        return GREY
    if telling.document.resolved:
        return GREEN
    return YELLOW if telling.document.episode > 1 else RED
