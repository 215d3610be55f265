"""The web application of the pages: one for each door, all over the same office. `guard` says who may pass."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from aiohttp import web

from failover.admin.api import MOST_BODY, Api, problem
from failover.admin.guard import COOKIE, SESSION_S, Denied, Door, Guard, Request, Way, new_session
from failover.admin.pages import Dashboard
from failover.channel import is_of
from failover.observe import log

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from aiohttp.typedefs import Handler

    from failover.admin.base import Desk
    from failover.admin.history import History
    from failover.admin.live import Hub
    from failover.admin.metrics import Metrics
    from failover.core.document import Document
    from failover.incidents.base import Store

STATIC = Path(__file__).parent / "static"
_OPEN_TO_ALL = frozenset({"/login", "/static/pages.css", "/static/icon.svg"})
_DOOR = web.AppKey("door", Door)

_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
        "frame-ancestors 'none'; base-uri 'none'; form-action 'self'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "X-Robots-Tag": "noindex",
    "Cache-Control": "no-store",
    "Server": "failover",  # whose versions are nobody's business
}
# A report brings its own style, and nothing else.
_REPORT = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'none'; base-uri 'none'"

_log = log.get("admin")

Told = tuple[str, str, bool, str]


@dataclass(slots=True)
class Office:
    """What every door leads to. `test_channels` sends a sample to each channel; `rows` are settings with their sources.

    `wall` is Unix seconds.
    """

    hub: Hub
    store: Store
    history: History
    metrics: Metrics
    desk: Desk
    test_channels: Callable[[], Awaitable[list[Told]]]
    rows: list[tuple[str, str, str]]
    wall: Callable[[], float]

    async def incident(self, given: str) -> Document | None:
        if not given.isascii() or len(given) > 64:
            return None
        return await asyncio.wrap_future(self.store.load(given))

    def who(self, request: web.Request) -> str:
        """Who asks, as it stands in the timeline where nobody gives a name."""
        door = request.app[_DOOR]
        if door.way is Way.SOCKET:
            return request.headers.get("X-Failover-Who", "") or "a command"
        return f"somebody with the token, from {client_of(request)}" if door.token else "somebody at the dashboard"


def application(door: Door, office: Office, guard: Guard) -> web.Application:
    """The pages behind this door; those of the public port begin at its prefix."""
    app = web.Application(middlewares=[_never_raises, _guarding(door, office, guard)], client_max_size=MOST_BODY)
    app[_DOOR] = door
    dashboard = Dashboard(door, office)
    routes: list[web.AbstractRouteDef] = [*Api(office).routes(), *dashboard.routes()]
    routes += [
        web.get("/metrics", _metrics(office)),
        web.get("/login", dashboard.login),
        web.post("/login", _login(door, office, guard, dashboard)),
        web.post("/logout", _logout(door)),
        web.static("/static", STATIC),
    ]
    app.add_routes(routes)
    if not door.prefix:
        return app
    outer = web.Application(client_max_size=MOST_BODY)
    outer.add_routes([web.get(door.prefix, _to_pages)])
    outer.add_subapp(door.prefix, app)
    return outer


async def _to_pages(request: web.Request) -> web.Response:
    raise web.HTTPPermanentRedirect(f"{request.path}/")


def client_of(request: web.Request) -> str:
    """The address that asks. Behind the public port a worker has said it: nobody else passes that door."""
    if request.app[_DOOR].way is Way.PUBLIC:
        return request.headers.get("X-Forwarded-For", "")
    return request.remote or ""


def path_of(request: web.Request) -> str:
    return request.path.removeprefix(request.app[_DOOR].prefix) or "/"


@web.middleware
async def _never_raises(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Every answer has its headers, and what goes wrong is a sentence and a line in the log."""
    try:
        response = await handler(request)
    except web.HTTPException as error:
        if error.status < 400:
            error.headers.update(_HEADERS)
            raise
        text = error.text or error.reason
        headers = {name: error.headers[name] for name in ("Retry-After", "Allow") if name in error.headers}
        response = problem(error.status, text, headers)
    except TimeoutError:
        response = problem(504, "it took too long")
    except Exception:  # noqa: BLE001 - whoever asks gets an answer
        _log.exception("a page could not be made", path=request.path)
        response = problem(500, "a mistake in the program; its log says more")
    if not response.prepared:
        report = response.headers.pop("X-Report", "") or "/report" in request.path
        response.headers.update(_HEADERS)
        if report:
            response.headers["Content-Security-Policy"] = _REPORT
    return response


