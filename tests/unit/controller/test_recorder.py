"""The recorder: facts of the loop into the incident, the incident into the store; and nothing of it stops the loop."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest

from failover.channel import Counters, Saw
from failover.controller.recorder import Recorder
from failover.core.events import TargetChanged, VerdictChanged
from failover.core.model import ErrorType, Verdict
from failover.errors import StoreError
from failover.incidents.store import SqliteStore
from failover.settings.model import Settings
from support import incidents

REFUSED = ErrorType.CONNECTION_REFUSED
SUSPECT = VerdictChanged(Verdict.PRIMARY, Verdict.SUSPECT, "because", error=REFUSED)
SWITCHED = VerdictChanged(Verdict.SUSPECT, Verdict.BACKUP, "because", error=REFUSED)


class Courier:
    channels = ("a",)

    def __init__(self):
        self.poked = asyncio.Event()

    def poke(self):
        self.poked.set()

    def close(self):
        pass


@pytest.fixture
async def world():
    settings = Settings(primary="http://app.example", backup=("http://backup.example",))
    store, courier = SqliteStore(None, "on purpose"), Courier()
    recorder = Recorder(settings, asyncio.get_running_loop(), store, courier)
    yield SimpleNamespace(recorder=recorder, store=store, courier=courier)
    recorder.stop()
    store.close()


def counters(exchanges, failed=0):
    return Counters(0, {"exchanges": exchanges, "failed": failed}, {})


async def kept(world):
    return await asyncio.wrap_future(world.store.newest())


async def test_a_switch_is_kept_at_once_and_told_a_moment_later(world):
    await world.recorder.begin(Verdict.PRIMARY, reborn=False)
    world.recorder.happened(SUSPECT)
    assert await kept(world) is None
    world.recorder.happened(SWITCHED)
    assert (await kept(world)).document.primary.url == "http://app.example"
    assert await asyncio.wrap_future(world.store.outbox(("a",))) == []
    await asyncio.wait_for(world.courier.poked.wait(), 20)
    assert len(await asyncio.wrap_future(world.store.outbox(("a",)))) == 1


async def test_what_happens_before_the_past_is_read_waits_for_it(world):
    world.recorder.happened(SUSPECT)
    world.recorder.happened(SWITCHED)
    assert await kept(world) is None
    await world.recorder.begin(Verdict.PRIMARY, reborn=False)
    assert (await kept(world)).document.moments.switched is not None


async def test_a_mistake_of_ours_stops_nobody(world, monkeypatch):
    await world.recorder.begin(Verdict.PRIMARY, reborn=False)
    monkeypatch.setattr("failover.controller.recorder.document", lambda *_: 1 / 0)
    world.recorder.happened(SUSPECT)
    world.recorder.happened(SWITCHED)
    world.recorder.happened(TargetChanged("backup", usable=False, reason="refused"))


async def test_a_store_that_fails_stops_nobody(world, monkeypatch):
    def broken(*_):
        raise StoreError("the disk is full")

    await world.recorder.begin(Verdict.PRIMARY, reborn=False)
    monkeypatch.setattr("failover.incidents.queries.save", broken)
    world.recorder.happened(SUSPECT)
    world.recorder.happened(SWITCHED)
    assert await kept(world) is None


async def test_a_client_is_counted_once_whichever_worker_saw_him(world):
    await world.recorder.begin(Verdict.PRIMARY, reborn=False)
    world.recorder.happened(SUSPECT)
    for slot in (0, 1):
        world.recorder.saw(Saw(slot, [("backup", "/", 200, 2)], 0, 0, [7, 8 + slot], [], b"", None))
    world.recorder.happened(SWITCHED)
    counts = (await kept(world)).document.counts
    assert (counts.by_backup, counts.clients) == (4, 3)


async def test_requests_are_written_down_once_whoever_the_controller_is(world):
    await world.recorder.begin(Verdict.PRIMARY, reborn=True)
    world.recorder.counted(1, counters(1_000_000, 500))  # what a worker did under a controller that is dead
    world.recorder.counted(1, counters(1_000_010, 501))
    world.recorder.worker_left(1)
    world.recorder.counted(2, counters(0))
    world.recorder.counted(2, counters(5))
    world.recorder.stop()
    totals = await asyncio.wrap_future(world.store.totals(0.0))
    assert (totals.requests, totals.failed) == (15, 1)


async def test_how_often_it_was_before_is_counted_by_the_cause_it_has_in_the_end(world, monkeypatch):
    whole = incidents.resolved()
    earlier = replace(
        whole,
        id="inc_earlier",
        primary=replace(whole.primary, url="http://app.example"),
        moments=replace(whole.moments, first_bad=datetime.now(UTC) - timedelta(days=3)),
        cause=replace(whole.cause, kind="known in the end"),
    )
    await asyncio.wrap_future(world.store.save(earlier, b""))

    def suspect(findings):
        return replace(whole.cause, kind="known in the end" if findings.resolved else "looked like another")

    monkeypatch.setattr("failover.core.story.suspect", suspect)
    await world.recorder.begin(Verdict.PRIMARY, reborn=False)
    world.recorder.happened(SUSPECT)
    world.recorder.saw(Saw(0, [("failed", "/", 502, 1)], 0, 0, [], [], b"", None))
    world.recorder.happened(VerdictChanged(Verdict.SUSPECT, Verdict.PRIMARY, "because"))
    await asyncio.wait_for(world.courier.poked.wait(), 20)
    told = (await kept(world)).document
    assert told.resolved
    assert (told.recurrence.incidents, told.recurrence.same_cause) == (1, 1)


async def test_a_mistake_in_what_came_early_stops_no_round(world, monkeypatch):
    world.recorder.happened(SUSPECT)
    monkeypatch.setattr(world.recorder._incidents, "handle", lambda *_: 1 / 0)
    await world.recorder.begin(Verdict.PRIMARY, reborn=False)
    assert set(world.recorder._rounds) == {"memory", "ledger", "prune", "look"}


async def test_the_incident_of_another_primary_is_closed(world):
    await world.recorder.begin(Verdict.PRIMARY, reborn=False)
    world.recorder.happened(SUSPECT)
    world.recorder.happened(SWITCHED)
    await kept(world)
    other = Settings(primary="http://other.example", backup=("http://backup.example",))
    successor = Recorder(other, asyncio.get_running_loop(), world.store, world.courier)
    await successor.begin(Verdict.PRIMARY, reborn=False)
    assert (await kept(world)).document.resolved
    successor.stop()
