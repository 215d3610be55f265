"""Numbers, moments and foreign texts as all forms say them. Nothing here is escaped for a form: that form does it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING
from unicodedata import category

from failover.core.document import Severity
from failover.core.words import count, lasting

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from failover.core.document import Document


def number(value: int) -> str:
    """`18,342`."""
    return f"{value:,}"


def percent(part: float, whole: float) -> str:
    """`0.016 %`, `99.98 %`: two digits that tell, and never all or nothing when it is not. Of nothing: `0 %`."""
    share = 100 * part / whole if whole else 0.0
    from_edge = min(abs(share), abs(100 - share))
    if not from_edge:
        return f"{share:.0f} %"
    if from_edge < 0.001:
        return "under 0.001 %" if share < 50 else "over 99.999 %"
    digits = max(0, 1 - math.floor(math.log10(from_edge)))
    written = f"{share:.{digits}f}"
    return (written.rstrip("0").rstrip(".") if digits else written) + " %"


def moment(at: datetime) -> str:
    """`2026-11-23 14:13:20.0 UTC`. What is not yet a tenth of a second is cut off."""
    return f"{at:%Y-%m-%d} {clock(at)} UTC"


def clock(at: datetime) -> str:
    """`14:13:20.0`, in UTC, for a place that has said so."""
    return f"{at:%H:%M:%S}.{at.microsecond // 100_000}"


def times_of(document: Document) -> Callable[[datetime], str]:
    """How a time in this incident is written: with its day where there is more than one."""
    return clock if spans_one_day(document) else lambda at: f"{at:%m-%d} {clock(at)}"


def spans_one_day(document: Document) -> bool:
    """Notes of people, which may come later, included."""
    first = document.moments.first_bad
    return max(document.updated, first, *(entry.at for entry in document.timeline)).date() == first.date()


def headline(document: Document) -> str:
    """The title, and how long it was: `Primary refused connections, 14 min 53 s on the backup`."""
    if document.exercise is not None:
        return plain(document.title, 160)
    drill = "Drill: " if document.severity is Severity.DRILL else ""
    again = f" (time {document.episode} in a row)" if document.episode > 1 else ""
    return f"{drill}{plain(document.title, 120)}{again}, {_how_long(document)}"


def _how_long(document: Document) -> str:
    on_backup, outage = document.durations.on_backup, document.durations.outage
    if on_backup is not None:
        return f"{lasting(on_backup)} on the backup" + ("" if document.resolved else " so far")
    if document.resolved:
        return f"{lasting(outage)} long"
    return f"since {clock(document.moments.first_bad)} UTC"


def impact(document: Document) -> str:
    """What users saw, in one line: the downtime that was hidden first, what failed second."""
    counts = document.counts
    if not counts.total:
        return "No request came meanwhile: nobody saw it."
    what = "Downtime hidden from" if document.exercise is None else "The backup answered"
    hidden = f"{what} {counted(counts.hidden, 'request')}"
    if counts.by_backup and counts.rescued:
        hidden += f" ({number(counts.by_backup)} served by the backup, {number(counts.rescued)} rescued)"
    failed = (
        f"{number(counts.failed)} failed ({percent(counts.failed, counts.total)})" if counts.failed else "none failed"
    )
    refused = f", {number(counts.refused)} refused" if counts.refused else ""
    return f"{hidden}; {failed}{refused}."


def counted(value: int, noun: str) -> str:
    """`1 request`, `18,342 requests`."""
    return count(value, noun).replace(str(value), number(value), 1)


def plain(text: str, longest: int | None = None) -> str:
    """A foreign text as one line without anything invisible: no control characters, no marks that turn the direction.

    With more than `longest` characters it is cut, and ends in an ellipsis.
    """
    line = " ".join("".join(_visible(sign) for sign in text).split())
    if longest is None or len(line) <= longest:
        return line
    return line[: max(longest - 1, 0)].rstrip() + "…"


def _visible(sign: str) -> str:
    if sign.isspace():
        return " "
    kind = category(sign)
    if kind == "Cs":
        return "\ufffd"  # half of a pair, which no encoding can write
    return "" if kind in {"Cc", "Cf", "Zl", "Zp"} else sign
