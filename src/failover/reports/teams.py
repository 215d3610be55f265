"""Microsoft Teams: an Adaptive Card 1.4 in the envelope of a message, for a workflow that posts what it gets.

What is foreign stands in text runs, which know no markdown at all. The facts and the headline do know some: there each
mark of it has a backslash before it. Teams takes 28 KB and has refused less, so the card stays below 20.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from failover.core.document import Rung
from failover.reports import brief
from failover.reports.fitting import fitting, size
from failover.reports.words import impact

if TYPE_CHECKING:
    from failover.core.document import Telling
    from failover.reports.brief import Line

WHOLE = 20_000

_COLORS = {brief.RED: "attention", brief.YELLOW: "warning", brief.GREEN: "good", brief.GREY: "accent"}
_MARKS = re.compile(r"[\\*_~`|<>\[\]()#!]")


def message(telling: Telling) -> dict[str, Any]:
    """The body of the request."""
    body = {Rung.RICH: _rich, Rung.SAFE: _safe, Rung.LINE: _alone}[telling.rung]
    return fitting(lambda width: _enveloped(telling, body(telling, width)), lambda card: size(card) <= WHOLE)


def _enveloped(telling: Telling, body: list[dict[str, Any]]) -> dict[str, Any]:
    card: dict[str, Any] = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "body": body,
    }
    link = brief.link(telling.document)
    if link and telling.rung is not Rung.LINE:
        card["actions"] = [{"type": "Action.OpenUrl", "title": "Full report", "url": link}]
    attachment = {"contentType": "application/vnd.microsoft.card.adaptive", "contentUrl": None, "content": card}
    return {"type": "message", "attachments": [attachment]}


def _rich(telling: Telling, width: int) -> list[dict[str, Any]]:
    document = telling.document
    facts = [{"title": fact.label, "value": _words(fact.text)} for fact in brief.facts(telling, width)]
    lines = [_line(line) for line in brief.timeline(document, width)]
    return [
        _headline(telling, width),
        *(_said([_run(note, weight="bolder")]) for note in brief.notes(telling, width)),
        _said([_run(impact(document), weight="bolder")]),
        {"type": "FactSet", "facts": facts},
        *_story(telling, width),
        *([_labelled("Timeline (UTC)", "")] if lines else []),
        *(_said(runs, spacing="none") for runs in lines),
        _report(telling),
    ]


def _safe(telling: Telling, width: int) -> list[dict[str, Any]]:
    """Text blocks alone: what the very first version of the cards had."""
    document = telling.document
    said = [
        *brief.notes(telling, width),
        impact(document),
        *(f"{fact.label}: {fact.text}" for fact in brief.facts(telling, width)),
        f"Details: {brief.details(document, width)}",
        *(f"{fact.label}: {fact.text}" for fact in brief.cause(document, width)),
        f"{brief.name(document)} · {brief.command(document)}",
    ]
    return [_headline(telling, width), *(_block(one) for one in said)]


def _alone(telling: Telling, width: int) -> list[dict[str, Any]]:
    document = telling.document
    said = [
        brief.title(telling, width),
        *brief.notes(telling, width),
        *(f"{fact.label}: {fact.text}" for fact in brief.facts(telling, width)),
        f"Details: {brief.details(document, width)}",
        *(f"{fact.label}: {fact.text}" for fact in brief.cause(document, width)),
        brief.name(document),
        brief.link(document) or brief.command(document),
    ]
    return [_block(" · ".join(said))]


def _headline(telling: Telling, width: int) -> dict[str, Any]:
    color = _COLORS[brief.color(telling)]
    return _block(brief.title(telling, width)) | {"size": "large", "weight": "bolder", "color": color}


def _story(telling: Telling, width: int) -> list[dict[str, Any]]:
    document = telling.document
    said = [_labelled("Details", brief.details(document, width))]
    said += [_labelled(fact.label, fact.text) for fact in brief.cause(document, width)]
    return said + [_labelled("Next", one) for one in brief.advice(document, width)]


def _report(telling: Telling) -> dict[str, Any]:
    document = telling.document
    return _said([_run(f"{brief.name(document)} · {brief.command(document)}", isSubtle=True, size="small")])


def _line(line: Line) -> list[dict[str, Any]]:
    if line.at is None:
        return [_run(line.text, isSubtle=True)]
    evidence = [_run(f" {line.evidence}", isSubtle=True)] if line.evidence else []
    return [_run(f"{line.clock} ", fontType="monospace"), _run(line.text), *evidence]


def _labelled(label: str, text: str) -> dict[str, Any]:
    return _said([_run(f"{label}: ", weight="bolder"), *([_run(text)] if text else [])])


def _said(runs: list[dict[str, Any]], **more: str) -> dict[str, Any]:
    return {"type": "RichTextBlock", "inlines": runs} | more


def _run(text: str, **more: str | bool) -> dict[str, Any]:
    return {"type": "TextRun", "text": text} | more


def _block(text: str) -> dict[str, Any]:
    return {"type": "TextBlock", "text": _words(text), "wrap": True}


def _words(text: str) -> str:
    return _MARKS.sub(r"\\\g<0>", text)
