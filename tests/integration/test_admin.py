"""The admin listener of the real program: its API, what people want of it, and its event stream."""

from __future__ import annotations

import json
import os
import signal
from typing import TYPE_CHECKING

import pytest

from support.answer import Answer
from support.load import Load, ask
from support.pages import BASE, Api, dashboard, running

if TYPE_CHECKING:
    from support.origin import Origin

TOKEN = "correct-horse-battery"


async def who_serves(url: str, method: str = "GET") -> str | None:
    return (await ask(url, method, body=b"1" if method == "POST" else None)).header("X-Origin")


# Questions


async def test_every_question_has_an_answer(primary: Origin, backup: Origin) -> None:
    with running(primary, backup) as program:
        api = await Api(dashboard(program)).ready()
        state = await api.state()
        assert (state["serving"], state["verdict"], state["incident"]) == ("primary", "primary", "")
        assert [one["alias"] for one in state["targets"]] == ["primary", "backup"]
        assert await api.get("/targets/backup") == next(
            one for one in (await api.get("/targets")) if one["alias"] == "backup"
        )
        assert await api.get("/incidents") == []
        assert (await api.get("/openapi.json"))["openapi"] == "3.1.0"
        assert await api.done("/switch", to="auto", who="ada") == "the signals decide again"
        await program.seen("ada leaves it to the signals again")
        async with api.stream(0) as stream:
            assert (await stream.happened("failover.asked"))[-1]["facts"]["who"] == "ada"
        assert (await api.get("/events"))[-1]["text"] == "ada leaves it to the signals again"
        reply = await api.post("/notifications/test")
        assert (reply.status, json.loads(reply.body)) == (200, [])
        page = await api.ask("/metrics")
        assert page.status == 200
        assert b'failover_upstream_up{upstream="backup"} 1.0' in page.body
        page = await api.ask("/", fields=[("Accept", "text/html")])
        assert (page.status, page.header("Content-Type")) == (200, "text/html; charset=utf-8")
        for path in ("/state", "/targets", "/incidents", "/events", "/openapi.json"):
            reply = await api.ask(BASE + path, "HEAD")
            assert (reply.status, reply.header("Content-Type")) == (200, "application/json")
            assert reply.header("Server") == "failover"


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("GET", "/targets/nobody", None, 404),
        ("GET", "/incidents/nothing", None, 404),
        ("GET", "/incidents/nothing/report", None, 404),
        ("GET", "/incidents/nothing/report?form=pdf", None, 400),
        ("GET", "/incidents?last=0", None, 400),
        ("GET", "/incidents?last=-1", None, 400),
        ("GET", "/events?last=201", None, 400),
        ("GET", "/nonsense", None, 404),
        ("GET", "/switch", None, 405),
        ("DELETE", "/state", None, 405),
        ("POST", "/incidents/nothing/notes", b'{"text":"x"}', 404),
        ("POST", "/incidents/nothing/notes", b'{"text":""}', 400),
        ("POST", "/incidents/nothing/notes", b'{"text":" \\n\\u0000 "}', 400),
        ("POST", "/switch", b"", 400),
        ("POST", "/switch", b"{", 400),
        ("POST", "/switch", b"[]", 400),
        ("POST", "/switch", b"\xff", 400),
        ("POST", "/switch", b'{"to":"nobody"}', 400),
        ("POST", "/switch", b'{"to":"backup","and":1}', 400),
        ("POST", "/switch", b'{"to":"backup","for":-1}', 400),
        ("POST", "/switch", b'{"to":"backup","for":"8d"}', 400),
        ("POST", "/switch", b'{"to":"backup","for":"long"}', 400),
        ("POST", "/switch", b'{"to":"backup","for":1e999}', 400),
        ("POST", "/drill", b'{"sort":"shadow","for":1}', 400),
        ("POST", "/drill", b'{"sort":"percent","percent":0}', 409),
        ("POST", "/drill", b'{"sort":"percent","percent":100}', 409),
        ("POST", "/drill/stop", b"", 409),
        ("POST", "/switch", b'{"to":"auto","who":"%s"}' % (b"x" * 70_000), 413),
    ],
)
async def test_what_cannot_be_done_is_a_sentence(
    steady: Api, method: str, path: str, body: bytes | None, status: int
) -> None:
    reply = await steady.ask(BASE + path, method, [("Content-Type", "application/json")], body)
    assert reply.status == status, reply.body
    assert reply.header("Content-Type") == "application/problem+json"
    problem = json.loads(reply.body)
    assert problem["status"] == status
    assert problem["detail"]
    state = await steady.state()
    assert (state["verdict"], state["pinned"], state["drill"]) == ("primary", None, None)


