import os
import selectors
from pathlib import Path
from types import SimpleNamespace

import pytest
import structlog.testing

from failover.launch import CONTROLLER_SLOT, READY
from failover.supervisor import nursery
from failover.supervisor.nursery import Generation, Nursery, Seat
from failover.supervisor.sockets import open_channel


@pytest.fixture
def empty():
    selector = selectors.PollSelector()
    one = Nursery(selector, open_channel(), open_channel(), frozenset((os.geteuid(),)))
    yield one
    one.close()
    selector.close()


def seat(slot=0):
    return Seat(lambda _launch: 0, slot, Generation(SimpleNamespace(max_connections_per_client=0), (), "token"))


def files():
    return sorted(Path("/dev/fd").iterdir())


@pytest.mark.parametrize("call", ["fork", "os.pipe"])
def test_a_birth_that_fails_is_tried_again_a_second_later_and_leaks_nothing(empty, monkeypatch, call):
    def no_room(*_):
        raise BlockingIOError(11, "Resource temporarily unavailable")

    one = seat()
    empty.seats.append(one)
    before = files()
    with monkeypatch.context() as patch:
        patch.setattr(nursery, "fork", no_room) if call == "fork" else patch.setattr(os, "pipe", no_room)
        assert empty.tend(100.0) == []
    assert (one.pid, one.due, one.signs_end) == (0, 101.0, -1)
    assert files() == before
    assert empty.nearest() == 101.0
    monkeypatch.setattr(nursery, "fork", lambda *_: 4_000_000)
    empty.tend(100.9)
    assert one.pid == 0
    empty.tend(101.0)
    assert one.pid == 4_000_000
    empty._forget_signs_end(one)
    empty.seats.clear()


@pytest.mark.parametrize("leaving", [False, True])
def test_who_leaves_already_when_it_serves_is_not_told_to_be_back(empty, leaving):
    """A reload may have come to its end meanwhile: what is back then is not who serves."""
    one = seat()
    one.signs_end, signs = os.pipe()
    one.died, one.leaving = 1.0, leaving
    empty._selector.register(one.signs_end, selectors.EVENT_READ)
    os.write(signs, READY)
    with structlog.testing.capture_logs() as log:
        empty._on_sign(one)
    assert one.ready
    assert [line["action"] for line in log] == ([] if leaving else ["failover.child_back"])
    empty._forget_signs_end(one)
    os.close(signs)


def test_nobody_is_born_while_a_controller_leaves(empty):
    leaving, other = seat(CONTROLLER_SLOT), seat()
    leaving.pid, leaving.leaving = 4_000_000, True
    empty.seats += [leaving, other]
    assert empty.nearest() == empty._look_at
    empty.give_up(leaving)
    assert empty.nearest() == 0.0
    empty.seats.clear()


def test_a_seat_in_which_nobody_sits_is_given_up_at_once(empty):
    one = seat()
    empty.seats.append(one)
    empty.dismiss(one, 5.0)
    assert empty.seats == []
