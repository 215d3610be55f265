import pytest

from failover.core.hold_down import HoldDown


def failures(*healthy):
    """Hold-downs of a primary that failed once, and again after each of these healthy times."""
    hold_down = HoldDown().after_failure(0.0)
    seconds, now = [hold_down.seconds], 0.0
    for time in healthy:
        hold_down = hold_down.after_recovery(now).after_failure(now + time)
        seconds.append(hold_down.seconds)
        now += time
    return seconds


@pytest.mark.parametrize(
    ("healthy", "expected"),
    [
        ((), [0]),
        ((5,), [0, 15]),
        ((5, 5, 5, 5, 5, 5, 5, 5), [0, 15, 30, 60, 120, 240, 480, 600, 600]),
        ((599, 600), [0, 15, 0]),
        ((5, 5, 5, 600, 5), [0, 15, 30, 60, 30, 60]),
        ((5, 5, 5, 1200), [0, 15, 30, 60, 15]),
        ((5, 5, 5, 86400), [0, 15, 30, 60, 0]),
        ((3600,), [0, 0]),
    ],
)
def test_it_grows_with_quick_failures_and_forgets_with_healthy_time(healthy, expected):
    assert failures(*healthy) == expected