async def test_an_order_is_json(steady: Api) -> None:
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data"):
        reply = await steady.ask(f"{BASE}/switch", "POST", [("Content-Type", kind)], b'{"to":"backup"}')
        assert reply.status == (400 if kind.startswith("multipart") else 415)  # that one cannot be read at all
    assert (await steady.state())["pinned"] is None


@pytest.fixture(scope="module")
def steady_program():
    """One for all tests that change nothing."""
    from support.origin import Origin

    with Origin("primary") as primary, Origin("backup") as backup, running(primary, backup) as program:
        yield program


@pytest.fixture
async def steady(steady_program) -> Api:
    return await Api(dashboard(steady_program)).ready()


# What a person wants


async def test_a_person_moves_the_traffic_and_gives_it_back(primary: Origin, backup: Origin) -> None:
    with running(primary, backup) as program, Load(program.url, rate=50) as load:
        api = await Api(dashboard(program)).ready()
        assert (await api.done("/switch", to="backup", who="ada")).startswith("the backup serves until")
        state = await api.state()  # at once: who is answered sees what he asked for
        assert (state["serving"], state["pinned"]["wish"], state["pinned"]["who"]) == ("backup", "backup", "ada")
        assert await who_serves(program.url) == "backup"
        load.wait_for(by={"backup": 20})
        assert (await api.state())["verdict"] == "backup"  # although the primary is well
        assert "primary" in await api.done("/switch", to="primary", who="ada")
        await api.until(lambda state: state["verdict"] == "primary")
        load.wait_for(by={"primary": 20})
        assert await who_serves(program.url) == "primary"
        await api.done("/switch", to="backup", who="ada")
        assert await api.done("/switch", to="auto", who="ada") == "the signals decide again"
        state = await api.until(lambda state: state["verdict"] == "primary")
        assert state["pinned"] is None
    assert not load.tally.failures, load.tally


async def test_a_wish_ends_by_itself(primary: Origin, backup: Origin) -> None:
    with running(primary, backup) as program:
        api = await Api(dashboard(program)).ready()
        assert (await api.done("/switch", to="backup", for_="1s", who="ada")) == "the backup serves for 1 s"
        state = await api.state()
        assert 0 < state["pinned"]["until"] - state["now"] <= 1
        await program.seen("that is over: ada wants the backup to serve")
        state = await api.until(lambda state: state["verdict"] == "primary")
        assert state["pinned"] is None
        assert await who_serves(program.url) == "primary"


async def test_hold_keeps_the_side_and_rescues_all_the_same(primary: Origin, backup: Origin) -> None:
    with running(primary, backup) as program:
        api = await Api(dashboard(program)).ready()
        assert (await api.done("/hold", who="ada")).startswith("the primary goes on serving, whatever happens,")
        with Load(program.url, rate=50) as load:
            load.wait_for(by={"primary": 5})
            primary.stop()
            await program.seen("the backup would serve now if nobody had said to hold")
            load.wait_for(by={"backup": 20})
            state = await api.state()
            assert (state["serving"], state["pinned"]["wish"]) == ("primary", "hold")
            await api.done("/switch", to="auto", who="ada")
            await program.seen("switched to the backup")
            load.wait_for(by={"backup": 20})
        assert not load.tally.failures, load.tally


async def test_nobody_is_sent_to_a_backup_that_is_down(primary: Origin, backup: Origin) -> None:
    with running(primary, backup) as program:
        api = await Api(dashboard(program)).ready()
        backup.stop()
        await program.seen("backup is down")
        assert await api.refused("/switch", to="backup") == "no backup is usable: that would be an outage"
        assert await who_serves(program.url) == "primary"


@pytest.mark.parametrize("wish", ["backup", "hold"])
async def test_a_wish_outlives_the_controller(primary: Origin, backup: Origin, wish: str) -> None:
    with running(primary, backup) as program:
        api = await Api(dashboard(program)).ready()
        await (api.done("/hold", who="ada") if wish == "hold" else api.done("/switch", to=wish, who="ada"))
        before = (await api.state())["started"]
        mark = program.mark
        os.kill(program.controller(), signal.SIGKILL)
        await program.seen("controller is back", after=mark)
        state = await until_another(api, before)
        assert (state["pinned"]["wish"], state["pinned"]["who"]) == (wish, "ada")
        assert await who_serves(program.url) == ("backup" if wish == "backup" else "primary")
        await api.done("/switch", to="auto")
        assert (await api.until(lambda state: state["verdict"] == "primary"))["pinned"] is None


