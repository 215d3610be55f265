"""What the rules of a suspected cause look at: the findings, counted, and the words to tell them in. Pure."""

from __future__ import annotations

import math
import re
from statistics import median
from typing import TYPE_CHECKING

from failover.core.document import Cause, Confidence
from failover.core.error_pages import recognise
from failover.core.model import ErrorType
from failover.core.words import CHECK, SENTENCE, lasting

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from failover.core.document import ProbeFact
    from failover.core.findings import Findings

_ERRORS = frozenset(ErrorType)
_MOST_WEIGHT = 20
_LEVELS = (Confidence.LOW, Confidence.MEDIUM, Confidence.HIGH)
_TENSE = re.compile(r"\{([^|{}]*)\|([^|{}]*)\}")
_LONGEST_TITLE, _LONGEST_TEXT, _MOST_FACTS = 100, 300, 8


class Scene:
    """The findings, counted. `page` is the bad answer that says most, `whose` who wrote it if not the app."""

    def __init__(self, findings: Findings) -> None:
        self.findings = findings
        self.bad_probes = sum(findings.probes.values())
        self.bad_requests = sum(findings.requests.values())
        self.page = _most_telling(findings.last, findings.first)
        self.status = self.page.status if self.page is not None else _usual_status(findings)
        self.headers = self.page.headers if self.page is not None else {}
        self.body = (self.page.body if self.page is not None else "") or findings.body
        self.whose = recognise(self.status, self.headers, self.body)
        self.text = self.body.lower()

    # -- counting

    def probes(self, errors: Iterable[str]) -> int:
        return sum(self.findings.probes.get(error, 0) for error in errors)

    def requests(self, errors: Iterable[str]) -> int:
        return sum(self.findings.requests.get(error, 0) for error in errors)

    def mostly(self, errors: Iterable[str]) -> bool:
        """Whether at least half of the evidence is of these errors; probes and requests weigh alike."""
        errors = tuple(errors)
        of_probes, of_requests = min(self.bad_probes, _MOST_WEIGHT), min(self.bad_requests, _MOST_WEIGHT)
        weight = of_probes + of_requests
        if weight <= 0:
            return False
        share = 0.0
        if self.bad_probes > 0:
            share += of_probes * self.probes(errors) / self.bad_probes
        if self.bad_requests > 0:
            share += of_requests * self.requests(errors) / self.bad_requests
        return share >= weight / 2

    def main_error(self) -> str:
        """The error that was met most often, by probes if they met any."""
        counted = self.findings.probes if self.bad_probes > 0 else self.findings.requests
        return max(counted, key=lambda error: counted[error], default="")

    def statuses(self) -> dict[int, int]:
        """The error answers of the primary by status, most of them first."""
        counted = dict(self.findings.statuses)
        if not counted and self.status:
            counted[self.status] = self.bad_probes
        return dict(sorted(counted.items(), key=lambda one: -one[1]))

    @property
    def down_for(self) -> float:
        """Seconds from the first bad phase to the end of the last one."""
        bad = [phase for phase in self.findings.phases if phase.state != "ok"]
        return (bad[-1].end - bad[0].start).total_seconds() if bad else math.inf

    @property
    def began(self) -> datetime | None:
        return self.findings.first.at if self.findings.first is not None else None

    @property
    def ramp(self) -> tuple[float, float] | None:
        """How long the last good probes took, at first and at last, if they took longer and longer."""
        took = self.findings.latencies
        if len(took) < 5:
            return None
        early, late = median(took[: len(took) // 2]), median(took[-2:])
        return (early, late) if late >= 0.2 and late >= 3 * early else None

    # -- words

    def say(self, template: str) -> str:
        """The template in the tense that is right: `{is|was}`. Nothing from outside may be in it."""
        return _TENSE.sub(lambda found: found[2 if self.findings.resolved else 1], template)

    def counted(self, errors: Iterable[str], what: str) -> tuple[str, ...]:
        """`47 of 47 probes were refused`, and the same of requests, where there were any."""
        errors = tuple(errors)
        all_probes = self.bad_probes + max(self.findings.good_probes, 0)
        told = (
            _counted(self.probes(errors), all_probes, "probes", what),
            _counted(self.requests(errors), self.bad_requests, "failed requests", what),
        )
        return tuple(one for one in told if one)

    def by_status(self) -> str:
        """How often each status was answered, as a fact, or nothing."""
        told = [f"{status} ({times} times)" for status, times in list(self.statuses().items())[:4]]
        return f"its answers: {', '.join(told)}" if told else ""

    def retry_after(self) -> str:
        value = self.headers.get("Retry-After", "")
        return f"it asks to come back: Retry-After {value}" if value else ""

    def detail(self, errors: Iterable[str]) -> str:
        """What was said of the first of these errors, in the words of the system or a library."""
        errors = tuple(errors)
        facts = (self.findings.first, self.findings.last, *self.findings.samples)
        return next((fact.detail for fact in facts if fact is not None and fact.error in errors and fact.detail), "")

    def quoted(self) -> str:
        """The first words of the error page, as a fact, or nothing."""
        words = " ".join(self.body.split())
        return f"its page says: {shortened(words, 160)}" if words else ""

    def cause(
        self, kind: str, title: str, errors: Iterable[str], facts: Iterable[str], check: str, *, sure: int = 0
    ) -> Cause:
        """The cause, its texts bounded. `sure` is 1 for evidence that decides it, -1 for what only points at it."""
        whole = [short for fact in facts if (short := shortened(fact, _LONGEST_TEXT))]
        return Cause(
            kind=kind,
            title=shortened(title, _LONGEST_TITLE),
            confidence=self._confidence(tuple(errors), sure),
            facts=tuple(whole[:_MOST_FACTS]),
            check=shortened(check, _LONGEST_TEXT),
        )

    def _confidence(self, errors: tuple[str, ...], sure: int) -> Confidence:
        """High: probes and requests agree, and there are enough of them. Each doubt takes a step.

        Evidence that decides makes up for there being little of it, but not for evidence against it.
        """
        probes, requests = self.probes(errors), self.requests(errors)
        against = (
            self.bad_probes > 0 and probes < 0.8 * self.bad_probes,
            self.bad_requests > 0 and requests < 0.8 * self.bad_requests,
            self.findings.good_probes > self.bad_probes > 0,
        )
        few = (
            probes + requests < 3,
            not (self.bad_probes > 0 and self.bad_requests > 0) and probes + requests < 5,
        )
        level = 2 + min(sure, 0) - sum(against) - max(sum(few) - max(sure, 0), 0)
        return _LEVELS[min(max(level, 0), 2)]


def _most_telling(*facts: ProbeFact | None) -> ProbeFact | None:
    """The newest bad answer, one with a page before one without."""
    answers = [fact for fact in facts if fact is not None and fact.error and fact.status]
    return next((fact for fact in answers if fact.body), answers[0] if answers else None)


def _usual_status(findings: Findings) -> int:
    """The error answered most often, or the one of the last phase that had one: when no bad answer was kept."""
    if findings.statuses:
        return max(findings.statuses, key=lambda status: findings.statuses[status])
    return next((phase.status for phase in reversed(findings.phases) if phase.state != "ok" and phase.status), 0)


def _counted(number: int, of: int, whose: str, what: str) -> str:
    if number <= 0:
        return ""
    if of == 1:
        return f"the only one of the {whose} was {what}"
    return f"{number} of {of} {whose} {'was' if number == 1 else 'were'} {what}"


def shortened(text: str, longest: int) -> str:
    """One line of printable text, cut with a mark. Words from outside may be anything."""
    text = " ".join("".join(one if one.isprintable() else " " for one in text).split())
    return text if len(text) <= longest else text[: longest - 1].rstrip() + "…"


def span(seconds: float) -> str:
    return lasting(seconds) if math.isfinite(seconds) else "a long time"


def moment(at: datetime) -> str:
    return at.strftime("%Y-%m-%d %H:%M:%S UTC")


def did(error: str) -> str:
    """What the target did, to be read after its name."""
    return SENTENCE[ErrorType(error)] if error in _ERRORS else "failed"


def to_check(error: str) -> str:
    return CHECK[ErrorType(error)] if error in _ERRORS else ""


def few(names: tuple[str, ...]) -> str:
    return ", ".join(names[:4]) + (f" and {len(names) - 4} more" if len(names) > 4 else "")
