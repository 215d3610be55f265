"""The API under `/api/v1`: the same questions and orders that the pages and the commands have. `openapi` describes it.

Errors are problem+json (RFC 9457). Orders are POST, with a JSON body, and answer with a sentence.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar

import msgspec
from aiohttp import web

from failover.admin.base import RefusedError, State
from failover.admin.live import event_stream
from failover.core.drill import LONGEST_S, SHORTEST_S, USUAL_S, Plan, Sort
from failover.core.helm import Wish
from failover.reports.base import FORMS
from failover.settings.amounts import duration
from failover.settings.secret import mask_text

if TYPE_CHECKING:
    from concurrent.futures import Future

    from failover.admin.app import Office
    from failover.core.document import Document

BASE = "/api/v1"
MOST_BODY = 64 * 1024
LONGEST_WISH_S = 7 * 86400.0
_ANSWERED_WITHIN_S = 10.0
_TESTED_WITHIN_S = 60.0
_LONGEST_NOTE = 2000
_MOST_LISTED = 200

Seconds = Annotated[float, msgspec.Meta(ge=0)] | Annotated[str, msgspec.Meta(max_length=40)]
Name = Annotated[str, msgspec.Meta(max_length=200)]


class SwitchOrder(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """`to`: who is to serve; auto leaves it to the signals. `for`: how long, in seconds or as `10m`, for the backup."""

    to: Literal["backup", "primary", "auto"]
    length: Seconds | None = msgspec.field(name="for", default=None)
    who: Name = ""


class HoldOrder(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Nobody is switched, in seconds or as `10m`; without it until somebody says otherwise."""

    length: Seconds | None = msgspec.field(name="for", default=None)
    who: Name = ""


