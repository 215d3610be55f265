"""Outages that no visitor notices: hung primaries, races, writes that wait, and a way back that fails unseen.

The numbers are those of the acceptance stories.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
from typing import TYPE_CHECKING

import pytest

from support import weather
from support.answer import Answer, Feed, events, text, upgrade
from support.load import Load, Reply, UnansweredError, Visitor, ask
from support.origin import Origin
from support.program import Program
from support.raw import Wire

if TYPE_CHECKING:
    from pathlib import Path

    from support.origin_wire import Seen

ONE = ("--workers", "1")
QUICK = (*ONE, "--ramp-step", "100ms", "--check-interval", "100ms")
STATIC = (*QUICK, "--backup-kind", "static")


def program(primary: Origin, backup: Origin, *args: str) -> Program:
    return Program("--primary", primary.url, "--backup", backup.url, *args)


def by_people(origin: Origin, method: str = "") -> list[Seen]:
    """What it was asked by others than our probes."""
    return [one for one in origin.requests if "health check" not in (one.header("User-Agent") or "")
            and method in ("", one.method)]  # fmt: skip


# -- a primary that hangs


async def test_who_waits_for_a_hung_primary_is_answered_by_the_backup(primary: Origin, backup: Origin) -> None:
    """Story 2. The first time-out of the primary's own would come after 15 s."""
    with program(primary, backup, *ONE) as proxy:
        url = proxy.ready().url
        for _ in range(25):
            await ask(url)
        primary.answer = weather.hang()
        replies = await asyncio.gather(*(ask(url) for _ in range(10)))
        assert {(reply.status, reply.header("X-Origin")) for reply in replies} == {(200, "backup")}
        line = (await proxy.seen("switched to the backup: (.*) error")).group(1)
        assert line.startswith("primary accepted the connection but did not answer in time (")
        assert "request" in line, "those who waited were witnesses"


async def test_connections_that_nobody_accepts_are_waited_for_no_longer(backup: Origin) -> None:
    """Story 3: what is sent to the primary is swallowed."""
    with (
        weather.swallows() as swallowed,
        Program("--primary", swallowed, "--backup", backup.url, *ONE, "--check-interval", "1h") as proxy,
    ):
        url = proxy.ready().url
        replies = await asyncio.gather(*(ask(url) for _ in range(5)))
        assert {(reply.status, reply.header("X-Origin")) for reply in replies} == {(200, "backup")}


async def test_a_slow_page_is_no_outage(primary: Origin, backup: Origin) -> None:
    primary.routes["/report"] = weather.delay(1.2)
    with program(primary, backup, *ONE, "--check-interval", "1h") as proxy:
        url = proxy.ready().url
        await primary.seen(lambda seen: seen.path == "/")  # the first probe
        reply = await ask(url, path="/report")
        assert reply.header("X-Origin") == "primary"
        assert sum(seen.path == "/" for seen in primary.requests) >= 2, "it was looked into by a probe"
        assert "suspected" not in proxy.log
        assert not by_people(backup)


async def test_a_write_in_a_hung_primarys_hands_is_waited_for_and_sent_to_nobody_else(
    primary: Origin, backup: Origin
) -> None:
    primary.routes["/write"] = weather.delay(2.5)
    with program(primary, backup, *ONE) as proxy:
        url = proxy.ready().url
        write = asyncio.ensure_future(ask(url, "POST", "/write", body=b"1"))
        await primary.seen(lambda seen: seen.path == "/write" and seen.complete)
        primary.answer = weather.hang()
        await ask(url)
        await proxy.seen("switched to the backup")
        assert (await write).header("X-Origin") == "primary"
        assert [seen.method for seen in by_people(primary) if seen.path == "/write"] == ["POST"]
        assert not by_people(backup, "POST")


async def test_who_waits_for_a_hung_backup_is_answered_by_the_next_one(primary: Origin, backup: Origin) -> None:
    with (
        Origin("second") as second,
        program(primary, backup, "--backup", second.url, *ONE) as proxy,
    ):
        url = proxy.ready().url
        primary.stop()
        await proxy.seen("switched to the backup")
        backup.answer = weather.hang()
        replies = await asyncio.gather(*(ask(url) for _ in range(3)))
        assert {reply.header("X-Origin") for reply in replies} == {"second"}
        await proxy.seen("backup is down")


