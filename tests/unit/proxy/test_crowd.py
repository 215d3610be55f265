"""Who is turned away and who makes room, with connections that are nothing but what the crowd asks of them."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from failover.launch import COUNTER_CELLS
from failover.proxy.client import network_of
from failover.proxy.crowd import FULL, TOO_MANY, Crowd, to_go
from failover.proxy.flow import NEVER
from failover.proxy.headcount import Headcount
from failover.proxy.stats import Stats

EXCHANGE = NEVER


class Client:
    """One connection of a network, which owes a head since then."""

    def __init__(self, network="a", since=EXCHANGE, *, world=None):
        self.client = SimpleNamespace(network=network)
        self.worker = world or SimpleNamespace(now=100.0)
        self.since = since
        self.deadline = NEVER
        self.ends = []

    def owes_head_since(self):
        return self.since

    def make_room(self):
        self.since = NEVER
        self.ends.append("room")

    def turn_away(self):
        self.ends.append("reset")

    def expire(self):
        self.deadline = NEVER
        self.ends.append("late")


@pytest.fixture
def crowd():
    return Crowd(16, Stats(), None, 0)


def fill(crowd, number, network=None, since=EXCHANGE):
    came = [Client(network or f"net{n}", since) for n in range(number)]
    for one in came:
        crowd.join(one)
    return came


def test_who_finds_a_place_is_let_in(crowd):
    came = fill(crowd, 16)
    assert not crowd.refused
    assert not any(one.ends for one in came)


def test_an_exchange_is_never_broken_off_for_a_newcomer(crowd):
    inside = fill(crowd, 16)
    newcomer, *_ = fill(crowd, 1, "new")
    assert crowd.refused == {newcomer: FULL}
    assert not any(one.ends for one in inside)


def test_who_brings_no_request_makes_room_for_who_may(crowd):
    idle, *_ = fill(crowd, 1, "idle", since=50.0)
    fill(crowd, 13)
    newcomer, *_ = fill(crowd, 1, "new")
    assert idle.ends == ["room"]
    assert newcomer not in crowd.refused


def test_a_connection_that_has_only_just_come_may_have_said_something_already(crowd):
    young, *_ = fill(crowd, 1, "young", since=99.5)
    fill(crowd, 15)
    newcomer, *_ = fill(crowd, 1, "new")
    assert not young.ends
    assert newcomer in crowd.refused


def test_the_last_places_are_for_who_holds_few(crowd):
    greedy = fill(crowd, 20, "greedy")
    assert [crowd.refused.get(one) for one in greedy] == [None] * 14 + [FULL] * 6
    others = fill(crowd, 2)
    assert not any(one in crowd.refused for one in others), "one address alone has locked everybody out"


def test_a_trusted_proxy_brings_others_and_is_not_greedy(crowd):
    assert not any(one in crowd.refused for one in fill(crowd, 16, ""))


def test_of_too_many_nobody_waits_for_the_request(crowd):
    came = fill(crowd, 100, "greedy")
    assert len(crowd.refused) == 16
    assert sum(one.ends == ["reset"] for one in came) == 100 - 14 - 16


def test_what_has_gone_leaves_nothing_behind(crowd):
    for one in fill(crowd, 40, "greedy") + fill(crowd, 10):
        crowd.leave(one)
        crowd.leave(one)
    assert not crowd.downstreams
    assert not crowd.refused
    assert not crowd._held
    assert not crowd._going


def test_a_tunnel_keeps_the_place_of_its_connection(crowd):
    came = fill(crowd, 16)
    tunnels = [Client(f"net{n}") for n in range(16)]
    for one, tunnel in zip(came, tunnels, strict=True):
        crowd.becomes(one, tunnel)
    newcomer, *_ = fill(crowd, 1, "new")
    assert newcomer in crowd.refused
    crowd.leave(newcomer)
    for tunnel in tunnels:
        crowd.over(tunnel)
        crowd.over(tunnel)
    assert not crowd._held
    assert not any(one in crowd.refused for one in fill(crowd, 16))


def test_the_greedy_go_first_then_who_has_waited_longest():
    held = {"greedy": 5, "a": 1, "b": 1}
    old, young = Client("a", 1.0), Client("b", 2.0)
    greedy = [Client("greedy", 3.0 + n) for n in range(5)]
    busy = Client("greedy", EXCHANGE)
    assert to_go([young, busy, old, *greedy], held, 2, 100.0, 6) == [*greedy, old]


def test_all_connections_are_not_looked_at_for_each_newcomer(crowd):
    looked = []
    inside = fill(crowd, 16)
    inside[0].owes_head_since = lambda: looked.append(1) or NEVER
    fill(crowd, 50, "new")
    assert len(looked) <= 2


def test_what_is_late_at_one_moment_is_not_ended_at_one_moment():
    crowd = Crowd(1000, Stats(), None, 0)
    came = fill(crowd, 500)
    for one in came:
        one.deadline = 1.0
    ended = []
    for _ in range(15):
        crowd.tick(100.0)
        ended.append(sum(bool(one.ends) for one in came))
    assert ended == [0] * 9 + [100, 200, 300, 400, 500, 500]


# -- the count of a client, over all workers


@pytest.fixture
def workers():
    memory = bytearray(4 * COUNTER_CELLS * 3)
    return [Headcount(memory, slot, "secret") for slot in range(3)], memory


def test_a_client_is_counted_over_all_workers(workers):
    (first, second, third), _ = workers
    assert [first.add("a"), second.add("a"), third.add("a"), third.add("b")] == [1, 2, 3, 1]
    second.take("a")
    assert first.add("a") == 3


def test_a_worker_that_died_takes_its_count_with_it(workers):
    (first, second, _), memory = workers
    for _ in range(5):
        second.add("a")
    Headcount(memory, 1, "secret")
    assert first.add("a") == 1


def test_many_others_do_not_make_a_client_greedy(workers):
    (first, *_), _ = workers
    for number in range(2000):
        first.add(f"10.0.{number // 256}.{number % 256}")
    for _ in range(1000):
        first.add("greedy")
    alike = sum(first.add(f"2001:db8:0:{number:04x}") > 500 for number in range(1000))
    assert alike <= 3


def test_over_its_limit_a_client_is_told_so(workers):
    (one, other, _), _ = workers
    here, there = Crowd(1000, Stats(), one, 3), Crowd(1000, Stats(), other, 3)
    fill(here, 2, "a")
    last, *_ = fill(there, 1, "a")
    over, *_ = fill(there, 1, "a")
    assert there.refused == {over: TOO_MANY}
    there.leave(last)
    there.leave(over)
    fill(here, 1, "a")
    fill(here, 10, "")
    assert not here.refused


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:0db8:0001:0002"),
        ("2001:db8:1:2::9", "2001:0db8:0001:0002"),
        ("fe80::1%eth0", "fe80:0000:0000:0000"),
        ("", ""),
    ],
)
def test_an_ipv6_client_is_its_64_bits_of_network(address, network):
    assert network_of(address) == network
