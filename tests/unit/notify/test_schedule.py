"""When it is tried again."""

import pytest

from failover.notify.schedule import Schedule


def test_the_first_tries_follow_soon_and_the_last_ones_each_half_hour():
    schedule = Schedule()
    assert [schedule.again(n, None, 0.5) for n in range(1, 11)] == [2, 5, 15, 45, 120, 300, 900, 1800, 1800, 1800]


def test_jitter_is_a_fifth():
    assert Schedule().again(1, None, 0.0) == pytest.approx(1.6)
    assert Schedule().again(1, None, 1.0) == pytest.approx(2.4)


@pytest.mark.parametrize(("asked", "waited"), [(0.0, 0.5), (7.5, 7.5), (86_400.0, 3600.0)])
def test_a_wish_of_the_destination_wins_within_reason(asked, waited):
    assert Schedule().again(9, asked, 0.5) == waited


@pytest.mark.parametrize(("next_at", "waited"), [(0.0, 0.0), (990.0, 0.0), (1060.0, 60.0), (9e9, 1800.0)])
def test_a_clock_that_was_wrong_delays_nothing_for_long(next_at, waited):
    assert Schedule().at_start(next_at, 1000.0) == waited


def test_a_message_is_changed_often_while_it_is_young_and_never_after_an_hour():
    schedule = Schedule()
    ages, age = [], 0.0
    while (age := schedule.next_edit(age)) is not None:
        ages.append(age)
    assert ages[:5] == [10, 30, 60, 120, 300]
    assert ages[-1] == 3600