async def test_a_primary_that_is_slow_and_answers_is_not_switched_away(primary: Origin, backup: Origin) -> None:
    """Most pages take long all of a sudden, and so do the probes, but somebody is answered all the while."""
    with program(primary, backup, *ONE) as proxy:
        url = proxy.ready().url
        for _ in range(25):
            await ask(url)
        primary.answer = weather.delay(1.5)
        primary.routes["/quick"] = weather.CLEAR
        pages = []
        for _ in range(40):
            pages += [asyncio.ensure_future(ask(url)), asyncio.ensure_future(ask(url, path="/quick"))]
            await asyncio.sleep(0.05)
        assert {reply.status for reply in await asyncio.gather(*pages)} == {200}
        assert "switched to" not in proxy.log


async def test_a_slow_answer_of_another_shortens_nobodys_time(primary: Origin, backup: Origin) -> None:
    """What is usual is learned all the while; how long an answer is owed is not changed by it."""
    primary.routes |= {"/slow": weather.delay(4), "/write": weather.delay(1.5)}
    with program(primary, backup, *ONE, "--check-interval", "1h") as proxy:
        url = proxy.ready().url
        for _ in range(25):
            await ask(url)
        slow = asyncio.ensure_future(ask(url, path="/slow"))
        writes = []
        while not slow.done():
            writes.append(asyncio.ensure_future(ask(url, "POST", "/write", body=b"1")))
            await asyncio.sleep(0.2)
        replies = await asyncio.gather(*writes)
        assert {(reply.status, reply.header("X-Origin")) for reply in replies} == {(200, "primary")}


# -- the race


async def test_in_a_suspicion_a_slow_page_is_asked_of_the_backup_as_well(primary: Origin, backup: Origin) -> None:
    primary.routes |= {"/trip": text("no", status=503), "/slow": weather.delay(20)}
    with program(primary, backup, *ONE) as proxy:
        url = proxy.ready().url
        assert (await ask(url, path="/trip")).header("X-Origin") == "backup"
        await proxy.seen("primary is suspected")
        reply = await ask(url, path="/slow")
        assert reply.header("X-Origin") == "backup"
        assert reply.header("Proxy-Status") == 'failover; next-hop=backup; details="rescued from primary: slow"'
        assert [seen.path for seen in by_people(primary)] == ["/trip", "/slow"]
        assert [seen.path for seen in by_people(backup)] == ["/trip", "/slow"]


async def test_the_first_good_answer_wins_whoever_gives_it(primary: Origin, backup: Origin) -> None:
    primary.routes |= {"/trip": text("no", status=503), "/slow": weather.delay(1)}
    backup.routes |= {"/slow": text("worse", status=503)}
    with program(primary, backup, *ONE) as proxy:
        url = proxy.ready().url
        await ask(url, path="/trip")
        await proxy.seen("primary is suspected")
        reply = await ask(url, path="/slow")
        assert (reply.status, reply.header("X-Origin")) == (200, "primary")
        assert reply.header("Proxy-Status") == "failover; next-hop=primary"
        await backup.seen(lambda seen: seen.path == "/slow")


async def test_a_stream_can_win_the_race(primary: Origin, backup: Origin) -> None:
    body = b"x" * 500_000
    primary.routes |= {"/trip": text("no", status=503), "/slow": weather.delay(20)}
    backup.routes |= {"/slow": text(body.decode(), chunked=True)}
    with program(primary, backup, *ONE) as proxy:
        url = proxy.ready().url
        await ask(url, path="/trip")
        await proxy.seen("primary is suspected")
        reply = await ask(url, path="/slow")
        assert (reply.header("X-Origin"), reply.body) == ("backup", body)


