"""PagerDuty's Events API v2. Its routing key stands in the address: `?routing_key=…`, or before an `@`."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

from failover.core.document import Occasion
from failover.notify.post import send
from failover.notify.verdict import Receipt, Refusal, Then, Verdict, judge
from failover.reports import pagerduty

if TYPE_CHECKING:
    import aiohttp

    from failover.core.document import Telling
    from failover.notify.channels import Channel
    from failover.notify.verdict import Answer

EDITS = False
IDEMPOTENT = True

_PATH = "/v2/enqueue"


async def deliver(http: aiohttp.ClientSession, channel: Channel, telling: Telling, remote: str) -> Receipt:  # noqa: ARG001 - the contract's
    """One event; those of one incident have one key, so it cannot become two there."""
    url, key = address(channel.url)
    event = pagerduty.event(telling, key)
    answer = await send(http, url, payload=event)
    if verdict := judged(answer):
        raise Refusal(verdict)
    if telling.occasion is Occasion.TEST:  # nobody should have to close it
        closing = {"routing_key": key, "event_action": "resolve", "dedup_key": event["dedup_key"]}
        await send(http, url, payload=closing)
    return Receipt()


def address(url: str) -> tuple[str, str]:
    """Where to send, and the routing key."""
    parts = urlsplit(url)
    key = (parse_qs(parts.query).get("routing_key") or [parts.username or ""])[0]
    path = parts.path if parts.path.strip("/") else _PATH
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{path}", key


def judged(answer: Answer) -> Verdict | None:
    """A 400 is about the event, unless it names the key."""
    verdict = judge(answer)
    if verdict and answer.status == 400 and "routing_key" in answer.body:
        return replace(verdict, then=Then.BROKEN)
    return verdict
