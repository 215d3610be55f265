"""An incident for a terminal: 100 columns, no colours, and nothing foreign that could move the cursor."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

from failover.core.words import count, lasting
from failover.reports.facts import (
    budget,
    durations,
    error_facts,
    exercise_facts,
    findings,
    human_prompts,
    path_facts,
    probe_facts,
    recurrence,
    worth_noting,
)
from failover.reports.words import headline, impact, moment, number, plain, times_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from datetime import datetime

    from failover.core.document import Document, Entry

_COLUMNS = 100
_INDENT = "  "


def render(document: Document) -> str:
    """The whole of it, for `failover incidents show`."""
    return "\n".join(_lines(document)).rstrip() + "\n"


def _lines(told: Document) -> Iterator[str]:
    yield from _wrapped(headline(told))
    yield from _wrapped(impact(told))
    yield ""
    yield from _table(
        [
            ("id", plain(told.id)),
            ("status", f"{told.status}, {told.severity}"),
            ("began", moment(told.moments.first_bad)),
            *([("over", moment(told.moments.recovered))] if told.moments.recovered else []),
            ("primary", plain(told.primary.url)),
            *((place.alias, f"{plain(place.url)}{'' if place.usable else ', down'}") for place in told.backups),
            *durations(told),
            ("requests", f"{number(told.counts.total)} of {count(told.counts.clients, 'client')}"),
        ]
    )
    yield from _section("Summary", _wrapped(plain(told.summary)))
    yield from _section("The drill", _table(list(exercise_facts(told))))
    yield from _section("What differed", _listed(findings(told)))
    if told.cause is not None:
        cause = told.cause
        yield from _section("Suspected cause", _wrapped(f"{plain(cause.title)} ({cause.confidence} confidence)"))
        yield from _listed(map(plain, cause.facts))
        if cause.check:
            yield from _wrapped(f"Check: {plain(cause.check)}", _INDENT)
    yield from _section("Timeline (UTC)", (line for entry in told.timeline for line in _entry(entry, times_of(told))))
    yield from _section("Most affected", _table([(plain(one.path, 80), path_facts(one)) for one in told.paths]))
    yield from _section(
        "How the primary failed", _listed(f"{error}: {met}. {check}" for error, met, check in error_facts(told))
    )
    yield from _section("Evidence", _listed([*probe_facts(told), *map(plain, told.evidence.changed)]))
    if told.evidence.body:
        rows = (f"{_INDENT}| {plain(row, _COLUMNS - 4)}" for row in told.evidence.body.splitlines())
        yield from _section("The error page began", rows)
    yield from _section("Before", _listed([recurrence(told), *budget(told)]))
    yield from _section("Well, wrong, lucky", _listed(f"{kind}: {text}" for kind, text in worth_noting(told)))
    yield from _section("What could be done", _listed(map(plain, told.suggestions)))
    if told.resolved:
        yield from _section("For people", _listed(f"{prompt}: …" for prompt in human_prompts()))


def _section(title: str, rows: Iterable[str]) -> Iterator[str]:
    """Nothing at all where there is nothing to say."""
    rows = list(rows)
    if rows:
        yield from ("", title, *rows)


def _entry(entry: Entry, time: Callable[[datetime], str]) -> Iterator[str]:
    times = f" ({entry.times} times{f', until {time(entry.until)}' if entry.until else ''})" if entry.times > 1 else ""
    who = f"{plain(entry.who, 40)}: " if entry.who else ""
    evidence = f" [{plain(entry.evidence, 160)}]" if entry.evidence else ""
    head = f"{_INDENT}{time(entry.at)}  +{lasting(entry.after) if entry.after >= 0 else '0 ms':<12}  "
    text = f"{who}{plain(entry.text, 400)}{times}{evidence}"
    yield from textwrap.wrap(text, _COLUMNS, initial_indent=head, subsequent_indent=" " * len(head)) or [head.rstrip()]


def _table(rows: list[tuple[str, str]]) -> Iterator[str]:
    width = max((len(label) for label, _ in rows), default=0)
    for label, value in rows:
        yield f"{_INDENT}{label:<{width}}  {value}"


def _listed(texts: Iterable[str]) -> Iterator[str]:
    for text in filter(None, texts):
        yield from textwrap.wrap(text, _COLUMNS, initial_indent=f"{_INDENT}- ", subsequent_indent=f"{_INDENT}  ")


def _wrapped(text: str, indent: str = "") -> list[str]:
    return textwrap.wrap(text, _COLUMNS, initial_indent=indent, subsequent_indent=indent)