async def test_a_primary_that_breaks_off_in_a_race_leaves_it_to_the_one_that_runs(
    primary: Origin, backup: Origin
) -> None:
    primary.routes |= {"/trip": text("no", status=503), "/slow": weather.delay(0.6, weather.cut(100))}
    backup.routes |= {"/slow": weather.delay(1)}
    with program(primary, backup, *ONE) as proxy:
        url = proxy.ready().url
        await ask(url, path="/trip")
        await proxy.seen("primary is suspected")
        assert (await ask(url, path="/slow")).header("X-Origin") == "backup"
        assert [seen.path for seen in by_people(backup)].count("/slow") == 1, "it was asked already"


async def test_a_write_is_never_raced(primary: Origin, backup: Origin) -> None:
    primary.routes |= {"/trip": text("no", status=503), "/slow": weather.delay(1)}
    with program(primary, backup, *ONE) as proxy:
        url = proxy.ready().url
        await ask(url, path="/trip")
        await proxy.seen("primary is suspected")
        assert (await ask(url, "POST", "/slow", body=b"1")).header("X-Origin") == "primary"
        assert not by_people(backup, "POST")


# -- one broken page


async def test_one_page_that_is_broken_switches_nothing_and_many_are_a_bad_signal(
    primary: Origin, backup: Origin
) -> None:
    """Story 6."""
    primary.routes |= {f"/{name}": text("oops", status=500) for name in "abcd"}
    with program(primary, backup, *ONE, "--check-interval", "1h") as proxy:
        url = proxy.ready().url
        assert {(await ask(url, path="/a")).status for _ in range(12)} == {500}
        assert "suspected" not in proxy.log
        for name in "bcd":
            await ask(url, path=f"/{name}")
        await proxy.seen(r"primary is suspected: .*500 on 3 paths")
        assert not by_people(backup), "a 500 is passed on as it is"


# -- writes


async def test_writes_wait_for_the_primary_and_are_sent_once_each_in_their_order(
    primary: Origin, backup: Origin
) -> None:
    """Story 1: a restart, with a static backup."""
    with program(primary, backup, *STATIC) as proxy:
        url = proxy.ready().url
        primary.stop()
        await proxy.seen("switched to the backup")
        writes = []
        for number in range(30):
            writes.append(asyncio.ensure_future(ask(url, "POST", f"/{number}", body=b"1" * (number * 10_000))))
            await asyncio.sleep(0)
        assert (await ask(url)).header("X-Origin") == "backup"
        primary.start()
        replies = await asyncio.gather(*writes)
        assert {(reply.status, reply.header("X-Origin")) for reply in replies} == {(200, "primary")}
        seen = by_people(primary, "POST")
        assert sorted(one.path for one in seen) == sorted(f"/{number}" for number in range(30))
        assert {one.path: one.body_length for one in seen} == {f"/{n}": n * 10_000 for n in range(30)}
        assert not by_people(backup, "POST")


async def test_a_write_that_meets_the_refusal_itself_waits_as_well(primary: Origin, backup: Origin) -> None:
    with program(primary, backup, *ONE, "--backup-kind", "static", "--ramp-step", "100ms") as proxy:
        url = proxy.ready().url
        primary.stop()
        write = asyncio.ensure_future(ask(url, "POST", body=b"1"))
        await proxy.seen("switched to the backup")
        primary.start()
        assert (await write).header("X-Origin") == "primary"
        assert len(by_people(primary, "POST")) == 1


async def test_a_held_write_whose_client_leaves_is_sent_to_nobody(primary: Origin, backup: Origin) -> None:
    with program(primary, backup, *STATIC) as proxy:
        url = proxy.ready().url
        primary.stop()
        await proxy.seen("switched to the backup")
        with Wire(socket.create_connection(("127.0.0.1", proxy.port))) as leaver:
            leaver.send(b"POST /left HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\n1")
            stayer = asyncio.ensure_future(ask(url, "POST", "/stayed", body=b"1"))
            await asyncio.sleep(0)
            await ask(url)
        primary.start()
        assert (await stayer).status == 200
        assert [seen.path for seen in by_people(primary, "POST")] == ["/stayed"]


