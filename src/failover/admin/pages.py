"""The pages: drawn here whole, so that they are read without a script; with one, they stay alive through the stream."""

from __future__ import annotations

import asyncio
import secrets
from collections import OrderedDict
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jinja2
from aiohttp import web

from failover.admin import views
from failover.admin.api import plain
from failover.admin.base import RefusedError
from failover.admin.history import DAYS
from failover.admin.live import page_stream
from failover.core.drill import Plan, Sort
from failover.core.helm import Wish
from failover.reports.base import FORMS
from failover.settings.amounts import parse_duration

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future

    from failover.admin.app import Office
    from failover.admin.base import State
    from failover.admin.guard import Door
    from failover.admin.history import History
    from failover.admin.live import Hub, Parts

_TEMPLATES = Path(__file__).parent / "templates"
_ANSWERED_WITHIN_S = 10.0
_MOST_SAID = 100
_EVENTS_SHOWN = 12

PARTS = ("headline", "steering", "targets", "live", "incident", "activity", "past", "uptime", "channels", "about")
"""The parts of the page, from top to bottom. Each is drawn anew when it changes."""


class Painter:
    """Draws the parts. `rows` are settings, values and sources."""

    def __init__(self, history: History, rows: list[tuple[str, str, str]], wall: Callable[[], float]) -> None:
        self._history = history
        self._rows = rows
        self._wall = wall

    async def draw(self, hub: Hub) -> Parts:
        if hub.sheet is None:
            return {}
        known = self.known(hub)
        macros: Any = _environment().get_template("parts.html").module
        return {name: str(getattr(macros, name)(known)) for name in PARTS}

    def known(self, hub: Hub) -> dict[str, Any]:
        """All that the parts show."""
        if hub.sheet is None:
            return {}
        state, history = hub.sheet.state, self._history
        told = next((one for one in history.incidents if not one.resolved and one.id == state.incident), None)
        slo = next((float(value) for key, value, _ in self._rows if key == "slo"), 99.9)
        return {
            "state": state,
            "headline": views.headline(state),
            "steering": _steering(state),
            "targets": [views.target(one, state.now) for one in state.targets],
            "live": views.live(state, history),
            "incident": views.incident(told),
            "open": state.incident,
            "activity": [(views.moment(one.at), one) for one in list(hub.events)[-_EVENTS_SHOWN:][::-1]],
            "past": views.past(history.incidents),
            "uptime": views.uptime(history.days, history.incidents, self._wall(), DAYS),
            "budget": views.budget(history.budget_left, slo),
            "channels": [views.channel(one) for one in history.channels],
            "ephemeral": history.ephemeral,
            "rows": self._rows,
            "started": views.moment(state.started),
            "now": views.moment(state.now),
        }


def _steering(state: State) -> list[tuple[str, str]]:
    """What can be done now: the order, and the words on its button."""
    if state.drill is not None:
        return [("stop-drill", "End the drill")]
    orders = []
    if state.pinned is not None:
        orders.append(("auto", "Leave it to the signals again"))
    if state.serving in ("backup", "ramp") and state.verdict == "backup":
        orders.append(("primary", "Switch to the primary"))
    if state.verdict in ("primary", "suspect") and state.pinned is None:
        orders.append(("backup", "Switch to the backup"))
    if state.pinned is None:
        orders.append(("hold", "Hold: switch nothing"))
    if state.verdict == "primary" and not state.incident and state.pinned is None:
        orders.append(("drill", "Begin a drill"))
    return [*orders, ("test", "Test the notifications")]


_CONFIRM = {
    "backup": ("Switch to the backup?", "New requests go to the backup until somebody takes that back."),
    "primary": (
        "Switch to the primary?",
        "It gets its visitors back, step by step, as soon as it has answered enough probes in a row.",
    ),
    "auto": ("Leave it to the signals again?", "What somebody wanted is taken back; the signals decide who serves."),
    "hold": ("Hold?", "Nobody is switched, whatever happens. Requests that fail are rescued all the same."),
    "drill": ("Begin a drill?", "It ends by itself, and at once if a user would notice."),
    "stop-drill": ("End the drill?", "The primary gets everybody back."),
    "test": ("Test the notifications?", "Every channel gets a message that says it is a test."),
}


