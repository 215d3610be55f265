"""Microsoft Teams through a Workflow of Power Automate. That it was taken does not prove that it is shown."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from failover.notify.post import as_object, send
from failover.notify.verdict import Answer, Receipt, Refusal, Then, Verdict, judge
from failover.reports import teams

if TYPE_CHECKING:
    import aiohttp

    from failover.core.document import Telling
    from failover.notify.channels import Channel

EDITS = False
IDEMPOTENT = False

_OFF = frozenset({"WorkflowTriggerIsNotEnabled", "WorkflowTriggerNotFound", "TriggerDisabled"})
_FAILED = re.compile(r"delivery failed with error.*?HTTP error (\d{3})", re.DOTALL)


async def deliver(http: aiohttp.ClientSession, channel: Channel, telling: Telling, remote: str) -> Receipt:  # noqa: ARG001 - the contract's
    """One card."""
    answer = await send(http, channel.url, payload=teams.message(telling))
    if verdict := judged(answer):
        raise Refusal(verdict)
    return Receipt()


def judged(answer: Answer) -> Verdict | None:
    """The old connectors say 200 and, in words, that it failed."""
    if found := _FAILED.search(answer.body):
        return judge(replace(answer, status=int(found[1])))
    verdict = judge(answer)
    error = as_object(answer).get("error")
    if verdict and isinstance(error, dict) and error.get("code") in _OFF:
        return replace(verdict, then=Then.BROKEN)
    return verdict