@pytest.mark.parametrize("first", [0, 70_000, 100_000])
async def test_a_large_held_write_whose_client_leaves_is_sent_to_nobody(
    primary: Origin, backup: Origin, first: int
) -> None:
    """Its body is more than is kept at a time, so nobody reads from that client but for his end."""
    with program(primary, backup, *STATIC) as proxy:
        url = proxy.ready().url
        primary.stop()
        await proxy.seen("switched to the backup")
        with Wire(socket.create_connection(("127.0.0.1", proxy.port))) as leaver:
            head = b"POST /left HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n"
            await asyncio.to_thread(leaver.send, head, b"x" * first)
            await ask(url)  # so that this much is read before the rest comes
            await asyncio.to_thread(leaver.send, b"x" * (100_000 - first))
            stayer = asyncio.ensure_future(ask(url, "POST", "/stayed", body=b"1"))
            await ask(url)
        primary.start()
        assert (await stayer).status == 200
        assert [seen.path for seen in by_people(primary, "POST")] == ["/stayed"]


async def test_a_reload_with_another_backup_keeps_what_is_held(primary: Origin, backup: Origin, tmp_path: Path) -> None:
    """The old workers drain, and no controller tells them any more: they find out themselves."""
    file = tmp_path / "failover.yaml"
    common = f"primary: {primary.url}\nbackup_kind: static\nworkers: 1\ncheck_interval: 100ms\n"
    file.write_text(f"{common}backup: {backup.url}\n")
    with Origin("second") as second, Program("--config", str(file)) as proxy:
        url = proxy.ready().url
        primary.stop()
        await proxy.seen("switched to the backup")
        writes = [asyncio.ensure_future(ask(url, "POST", f"/{number}", body=b"1")) for number in range(5)]
        await ask(url)
        file.write_text(f"{common}backup: {second.url}\n")
        proxy.signal(signal.SIGHUP)
        await proxy.seen("reloaded")
        primary.start()
        replies = await asyncio.gather(*writes)
        assert {(reply.status, reply.header("X-Origin")) for reply in replies} == {(200, "primary")}
        assert sorted(seen.path for seen in by_people(primary, "POST")) == [f"/{number}" for number in range(5)]


@pytest.mark.parametrize("longest", ["0", "300ms"])
async def test_the_wait_has_an_end_and_an_honest_answer(primary: Origin, backup: Origin, longest: str) -> None:
    primary.answer = Answer(200, b"ok", headers=(("Access-Control-Allow-Origin", "https://app.example"),))
    origin = ("Origin", "https://app.example")
    with program(primary, backup, *STATIC, "--hold-writes", longest) as proxy:
        url = proxy.ready().url
        await ask(url, "POST", "/api", [origin], body=b"1")
        primary.stop()
        await proxy.seen("switched to the backup")
        as_json = await ask(url, "POST", "/api", [origin], body=b"1")
        assert (as_json.status, as_json.header("Retry-After")) == (503, "5")
        assert as_json.header("Access-Control-Allow-Origin") == "https://app.example"
        assert "Origin" in (as_json.header("Vary") or "")
        assert json.loads(as_json.body)["status"] == 503
        as_page = await ask(url, "POST", "/form", [("Accept", "text/html")], body=b"1")
        assert as_page.status == 503
        assert as_page.body.startswith(b"<!doctype html>")
        assert as_page.header("Access-Control-Allow-Origin") is None, "nobody of that origin asked"
        assert not by_people(backup, "POST")


async def test_a_preflight_is_answered_as_the_app_did(primary: Origin, backup: Origin) -> None:
    """Otherwise the browser would forbid the write that was going to wait."""
    allowed = (("Access-Control-Allow-Origin", "https://app.example"), ("Access-Control-Allow-Methods", "PUT"))
    primary.answer = Answer(204, headers=allowed)
    asks = [("Origin", "https://app.example"), ("Access-Control-Request-Method", "PUT")]
    with program(primary, backup, *STATIC) as proxy:
        url = proxy.ready().url
        await ask(url, "OPTIONS", "/api", asks)
        primary.stop()
        await proxy.seen("switched to the backup")
        reply = await ask(url, "OPTIONS", "/api", asks)
        assert reply.status == 204
        assert set(allowed) <= set(reply.headers)
        assert not by_people(backup)
        assert (await ask(url, "OPTIONS", "/other", asks)).header("X-Origin") == "backup"


