"""What a worker counts, and what it tells of it."""

from types import SimpleNamespace

import msgspec

from failover.channel import Counters
from failover.core.model import ErrorType
from failover.observe.metrics import OTHER_METHOD
from failover.proxy.stats import Stats, Tally


def pool():
    return SimpleNamespace(tally=Tally(), good=3, open={1, 2}, idle=[1])


def test_answers_are_told_by_target_method_and_status_and_our_own_by_none():
    stats, primary = Stats(), pool()
    primary.tally.answers = {(b"GET", 200): 3, (b"BREW", 405): 1, (b"STIR", 405): 1}
    stats.own.first((b"POST", 503))
    counters = stats.told(0, {"primary": primary}, {"in_flight": 2})
    assert sorted(counters.answers) == [
        ("none", "POST", 503, 1),
        ("primary", "GET", 200, 3),
        ("primary", "_OTHER", 405, 2),
    ]
    assert (counters.good, counters.busy) == ({"primary": 3}, {"primary": 1})
    assert counters.values["in_flight"] == 2


def test_invented_methods_make_no_rows_without_end():
    tally = Tally()
    for n in range(5000):
        tally.first((b"M%d" % n, 200))
    assert len(tally.answers) <= 501
    assert tally.rows() == {(OTHER_METHOD, 200): 5000}


def test_what_failed_and_what_was_rescued_is_told_by_what_was_met_first():
    stats = Stats()
    stats.try_failed("primary", ErrorType.CONNECTION_REFUSED)
    stats.was_rescued("connection_refused")
    stats.has_failed("http_5xx")
    counters = stats.told(0, {}, {})
    assert counters.errors == [("primary", "connection_refused", 1)]
    assert counters.rescued == {"connection_refused": 1}
    assert counters.failures == {"http_5xx": 1}
    assert counters.values["failed"] == counters.values["failed_tries"] == 1


def test_it_travels_as_it_is():
    counters = Stats().told(0, {"primary": pool()}, {})
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(counters), type=Counters) == counters
