"""Slack with a bot's token: one message an incident, kept up to date, what follows in its thread, and the picture.

The address is `https://TOKEN@slack.com/?channel=C0123`. Slack calls a message by its channel and a time: `C0123/17…`.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

from failover.core.document import Occasion
from failover.notify import pictures
from failover.notify.post import as_object, send
from failover.notify.verdict import Receipt, Refusal, Then, Verdict, judge
from failover.reports import slack

if TYPE_CHECKING:
    import aiohttp

    from failover.core.document import Telling
    from failover.notify.channels import Channel
    from failover.notify.verdict import Answer

EDITS = True
IDEMPOTENT = False

_PATIENCE = frozenset(
    {"fatal_error", "internal_error", "rate_limited", "ratelimited", "request_timeout", "service_unavailable"}
)
_FORM: tuple[str, ...] = (
    "attachment_payload_limit_exceeded",
    "invalid_arg",
    "invalid_attachments",
    "invalid_blocks",
    "invalid_json",
)
_FORM += ("invalid_payload", "metadata_", "msg_", "no_text", "too_many_")
_PICTURE_WITHIN = 10.0
_GONE = frozenset({"cant_update_message", "edit_window_closed", "message_not_found"})


async def deliver(http: aiohttp.ClientSession, channel: Channel, telling: Telling, remote: str) -> Receipt:
    """The first message of an incident stands alone; the others go into its thread and are shown in the channel too."""
    api = _Api(http, channel)
    if remote and await _kept_up_to_date(api, telling, remote):
        if telling.occasion is Occasion.UPDATED:
            return Receipt(remote=remote)
    else:
        remote = ""
    place, _, thread = remote.partition("/")
    more: dict[str, Any] = {"thread_ts": thread, "reply_broadcast": True} if thread else {}
    said = await api.call("chat.postMessage", {**slack.message(telling), "channel": place or api.room, **more})
    remote = remote or f"{said.get('channel') or api.room}/{said.get('ts', '')}"
    if telling.occasion in {Occasion.RESOLVED, Occasion.TEST}:
        return Receipt(remote=remote, words=await _with_picture(api, telling, remote))
    return Receipt(remote=remote)


async def _kept_up_to_date(api: _Api, telling: Telling, remote: str) -> bool:
    """Change the message in its place. False: it is not there any more, or may not be changed."""
    place, _, ts = remote.partition("/")
    # What is left out of an update stays as it was.
    payload = {"blocks": [], "attachments": [], **slack.message(telling), "channel": place, "ts": ts}
    try:
        await api.call("chat.update", payload)
    except Refusal as refusal:
        if refusal.verdict.words in _GONE:
            return False
        if telling.occasion is Occasion.UPDATED or refusal.verdict.then in {Then.BROKEN, Then.PLAINER}:
            raise
        if refusal.verdict.after is not None:
            raise  # a message of its own would be refused as well
    return True


async def _with_picture(api: _Api, telling: Telling, remote: str) -> str:
    """Put the picture under the message. It has arrived already, so what goes wrong here is only told."""
    picture = await pictures.of(telling)
    if picture is None:
        return ""
    try:
        async with asyncio.timeout(_PICTURE_WITHIN):
            await _upload(api, telling, remote, picture)
    except Refusal as refusal:
        return f"without its picture: {refusal.verdict.told}"
    except TimeoutError:
        return "without its picture: no time"
    return ""


async def _upload(api: _Api, telling: Telling, remote: str, picture: bytes) -> None:
    """Slack takes a file in three steps."""
    place, _, thread = remote.partition("/")
    asked = {"filename": pictures.NAME, "length": str(len(picture)), "alt_txt": telling.document.title[:1000]}
    ticket = await api.call("files.getUploadURLExternal", asked, form=True)
    await api.upload(str(ticket.get("upload_url", "")), picture)
    files = [{"id": ticket.get("file_id", ""), "title": telling.document.id}]
    await api.call("files.completeUploadExternal", {"files": files, "channel_id": place, "thread_ts": thread})


class _Api:
    """Slack's Web API for one channel. Its answers are 200 whatever happened; `ok` says the truth."""

    def __init__(self, http: aiohttp.ClientSession, channel: Channel) -> None:
        parts = urlsplit(channel.url)
        self._http = http
        self._base = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}/api/"
        self._token = parts.username or ""
        self.room = (parse_qs(parts.query).get("channel") or [""])[0]

    async def call(self, method: str, payload: dict[str, Any], *, form: bool = False) -> dict[str, Any]:
        headers = {"authorization": f"Bearer {self._token}"}
        if form:
            from aiohttp import FormData  # noqa: PLC0415 - only for pictures

            answer = await send(self._http, self._base + method, data=FormData(payload), headers=headers)
        else:
            headers["content-type"] = "application/json; charset=utf-8"
            update = method == "chat.update"
            answer = await send(self._http, self._base + method, payload=payload, headers=headers, repeatable=update)
        if verdict := judged(answer):
            raise Refusal(verdict)
        return as_object(answer)

    async def upload(self, url: str, picture: bytes) -> None:
        answer = await send(self._http, url, data=picture, headers={"content-type": "application/octet-stream"})
        if verdict := judge(answer):
            raise Refusal(verdict)


def judged(answer: Answer) -> Verdict | None:
    """What an answer of the Web API means."""
    verdict = judge(answer)
    if verdict is not None:
        return verdict
    said = as_object(answer)
    if said.get("ok") is True:
        return None
    error = str(said.get("error", "")) or answer.body
    refused = Verdict(then=Then.BROKEN, reason="Slack refused it", words=error)
    if not said or error in _PATIENCE:
        return replace(refused, then=Then.RETRY)
    if error.startswith(_FORM):
        return replace(refused, then=Then.PLAINER)
    if needed := said.get("needed"):
        return replace(refused, words=f"{error}, needed: {needed}")
    return refused