async def until_another(api: Api, before: float) -> dict:
    """The state of the controller after the one that began at `before`."""
    while True:
        try:
            await api.ready()
            return await api.until(lambda state: state["started"] != before)
        except (OSError, EOFError, ValueError):  # the old one's socket, in its last moment
            continue


# The event stream


async def test_what_one_missed_comes_once_and_in_order(primary: Origin, backup: Origin) -> None:
    with running(primary, backup) as program:
        api = await Api(dashboard(program)).ready()
        async with api.stream() as stream:
            await api.done("/hold", who="first")
            seen = await stream.happened("failover.asked")
        mark = program.mark
        for who in ("second", "third", "fourth"):
            await api.done("/hold", who=who)
            await program.seen(f"{who} wants nothing", after=mark)
        async with api.stream(seen[-1]["id"]) as stream:
            missed = [await stream.happened("failover.asked") for _ in range(3)]
            assert [[one["facts"]["who"] for one in some] for some in missed] == [["second"], ["third"], ["fourth"]]
            await api.done("/hold", who="fifth")
            assert [one["facts"]["who"] for one in await stream.happened("failover.asked")] == ["fifth"]
        everything = await api.get("/events?last=200")
        ids = [one["id"] for one in everything]
        assert ids == sorted(set(ids))
        assert [one["facts"]["who"] for one in everything if one["action"] == "failover.asked"][-5:] == [
            "first", "second", "third", "fourth", "fifth",
        ]  # fmt: skip


async def test_the_events_of_another_life_are_told_whole(primary: Origin, backup: Origin) -> None:
    with running(primary, backup) as program:
        api = await Api(dashboard(program)).ready()
        await api.done("/hold", who="ada")
        async with api.stream(0) as stream:
            last = (await stream.happened("failover.asked"))[-1]["id"]
        before, mark = (await api.state())["started"], program.mark
        os.kill(program.controller(), signal.SIGKILL)
        await program.seen("controller is back", after=mark)
        await until_another(api, before)
        await api.done("/hold", who="eve")
        for seen in (last, 10**18):
            async with api.stream(seen) as stream:
                told = await stream.happened("failover.asked")
                assert told[-1]["facts"]["who"] == "eve"
                assert all(one["id"] > last for one in told)


async def test_a_page_hears_of_what_changed(primary: Origin, backup: Origin) -> None:
    with running(primary, backup) as program:
        api = await Api(dashboard(program)).ready()
        async with api.stream(path="/live") as stream:
            first = await stream.next()
            assert "headline" in json.loads(first["data"])["parts"]
            await api.done("/switch", to="backup", who="ada")
            while "ada" not in (await stream.next())["data"]:
                pass


# On the public port


@pytest.fixture(scope="module")
def locked_program():
    from support.origin import Origin

    with (
        Origin("primary") as primary,
        Origin("backup") as backup,
        running(primary, backup, "--admin-token", TOKEN) as program,
    ):
        program.origins = (primary, backup)
        yield program


@pytest.fixture
async def public(locked_program) -> Api:
    return await Api(locked_program.url, "/__failover", TOKEN).ready()


async def log_in(api: Api, token: str):
    form = [("Content-Type", "application/x-www-form-urlencoded"), ("Origin", api.url)]
    return await Api(api.url, api.prefix).ask("/login", "POST", form, f"token={token}".encode())


async def test_the_pages_are_behind_the_public_port_for_who_has_the_token(public: Api, locked_program) -> None:
    assert (await public.state())["serving"] == "primary"
    page = await public.ask("/", fields=[("Accept", "text/html")])
    assert page.status == 200
    assert (await public.ask("")).header("Location") == "/__failover/"
    for path in ("/health", "/ready", "/state"):
        assert (await Api(public.url, "/__failover").ask(path)).status == 200
    assert not [seen for origin in locked_program.origins for seen in origin.requests if "failover" in seen.target]