async def test_no_more_writes_are_held_than_there_is_room_for(primary: Origin, backup: Origin) -> None:
    with program(primary, backup, *STATIC) as proxy:
        url = proxy.ready().url
        primary.stop()
        await proxy.seen("switched to the backup")
        writes = [asyncio.ensure_future(ask(url, "POST", f"/{number}", body=b"1")) for number in range(210)]
        done: set[asyncio.Task[Reply]] = set()
        while len(done) < 10:
            done, _ = await asyncio.wait(writes, return_when=asyncio.FIRST_COMPLETED)
        assert {write.result().status for write in done} == {503}
        primary.start()
        replies = await asyncio.gather(*writes)
        assert sorted(reply.status for reply in replies) == [200] * 200 + [503] * 10


# -- the way back


async def test_pages_that_fail_on_the_way_back_are_never_seen(primary: Origin, backup: Origin) -> None:
    """Story 9: /health is good, the pages are not."""
    primary.routes["/health"] = text("fine")
    with program(primary, backup, *QUICK, "--check-path", "/health", "--access-log") as proxy:
        url = proxy.ready().url
        primary.stop()
        await proxy.seen("switched to the backup")
        primary.answer = text("broken", status=503)
        primary.start()
        with Load(url, visitors=4) as load:
            await proxy.seen("the primary failed on its way back")
            load.wait_for(by={"backup": 50})
        assert not load.tally.failures, load.tally
        assert (await proxy.seen("failed on its way back.*closed for 15 s"))[0]


async def test_a_500_in_the_ramp_is_answered_by_the_backup(primary: Origin, backup: Origin) -> None:
    primary.routes["/health"] = text("fine")
    with program(primary, backup, *ONE, "--check-path", "/health", "--ramp-step", "5s") as proxy:
        url = proxy.ready().url
        primary.stop()
        await proxy.seen("switched to the backup")
        primary.answer = text("broken", status=500)
        primary.start()
        await proxy.seen("tried with 5 %")
        replies = [await ask(url, source=f"127.0.0.{n}") for n in range(2, 80)]
        assert {reply.status for reply in replies} == {200}
        assert by_people(primary), "some of 78 visitors belong to 5 %"
        assert "failed on its way back" not in proxy.log, "one broken page ends no ramp"


async def test_a_visitor_stays_where_he_is_in_a_step(primary: Origin, backup: Origin) -> None:
    with program(primary, backup, *ONE, "--ramp-step", "1m", "--check-interval", "100ms") as proxy:
        url = proxy.ready().url
        primary.stop()
        await proxy.seen("switched to the backup")
        primary.start()
        await proxy.seen("tried with 5 %")
        rounds = [[(await ask(url, source=f"127.0.0.{n}")).header("X-Origin") for n in range(2, 60)] for _ in range(2)]
        assert rounds[0] == rounds[1]
        assert 0 < rounds[0].count("primary") < 15
        state = json.loads((await ask(url, path="/__failover/state")).body)
        assert (state["on_backup"], state["verdict"], state["share"]) == (True, "ramp", 5)


async def test_manual_failback_waits_for_a_person(primary: Origin, backup: Origin) -> None:
    with program(primary, backup, *QUICK, "--failback", "manual") as proxy:
        url = proxy.ready().url
        primary.stop()
        await proxy.seen("switched to the backup")
        primary.start()
        await proxy.seen("the primary is well and waits for a person")
        assert (await ask(url)).header("X-Origin") == "backup"
        proxy.signal(signal.SIGUSR1)
        await proxy.seen("switched back to the primary")
        assert (await ask(url)).header("X-Origin") == "primary"


async def test_what_a_person_wants_outlives_the_controller(primary: Origin, backup: Origin) -> None:
    with program(primary, backup, *QUICK, "--failback", "manual") as proxy:
        proxy.ready()
        primary.stop()
        await proxy.seen("switched to the backup")
        proxy.signal(signal.SIGUSR1)
        await proxy.seen(r"a person \(SIGUSR1\) wants the primary to serve again")
        os.kill(proxy.controller(), signal.SIGKILL)
        await proxy.seen("controller is back")
        primary.start()
        await proxy.seen("switched back to the primary")