class DrillOrder(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """`percent` is the share of visitors that the backup gets, for that sort alone."""

    sort: Literal["shadow", "percent", "full"]
    percent: int = 0
    length: Seconds = msgspec.field(name="for", default=USUAL_S)
    who: Name = ""


class Order(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    who: Name = ""


class NoteOrder(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    text: Annotated[str, msgspec.Meta(min_length=1, max_length=_LONGEST_NOTE)]
    who: Name = ""


class Done(msgspec.Struct, kw_only=True):
    """What was done, in a sentence."""

    done: str


class Told(msgspec.Struct, kw_only=True):
    """How a channel took the sample: what it said, in its own words."""

    channel: str
    format: str
    delivered: bool
    said: str


class Problem(msgspec.Struct, kw_only=True):
    """RFC 9457."""

    type: str
    title: str
    status: int
    detail: str


class Summary(msgspec.Struct, kw_only=True):
    """An incident in a list; the whole document is under its id. `began` and `recovered` are Unix seconds."""

    id: str
    status: str
    severity: str
    title: str
    summary: str
    began: float
    recovered: float | None
    outage: float
    hidden: int
    failed: int
    refused: int


_encode = msgspec.json.Encoder().encode
T = TypeVar("T")


def answer(value: Any, status: int = 200) -> web.Response:
    return web.Response(body=_encode(value) + b"\n", status=status, content_type="application/json")


def problem(status: int, detail: str, headers: dict[str, str] | None = None) -> web.Response:
    title = {400: "Bad request", 401: "Unauthorized", 403: "Forbidden", 404: "Not found", 409: "Refused"}.get(status)
    body = Problem(type="about:blank", title=title or "Error", status=status, detail=detail)
    return web.Response(
        body=_encode(body) + b"\n", status=status, content_type="application/problem+json", headers=headers
    )


class Api:
    """The handlers. `office` is everything that they need."""

    def __init__(self, office: Office) -> None:
        self._office = office

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get(f"{BASE}/state", self.state),
            web.get(f"{BASE}/targets", self.targets),
            web.get(f"{BASE}/targets/{{alias}}", self.target),
            web.get(f"{BASE}/incidents", self.incidents),
            web.get(f"{BASE}/incidents/{{id}}", self.incident),
            web.get(f"{BASE}/incidents/{{id}}/report", self.report),
            web.post(f"{BASE}/incidents/{{id}}/notes", self.note),
            web.get(f"{BASE}/events", self.events),
            web.post(f"{BASE}/switch", self.switch),
            web.post(f"{BASE}/hold", self.hold),
            web.post(f"{BASE}/drill", self.drill),
            web.post(f"{BASE}/drill/stop", self.stop_drill),
            web.post(f"{BASE}/notifications/test", self.test_notifications),
            web.get(f"{BASE}/openapi.json", self.described),
        ]

    # -- questions

    async def state(self, _request: web.Request) -> web.Response:
        return answer(self._state())

    async def targets(self, _request: web.Request) -> web.Response:
        return answer(self._state().targets)

    async def target(self, request: web.Request) -> web.Response:
        alias = request.match_info["alias"]
        found = next((one for one in self._state().targets if one.alias == alias), None)
        return answer(found) if found is not None else problem(404, "there is no target of this name")

    async def incidents(self, request: web.Request) -> web.Response:
        last = _number(request.query.get("last"), 20)
        if last is None:
            return problem(400, f"last is a number from 1 to {_MOST_LISTED}")
        return answer([summary_of(told) for told in await asyncio.wrap_future(self._office.store.listed(last))])

    async def incident(self, request: web.Request) -> web.Response:
        return await self._written(request, "json")

    async def report(self, request: web.Request) -> web.Response:
        return await self._written(request, request.query.get("form", "html"))

    async def _written(self, request: web.Request, form: str) -> web.Response:
        if form not in FORMS:
            return problem(400, f"form is one of {', '.join(FORMS)}")
        told = await self._office.incident(request.match_info["id"])
        if told is None:
            return problem(404, "there is no incident of this id")
        written = await asyncio.to_thread(FORMS[form].render, told)
        if written is None:
            return problem(404, "a picture needs the extra: pip install 'failover[charts]'")
        media_type, _, charset = FORMS[form].media_type.partition("; charset=")
        return web.Response(body=written, content_type=media_type, charset=charset or None)

    async def events(self, request: web.Request) -> web.StreamResponse:
        if "text/event-stream" in request.headers.get("Accept", ""):
            return await event_stream(request, self._office.hub)
        last = _number(request.query.get("last"), 50)
        if last is None:
            return problem(400, f"last is a number from 1 to {_MOST_LISTED}")
        return answer(list(self._office.hub.events)[-last:])

    async def described(self, _request: web.Request) -> web.Response:
        from failover.admin.openapi import described  # noqa: PLC0415 - few ask for it

        return answer(described())

    # -- orders

    async def switch(self, request: web.Request) -> web.Response:
        order = await _read(request, SwitchOrder)
        seconds = _seconds(order.length, 1, LONGEST_WISH_S)
        return await self._done(self._office.desk.steer(Wish(order.to), self._who(request, order.who), seconds))

    async def hold(self, request: web.Request) -> web.Response:
        order = await _read(request, HoldOrder)
        seconds = _seconds(order.length, 1, LONGEST_WISH_S)
        return await self._done(self._office.desk.steer(Wish.HOLD, self._who(request, order.who), seconds))

    async def drill(self, request: web.Request) -> web.Response:
        order = await _read(request, DrillOrder)
        seconds = _seconds(order.length, SHORTEST_S, LONGEST_S) or USUAL_S
        plan = Plan(Sort(order.sort), seconds, order.percent, self._who(request, order.who))
        return await self._done(self._office.desk.drill(plan))

    async def stop_drill(self, request: web.Request) -> web.Response:
        order = await _read(request, Order)
        return await self._done(self._office.desk.end_drill(self._who(request, order.who)))

    async def note(self, request: web.Request) -> web.Response:
        order = await _read(request, NoteOrder)
        text = plain(order.text)
        if not text:
            raise web.HTTPBadRequest(text="a note has a text that can be read")
        kept = self._office.store.note(request.match_info["id"], self._who(request, order.who), text)
        if not await asyncio.wrap_future(kept):
            return problem(404, "there is no incident of this id")
        return answer(Done(done="noted"))

    async def test_notifications(self, request: web.Request) -> web.Response:
        await _read(request, Order)
        async with asyncio.timeout(_TESTED_WITHIN_S):
            told = await self._office.test_channels()
        return answer([Told(channel=name, format=form, delivered=ok, said=said) for name, form, ok, said in told])

    async def _done(self, future: Future[str]) -> web.Response:
        try:
            async with asyncio.timeout(_ANSWERED_WITHIN_S):
                return answer(Done(done=await asyncio.wrap_future(future)))
        except RefusedError as refused:
            return problem(409, str(refused))

    def _state(self) -> State:
        if self._office.hub.sheet is None:
            raise web.HTTPServiceUnavailable(text="the proxy has only just begun", headers={"Retry-After": "1"})
        return self._office.hub.sheet.state

    def _who(self, request: web.Request, given: str) -> str:
        return plain(given) or plain(self._office.who(request))


def plain(text: str) -> str:
    """A text from outside on one line, without what could pretend to be something else."""
    return mask_text(" ".join("".join(one if one.isprintable() else " " for one in text).split()))


def summary_of(told: Document) -> Summary:
    recovered = told.moments.recovered
    return Summary(
        id=told.id,
        status=told.status.value,
        severity=told.severity.value,
        title=told.title,
        summary=told.summary,
        began=told.moments.first_bad.timestamp(),
        recovered=recovered.timestamp() if recovered is not None else None,
        outage=told.durations.outage,
        hidden=told.counts.hidden,
        failed=told.counts.failed,
        refused=told.counts.refused,
    )


async def _read(request: web.Request, kind: type[T]) -> T:
    """The order in a body. An empty one is an order that says nothing more. Raises a 400 or 415."""
    if request.content_type not in {"application/json", "application/octet-stream"}:
        raise web.HTTPUnsupportedMediaType(text="an order is application/json")
    body = await request.read()
    try:
        return msgspec.json.decode(body or b"{}", type=kind)
    except ValueError as error:
        raise web.HTTPBadRequest(text=str(error)) from None
    except RecursionError:
        raise web.HTTPBadRequest(text="the order is nested too deeply") from None


def _seconds(given: float | str | None, least: float, most: float) -> float | None:
    if given is None:
        return None
    try:
        return float(duration(least, most).parse(str(given)))
    except ValueError as error:
        raise web.HTTPBadRequest(text=f"for: {error}") from None


def _number(given: str | None, usual: int) -> int | None:
    if given is None:
        return usual
    number = int(given) if given.isascii() and given.isdigit() and len(given) < 6 else 0
    return number if 1 <= number <= _MOST_LISTED else None
