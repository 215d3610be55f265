"""Slack's incoming webhooks and workflow triggers. They say nothing but `ok`, so a message cannot be changed later."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from failover.notify.post import as_object, send
from failover.notify.verdict import Receipt, Refusal, Then, Verdict, judge, number
from failover.reports import slack

if TYPE_CHECKING:
    import aiohttp

    from failover.core.document import Telling
    from failover.notify.channels import Channel
    from failover.notify.verdict import Answer

EDITS = False
IDEMPOTENT = False

_WORKFLOWS = ("/triggers/", "/workflows/")
_NOBODY = frozenset({"user_not_found", "no_active_hooks", "no_service_id"})


async def deliver(http: aiohttp.ClientSession, channel: Channel, telling: Telling, remote: str) -> Receipt:  # noqa: ARG001 - the contract's
    """One message; a workflow takes flat texts alone."""
    flat = urlsplit(channel.url).path.startswith(_WORKFLOWS)
    answer = await send(http, channel.url, payload=slack.workflow(telling) if flat else slack.message(telling))
    if verdict := judged(answer):
        raise Refusal(verdict)
    return Receipt(words="" if flat or answer.body.strip() == "ok" else answer.body)


def judged(answer: Answer) -> Verdict | None:
    """Slack refuses a form with 400, and some blocks with a 500 that says nothing."""
    verdict = judge(answer)
    if verdict is None:
        return None
    if answer.status == 500 and not answer.body.strip():
        return replace(verdict, then=Then.DOUBTFUL)
    if answer.body.strip() in _NOBODY:
        return replace(verdict, then=Then.BROKEN)
    if answer.status == 429 and verdict.after is None:
        return replace(verdict, after=number(as_object(answer).get("retry_after")))
    return verdict
