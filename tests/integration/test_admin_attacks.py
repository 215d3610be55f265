"""The pages as an attacker sees them: after every try nothing was learned and nothing is different."""

from __future__ import annotations

import asyncio
import json
import re
import socket
from typing import TYPE_CHECKING

import pytest

from support.answer import Answer
from support.load import ask
from support.origin import Origin
from support.pages import BASE, Api, bearer, dashboard, running
from support.program import Program
from support.raw import dial

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from support.load import Reply

TOKEN = "correct-horse-battery"
EVIL = "http://evil.example"
JSON = ("Content-Type", "application/json")
FORM = ("Content-Type", "application/x-www-form-urlencoded")
ORDER = b'{"to":"backup"}'
SCRIPT = "<script>alert(1)</script>"


class House:
    """A running program, what nobody may learn of it, and what nobody may change in it."""

    def __init__(self, program: Program, primary: Origin, backup: Origin, token: str) -> None:
        self.program, self.origins = program, (primary, backup)
        self.local, self.public = Api(dashboard(program)), Api(program.url, "/__failover")
        self.owner = Api(self.local.url, token=token)
        self._secrets = [f"{primary.port}", f"{backup.port}", '"usable"', '"alias"', "serving", "verdict", TOKEN]

    async def state(self) -> object:
        state = await (await self.owner.ready()).state()
        kept = {name: state[name] for name in ("started", "serving", "verdict", "share", "pinned", "drill", "incident")}
        events = [one for one in await self.owner.get("/events?last=200") if one["action"] != "admin.denied"]
        return kept, events, await self.owner.get("/incidents")

    def learned(self, said: bytes) -> list[str]:
        return [secret for secret in self._secrets if secret.encode() in said]

    def heard(self) -> list[str]:
        """What of ours has reached a target."""
        return [seen.target for origin in self.origins for seen in origin.requests if "failover" in seen.target.lower()]


def _house(*more: str) -> Iterator[House]:
    with Origin("primary") as primary, Origin("backup") as backup, running(primary, backup, *more) as program:
        yield House(program, primary, backup, TOKEN if more else "")


@pytest.fixture(scope="module")
def open_house() -> Iterator[House]:
    yield from _house()


@pytest.fixture(scope="module")
def locked_house() -> Iterator[House]:
    yield from _house("--admin-token", TOKEN)


async def _unharmed(house: House) -> AsyncIterator[House]:
    before, mark = await house.state(), house.program.mark
    yield house
    assert await house.state() == before
    assert not house.heard()
    said = "\n".join(house.program.lines[mark:])
    assert "could not be made" not in said
    assert "Traceback" not in said


@pytest.fixture
async def unlocked(open_house: House) -> AsyncIterator[House]:
    async for house in _unharmed(open_house):
        yield house


@pytest.fixture
async def locked(locked_house: House) -> AsyncIterator[House]:
    async for house in _unharmed(locked_house):
        yield house


def refused(house: House, reply: Reply, *statuses: int) -> None:
    assert reply.status in statuses, (reply.status, reply.body[:300])
    assert not house.learned(reply.body + repr(reply.headers).encode()), reply


READ = (
    f"{BASE}/state",
    f"{BASE}/targets",
    f"{BASE}/incidents",
    f"{BASE}/events",
    f"{BASE}/openapi.json",
    "/",
    "/live",
    "/metrics",
)
ORDERS = ("switch", "hold", "drill", "drill/stop", "notifications/test")
CHANGED = (*(f"{BASE}/{order}" for order in ORDERS), "/do", "/logout", "/login")


# A page of another site, in the browser of somebody on this machine


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8081", "", "127.0.0.1.evil.example", "[::2]:1"])
async def test_a_name_that_was_rebound_opens_nothing(unlocked: House, host: str) -> None:
    for path in (*READ, "/login", "/static/pages.css"):
        refused(unlocked, await unlocked.local.ask(path, fields=[("Host", host)]), 403)
    for path in CHANGED:
        refused(unlocked, await unlocked.local.ask(path, "POST", [("Host", host), JSON], ORDER), 403)


@pytest.mark.parametrize("host", [["127.0.0.1", "evil.example"], ["evil.example", "127.0.0.1"]])
async def test_two_hosts_are_none(unlocked: House, host: list[str]) -> None:
    reply = await unlocked.local.ask(f"{BASE}/state", fields=[("Host", one) for one in host])
    refused(unlocked, reply, 400, 403)