# -- our own network


async def test_nothing_is_switched_when_nobody_can_be_reached(primary: Origin) -> None:
    """Story 19."""
    with (
        weather.swallows() as one,
        weather.swallows() as other,
        Program("--primary", one, "--backup", other, *ONE, "--check-timeout", "300ms") as proxy,
    ):
        await proxy.seen("our own network seems to be cut, nothing is switched")
        state = json.loads((await ask(proxy.url, path="/__failover/state")).body)
        assert (state["on_backup"], state["verdict"]) == (False, "suspect")
        assert "switched to" not in proxy.log


# -- tunnels and streams


def websocket(port: int) -> Wire:
    wire = Wire(socket.create_connection(("127.0.0.1", port)))
    wire.send(b"GET /echo HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
    assert wire.read_head().startswith(b"HTTP/1.1 101 ")
    return wire


async def test_a_switch_closes_tunnels_and_event_streams_and_a_blip_does_not(primary: Origin, backup: Origin) -> None:
    """Story 14."""
    feed = Feed()
    primary.routes |= {"/echo": upgrade(), "/events": events(feed), "/trip": text("no", status=503)}
    with program(primary, backup, *ONE) as proxy:
        url = proxy.ready().url
        with websocket(proxy.port) as tunnel, Wire(socket.create_connection(("127.0.0.1", proxy.port))) as stream:
            stream.send(b"GET /events HTTP/1.1\r\nHost: a\r\n\r\n")
            stream.read_head()
            await ask(url, path="/trip")
            await proxy.seen("primary is suspected")
            await proxy.seen("no longer suspected")
            tunnel.send(b"still here")
            assert await asyncio.to_thread(tunnel.read_exactly, 10) == b"still here"
            feed.event("news")
            await asyncio.to_thread(stream.read_until, b"news")
            primary.answer = weather.drop()
            await ask(url)
            await proxy.seen("switched to the backup")
            assert await asyncio.to_thread(tunnel.is_closed)
            with pytest.raises((ConnectionResetError, EOFError)):
                await asyncio.to_thread(stream.read_until, b"0\r\n\r\n")


async def test_a_tunnel_to_a_static_backup_is_refused_at_once(primary: Origin, backup: Origin) -> None:
    with program(primary, backup, *STATIC) as proxy:
        proxy.ready()
        primary.stop()
        await proxy.seen("switched to the backup")
        with Wire(socket.create_connection(("127.0.0.1", proxy.port))) as wire:
            wire.send(b"GET /echo HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
            assert (await asyncio.to_thread(wire.read_head)).startswith(b"HTTP/1.1 503 ")


# -- validators


async def test_a_validator_of_one_target_is_never_judged_by_another(primary: Origin, backup: Origin) -> None:
    """Story 15."""

    def tagged(seen: Seen):
        if seen.header("If-None-Match") == '"v1"':
            return Answer(304, headers=(("ETag", '"v1"'),))
        if seen.header("Range") and seen.header("If-Range") in (None, '"v1"'):
            return Answer(206, b"b", headers=(("ETag", '"v1"'), ("Content-Range", "bytes 1-1/3")))
        return Answer(200, b"abc", headers=(("ETag", '"v1"'), ("Last-Modified", "Mon, 23 Nov 2026 10:00:00 GMT")))

    primary.script = backup.script = lambda seen: None if seen.path != "/page" else tagged(seen)
    with program(primary, backup, *QUICK) as proxy:
        url = proxy.ready().url
        assert (await ask(url, headers=[("If-None-Match", '"v1"')])).status == 304
        primary.stop()
        await proxy.seen("switched to the backup")
        full = await ask(url, headers=[("If-None-Match", '"v1"')])
        assert (full.status, full.body, full.header("ETag")) == (200, b"abc", '"backup~v1"')
        assert full.header("Last-Modified") is None
        since = [("If-Modified-Since", "Mon, 23 Nov 2026 10:00:00 GMT")]
        assert (await ask(url, headers=since)).status == 200
        assert backup.requests[-1].header("If-Modified-Since") is None
        assert (await ask(url, headers=[("If-None-Match", '"x", "backup~v1"')])).status == 304
        part = [("Range", "bytes=1-1")]
        assert (await ask(url, headers=[*part, ("If-Range", '"v1"')])).status == 200, "the rest of another's file"
        assert (await ask(url, headers=[*part, ("If-Range", '"backup~v1"')])).status == 206
        assert (await ask(url, headers=part)).status == 206
        primary.start()
        await proxy.seen("switched back to the primary")
        assert (await ask(url, headers=[*part, ("If-Range", '"backup~v1"')])).status == 200
        assert (await ask(url, headers=[("If-None-Match", '"backup~v1"')])).status == 200


# -- bodies that are kept


@pytest.mark.parametrize("chunked", [False, True])
async def test_a_large_body_is_kept_in_a_file_and_sent_again_whole(
    primary: Origin, backup: Origin, *, chunked: bool
) -> None:
    body = bytes(range(256)) * 12_000
    framing = b"Transfer-Encoding: chunked" if chunked else b"Content-Length: %d" % len(body)
    pieces = [body[at : at + 100_000] for at in range(0, len(body), 100_000)]
    framed = b"".join(b"%x\r\n%b\r\n" % (len(p), p) for p in pieces) + b"0\r\n\r\n" if chunked else body
    primary.answer = weather.drop()
    with program(primary, backup, *ONE, "--check-interval", "1h") as proxy:
        proxy.ready()
        with Wire(socket.create_connection(("127.0.0.1", proxy.port))) as wire:
            head = b"POST /large HTTP/1.1\r\nHost: a\r\nIdempotency-Key: 1\r\n%b\r\n\r\n" % framing
            await asyncio.to_thread(wire.send, head, framed)
            answer, _ = await asyncio.to_thread(wire.read_answer)
        assert answer.startswith(b"HTTP/1.1 200 ")
        (first,) = [seen for seen in by_people(primary) if seen.path == "/large"]
        (second,) = [seen for seen in by_people(backup) if seen.path == "/large"]
        assert second.body_length == len(body)
        assert first.body_sha256 == second.body_sha256


async def test_without_room_for_a_file_the_body_is_proxied_once(primary: Origin, backup: Origin) -> None:
    """Story 17."""
    with program(primary, backup, *ONE, "--check-interval", "1h") as proxy_of_today:
        url = proxy_of_today.ready().url
        reply = await ask(url, "POST", "/large", [("Idempotency-Key", "1")], b"x" * 3_000_000)
        assert reply.status == 200
    nowhere = {"TMPDIR": "/nonexistent", "TEMP": "/nonexistent", "TMP": "/nonexistent"}
    with Program(
        "--primary", primary.url, "--backup", backup.url, *ONE, "--check-interval", "1h", env=nowhere
    ) as proxy:
        url = proxy.ready().url
        reply = await ask(url, "POST", "/large", [("Idempotency-Key", "1")], b"x" * 3_000_000)
        assert reply.status == 200


async def test_without_rescue_a_failure_is_the_visitors(primary: Origin, backup: Origin) -> None:
    primary.answer = weather.drop()
    with program(primary, backup, *ONE, "--no-rescue", "--check-interval", "1h", "--fail-threshold", "50") as proxy:
        assert (await ask(proxy.ready().url)).status == 502
        assert not by_people(backup)


async def test_a_visitor_who_keeps_his_connection_sees_nothing_of_it_all(primary: Origin, backup: Origin) -> None:
    with program(primary, backup, *QUICK) as proxy:
        visitor = Visitor(proxy.ready().url)
        assert (await visitor.ask()).header("X-Origin") == "primary"
        primary.stop()
        try:
            assert (await visitor.ask()).header("X-Origin") == "backup"
            await proxy.seen("switched to the backup")
            primary.start()
            await proxy.seen("switched back to the primary")
            assert (await visitor.ask()).header("X-Origin") == "primary"
        except UnansweredError:  # pragma: no cover
            pytest.fail("his connection was closed")
        assert visitor.reconnects == 0
        visitor.leave()
