"""A title and a text without any markup, for the hundred other places that Apprise knows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from failover.core.document import Rung
from failover.reports import brief
from failover.reports.fitting import fitting, units
from failover.reports.tame import tame
from failover.reports.words import impact

if TYPE_CHECKING:
    from failover.core.document import Telling
    from failover.reports.brief import Line

BODY = 4_000  # what the smallest of the large chats take


def message(telling: Telling) -> tuple[str, str]:
    """The title, one line, and the body: some lines, or on the last rung one."""
    return fitting(lambda width: _message(telling, width), lambda made: units(made[1]) <= BODY)


def _message(telling: Telling, width: int) -> tuple[str, str]:
    document = telling.document
    said = [
        *brief.notes(telling, width),
        impact(document),
        *(f"{fact.label}: {fact.text}" for fact in brief.facts(telling, width)),
        f"Details: {brief.details(document, width)}",
        *(f"{fact.label}: {fact.text}" for fact in brief.cause(document, width)),
    ]
    if telling.rung is Rung.RICH:
        said += [f"Next: {one}" for one in brief.advice(document, width)]
        said += ["Timeline (UTC):", *map(_line, brief.timeline(document, width))]
    said.append(f"Incident: {brief.name(document)}")
    report = f"Full report: {brief.link(document) or tame(brief.command(document))}"
    between = " · " if telling.rung is Rung.LINE else "\n"
    return tame(brief.title(telling, width)), between.join([*map(tame, said), report])


def _line(line: Line) -> str:
    return " ".join(filter(None, (line.clock, line.text, line.evidence)))
