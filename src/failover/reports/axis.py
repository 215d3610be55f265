"""From moments and rates to places on a chart, and where ticks stand: sums alone, nothing is drawn here."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from failover.core.document import Document, Phase, Shift

_MINUTE, _HOUR, _DAY = 60, 3600, 86400
_STEPS = (
    *(1, 2, 5, 10, 15, 30),
    *(n * _MINUTE for n in (1, 2, 5, 10, 15, 30)),
    *(n * _HOUR for n in (1, 2, 3, 6, 12)),
    *(n * _DAY for n in (1, 2, 7, 14, 28, 56, 112, 365)),
)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LEAST = timedelta(seconds=10)


@dataclass(frozen=True, slots=True)
class Span:
    """A time from `start` to `end`, laid from `left` to `right`. It is never empty."""

    start: datetime
    end: datetime
    left: float
    right: float

    def x(self, at: datetime) -> float:
        """Where a moment lies; what is outside lies on the edge."""
        share = (at - self.start) / (self.end - self.start)
        return self.left + min(max(share, 0.0), 1.0) * (self.right - self.left)

    def ticks(self, most: int = 8) -> Iterator[tuple[datetime, str]]:
        """Round moments, `most` or fewer, each as it is written: a day where one begins, seconds where they matter."""
        seconds = (self.end - self.start).total_seconds()
        step = next(
            (one for one in _STEPS if seconds / one <= most), _STEPS[-1] * math.ceil(seconds / _STEPS[-1] / most)
        )
        number = math.ceil((self.start - _EPOCH).total_seconds() / step)
        while (at := _EPOCH + timedelta(seconds=number * step)) <= self.end:
            midnight = at.hour == at.minute == at.second == 0
            yield at, f"{at:%Y-%m-%d}" if midnight else f"{at:%H:%M}" if step % _MINUTE == 0 else f"{at:%H:%M:%S}"
            number += 1


def span(document: Document, left: float, right: float) -> Span:
    """All that is known of the incident, and some seconds around it if that is next to nothing."""
    moments = document.moments
    bands: list[Phase | Shift] = [*document.phases, *document.shifts]
    starts = [moments.first_bad, *(one.start for one in bands), *(one.start for one in document.traffic)]
    ends = [
        moments.recovered if document.resolved and moments.recovered else document.updated,
        moments.first_bad,
        *(one.end for one in bands),
        *(one.start + timedelta(seconds=one.seconds) for one in document.traffic),
    ]
    start, end = min(starts), max(ends)
    missing = max(_LEAST - (end - start), timedelta())
    return Span(start - missing / 2, end + missing / 2, left, right)


def rounded_up(value: float) -> float:
    """The next number that reads well on a scale: 1, 2 or 5 times a power of ten. Of nothing: 1."""
    if value <= 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(value))
    return next(n * power for n in (1, 2, 5, 10) if n * power >= value * 0.999)
