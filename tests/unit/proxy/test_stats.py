"""What a worker counts, and what it tells of it."""

import msgspec

from failover.channel import Counters
from failover.core.model import ErrorType
from failover.observe.metrics import BUCKETS, OTHER_METHOD
from failover.proxy.stats import Stats


def told(stats):
    return stats.told(0, {"primary": 3}, {"primary": 1}, {"in_flight": 2})


def test_answers_are_counted_by_target_method_and_status():
    stats = Stats()
    for _ in range(3):
        stats.answered("primary", b"GET", 200, 0.004)
    stats.answered("backup", b"POST", 201, 20.0)
    counters = told(stats)
    assert sorted(counters.answers) == [("backup", "POST", 201, 1), ("primary", "GET", 200, 3)]
    assert counters.durations["primary"][0][0] == 3
    assert counters.durations["backup"] == ([0] * len(BUCKETS) + [1], 20.0)


def test_a_duration_at_the_end_of_a_bucket_is_in_it():
    stats = Stats()
    stats.answered("primary", b"GET", 200, BUCKETS[0])
    assert told(stats).durations["primary"][0][0] == 1


def test_invented_methods_make_no_rows_of_their_own():
    stats = Stats()
    for n in range(5000):
        stats.answered("primary", b"M%d" % n, 200, 0.0)
    assert len(stats._answers) <= 501
    assert told(stats).answers == [("primary", OTHER_METHOD, 200, 5000)]


def test_what_failed_and_what_was_rescued_is_told_by_what_was_met_first():
    stats = Stats()
    stats.try_failed("primary", ErrorType.CONNECTION_REFUSED)
    stats.was_rescued("connection_refused")
    stats.has_failed("http_5xx")
    counters = told(stats)
    assert counters.errors == [("primary", "connection_refused", 1)]
    assert counters.rescued == {"connection_refused": 1}
    assert counters.failures == {"http_5xx": 1}
    assert counters.values["failed"] == counters.values["failed_tries"] == 1
    assert counters.values["in_flight"] == 2


def test_it_travels_as_it_is():
    stats = Stats()
    stats.answered("primary", b"GET", 200, 0.004)
    counters = told(stats)
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(counters), type=Counters) == counters
