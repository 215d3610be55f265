from failover.supervisor.child import Pace, how_it_ended


def test_the_first_successor_of_a_long_life_comes_at_once():
    assert Pace().wait_after(3600.0) == 0.0


def test_children_that_die_young_are_followed_slower_and_slower_up_to_five_seconds():
    pace = Pace()
    waits = [pace.wait_after(0.01) for _ in range(10)]
    assert waits == [0.0, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0, 5.0]


def test_a_thousand_young_deaths_overflow_nothing():
    pace = Pace()
    for _ in range(1000):
        pace.wait_after(0.0)
    assert pace.wait_after(0.0) == 5.0


def test_a_life_of_some_seconds_neither_waits_nor_forgives():
    pace = Pace()
    for _ in range(3):
        pace.wait_after(0.5)
    assert pace.wait_after(2.0) == 0.0
    assert pace.wait_after(0.5) == 0.4


def test_a_life_of_ten_seconds_forgives():
    pace = Pace()
    for _ in range(5):
        pace.wait_after(0.5)
    assert pace.wait_after(10.0) == 0.0
    assert pace.wait_after(0.5) == 0.0


def test_ends_are_told_in_words():
    assert how_it_ended(9) == "killed by SIGKILL"
    assert how_it_ended(3 << 8) == "left with exit code 3"
    assert how_it_ended(50) == "killed by signal 50"