async def test_the_login_form_gives_a_cookie_that_works_until_one_leaves(public: Api) -> None:
    stranger = Api(public.url, "/__failover")
    reply = await stranger.ask("/", fields=[("Accept", "text/html")])
    assert (reply.status, reply.header("Location")) == (303, "/__failover/login")
    assert (await stranger.ask("/login")).status == 200
    assert (await stranger.ask("/static/pages.css")).status == 200
    reply = await log_in(public, TOKEN)
    assert (reply.status, reply.header("Location")) == (303, "/__failover/")
    cookie, *attributes = (reply.header("Set-Cookie") or "").split("; ")
    assert {"HttpOnly", "SameSite=Strict", "Path=/__failover/"} <= set(attributes)
    assert TOKEN not in cookie
    known = Api(public.url, "/__failover", fields=(("Cookie", cookie),))
    assert (await known.state())["serving"] == "primary"
    assert (await known.ask("/", fields=[("Accept", "text/html")])).status == 200
    async with known.stream() as stream:
        assert (await stream.next())["event"] in {"happened", "state"}
    reply = await known.ask("/logout", "POST", [("Origin", public.url)])
    assert (reply.status, reply.header("Location")) == (303, "/__failover/login")
    assert 'failover_session=""' in (reply.header("Set-Cookie") or "")
    assert "Max-Age=0" in (reply.header("Set-Cookie") or "")


async def test_events_flow_through_the_worker(public: Api) -> None:
    async with public.stream() as stream:
        assert b"text/event-stream" in stream.head
        await public.done("/switch", to="auto", who="ada")
        assert (await stream.happened("failover.asked"))[-1]["facts"]["who"] == "ada"


@pytest.mark.parametrize("way", ["local", "public"])
@pytest.mark.parametrize("path", [f"{BASE}/events", "/live"])
async def test_an_open_stream_holds_up_no_end(primary: Origin, backup: Origin, way: str, path: str) -> None:
    drain = ("--drain-timeout", "1h")  # whoever waited for the stream would wait as long
    with running(primary, backup, "--admin-token", TOKEN, *drain) as program:
        url, prefix = (dashboard(program), "") if way == "local" else (program.url, "/__failover")
        api = await Api(url, prefix, TOKEN).ready()
        async with api.stream(path=path) as stream:
            await stream.next()
            program.signal(signal.SIGTERM)
            assert await program.ended() == 0
            await stream.ends()


async def test_an_open_stream_holds_up_no_reload(primary: Origin, backup: Origin) -> None:
    drain = ("--drain-timeout", "1h")
    with running(primary, backup, "--admin-token", TOKEN, *drain) as program:
        local = await Api(dashboard(program), token=TOKEN).ready()
        public = await Api(program.url, "/__failover", TOKEN).ready()
        before = program.workers()
        async with local.stream() as one, public.stream() as other:
            await one.next()
            await other.next()
            program.signal(signal.SIGHUP)
            await program.seen("reloaded")
            await one.ends()
            await other.ends()
        assert not set(before) & set(program.workers())
        await public.ready()
        assert (await (await local.ready()).state())["serving"] == "primary"


async def test_while_the_controller_is_away_the_pages_are_and_the_traffic_is_not(public: Api, locked_program) -> None:
    mark, before = locked_program.mark, (await public.state())["started"]
    os.kill(locked_program.controller(), signal.SIGKILL)
    assert await who_serves(locked_program.url) == "primary"
    reply = await public.ask(f"{BASE}/state")
    assert reply.status in {200, 503}  # it may be back already
    await locked_program.seen("controller is back", after=mark)
    assert (await until_another(public, before))["serving"] == "primary"


async def test_an_answer_of_the_pages_carries_its_guards(public: Api) -> None:
    for path in ("/", f"{BASE}/state", "/login", "/static/pages.css", "/nonsense", "/metrics"):
        reply = await public.ask(path)
        assert reply.header("X-Content-Type-Options") == "nosniff", path
        assert reply.header("X-Frame-Options") == "DENY", path
        assert "default-src 'none'" in (reply.header("Content-Security-Policy") or ""), path
        assert reply.header("Server") == "failover", path


async def test_a_target_that_fails_is_told_with_a_sentence(primary: Origin, backup: Origin) -> None:
    with running(primary, backup) as program:
        api = await Api(dashboard(program)).ready()
        primary.answer = Answer(503, b"out of order")
        state = await api.until(lambda state: state["incident"])
        assert state["serving"] == "backup"
        told = state["targets"][0]
        assert (told["usable"], told["error"], told["last_bad"]["status"]) == (False, "http_5xx", 503)
        assert "503" in told["sentence"]
        assert (await api.incidents())[0]["id"] == state["incident"]
        refusal = await api.refused("/drill", sort="shadow")
        assert refusal == f"an incident is open ({state['incident']}): this is no drill"