@pytest.mark.parametrize(
    "said",
    [
        {"Origin": EVIL},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": EVIL, "Sec-Fetch-Site": "cross-site"},
    ],
    ids=str,
)
@pytest.mark.parametrize(
    ("kind", "body"),
    [
        (JSON, ORDER),
        (FORM, b"order=backup"),
        (("Content-Type", "text/plain"), ORDER),
        (
            ("Content-Type", "multipart/form-data; boundary=x"),
            b'--x\r\nContent-Disposition: form-data; name="order"\r\n\r\nbackup\r\n--x--\r\n',
        ),
    ],
    ids=["json", "form", "text", "multipart"],
)
async def test_a_page_of_another_site_changes_nothing(
    unlocked: House, said: dict[str, str], kind: tuple[str, str], body: bytes
) -> None:
    for path in CHANGED:
        refused(unlocked, await unlocked.local.ask(path, "POST", [*said.items(), kind], body), 403)


async def test_a_page_of_another_site_may_read_nothing(unlocked: House) -> None:
    asked = [("Origin", EVIL), ("Access-Control-Request-Method", "POST")]
    reply = await unlocked.local.ask(f"{BASE}/switch", "OPTIONS", asked)
    refused(unlocked, reply, 405)
    reply = await unlocked.local.ask(f"{BASE}/state", fields=[("Origin", EVIL)])  # a browser keeps it from the page
    for one in (reply, await unlocked.local.ask(f"{BASE}/switch", "OPTIONS", asked)):
        assert one.header("Access-Control-Allow-Origin") is None
        assert one.header("Cross-Origin-Resource-Policy") == "same-origin"
        assert one.header("X-Frame-Options") == "DENY"


async def test_looking_never_changes_anything(unlocked: House) -> None:
    for path in CHANGED:
        for method in ("GET", "HEAD", "OPTIONS"):
            reply = await unlocked.local.ask(f"{path}?to=backup&order=backup", method)
            assert reply.status == (303 if path == "/login" and method != "OPTIONS" else 405), (path, method)
    for order in ("backup", "hold", "drill"):
        assert (await unlocked.local.ask(f"/confirm?order={order}")).status == 200
    assert (await unlocked.local.ask("/confirm?order=nonsense")).status == 404
    for named in ("X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override"):
        assert (await unlocked.local.ask(f"{BASE}/switch", "GET", [(named, "POST"), JSON], ORDER)).status == 405


# Somebody without the token


async def test_without_the_token_there_is_the_login_form_and_nothing_else(locked: House) -> None:
    for api in (locked.local, locked.public):
        for path in (
            *READ,
            "/nonsense",
            "/static/pages.js",
            "/confirm",
            "/login/",
            "/login/x",
            "/static/",
            "/incidents/last",
        ):
            refused(locked, await api.ask(path), 401)
            reply = await api.ask(path, fields=[("Accept", "text/html")])
            refused(locked, reply, 303)
            assert reply.header("Location") == f"{api.prefix}/login"
        for path in CHANGED[:-1]:
            refused(locked, await api.ask(path, "POST", [JSON], ORDER), 401)
        refused(locked, await api.ask("/login"), 200)
        refused(locked, await api.ask("/static/pages.css"), 200)


@pytest.mark.parametrize("way", ["local", "public"])
async def test_who_guesses_waits_even_with_the_right_one(locked: House, way: str) -> None:
    api = getattr(locked, way)
    source = {"local": "127.0.2.1", "public": "127.0.2.2"}[way]

    async def guess(token: str, *fields: tuple[str, str]) -> Reply:
        return await ask(api.url, path=f"{api.prefix}{BASE}/state", headers=[*bearer(token), *fields], source=source)

    for number in range(10):
        refused(locked, await guess(f"wrong-{number}", ("X-Forwarded-For", f"192.0.2.{number}")), 401)
    for token in ("wrong", TOKEN):
        for fields in (
            (),
            (("X-Forwarded-For", "192.0.2.99"),),
            (("Forwarded", "for=192.0.2.98"), ("X-Real-IP", "192.0.2.97")),
        ):
            reply = await guess(token, *fields)
            refused(locked, reply, 429)
            assert 0 < int(reply.header("Retry-After") or 0) <= 60
    form = [FORM, ("Origin", api.url)]
    reply = await ask(api.url, "POST", f"{api.prefix}/login", form, f"token={TOKEN}".encode(), source=source)
    refused(locked, reply, 429)
    assert reply.header("Set-Cookie") is None
    assert (await Api(api.url, api.prefix, TOKEN).state())["serving"] == "primary"  # nobody else has to wait


