"""What the answer of a destination means. Pure.

Destinations that differ from this say so in their own files, and ask here for the rest.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime


class Then(StrEnum):
    """What to do about a message that was not taken."""

    RETRY = "retry"
    PLAINER = "plainer"  # the form was refused: one rung down, at once
    DOUBTFUL = "doubtful"  # an error that may mean the form: as RETRY once, then as PLAINER
    BROKEN = "broken"  # nobody listens there any more, or we may not speak: a person must look
    REFUSED = "refused"  # final as well, and not the channel's fault


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back. Names of headers are in lower case, `body` is its beginning."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """`reason` is ours, in words, without a secret; `words` the destination's own. `after`: seconds that it asked for.

    `unsure`: it may have arrived all the same. `everywhere`: all channels of this format are asked to wait.
    """

    then: Then
    reason: str
    words: str = ""
    after: float | None = None
    unsure: bool = False
    everywhere: bool = False

    @property
    def told(self) -> str:
        return f"{self.reason}: {self.words}" if self.words else self.reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """It was taken. `remote` is what the destination calls the message, where it can be changed. `pause`: seconds that
    the destination wants to have nothing. `words`: what it said that was not expected.
    """

    remote: str = ""
    pause: float = 0.0
    words: str = ""


class Refusal(Exception):
    """It was not taken, and this is what that means."""

    def __init__(self, verdict: Verdict) -> None:
        super().__init__(verdict.told)
        self.verdict = verdict


_RETRY = frozenset({408, 425, 429})
_FORM = frozenset({400, 413, 422})
_BROKEN = frozenset({401, 403, 404, 410})


def judge(answer: Answer) -> Verdict | None:
    """None: it was taken. 5xx and those that ask for patience are tried again, a refused form is made plainer."""
    status, reason = answer.status, f"answered {answer.status}"
    if 200 <= status < 300:
        return None
    if status in _RETRY or status >= 500:
        return Verdict(then=Then.RETRY, reason=reason, words=answer.body, after=retry_after(answer))
    if status in _FORM:
        return Verdict(then=Then.PLAINER, reason=reason, words=answer.body)
    if status in _BROKEN:
        return Verdict(then=Then.BROKEN, reason=reason, words=answer.body)
    if 300 <= status < 400:
        reason = f"answered {status}, a redirect, which is not followed: give the address it leads to"
    return Verdict(then=Then.REFUSED, reason=reason, words=answer.body)


def retry_after(answer: Answer) -> float | None:
    """Seconds that were asked for, or None. A date (RFC 9110 10.2.3) is measured by the answer's own clock."""
    asked = answer.headers.get("retry-after", "").strip()
    if (seconds := number(asked)) is not None:
        return seconds
    until, now = _date(asked), _date(answer.headers.get("date", ""))
    return max((until - now).total_seconds(), 0.0) if until and now else None


def number(value: object) -> float | None:
    """A number of seconds from outside, or None for what is none."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    try:
        seconds = float(value)
    except (ValueError, OverflowError):
        return None
    return seconds if 0 <= seconds < float("inf") else None


def _date(text: str) -> datetime | None:
    try:
        found = parsedate_to_datetime(text)
    except (TypeError, ValueError, OverflowError):
        return None
    return found if found.tzinfo is not None else None
