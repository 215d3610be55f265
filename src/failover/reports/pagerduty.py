"""PagerDuty, Events API v2: an incident is one alert, found again by its id. Nothing in it is markup."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from failover.core.document import Occasion, Rung, Severity
from failover.reports import brief
from failover.reports.fitting import fitting, size
from failover.reports.words import impact, plain

if TYPE_CHECKING:
    from failover.core.document import Telling

WHOLE = 30_000  # of 512 KB that are taken: more than this nobody reads in an alert
SUMMARY = 1_024
KEY = 255

_SEVERITY = {
    Severity.CRITICAL: "critical",
    Severity.MAJOR: "error",
    Severity.MINOR: "warning",
    Severity.DRILL: "info",
}


def event(telling: Telling, routing_key: str) -> dict[str, Any]:
    """The body for `/v2/enqueue`. A test is an alert of its own, which `settled` ends."""
    return fitting(lambda width: _event(telling, routing_key, width), lambda made: size(made) <= WHOLE)


def settled(made: dict[str, Any]) -> dict[str, Any]:
    """The event that ends the alert of `made`."""
    return {"routing_key": made["routing_key"], "event_action": "resolve", "dedup_key": made["dedup_key"]}


def _event(telling: Telling, routing_key: str, width: int) -> dict[str, Any]:
    document, link = telling.document, brief.link(telling.document)
    made: dict[str, Any] = {
        "routing_key": routing_key,
        "event_action": "resolve" if telling.occasion is Occasion.RESOLVED else "trigger",
        "dedup_key": _key(telling),
        "payload": _payload(telling, width),
        "client": "Failover",
    }
    if link and telling.rung is Rung.RICH:
        made["client_url"] = link
        made["links"] = [{"href": link, "text": f"Full report of {brief.name(document)}"}]
    return made


def _key(telling: Telling) -> str:
    suffix = ":test" if telling.occasion is Occasion.TEST else ""
    return telling.document.id[: KEY - len(suffix)] + suffix


def _payload(telling: Telling, width: int) -> dict[str, Any]:
    document = telling.document
    test = telling.occasion is Occasion.TEST
    said = [brief.title(telling, width), impact(document), *brief.notes(telling, width)]
    payload: dict[str, Any] = {
        "summary": plain(". ".join(one.removesuffix(".") for one in said) + ".", SUMMARY),
        "source": plain(_host(document.primary.url) or document.primary.alias, 255) or "primary",
        "severity": "info" if test else _SEVERITY[document.severity],
    }
    if telling.rung is Rung.LINE:
        return payload
    return payload | {
        "timestamp": brief.happened(telling).isoformat(),
        "component": plain(document.primary.alias, 255),
        "group": "failover",
        "class": plain(document.cause.kind, 255) if document.cause else document.subject.value,
        "custom_details": _details(telling, width),
    }


def _details(telling: Telling, width: int) -> dict[str, Any]:
    document = telling.document
    said: dict[str, Any] = {fact.label: fact.text for fact in brief.facts(telling, width)}
    said |= {"Details": brief.details(document, width), "Incident": brief.name(document)}
    said |= {fact.label: fact.text for fact in brief.cause(document, width)}
    if notes := brief.notes(telling, width):
        said["Notes"] = " ".join(notes)
    if advice := brief.advice(document, width):
        said["Next"] = " ".join(advice)
    if telling.rung is Rung.RICH:
        lines = brief.timeline(document, width)
        said["Timeline (UTC)"] = [" ".join(filter(None, (one.clock, one.text, one.evidence))) for one in lines]
    return said | {"Full report": brief.link(document) or brief.command(document)}


def _host(url: str) -> str:
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""
