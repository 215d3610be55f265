"""The service manager's watchdog: fed while somebody serves and somebody decides, and the silent are found."""

import os
from types import SimpleNamespace

import pytest

from failover.supervisor import systemd
from failover.supervisor.watchdog import NEVER, Watchdog

PERIOD = 12.0


def seat(*, controller=False, ready=True, heard=0.0, leaving=False):
    return SimpleNamespace(is_controller=controller, ready=ready, heard=heard, leaving=leaving)


def watched(*seats, since=100.0):
    """A watchdog that has looked once, when all was well."""
    dog = Watchdog(PERIOD)
    assert dog.silent(seats, since) == []
    assert dog.hungry(seats, since)
    return dog


def test_where_nobody_watches_nothing_happens():
    dog = Watchdog()
    assert (dog.pulse, dog.due()) == (0.0, NEVER)
    assert dog.silent([seat()], 1000.0) == []
    assert not dog.hungry([seat()], 1000.0)


def test_it_is_fed_four_times_in_the_period_and_looks_as_often():
    seats = [seat(controller=True), seat()]
    dog = watched(*seats)
    assert dog.due() == 103.0
    fed = []
    for now in range(100, 113):
        dog.silent(seats, float(now))
        if dog.hungry(seats, float(now)):
            fed.append(now)
    assert fed == [103, 106, 109, 112]


def test_a_child_that_was_silent_for_half_of_the_period_is_found():
    quiet, loud = seat(), seat()
    dog = watched(quiet, loud)
    for now in (103.0, 106.0):
        loud.heard = now
        assert dog.silent([quiet, loud], now) == []
    assert dog.silent([quiet, loud], 106.1) == [quiet]


def test_who_leaves_or_does_not_serve_yet_owes_nothing():
    leaving, young = seat(leaving=True), seat(ready=False)
    dog = watched(leaving, young)
    for now in (103.0, 106.0, 109.0):
        assert dog.silent([leaving, young], now) == []


def test_after_a_sleep_of_all_nobody_is_blamed():
    seats = [seat(controller=True), seat()]
    dog = watched(*seats)
    assert dog.silent(seats, 9000.0) == []
    assert dog.hungry(seats, 9000.0)
    assert dog.silent(seats, 9003.0) == []


@pytest.mark.parametrize("missing", ["controller", "worker"])
def test_it_is_fed_no_more_when_nobody_serves_or_nobody_decides(missing):
    seats = [seat(controller=True, ready=missing != "controller"), seat(ready=missing != "worker")]
    dog = watched(seat(controller=True), seat())
    fed = []
    for now in range(100, 130):
        dog.silent(seats, float(now))
        if dog.hungry(seats, float(now)):
            fed.append(now)
    assert fed == [103, 106]
    seats[0].ready = seats[1].ready = True
    assert dog.hungry(seats, 130.0)


def test_one_worker_of_two_is_enough():
    dog = watched(seat(controller=True), seat(), seat())
    assert all(
        dog.hungry([seat(controller=True), seat(ready=False), seat()], now) for now in (103.0, 106.0, 109.0, 112.0)
    )


@pytest.mark.parametrize(
    ("told", "period"),
    [({}, 0.0), ({"WATCHDOG_USEC": "30000000"}, 30.0), ({"WATCHDOG_USEC": "soon"}, 0.0),
     ({"WATCHDOG_USEC": "5000000", "WATCHDOG_PID": str(os.getpid())}, 5.0),
     ({"WATCHDOG_USEC": "5000000", "WATCHDOG_PID": "1"}, 0.0)],
)  # fmt: skip
def test_the_period_is_ours_alone(monkeypatch, told, period):
    for name in ("WATCHDOG_USEC", "WATCHDOG_PID"):
        monkeypatch.delenv(name, raising=False)
    for name, value in told.items():
        monkeypatch.setenv(name, value)
    assert systemd.watchdog() == period
    assert "WATCHDOG_USEC" not in os.environ, "children would believe that it is theirs"