async def test_who_guesses_at_the_form_waits_as_well_and_does_not_fill_the_log(locked: House) -> None:
    api, mark = locked.public, locked.program.mark
    statuses = []
    for number in range(30):
        form = [FORM, ("Origin", api.url)]
        reply = await ask(api.url, "POST", "/__failover/login", form, b"token=wrong%d" % number, source="127.0.2.3")
        statuses.append(reply.status)
        assert reply.header("Set-Cookie") is None
    assert statuses == [401] * 10 + [429] * 20
    said = [line for line in locked.program.lines[mark:] if "127.0.2.3" in line]
    assert len(said) <= 11


@pytest.mark.parametrize("cookie", ["1.x", "9999999999." + "0" * 64, "9999999999.\xff", "\xff", "a=b", '"', "x" * 4000])
async def test_no_cookie_can_be_made_up(locked: House, cookie: str) -> None:
    for api in (locked.local, locked.public):
        refused(locked, await api.ask(f"{BASE}/state", fields=[("Cookie", f"failover_session={cookie}")]), 401)


@pytest.mark.parametrize(
    "given", ["Bearer \xff\xfe", "Bearer \xc3\xbc", "\xff", "Bearer", "Basic Og==", "Bearer " + "x" * 6000]
)
async def test_an_odd_token_is_a_wrong_one(locked: House, given: str) -> None:
    for api, source in ((locked.local, "127.0.2.5"), (locked.public, "127.0.2.6")):
        path = f"{api.prefix}{BASE}/state"
        refused(locked, await ask(api.url, path=path, headers=[("Authorization", given)], source=source), 401)


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("application/x-www-form-urlencoded", b"token=%ff%fe&\xff"),
        ("application/x-www-form-urlencoded; charset=nonsense", b"token=x"),
        ("application/x-www-form-urlencoded; charset=utf-16", b"x"),
        ("multipart/form-data", b"token=x"),
        ("multipart/form-data; boundary=x", b"nonsense"),
        ("multipart/form-data; boundary=x", b"--x\r\n\r\n"),
        (
            "multipart/form-data; boundary=x",
            b'--x\r\nContent-Disposition: form-data; name="token"; filename="y"\r\n\r\nz\r\n--x--\r\n',
        ),
        (
            "multipart/form-data; boundary=x",
            b'--x\r\nContent-Disposition: form-data; name="token"\r\nContent-Type: a; charset=z\r\n\r\nz\r\n--x--\r\n',
        ),
        ("application/json", b'{"token":"x"}'),
        ("text/plain", b"\x00"),
        ("nonsense", b"token=x"),
    ],
    ids=range(11),
)
async def test_a_form_that_cannot_be_read_is_no_mistake_of_ours(locked: House, kind: str, body: bytes) -> None:
    for number, api in enumerate((locked.local, locked.public)):
        given = [("Content-Type", kind), ("Origin", api.url)]
        source = f"127.0.3.{hash_of(kind, body) + number}"
        refused(locked, await ask(api.url, "POST", f"{api.prefix}/login", given, body, source=source), 400, 401)


def hash_of(kind: str, body: bytes) -> int:
    """A place of its own for each, so that nobody waits for what another has tried."""
    return (len(kind) * 7 + len(body)) % 120 * 2 + 1


# The public port


PAGES = [
    f"/__failover{path}"
    for path in (f"{BASE}/state", "/", "", "/login", "/static/pages.css", "/metrics", f"{BASE}/switch")
]
ODD = [
    "/__failover/%61pi/v1/state",
    "/__failover//api/v1/state",
    "/__failover/./api/v1/state",
    "/__failover/api/../api/v1/state",
    "/__failover/api/..?/v1/state",
    "/__failover/x/..?",
    "/__failover/api/v1/state/",
    "/__failover/login/../api/v1/state",
    "/__failover/static/../api/v1/state",
    "/__failover/static/..%2fapp.py",
    "/__failover/static/%2e%2e/app.py",
    "/__failover/api%2fv1%2fstate",
    "/%5f%5ffailover/api/v1/state",
    "/%255f%255ffailover/api/v1/state",
    "//__failover/api/v1/state",
    "/x/../__failover/api/v1/state",
    "/__failover;x/api/v1/state",
    "/__failover;/api/v1/state",
    "/__failover/api;x/v1/state",
    "\\__failover\\api\\v1\\state",
    "/\\__failover/api/v1/state",
    "/__failover\\api\\v1\\state",
    "/__failover/api/v1/state%00",
    "/__failover/api/v1/state%0d%0aX:%20y",
    "/__failover/api/v1/state#x",
    "/__failover/\xff",
]


@pytest.mark.parametrize("path", ODD)
async def test_an_odd_path_is_no_page_with_or_without_the_token(locked: House, path: str) -> None:
    for token in ((), bearer(TOKEN)):
        reply = await ask(locked.public.url, path=path, headers=token)
        refused(locked, reply, 400, 404, *(() if token else (401,)))


