"""The clock of a worker, by a loop whose time the test says."""

from __future__ import annotations

import os
from types import SimpleNamespace

import pytest

from failover.launch import Launch
from failover.proxy.worker import TICK_S, Worker
from failover.settings.model import Settings

_SETTINGS = Settings(primary="http://127.0.0.1:1", backup=("http://127.0.0.1:2",), workers=1)


class Loop:
    """Time stands still until the test lets the next tick come."""

    def __init__(self):
        self.now = 0.0
        self.next = None

    def time(self):
        return self.now

    def create_future(self):
        return SimpleNamespace()

    def call_later(self, _after, tick):
        self.next = tick

    def tick(self, after=TICK_S):
        self.now += after
        self.next()


@pytest.fixture
def loop():
    return Loop()


@pytest.fixture
def worker(loop):
    lifeline, signs = os.pipe()
    worker = Worker(Launch(_SETTINGS, "", "a token", 0, (), lifeline, reborn=False, signs=signs), loop)
    worker._tick()
    yield worker
    os.close(lifeline)
    os.close(signs)


class Late:
    """A client, or a target, that has until then."""

    def __init__(self, deadline):
        self.deadline = deadline
        self.expired = False

    def expire(self):
        self.expired = True
        self.deadline = float("inf")


@pytest.mark.parametrize("ticks", range(12))
def test_who_may_have_sent_it_while_we_had_no_time_is_read_first(worker, loop, ticks):
    """Whichever tick it is that comes late: a worker that was stopped for ten seconds, say."""
    for _ in range(ticks):
        loop.tick()
    client, target = Late(loop.now + 5), Late(loop.now + 5)
    worker.crowd.downstreams.add(client)
    worker.primary.open.add(target)
    loop.tick(after=10)
    assert not client.expired
    assert not target.expired
    for _ in range(11):
        loop.tick()
    assert client.expired
    assert target.expired


def test_a_worker_that_is_always_late_keeps_its_deadlines_all_the_same(worker, loop):
    client, target = Late(5), Late(5)
    worker.crowd.downstreams.add(client)
    worker.primary.open.add(target)
    for _ in range(40):
        loop.tick(after=1)
    assert client.expired
    assert target.expired
