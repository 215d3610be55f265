"""Any other receiver of JSON, by Standard Webhooks 1.0: an identity that stays on each try, the time, a signature."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import msgspec

from failover.core.document import Occasion
from failover.notify.outbox import message_id
from failover.notify.post import send
from failover.notify.verdict import Receipt, Refusal, judge
from failover.reports import webhook

if TYPE_CHECKING:
    import aiohttp

    from failover.core.document import Telling
    from failover.notify.channels import Channel

EDITS = False
IDEMPOTENT = True


async def deliver(http: aiohttp.ClientSession, channel: Channel, telling: Telling, remote: str) -> Receipt:  # noqa: ARG001 - the contract's
    """One event. Success is 2xx alone."""
    now = int(datetime.now(UTC).timestamp())
    test = f":test:{now}" if telling.occasion is Occasion.TEST else ""
    name = message_id(telling.document) + test
    body = msgspec.json.encode(webhook.event(telling))
    headers = {"content-type": "application/json", "webhook-id": name, "webhook-timestamp": str(now)}
    if channel.secrets:
        headers["webhook-signature"] = webhook.sign(channel.secrets, name, now, body)
    answer = await send(http, channel.url, data=body, headers=headers)
    if verdict := judge(answer):
        raise Refusal(verdict)
    return Receipt()