@pytest.mark.parametrize("start", ["http://evil.example", "http://127.0.0.1", "https://x@y", "http://"])
async def test_a_whole_address_is_the_path_in_it(locked: House, start: str) -> None:
    reply = await ask(locked.public.url, path=f"{start}/__failover{BASE}/state")
    refused(locked, reply, 400, 401, 404)
    for odd in ("%61pi/v1/state", "./api/v1/state", "/api/v1/state"):
        reply = await ask(locked.public.url, path=f"{start}/__failover/{odd}", headers=bearer(TOKEN))
        refused(locked, reply, 400, 404)


@pytest.mark.parametrize("path", [*ODD, *PAGES])
async def test_without_a_token_the_public_port_has_no_pages(unlocked: House, path: str) -> None:
    for method, body in (("GET", None), ("POST", ORDER)):
        for fields in ((), bearer("")):
            reply = await ask(unlocked.public.url, method, path, [JSON, *fields], body)
            refused(unlocked, reply, 400, 404)


async def test_without_a_token_health_and_state_are_all_there_is(unlocked: House) -> None:
    for path in ("/health", "/ready", "/state"):
        assert (await unlocked.public.ask(path)).status == 200
        assert (await unlocked.public.ask(path, "POST", [JSON], ORDER)).status == 405


async def test_what_comes_behind_a_request_for_a_page_reaches_nobody(locked: House) -> None:
    order = b"POST /__failover/api/v1/switch HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    order += b"Authorization: Bearer %b\r\nX-Forwarded-For: 127.0.0.1\r\nContent-Length: %d\r\n\r\n%b"
    order %= TOKEN.encode(), len(ORDER), ORDER
    for first in (
        b"GET /__failover/login HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /__failover/login HTTP/1.1\r\nHost: x\r\nConnection: keep-alive\r\n\r\n",
        b"POST /__failover/login HTTP/1.1\r\nHost: x\r\nContent-Length: 7\r\n\r\ntoken=x",
        b"HEAD /__failover/login HTTP/1.1\r\nHost: x\r\n\r\n",
    ):
        with dial(locked.program.port) as wire:
            wire.send(first + order)
            said = await asyncio.to_thread(wire.read_all)
        assert said.count(b"HTTP/1.1 ") == 1
        assert b"connection: close" in said.lower()
        assert not locked.learned(said)


@pytest.mark.parametrize(
    "framing",
    [
        b"Content-Length: 7\r\nContent-Length: 8\r\n",
        b"Content-Length: 7\r\nTransfer-Encoding: chunked\r\n",
        b"Transfer-Encoding: chunked\r\n",
        b"Content-Length: +7\r\n",
        b"Content-Length: 65537\r\n",
        b"Content-Length: 99999999999\r\n",
        b"X-Folded: a\r\n Transfer-Encoding: chunked\r\n",
        b"Cookie: a\rX-Forwarded-For: 127.0.0.1\r\n",
        b"Cookie: a\nX-Forwarded-For: 127.0.0.1\r\n",
        b"Cookie: a\x00b\r\n",
    ],
)
async def test_a_body_or_a_head_that_two_could_read_in_two_ways_reaches_no_page(locked: House, framing: bytes) -> None:
    with dial(locked.program.port) as wire:
        wire.send(b"POST /__failover/login HTTP/1.1\r\nHost: x\r\n" + framing + b"\r\n")
        head = await asyncio.to_thread(wire.read_head)
        assert re.match(rb"HTTP/1.1 (400|413|501) ", head), head


async def test_a_body_of_more_than_64_kib_is_refused_everywhere(locked: House) -> None:
    order = b'{"to":"backup","who":"%b"}' % (b"x" * 70_000)
    for api in (Api(locked.local.url, token=TOKEN), Api(locked.public.url, "/__failover", TOKEN)):
        refused(locked, await api.ask(f"{BASE}/switch", "POST", [JSON], order), 413)


async def test_a_body_of_unknown_length_has_the_same_end(locked: House) -> None:
    port = int(locked.local.url.rpartition(":")[2])
    with dial(port) as wire:
        wire.send(b"POST /api/v1/switch HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n")
        wire.send(b"Authorization: Bearer %b\r\nTransfer-Encoding: chunked\r\n\r\n" % TOKEN.encode())
        wire.send(b"11171\r\n" + b" " * 70_001 + b"\r\n0\r\n\r\n")
        assert b" 413 " in await asyncio.to_thread(wire.read_head)


