"""Drills of the real program: what they find, what ends them, what forbids them, and the record they leave."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

import pytest

from support.load import Load, ask
from support.pages import BASE, Api, dashboard, running
from support.site import dressed, html

if TYPE_CHECKING:
    from support.origin import Origin


async def the_end(program, api: Api) -> dict:
    """The record of the drill that has just ended, once it is closed."""
    await program.seen("the drill is over")
    await api.until(lambda state: state["drill"] is None)
    (listed,) = [one for one in await api.incidents() if one["severity"] == "drill"]
    return await api.get(f"/incidents/{listed['id']}")


# What they find


async def test_a_shadow_drill_finds_what_a_visitor_would_notice(primary: Origin, backup: Origin) -> None:
    dressed(primary)
    dressed(backup).routes["/"] = html("Closed")
    backup.routes["/cart"] = html("Gone", status=404)
    primary.routes["/cart"] = html("Cart")
    with running(primary, backup) as program:
        api = await Api(dashboard(program)).ready()
        told = await api.done("/drill", sort="shadow", for_=5, who="ada")
        assert told.startswith("a shadow drill of 5 s: the backup is asked what users ask has begun")
        state = await api.state()
        assert (state["serving"], state["drill"]["sort"], state["drill"]["who"]) == ("primary", "shadow", "ada")
        with Load(program.url, rate=20, path=lambda n: ("/", "/cart")[n % 2]) as load:
            await api.until(lambda state: state["drill"] and state["drill"]["compared"] >= 2)
            record = await the_end(program, api)
        assert load.tally.by.keys() == {"primary"}  # nobody noticed
        assert await api.refused("/drill/stop") == "no drill runs"
    written = json.dumps(record)
    assert record["severity"] == "drill"
    assert record["title"] == "Shadow drill: 2 of 2 answers differed between primary and backup"
    assert "/cart: the status is 200 on the primary and 404 on the backup" in written
    assert "Shop" in written
    assert "Closed" in written


async def test_a_shadow_drill_of_alike_sides_passes_and_its_record_has_every_form(
    primary: Origin, backup: Origin
) -> None:
    dressed(primary)
    dressed(backup)
    with running(primary, backup) as program:
        api = await Api(dashboard(program)).ready()
        await api.done("/drill", sort="shadow", for_=5, who="ada")
        assert await api.refused("/drill", sort="full") == "a drill runs already"
        record = await the_end(program, api)
        assert "passed" in record["title"]
        assert "did not" not in record["title"]
        for form, kind in {
            "md": "text/markdown",
            "html": "text/html",
            "txt": "text/plain",
            "svg": "image/svg+xml",
            "json": "application/json",
        }.items():
            reply = await api.ask(f"{BASE}/incidents/{record['id']}/report?form={form}")
            assert reply.status == 200, form
            assert (reply.header("Content-Type") or "").startswith(kind), form
            assert b"ada" in reply.body or form == "svg", form
        page = await api.ask(f"/incidents/{record['id']}")
        assert page.status == 200
        assert "unsafe-inline" in (page.header("Content-Security-Policy") or "")
        assert await api.done(f"/incidents/{record['id']}/notes", text="well done", who="ada") == "noted"
        assert "well done" in json.dumps(await api.get(f"/incidents/{record['id']}"))


@pytest.mark.parametrize("percent", [20, 70])
async def test_a_share_of_the_visitors_is_answered_by_the_backup(primary: Origin, backup: Origin, percent: int) -> None:
    visitors = [f"127.0.1.{number}" for number in range(1, 61)]

    async def served() -> dict[str, str | None]:
        replies = await asyncio.gather(*(ask(program.url, source=visitor) for visitor in visitors))
        return {who: reply.header("X-Origin") for who, reply in zip(visitors, replies, strict=True)}

    with running(primary, backup) as program:
        api = await Api(dashboard(program)).ready()
        await api.done("/drill", sort="percent", percent=percent, for_="1m")
        assert (await api.state())["drill"]["percent"] == percent
        first = await served()
        share = sum(who == "backup" for who in first.values()) / len(visitors) * 100
        assert percent - 15 < share < percent + 15  # of sixty addresses, always the same ones
        assert await served() == first  # and each of them stays where he is
        assert await api.done("/drill/stop", who="ada") == "the drill is over"
        await api.until(lambda state: state["verdict"] == "primary")
        assert set((await served()).values()) == {"primary"}
        record = await the_end(program, api)
    assert "ada ended it" in json.dumps(record)


async def test_a_full_drill_moves_everybody_and_gives_them_back(primary: Origin, backup: Origin) -> None:
    with running(primary, backup) as program, Load(program.url, rate=50, posts=0.2) as load:
        api = await Api(dashboard(program)).ready()
        await api.done("/drill", sort="full", for_=5, who="ada")
        state = await api.state()
        assert (state["serving"], state["drill"]["sort"], state["pinned"]) == ("backup", "full", None)
        load.wait_for(by={"backup": 50})
        record = await the_end(program, api)
        await api.until(lambda state: state["verdict"] == "primary")
        load.wait_for(by={"primary": 20})
        assert len(await api.incidents()) == 1
    assert not load.tally.failures, load.tally
    assert "passed" in record["title"]
    assert record["severity"] == "drill"


# What ends them


@pytest.mark.parametrize("sort", ["shadow", "full"])
async def test_a_drill_ends_when_the_backup_goes_down(primary: Origin, backup: Origin, sort: str) -> None:
    with running(primary, backup) as program, Load(program.url, rate=30) as load:
        api = await Api(dashboard(program)).ready()
        await api.done("/drill", sort=sort, for_="1h")
        load.wait_for(answered=20)
        backup.stop()
        await program.seen(r"the drill is over and did not pass: the backup (went down|failed)")
        await api.until(lambda state: state["verdict"] == "primary" and state["drill"] is None)
        load.wait_for(by={"primary": 20})
    assert not load.tally.failures, load.tally


async def test_a_drill_ends_when_a_write_has_to_wait(primary: Origin, backup: Origin) -> None:
    with running(primary, backup, "--backup-kind", "static") as program:
        api = await Api(dashboard(program)).ready()
        await api.done("/drill", sort="full", for_="1h")
        assert (await ask(program.url)).header("X-Origin") == "backup"
        write = asyncio.ensure_future(ask(program.url, "POST", body=b"1"))
        await program.seen("the drill is over and did not pass: a write had to wait, because the backup takes none")
        reply = await write
        assert (reply.status, reply.header("X-Origin")) == (200, "primary")
        assert (await api.state())["drill"] is None


async def test_a_drill_is_over_when_the_primary_fails_in_earnest(primary: Origin, backup: Origin) -> None:
    with running(primary, backup) as program, Load(program.url, rate=50) as load:
        api = await Api(dashboard(program)).ready()
        await api.done("/drill", sort="percent", percent=50, for_="1h")
        load.wait_for(answered=10)
        primary.stop()
        await program.seen("the drill is over and did not pass: the primary failed, and that was no drill")
        await program.seen(r"incident inc_\w+ is open")
        load.wait_for(by={"backup": 20})
        state = await api.until(lambda state: state["incident"] and state["serving"] == "backup")
        assert state["drill"] is None
        real, drill = await api.incidents()
        assert (real["id"], drill["severity"]) == (state["incident"], "drill")
        assert real["severity"] != "drill"
        primary.start()
        await program.seen("switched back to the primary")
    assert not load.tally.failures, load.tally


async def test_a_full_drill_is_over_when_the_primary_fails_where_nobody_asks_it(
    primary: Origin, backup: Origin
) -> None:
    with running(primary, backup) as program, Load(program.url, rate=50) as load:
        api = await Api(dashboard(program)).ready()
        await api.done("/drill", sort="full", for_="1h")
        load.wait_for(by={"backup": 10})
        primary.stop()
        await program.seen("the drill is over and did not pass: the primary failed, and that was no drill")
        assert (await api.until(lambda state: state["drill"] is None))["serving"] == "backup"
        await program.seen("the primary is down, and the backup serves already")
        await program.seen(r"incident inc_\w+ is open")
        load.wait_for(by={"backup": 20})
        primary.start()
        await program.seen("switched back to the primary")
    assert not load.tally.failures, load.tally


# What forbids them


async def test_a_drill_that_would_hurt_is_refused(primary: Origin, backup: Origin) -> None:
    with running(primary, backup) as program:
        api = await Api(dashboard(program)).ready()
        await api.done("/hold", who="ada")
        for sort in ("shadow", "full"):
            refusal = await api.refused("/drill", sort=sort)
            assert refusal == "ada wants nothing to be switched; take that back first (failover switch auto)"
        await api.done("/switch", to="backup", who="ada")
        assert (await api.refused("/drill", sort="full")).startswith("ada wants the backup to serve;")
        await api.done("/switch", to="auto")
        await api.until(lambda state: state["verdict"] == "primary")
        backup.stop()
        await program.seen("backup is down")
        assert await api.refused("/drill", sort="full") == "no backup is usable: a drill would be an outage"
        assert (await api.state())["drill"] is None
        assert await api.incidents() == []