class Dashboard:
    """The handlers of one door."""

    def __init__(self, door: Door, office: Office) -> None:
        self._door = door
        self._office = office
        self._painter = Painter(office.history, office.rows, office.wall)
        self._said: OrderedDict[str, tuple[bool, str]] = OrderedDict()

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/", self.page),
            web.get("/live", self.live),
            web.get("/confirm", self.confirm),
            web.post("/do", self.do),
            web.get("/incidents/{id}", self.report),
        ]

    async def page(self, request: web.Request) -> web.Response:
        said = self._said.pop(request.query.get("said", ""), None)
        parts = await self._office.hub.parts()
        return self._html("dashboard.html", 200, parts=parts, said=said, known=self._painter.known(self._office.hub))

    async def live(self, request: web.Request) -> web.StreamResponse:
        return await page_stream(request, self._office.hub)

    async def login(self, _request: web.Request) -> web.Response:
        if not self._door.token:
            raise web.HTTPSeeOther(f"{self._door.prefix}/")
        return self.login_page("", 200, 0)

    def login_page(self, reason: str, status: int, retry_after: int) -> web.Response:
        response = self._html("login.html", status, reason=reason)
        if retry_after:
            response.headers["Retry-After"] = str(retry_after)
        return response

    async def confirm(self, request: web.Request) -> web.Response:
        order = request.query.get("order", "")
        if order not in _CONFIRM:
            raise web.HTTPNotFound(text="there is no such order")
        title, meaning = _CONFIRM[order]
        return self._html("confirm.html", 200, order=order, title=title, meaning=meaning)

    async def do(self, request: web.Request) -> web.Response:
        """An order from the page: done, and back to the page, which says what became of it."""
        form = await request.post()
        given = {key: value for key, value in form.items() if isinstance(value, str)}
        try:
            done, told = True, await self._done(request, given)
        except (RefusedError, ValueError) as refused:
            done, told = False, str(refused)
        name = secrets.token_urlsafe(9)
        self._said[name] = (done, told)
        while len(self._said) > _MOST_SAID:
            self._said.popitem(last=False)
        raise web.HTTPSeeOther(f"{self._door.prefix}/?said={name}")

    async def _done(self, request: web.Request, given: dict[str, str]) -> str:
        order, desk = given.get("order", ""), self._office.desk
        who = plain(given.get("who", ""))[:80] or plain(self._office.who(request))
        seconds = parse_duration(given["for"]) if given.get("for", "").strip() else None
        future: Future[str]
        match order:
            case "backup" | "primary" | "auto" | "hold":
                future = desk.steer(Wish(order), who, seconds)
            case "drill":
                percent = int(given["percent"]) if given.get("percent", "").isdecimal() else 0
                future = desk.drill(Plan(Sort(given.get("sort", "shadow")), seconds or 60.0, percent, who))
            case "stop-drill":
                future = desk.end_drill(who)
            case "test":
                told = await self._office.test_channels()
                return "; ".join(f"{name}: {'delivered' if ok else said}" for name, _, ok, said in told) or "no channel"
            case _:
                raise ValueError("there is no such order")
        async with asyncio.timeout(_ANSWERED_WITHIN_S):
            return await asyncio.wrap_future(future)

    async def report(self, request: web.Request) -> web.Response:
        told = await self._office.incident(request.match_info["id"])
        if told is None:
            raise web.HTTPNotFound(text="there is no incident of this id")
        written = await asyncio.to_thread(FORMS["html"].render, told)
        response = web.Response(body=written, content_type="text/html", charset="utf-8")
        response.headers["X-Report"] = told.id
        return response

    def _html(self, name: str, status: int, **known: Any) -> web.Response:
        text = _environment().get_template(name).render(door=self._door, names=PARTS, **known)
        return web.Response(text=text, status=status, content_type="text/html", charset="utf-8")


@cache
def _environment() -> jinja2.Environment:
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