def _guarding(door: Door, office: Office, guard: Guard) -> Callable[..., Awaitable[web.StreamResponse]]:
    @web.middleware
    async def guarding(request: web.Request, handler: Handler) -> web.StreamResponse:
        asked = Request(
            method=request.method,
            host=request.headers.get("Host", ""),
            client=client_of(request),
            origin=request.headers.get("Origin", ""),
            fetch_site=request.headers.get("Sec-Fetch-Site", ""),
            authorization=request.headers.get("Authorization", ""),
            cookie=request.cookies.get(COOKIE, ""),
            https=door.way is Way.PUBLIC and request.headers.get("X-Forwarded-Proto") == "https",
        )
        path = path_of(request)
        if door.peers is not None and not _asks_a_peer(request, door.peers):
            return problem(403, "only the proxy itself asks here")
        denied = guard.check_place(door, asked) if path in _OPEN_TO_ALL else guard.check(door, asked, office.wall())
        if denied is None:
            if request.method == "POST":
                await _read_form(request)
            return await handler(request)
        wants_page = "text/html" in request.headers.get("Accept", "")
        if denied.status == 401 and wants_page and not asked.authorization:
            raise web.HTTPSeeOther(f"{door.prefix}/login")
        if denied.status == 401 and asked.authorization:
            _denied(denied, asked.client)
        return _denial(denied)

    return guarding


def _asks_a_peer(request: web.Request, peers: frozenset[int]) -> bool:
    end = request.get_extra_info("socket")
    return end is not None and is_of(peers, end)


async def _read_form(request: web.Request) -> None:
    """A form is read here, for all who ask for it later. One that nobody can read is not our mistake."""
    try:
        await request.post()
    except web.HTTPException:
        raise
    except Exception:  # noqa: BLE001 - odd charsets, boundaries and encodings raise whatever they like
        raise web.HTTPBadRequest(text="the form cannot be read") from None


def _denied(denied: Denied, client: str) -> None:
    _log.warning("a wrong token was given", action="admin.denied", reason=denied.reason, client=client)


def _denial(denied: Denied) -> web.Response:
    headers = {"WWW-Authenticate": 'Bearer realm="failover"'} if denied.status == 401 else {}
    if denied.retry_after:
        headers["Retry-After"] = str(denied.retry_after)
    return problem(denied.status, denied.reason, headers)


def _login(door: Door, office: Office, guard: Guard, dashboard: Dashboard) -> Handler:
    async def login(request: web.Request) -> web.StreamResponse:
        form = await request.post()
        given = form.get("token", "")
        now = office.wall()
        if not door.token:
            raise web.HTTPSeeOther(f"{door.prefix}/")
        denied = guard.try_token(door, client_of(request), given.strip() if isinstance(given, str) else "", now)
        if denied is not None:
            if denied.status == 401:  # who has to wait has been told of often enough
                _denied(denied, client_of(request))
            return dashboard.login_page(denied.reason, denied.status, denied.retry_after)
        response = web.HTTPSeeOther(f"{door.prefix}/")
        response.set_cookie(
            COOKIE,
            new_session(door.token, now),
            max_age=int(SESSION_S),
            httponly=True,
            samesite="Strict",
            path=f"{door.prefix}/",
            secure=_is_https(request),
        )
        raise response

    return login


def _logout(door: Door) -> Handler:
    async def logout(_request: web.Request) -> web.StreamResponse:
        response = web.HTTPSeeOther(f"{door.prefix}/login")
        response.del_cookie(COOKIE, path=f"{door.prefix}/")
        raise response

    return logout


def _is_https(request: web.Request) -> bool:
    """Whether the browser came over TLS, as far as its own words or a trusted proxy tell."""
    origin = urlsplit(request.headers.get("Origin", "")).scheme
    return origin == "https" or request.headers.get("X-Forwarded-Proto") == "https"


def _metrics(office: Office) -> Handler:
    async def metrics(request: web.Request) -> web.StreamResponse:
        page, content_type = office.metrics.written(request.headers.get("Accept", ""))
        return web.Response(body=page, headers={"Content-Type": content_type})

    return metrics
