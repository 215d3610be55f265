"""The post-mortem as Markdown: what a machine can know is written, what a person must add stays visible.

Foreign text keeps its meaning and loses its markup: no link, no HTML, no heading, no column of a table comes of it.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from failover.core.document import Severity
from failover.core.words import lasting
from failover.reports.facts import (
    budget,
    durations,
    error_facts,
    exercise_facts,
    findings,
    human_prompts,
    impact_table,
    path_facts,
    probe_facts,
    recurrence,
    worth_noting,
)
from failover.reports.words import headline, impact, plain, times_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from datetime import datetime

    from failover.core.document import Document, Entry

_MARKUP = re.compile(r"([\\`*\[\]<>|~&$]|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])|^[#+=-]|:(?=//))")
_NUMBERED = re.compile(r"^(\d+)([.)])(?= )")  # what would begin a list
_LONGEST = 400


def render(document: Document) -> str:
    return "\n".join(_lines(document)).rstrip() + "\n"


def escaped(text: str) -> str:
    """Foreign text on one line, with a backslash before every sign that Markdown may read there. Nobody is called."""
    text = _MARKUP.sub(r"\\\1", plain(text)).replace("@", "@\u2060")
    return _NUMBERED.sub(r"\1\\\2", text)


def _lines(told: Document) -> Iterator[str]:
    yield from _front_matter(told)
    yield f"# {escaped(headline(told))}"
    yield ""
    if told.severity is Severity.DRILL:
        yield from ("> This was a drill.", "")
    yield f"**{escaped(impact(told))}**"
    yield ""
    yield escaped(told.summary)
    yield ""
    yield f"![Who served, how the primary looked, and the requests]({told.id}.svg)"
    yield from _section("The drill", _table(("What", "How"), [(k, escaped(v)) for k, v in exercise_facts(told)]))
    yield from _section("What differed", _listed(map(escaped, findings(told))))
    yield from _section("Impact", _table(("What", "How much"), impact_table(told)))
    yield from _section(
        "Most affected", _table(("Path", "Requests"), [(escaped(one.path), path_facts(one)) for one in told.paths])
    )
    yield from _section("Timeline (UTC)", _table(("Time", "After", "What", "Evidence"), _entries(told)))
    if told.cause is not None:
        title = f"Suspected cause ({told.cause.confidence} confidence)"
        check = [f"**Check:** {escaped(told.cause.check)}", ""] if told.cause.check else []
        rows = [f"**{escaped(told.cause.title)}**", "", *check, *_listed(map(escaped, told.cause.facts))]
        yield from _section(title, rows)
    failed = (f"`{error}`: {escaped(met)}. {escaped(check)}" for error, met, check in error_facts(told))
    yield from _section("How the primary failed", _listed(failed))
    yield from _section("Evidence", _listed(map(escaped, [*probe_facts(told), *told.evidence.changed])))
    yield from _section("The error page began", _quoted(told.evidence.body))
    yield from _section("Detection and recovery", _table(("What", "How long"), durations(told)))
    yield from _section("Before", _listed(map(escaped, [recurrence(told), *budget(told)])))
    noted = (f"**{kind}:** {escaped(text)}" for kind, text in worth_noting(told))
    yield from _section("What went well, what went wrong, what was luck", _listed(noted))
    yield from _section("Suggested actions", (f"- [ ] {escaped(text)}" for text in told.suggestions))
    yield from _section(
        "For people", (row for prompt in human_prompts() for row in (f"**{prompt}:** _to be written_", ""))
    )


def _front_matter(told: Document) -> Iterator[str]:
    yield "---"
    yield f"id: {told.id}"
    yield f"status: {told.status}  # a draft, written by failover {plain(told.version, 20)}"
    yield f"severity: {told.severity}"
    yield f"started: {told.moments.first_bad.isoformat()}"
    if told.moments.recovered is not None:
        yield f"resolved: {told.moments.recovered.isoformat()}"
    yield from ("---", "")


def _section(title: str, rows: Iterable[str]) -> Iterator[str]:
    rows = list(rows)
    if rows:
        yield from ("", f"## {title}", "", *rows)


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> Iterator[str]:
    rows = list(rows)
    if rows:
        yield f"| {' | '.join(head)} |"
        yield f"|{'---|' * len(head)}"
        yield from (f"| {' | '.join(row)} |" for row in rows)


def _entries(told: Document) -> Iterator[tuple[str, ...]]:
    time = times_of(told)
    return (_entry(entry, time) for entry in told.timeline)


def _entry(entry: Entry, time: Callable[[datetime], str]) -> tuple[str, ...]:
    until = f", until {time(entry.until)}" if entry.until is not None else ""
    times = f" ({entry.times} times{until})" if entry.times > 1 else ""
    who = f"{escaped(plain(entry.who, 40))}: " if entry.who else ""
    after = lasting(entry.after) if entry.after > 0 else "0"
    return time(entry.at), after, f"{who}{escaped(plain(entry.text, _LONGEST))}{times}", escaped(entry.evidence)


def _listed(texts: Iterable[str]) -> Iterator[str]:
    yield from (f"- {text}" for text in texts if text)


def _quoted(body: str) -> Iterator[str]:
    """As it came, line by line, each of them code: nothing in it is read."""
    yield from (f"    {plain(row)}" for row in body.splitlines() if plain(row))
