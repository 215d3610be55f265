"""Discord's webhooks: the message of an open incident is kept up to date, its end is a message of its own."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import msgspec
from aiohttp import FormData

from failover.core.document import Occasion
from failover.notify import pictures
from failover.notify.post import as_object, send
from failover.notify.verdict import Receipt, Refusal, Then, Verdict, judge, number
from failover.reports import discord

if TYPE_CHECKING:
    import aiohttp

    from failover.core.document import Telling
    from failover.notify.channels import Channel
    from failover.notify.verdict import Answer

EDITS = True
IDEMPOTENT = False

_GONE = frozenset({10008, 30046})  # no such message; too many changes of an old one
_NEEDS_THREAD = frozenset({220001, 220002, 220003})


async def deliver(http: aiohttp.ClientSession, channel: Channel, telling: Telling, remote: str) -> Receipt:
    """Without `wait=true` Discord says that all is well even about a message that it drops."""
    picture = await pictures.of(telling)
    if remote and telling.occasion in {Occasion.UPDATED, Occasion.RESOLVED}:
        answer = await _send(http, _address(channel.url, remote), telling, picture, method="PATCH")
        verdict = judged(answer)
        if telling.occasion is Occasion.UPDATED and not _gone(answer):
            return _receipt(answer, verdict, remote)
        if verdict and verdict.after is not None:
            raise Refusal(verdict)  # a message of its own would be refused as well
    answer = await _send(http, _address(channel.url), telling, picture)
    name = str(as_object(answer).get("id", ""))
    # The last message is never changed: when all is over again, that is said once more.
    return _receipt(answer, judged(answer), remote or name if telling.occasion is Occasion.RESOLVED else name)


async def _send(
    http: aiohttp.ClientSession, url: str, telling: Telling, picture: bytes | None, method: str = "POST"
) -> Answer:
    if picture is None:
        return await send(http, url, payload=discord.message(telling), method=method, repeatable=method == "PATCH")
    payload = msgspec.json.encode(discord.message(telling, picture=pictures.NAME)).decode()
    form = FormData(default_to_multipart=True)
    form.add_field("payload_json", payload, content_type="application/json")
    form.add_field("files[0]", picture, filename=pictures.NAME, content_type="image/png")
    return await send(http, url, data=form, method=method, repeatable=method == "PATCH")


def _address(url: str, message: str = "") -> str:
    """The webhook, or one of its messages. What a person wrote behind it, such as a thread, stays."""
    parts = urlsplit(url)
    query = [(name, value) for name, value in parse_qsl(parts.query) if name != "wait"]
    if not message:
        query.append(("wait", "true"))
    path = parts.path.rstrip("/") + (f"/messages/{message}" if message else "")
    return urlunsplit(parts._replace(path=path, query=urlencode(query), fragment=""))


def _receipt(answer: Answer, verdict: Verdict | None, remote: str) -> Receipt:
    if verdict:
        raise Refusal(verdict)
    spent = answer.headers.get("x-ratelimit-remaining") == "0"
    pause = number(answer.headers.get("x-ratelimit-reset-after")) if spent else None
    return Receipt(remote=remote, pause=pause or 0.0)


def judged(answer: Answer) -> Verdict | None:
    """What an answer of Discord means. A 429 of its network's edge is about our address, not about one webhook."""
    verdict = judge(answer)
    if verdict is None:
        return None
    said = as_object(answer)
    if answer.status == 429:
        after = number(said.get("retry_after"))
        scope = answer.headers.get("x-ratelimit-scope", "")
        everywhere = bool(said.get("global")) or scope == "global" or not said
        return replace(verdict, after=verdict.after if after is None else after, everywhere=everywhere)
    if _code(said) in _NEEDS_THREAD:
        return replace(verdict, then=Then.BROKEN)
    return verdict


def _gone(answer: Answer) -> bool:
    return _code(as_object(answer)) in _GONE


def _code(said: dict[str, Any]) -> int:
    """The number that Discord gives an error, 0 where there is none."""
    code = said.get("code")
    return code if isinstance(code, int) else 0
