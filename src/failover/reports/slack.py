"""Slack: an incoming webhook (a bot sends the same, and says to which channel), or a workflow's flat texts.

Foreign texts cannot link, mention or format: `&`, `<` and `>` are entities, what looks like an address stands in code,
and the marks of mrkdwn, which has no escape, are replaced by signs that look like them. Limits are those of Block Kit;
the whole stays below 8,000 characters, since larger messages are refused in ways that nobody has documented.
"""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING, Any

from failover.core.document import Rung
from failover.reports import brief
from failover.reports.fitting import fitting, size
from failover.reports.tame import tame
from failover.reports.words import impact, moment, plain

if TYPE_CHECKING:
    from failover.core.document import Telling
    from failover.reports.brief import Fact, Line

WHOLE = 7_900
TEXT = 4_000
HEADER = 150
SECTION = 3_000
FIELD = 2_000

_FLAT = (
    *("Event", "Severity", "Downtime hidden", "Failed", "Timestamp", "Duration", "Primary", "Backup", "Clients"),
    "Error budget",
)
_VALUE = 1_000

_ENTITIES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})
_MARKS = str.maketrans({"`": "'", "*": "\u2217", "~": "\u223c"})
_ITALIC = re.compile(r"(?<![^\W_])_|_(?![^\W_])")  # within a word an underscore is an underscore
_ADDRESS = re.compile(r"://|www\.|[^\W_]\.[^\W\d_]{2,}|@\w", re.IGNORECASE)


def message(telling: Telling) -> dict[str, Any]:
    """The payload. `text` is what a notification shows and, on the last rung, all there is."""
    write = {Rung.RICH: _rich, Rung.SAFE: _safe, Rung.LINE: _alone}[telling.rung]
    return fitting(partial(write, telling), _fits)


def workflow(telling: Telling) -> dict[str, str]:
    """Flat texts: a workflow knows no blocks. The keys are always the same, what there is no word for is empty."""
    document, width = telling.document, 300
    said = {fact.label: fact.text for fact in brief.facts(telling, width)}
    suspected = document.cause
    values = {
        "title": brief.title(telling, width),
        **{label.lower().replace(" ", "_"): said.get(label, "") for label in _FLAT},
        "details": " ".join((*brief.notes(telling, width), brief.details(document, width))),
        "impact": impact(document),
        "cause": suspected.title if suspected else "",
        "confidence": suspected.confidence.value if suspected else "",
        "check": suspected.check if suspected else "",
        "id": brief.name(document),
        "status": document.status.value,
    }
    lines = [tame(f"{line.clock} {line.text}") for line in brief.timeline(document, 120)]
    return {
        **{key: plain(tame(value), _VALUE) for key, value in values.items()},
        "timeline": "\n".join(lines),
        "report": brief.link(document) or tame(brief.command(document)),
    }


def _rich(telling: Telling, width: int) -> dict[str, Any]:
    facts = brief.facts(telling, width)
    lines = [_line(line) for line in brief.timeline(telling.document, width)] or ["nothing yet"]
    over = {
        "color": brief.color(telling),
        "fallback": f"Timeline of {tame(brief.name(telling.document))}",
        "blocks": [_section("*Timeline (UTC):*\n" + "\n".join(lines)), _context(telling)],
    }
    fields = [_mrkdwn(f"*{fact.label}:*\n{_shown(fact)}") for fact in facts]
    return {
        "text": _words(_short(telling, width)),
        "blocks": [_header(telling, width), _story(telling, width), {"type": "section", "fields": fields}],
        "attachments": [over],
    }


def _safe(telling: Telling, width: int) -> dict[str, Any]:
    facts = _section("\n".join(f"*{fact.label}:* {_shown(fact)}" for fact in brief.facts(telling, width)))
    return {
        "text": _words(_short(telling, width)),
        "blocks": [_header(telling, width), _story(telling, width), facts, _context(telling)],
    }


def _alone(telling: Telling, width: int) -> dict[str, Any]:
    document = telling.document
    facts = [f"{fact.label}: {_shown(fact)}" for fact in brief.facts(telling, width)]
    causes = [f"{_words(fact.label)}: {_words(fact.text)}" for fact in brief.cause(document, width)]
    said = [
        _words(brief.title(telling, width)),
        *map(_words, brief.notes(telling, width)),
        *facts,
        f"Details: {_words(brief.details(document, width))}",
        *causes,
        _report(telling),
    ]
    return {"text": " · ".join(said)}


def _short(telling: Telling, width: int) -> str:
    notes = " ".join(brief.notes(telling, width))
    return f"{brief.title(telling, width)}. Event: {telling.occasion.event}. {impact(telling.document)} {notes}"


def _header(telling: Telling, width: int) -> dict[str, Any]:
    text = plain(tame(brief.title(telling, width)), HEADER)
    return {"type": "header", "text": {"type": "plain_text", "text": text, "emoji": False}}


def _story(telling: Telling, width: int) -> dict[str, Any]:
    document = telling.document
    said = [f"*{_words(note)}*" for note in brief.notes(telling, width)]
    said.append(f"*{_words(impact(document))}*")
    said.append(f"*Details:* {_words(brief.details(document, width))}")
    said += [f"*{fact.label}:* {_words(fact.text)}" for fact in brief.cause(document, width)]
    said += [f"*Next:* {_words(one)}" for one in brief.advice(document, width)]
    return _section("\n".join(said))


def _context(telling: Telling) -> dict[str, Any]:
    return {"type": "context", "elements": [_mrkdwn(_report(telling))]}


def _report(telling: Telling) -> str:
    document, link = telling.document, brief.link(telling.document)
    if link:
        return f"{_code(brief.name(document))} · <{link.translate(_ENTITIES)}|Full report>"
    return f"{_code(brief.name(document))} · Full report: {_code(brief.command(document))}"


def _line(line: Line) -> str:
    if line.at is None:
        return _words(line.text)
    return f"{_code(line.clock)} {_words(line.text)}" + (f" {_code(line.evidence)}" if line.evidence else "")


def _shown(fact: Fact) -> str:
    """Slack shows a date in the time of the reader; beside it stands what all readers share."""
    if fact.at is not None:
        date = f"<!date^{int(fact.at.timestamp())}^{{date_short_pretty}} {{time_secs}}|{moment(fact.at)}>"
        return f"{date} ({_code(fact.text)})"
    return _code(fact.text) if fact.raw else _words(fact.text)


def _section(text: str) -> dict[str, Any]:
    return {"type": "section", "text": _mrkdwn(text)}


def _mrkdwn(text: str) -> dict[str, Any]:
    """`verbatim`: no address and no name in it is made a link."""
    return {"type": "mrkdwn", "text": text, "verbatim": True}


def _words(text: str) -> str:
    return " ".join(_code(word) if _ADDRESS.search(word) else _word(word) for word in text.split())


def _word(word: str) -> str:
    return _ITALIC.sub("\u02cd", word.translate(_MARKS)).translate(_ENTITIES)


def _code(text: str) -> str:
    return f"`{text.replace('`', chr(39)).translate(_ENTITIES)}`"


def _fits(payload: dict[str, Any]) -> bool:
    blocks = payload.get("blocks", []) + [one for over in payload.get("attachments", []) for one in over["blocks"]]
    texts = [block["text"]["text"] for block in blocks if block["type"] == "section" and "text" in block]
    fields = [field["text"] for block in blocks for field in block.get("fields", [])]
    return (
        size(payload) <= WHOLE
        and len(payload["text"]) <= TEXT
        and all(len(text) <= SECTION for text in texts)
        and all(len(text) <= FIELD for text in fields)
    )
