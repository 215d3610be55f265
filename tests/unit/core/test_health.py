import math

import pytest

from failover.core.events import Signal, Source
from failover.core.health import Health
from failover.core.model import ErrorType


def bad(source=Source.PROBE, error=ErrorType.CONNECTION_REFUSED, detail="", last_good=-1.0):
    return Signal(source, "primary", good=False, error=error, detail=detail, last_good=last_good)


def good(source=Source.PROBE, latency=0.1):
    if source is Source.LIVE:
        return Signal(source, "primary", good=True, last_good=math.inf)
    return Signal(source, "primary", good=True, latency=latency)


def after(*signals, fail=3, recover=2):
    health = Health(fail, recover)
    for second, signal in enumerate(signals):
        health.take(signal, float(second))
    return health


def test_down_after_enough_bad_signals_in_a_row():
    assert not after(bad(), bad()).down
    assert after(bad(), bad(), bad()).down


def test_users_alone_do_not_talk_a_target_down():
    health = after(*[bad(Source.LIVE)] * 9)
    assert not health.down
    health.take(bad(), 9.0)
    assert health.down


def test_any_good_answer_ends_the_row():
    assert not after(bad(), bad(), good(), bad()).down
    assert not after(bad(), bad(), good(Source.LIVE), bad()).down
    assert after(bad(), bad(), bad(Source.LIVE, last_good=1.5)).bad_row == 1
    assert after(bad(), bad(), bad(Source.LIVE, last_good=0.5)).bad_row == 3, "it came before the last bad one"


def test_only_good_probes_in_a_row_bring_it_up():
    down = [bad()] * 3
    assert after(*down, good(), bad(), good()).down
    assert after(*down, *[good(Source.LIVE)] * 5).down
    assert not after(*down, good(), good(Source.LIVE), good()).down


@pytest.mark.parametrize(
    "error",
    [
        ErrorType.HTTP_429,
        ErrorType.PROXY_INTERNAL_ERROR,
        ErrorType.CONNECTION_LIMIT_REACHED,
        ErrorType.HTTP_REQUEST_ERROR,
    ],
)
def test_what_says_nothing_of_the_target_is_no_evidence(error):
    health = after(good(), bad(error=error))
    assert (health.bad_row, health.good_probes) == (0, 1)


@pytest.mark.parametrize(
    ("latencies", "longest", "expected"),
    [((), 2.0, 2.0), ((0.01,), 2.0, 0.5), ((0.01, 0.2, 0.05), 2.0, 0.8), ((0.9,), 2.0, 2.0), ((0.01,), 0.3, 0.3)],
)
def test_the_quick_timeout_is_learned_from_good_probes(latencies, longest, expected):
    assert after(*[good(latency=one) for one in latencies]).quick_timeout(longest) == pytest.approx(expected)


def test_what_was_slow_long_ago_is_forgotten():
    assert after(good(latency=1.0), *[good(latency=0.2)] * 20).quick_timeout(9.0) == pytest.approx(0.8)


def test_its_story_in_words():
    assert after(bad()).story("primary", 0.0) == "primary refused connections (1 bad signal, from a probe)"
    mixed = after(bad(Source.LIVE), bad(), bad(error=ErrorType.HTTP_5XX, detail="503"))
    assert mixed.story("backup-2", 2.4) == (
        "backup-2 answered with a server error: 503 "
        "(3 bad signals in a row: 2 probes and 1 request, the first 2.4 s ago)"
    )
