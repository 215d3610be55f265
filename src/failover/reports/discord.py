"""Discord: one embed, with the picture in it if there is one.

Foreign texts cannot link, mention or format: every mark of Discord's markdown has a backslash before it, and the colon
too, without which no address is one. Discord counts code points (its API says so in discord-api-docs#1315); here UTF-16
code units are counted, which are never fewer.
"""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING, Any

from failover.core.document import Rung
from failover.reports import brief
from failover.reports.fitting import fitting, units
from failover.reports.words import impact, spans_one_day

if TYPE_CHECKING:
    from failover.core.document import Document, Telling
    from failover.reports.brief import Fact, Line

CONTENT = 2_000
TITLE = 256
DESCRIPTION = 4_096
FIELD_VALUE = 1_024
FOOTER = 2_048
EMBED = 6_000

_MARKS = re.compile(r"[\\*_~`|<>\[\]()#:@]|(?<!\S)[-+]")


def message(telling: Telling, *, picture: str = "") -> dict[str, Any]:
    """The `payload_json`. `picture` is the name of the file that goes with it as `files[0]`; it is shown on the first
    rung only, on the others none may be attached. An edit with this payload leaves nothing of what was there before.
    """
    if telling.rung is Rung.LINE:
        return fitting(partial(_alone, telling), _fits)
    shown = picture if telling.rung is Rung.RICH else ""
    return fitting(partial(_embedded, telling, shown), _fits)


def _embedded(telling: Telling, picture: str, width: int) -> dict[str, Any]:
    document, link = telling.document, brief.link(telling.document)
    embed: dict[str, Any] = {
        "title": _words(brief.title(telling, width)),
        "description": _description(telling, width),
        "color": int(brief.color(telling).removeprefix("#"), 16),
        "footer": {"text": f"{brief.name(document)} · Full report: {link or brief.command(document)}"},
        "timestamp": brief.happened(telling).isoformat(),
    }
    if link:
        embed["url"] = link
    if telling.rung is Rung.RICH:
        embed["fields"] = [
            {"name": fact.label, "value": _shown(fact), "inline": not fact.raw} for fact in brief.facts(telling, width)
        ]
    payload: dict[str, Any] = {"content": "", "embeds": [embed], "allowed_mentions": {"parse": []}, "attachments": []}
    if picture:
        embed["image"] = {"url": f"attachment://{picture}"}
        payload["attachments"] = [{"id": 0, "filename": picture, "description": _described(document)}]
    return payload


def _alone(telling: Telling, width: int) -> dict[str, Any]:
    document, link = telling.document, brief.link(telling.document)
    said = [
        f"**{_words(brief.title(telling, width))}**",
        *map(_words, brief.notes(telling, width)),
        *(f"{fact.label}: {_shown(fact)}" for fact in brief.facts(telling, width)),
        f"Details: {_words(brief.details(document, width))}",
        *(f"{fact.label}: {_words(fact.text)}" for fact in brief.cause(document, width)),
        f"{_code(brief.name(document))} · Full report: " + (f"<{link}>" if link else _code(brief.command(document))),
    ]
    return {"content": "\n".join(said), "embeds": [], "allowed_mentions": {"parse": []}, "attachments": []}


def _description(telling: Telling, width: int) -> str:
    document = telling.document
    said = [f"**{_words(note)}**" for note in brief.notes(telling, width)]
    said.append(f"**{_words(impact(document))}**")
    if telling.rung is not Rung.RICH:
        said += [f"**{fact.label}:** {_shown(fact)}" for fact in brief.facts(telling, width)]
    said.append(f"**Details:** {_words(brief.details(document, width))}")
    said += [f"**{fact.label}:** {_words(fact.text)}" for fact in brief.cause(document, width)]
    said += [f"**Next:** {_words(one)}" for one in brief.advice(document, width)]
    lines = brief.timeline(document, width) if telling.rung is Rung.RICH else ()
    if lines:
        said += ["**Timeline:**", *(_line(document, line) for line in lines)]
    return "\n".join(said)


def _line(document: Document, line: Line) -> str:
    """Discord shows a time as the reader's own."""
    if line.at is None:
        return line.text
    unix = int(line.at.timestamp())
    day = "" if spans_one_day(document) else f"<t:{unix}:d> "
    return f"{day}<t:{unix}:T> {_words(line.text)}" + (f" {_code(line.evidence)}" if line.evidence else "")


def _shown(fact: Fact) -> str:
    if fact.at is not None:
        unix = int(fact.at.timestamp())
        return f"<t:{unix}:d> <t:{unix}:T> ({_code(fact.text)})"
    return _code(fact.text) if fact.raw else _words(fact.text)


def _described(document: Document) -> str:
    return f"Chart of {brief.name(document)}: who served, how the primary was, and requests by outcome. " + impact(
        document
    )


def _words(text: str) -> str:
    return _MARKS.sub(r"\\\g<0>", text)


def _code(text: str) -> str:
    return f"`{text.replace('`', chr(39))}`"


def _fits(payload: dict[str, Any]) -> bool:
    if units(payload["content"]) > CONTENT:
        return False
    for embed in payload["embeds"]:
        values = [field["value"] for field in embed.get("fields", [])]
        names = [field["name"] for field in embed.get("fields", [])]
        parts = [embed["title"], embed["description"], embed["footer"]["text"], *names, *values]
        if (
            units(embed["title"]) > TITLE
            or units(embed["description"]) > DESCRIPTION
            or units(embed["footer"]["text"]) > FOOTER
            or any(units(value) > FIELD_VALUE for value in values)
            or sum(map(units, parts)) > EMBED
        ):
            return False
    return True
