"""The ladder, the budget and the clock of an exchange that has met a failure."""

from __future__ import annotations

from time import monotonic
from types import SimpleNamespace

import pytest

from failover.core.model import ErrorType, Verdict
from failover.core.rescue import Progress, Step
from failover.faults import Fault
from failover.proxy.choice import Choice
from failover.proxy.wire import HeadReader
from failover.proxy.worker import Worker

REFUSED = Fault(ErrorType.CONNECTION_REFUSED, "refused")


def world(verdict=Verdict.PRIMARY, busy=0):
    """As much of a worker as a choice asks for, with `busy` requests under way."""
    worker = SimpleNamespace(
        settings=SimpleNamespace(first_byte_timeout=15.0, rescue=True),
        routing=SimpleNamespace(verdict=verdict),
        pools={"primary": SimpleNamespace(open=range(busy), idle=())},
        _rescues=0,
        _suspecting=False,  # as told by nobody
    )
    worker.begin_rescue = lambda: Worker.begin_rescue(worker)
    worker.end_rescue = lambda: Worker.end_rescue(worker)
    return worker


def ladder(*usable):
    return tuple(SimpleNamespace(alias=f"target-{rung}", usable=fit) for rung, fit in enumerate(usable))


def choice(worker, plan, method=b"GET"):
    head = HeadReader().request(method + b" / HTTP/1.1\r\nHost: a\r\n\r\n")
    return Choice(worker, head, plan[0], lambda: plan, monotonic())


def after(made, progress=Progress.SENT):
    return made.after(progress, REFUSED, body_at_hand=True)


def test_it_goes_down_the_ladder_and_says_from_whom():
    plan = ladder(True, True, True, True)
    made = choice(world(), plan)
    assert made.rescued_from is None
    assert after(made) is Step.NEXT
    assert made.pool is plan[1]
    assert made.rescued_from == ("target-0", REFUSED)
    assert after(made) is Step.NEXT
    assert after(made) is Step.END, "three tries, the first one included"


def test_the_ladder_has_an_end():
    made = choice(world(), ladder(True))
    assert after(made) is Step.END


def test_a_real_answer_is_better_than_waiting_for_who_is_known_to_be_down():
    made = choice(world(), ladder(True, False))
    made.answer = (None, b"", None)
    assert after(made, Progress.GATEWAY_ERROR) is Step.END
    without = choice(world(), ladder(True, False))
    assert after(without, Progress.SENT) is Step.NEXT, "all down: it is tried anyway"


def test_all_tries_together_have_a_deadline():
    made = choice(world(), ladder(True, True, True))
    assert after(made) is Step.NEXT
    made._until = monotonic()
    assert after(made) is Step.END


@pytest.mark.parametrize(("busy", "places"), [(0, 3), (10, 3), (100, 20)])
def test_the_budget_while_the_primary_is_trusted(busy, places):
    worker = world(busy=busy)
    made = [choice(worker, ladder(True, True)) for _ in range(places + 1)]
    assert [after(one) for one in made] == [Step.NEXT] * places + [Step.END]
    made[0].over()
    assert after(choice(worker, ladder(True, True))) is Step.NEXT, "a place is free again"


@pytest.mark.parametrize("verdict", [Verdict.SUSPECT, Verdict.BACKUP])
def test_no_budget_from_a_suspicion_on(verdict):
    worker = world(verdict)
    assert {after(choice(worker, ladder(True, True))) for _ in range(50)} == {Step.NEXT}


def test_one_exchange_takes_one_place_however_often_it_is_rescued():
    worker = world()
    made = choice(worker, ladder(True, True, True))
    after(made)
    after(made)
    assert worker._rescues == 1
    made.over()
    assert worker._rescues == 0


def test_an_exchange_that_was_refused_a_place_frees_none():
    worker = world()
    for _ in range(3):
        after(choice(worker, ladder(True, True)))
    refused = choice(worker, ladder(True, True))
    assert after(refused) is Step.END
    refused.over()
    assert worker._rescues == 3


@pytest.mark.parametrize(("method", "step"), [(b"GET", Step.END), (b"POST", Step.HOLD), (b"PUT", Step.HOLD)])
def test_a_write_that_nobody_took_is_held(method, step):
    assert after(choice(world(), ladder(True), method), Progress.NOTHING_SENT) is step


def test_a_write_that_was_sent_is_never_held():
    assert after(choice(world(), ladder(True), b"POST"), Progress.SENT) is Step.END


def test_three_targets_that_refuse_are_nobody_who_took_it():
    made = choice(world(), ladder(True, True, True, True), b"POST")
    assert [after(made, Progress.NOTHING_SENT) for _ in range(3)] == [Step.NEXT, Step.NEXT, Step.HOLD]


@pytest.mark.parametrize(("line", "step"), [(b"", Step.END), (b"Idempotency-Key: 1\r\n", Step.NEXT)])
def test_a_put_that_may_have_been_sent_goes_nowhere_else(line, step):
    """Its kept connection closed under it, and the fresh one was refused."""
    plan = ladder(True, True)
    head = HeadReader().request(b"PUT / HTTP/1.1\r\nHost: a\r\n%b\r\n" % line)
    made = Choice(world(), head, plan[0], lambda: plan, monotonic())
    assert after(made, Progress.REUSED_CLOSED) is Step.SAME_FRESH
    assert after(made, Progress.NOTHING_SENT) is step


def test_the_last_try_is_known():
    made = choice(world(), ladder(True, True, True))
    assert not made.is_last
    after(made)
    after(made)
    assert made.is_last


def test_the_ladder_is_the_one_of_the_moment():
    worker, (first, second, third) = world(), ladder(True, True, True)
    plans = [(first, second), (second, first, third)]
    made = Choice(
        worker, HeadReader().request(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"), first, lambda: plans[0], monotonic()
    )
    assert after(made) is Step.NEXT
    plans[0] = plans[1]
    assert after(made) is Step.NEXT
    assert made.pool is third, "the first two have been tried"


def test_without_rescue_nobody_else_is_asked():
    worker = world()
    worker.settings.rescue = False
    assert after(choice(worker, ladder(True, True))) is Step.END
    assert after(choice(worker, ladder(True, True)), Progress.REUSED_CLOSED) is Step.SAME_FRESH


def test_beside_goes_only_whom_nothing_is_held_against():
    plan = ladder(True, False)
    assert choice(world(), plan).beside() is None
    plan = ladder(True, True, True)
    made = choice(world(), plan)
    assert made.beside() is plan[1]
    made.rival = SimpleNamespace(pool=plan[1], drop=lambda: None)
    assert made.beside() is None, "one at a time"
    assert after(made, Progress.INCOMPLETE) is Step.NEXT
    assert made.pool is plan[1], "the one that runs already"


def test_upgrades_are_never_repeated():
    head = HeadReader().request(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n")
    made = Choice(world(), head, ladder(True)[0], lambda: ladder(True, True), monotonic())
    assert made.after(Progress.REUSED_CLOSED, REFUSED, body_at_hand=True) is Step.END
    assert made.after(Progress.SENT, REFUSED, body_at_hand=True) is Step.END