async def test_nothing_that_is_given_splits_a_head(locked: House) -> None:
    owner = Api(locked.public.url, "/__failover", TOKEN)
    split = "%0d%0aX-Evil:%20yes%0d%0a%0d%0a"
    for path in (
        f"/?said={split}",
        f"/confirm?order={split}",
        f"{BASE}/targets/x?y={split}",
        f"{BASE}/events?last={split}",
    ):
        reply = await owner.ask(path)
        assert reply.header("X-Evil") is None
        assert b"\r\nX-Evil" not in reply.body
    given = [FORM, ("Origin", owner.url)]
    reply = await ask(owner.url, "POST", "/__failover/login", given, f"token={split}".encode(), source="127.0.2.9")
    assert (reply.status, reply.header("X-Evil")) == (401, None)


# What is written down


async def test_what_somebody_wrote_is_never_markup(tmp_path) -> None:
    with Origin("primary") as primary, Origin("backup") as backup, running(primary, backup) as program:
        api = await Api(dashboard(program)).ready()
        odd = f"\"'>{SCRIPT}<img src=x onerror=alert(1)>\r\nSet-Cookie: evil=1"
        await api.done("/hold", who=odd)
        reply = await api.ask("/do", "POST", [FORM], b"order=hold&who=%3Cscript%3Ealert(1)%3C/script%3E")
        assert reply.status == 303
        said = await api.ask((reply.header("Location") or "").removeprefix(api.url))
        await api.done("/switch", to="auto")
        page = html_page(503, f"<title>{SCRIPT}</title><h1>{SCRIPT}</h1>")
        primary.answer = page
        state = await api.until(lambda state: state["incident"])
        where = f"{BASE}/incidents/{state['incident']}"
        await api.done(f"/incidents/{state['incident']}/notes", text=f"note {SCRIPT}", who=odd)
        pages = [said, await api.ask("/"), await api.ask(f"/incidents/{state['incident']}")]
        pages += [await api.ask(f"{where}/report?form={form}") for form in ("html", "svg", "md")]
        for one in pages:
            assert one.status == 200
            assert not re.search(rb"(?<!\\)<(script>|img src=x)", one.body)  # Markdown escapes with a backslash
            assert one.header("Set-Cookie") is None
        async with api.stream(path="/live") as stream:
            parts = json.loads((await stream.next())["data"])["parts"]
        assert SCRIPT not in "".join(parts.values())
        timeline = json.dumps(await api.get(f"/incidents/{state['incident']}"))
        assert "\\r" not in timeline
        assert "note <script>" in timeline  # as JSON it is what was written


def html_page(status: int, text: str) -> Answer:
    return Answer(status, text.encode(), (("Content-Type", "text/html"), ("Server", SCRIPT), ("X-Version", SCRIPT)))


# Where it listens


def test_beyond_this_machine_it_wants_a_token() -> None:
    words = ("--primary", "http://app.example", "--backup", "http://b.example", "--admin-listen", "0.0.0.0:0")
    with Program(*words) as program:
        assert program.wait() == 2
        program.wait_for_silence()
    assert "--admin-token" in program.log
    assert "Traceback" not in program.log


async def test_with_one_it_may_be_reached_by_any_name(locked_house: House) -> None:
    primary, backup = locked_house.origins
    with running(primary, backup, "--admin-token", TOKEN, admin="0.0.0.0:0") as program:
        api = await Api(dashboard(program), token=TOKEN, fields=(("Host", "box.example"),)).ready()
        assert (await api.state())["serving"] == "primary"
        reply = await Api(api.url).ask(f"{BASE}/state", fields=[("Host", "box.example")])
        assert reply.status == 401


def test_a_port_that_was_asked_for_and_is_taken_is_the_end() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        where = f"127.0.0.1:{taken.getsockname()[1]}"
        words = ("--primary", "http://app.example", "--backup", "http://b.example", "--admin-listen", where)
        with Program(*words) as program:
            assert program.wait() == 1
            program.wait_for_silence()
    assert f"cannot listen on {where}: another process listens there" in program.log
    assert "Traceback" not in program.log


def test_the_usual_port_that_is_taken_is_a_warning(primary: Origin, backup: Origin) -> None:
    try:
        taken = socket.create_server(("127.0.0.1", 8081))
    except OSError:  # somebody has it already, which is as good
        taken = socket.socket()
    words = ("--primary", primary.url, "--backup", backup.url)
    with taken, Program(*words, env={"FAILOVER_ADMIN_LISTEN": ""}) as program:
        program.ready()
        program.wait_for("dashboard, API and metrics have no address of their own: .*another process listens there")
