"""What the controller has on its board: counters that only grow, the last minute, the last probes."""

from __future__ import annotations

from datetime import UTC, datetime
from types import SimpleNamespace

import pytest

from failover.channel import Counters
from failover.controller import board as module
from failover.controller.board import Board
from failover.controller.ledger import Ledger
from failover.controller.prober import Result
from failover.core.document import Certificate
from failover.core.events import Signal, Source
from failover.core.model import ErrorType, Kind, TargetState
from failover.observe.metrics import BUCKETS
from failover.targets import parse_target

PLACE = parse_target("https://app.test", "primary")
STATE = TargetState("primary", usable=True, addresses=(("192.0.2.1", 443), ("2001:db8::1", 443)), kind=Kind.REPLICA)


class Clock:
    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(module, "monotonic", clock)
    monkeypatch.setattr(module, "_wall", clock)
    return clock


@pytest.fixture
def board(clock):
    board = Board(("primary", "backup"))
    clock.now += 10.0
    return board


def counters(primary=0, backup=0, failures=0, place=0, **values):
    buckets = [0] * (len(BUCKETS) + 1)
    buckets[place] = primary + backup
    return Counters(
        0,
        {"exchanges": primary + backup, **values},
        {},
        busy={"primary": 2},
        answers=[("primary", "GET", 200, primary), ("backup", "GET", 200, backup)],
        durations={"primary": (buckets, 1.5)},
        failures={"connection_refused": failures},
    )


def probed(board, *, took=0.01, error=None, certificate=None):
    signal = Signal(Source.PROBE, "primary", good=error is None, error=error)
    board.probed(Result(signal, 200 if error is None else 0, took={"head": took}, certificate=certificate))


def test_counters_of_all_workers_are_one_sum_and_a_dead_worker_takes_nothing_back(board):
    board.counted(1, counters(primary=10))
    board.counted(2, counters(primary=5, backup=1))
    board.counted(1, counters(primary=12))
    board.left(1)
    board.counted(3, counters(primary=4))  # its successor counts from zero
    assert board.counters["answers", "primary", "GET", 200] == 21
    assert board.hidden == 1
    assert board.workers == 2
    assert board.counters["seconds", "primary"] == 4.5


def test_what_there_is_now_is_of_the_workers_that_live(board):
    board.counted(1, counters(in_flight=3, clients=7, held=1))
    board.counted(2, counters(in_flight=2))
    board.left(1)
    live = board.live()
    assert (live.in_flight, live.clients, live.held) == (2, 0, 0)
    assert board.target(PLACE, STATE, serving=True).in_flight == 2


def test_the_last_minute_is_a_difference(board, clock):
    board.counted(1, counters(primary=1000, failures=50))
    for second in range(61):
        board.counted(1, counters(primary=1000 + 10 * second, failures=50 + (second == 60)))
        clock.now += 1
        board.tick()
    live = board.live()
    assert live.requests_per_second == 10
    assert live.failed == 1
    assert live.failed_ratio == pytest.approx(1 / 600, abs=1e-4)


@pytest.mark.parametrize(("place", "least", "most"), [(0, 0, 5), (4, 50, 75), (len(BUCKETS), 10_000, 10_000)])
def test_a_percentile_lies_in_its_bucket(board, clock, place, least, most):
    board.tick()
    board.counted(1, counters(primary=100, place=place))
    clock.now += 1
    board.tick()
    assert least <= board.live().p95_ms <= most


def test_nobody_asked_so_there_is_no_percentile(board):
    board.tick()
    assert board.live().p95_ms is None


def test_the_traffic_of_a_quarter_of_an_hour_is_in_steps(board, clock):
    for second in range(1, 1000):
        board.counted(1, counters(primary=2 * second))
        clock.now += 1
        board.tick()
    traffic = board.traffic()
    assert len(traffic.rows) == 180
    assert set(traffic.rows) == {(10, 0, 0, 0, 0)}


def test_what_was_counted_before_a_controller_was_born_is_no_traffic_of_now(clock):
    board = Board(("primary",))
    board.counted(1, counters(primary=1_000_000))
    for _ in range(10):
        clock.now += 1
        board.tick()
    assert board.live().requests_per_second == 0
    assert all(row == (0, 0, 0, 0, 0) for row in board.traffic().rows)


def test_a_target_with_its_probes(board, clock):
    ends = datetime(2027, 1, 1, tzinfo=UTC)
    probed(board, certificate=Certificate(not_after=ends))
    for _ in range(70):
        probed(board, took=0.02)
    probed(board, error=ErrorType.CONNECTION_REFUSED)
    clock.now += 5
    target = board.target(PLACE, STATE, serving=True)
    assert len(target.probes) == 60
    assert target.p50_ms == 20.0
    assert target.last_ok == clock.now - 5
    assert (target.last_bad.error, target.last_bad.sentence) == ("connection_refused", "primary refused connections")
    assert target.certificate_ends == ends.timestamp()
    assert target.addresses == ["192.0.2.1:443", "[2001:db8::1]:443"]
    assert board.counters["probes", "primary", "ok"] == 71
    assert board.counters["probes", "primary", "connection_refused"] == 1


def test_a_ledger_counts_each_request_once_and_no_drill_as_hidden():
    ledger = Ledger()
    assert ledger.count(1, counters(primary=5, backup=2, failed=1), drilling=False) == 0  # its predecessor wrote it
    assert ledger.count(1, counters(primary=8, backup=4, failed=2), drilling=False) == 5
    assert ledger.count(1, counters(primary=8, backup=9, failed=2), drilling=True) == 5
    assert ledger.take() == (10, 1, 2)
    assert ledger.take() == (0, 0, 0)
    ledger.left(1)
    assert ledger.count(1, counters(primary=100), drilling=False) == 0


def test_a_board_knows_nobody_it_was_not_told_of(board):
    assert board.last_ok("primary") is None
    target = board.target(SimpleNamespace(alias="backup", url="http://b.test"), STATE, serving=False)
    assert (target.p50_ms, target.last_ok, target.probes) == (None, None, [])
