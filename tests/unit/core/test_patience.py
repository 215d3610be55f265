from failover.core.patience import HEAD_START, head_start, patience


def test_with_nothing_learned():
    assert patience((), 15.0) == 0.5
    assert patience([3.0] * 19, 15.0) == 0.5, "too few to tell"
    assert head_start(()) == HEAD_START


def test_it_is_learned_from_what_99_of_100_take():
    quick = [0.01] * 990
    assert patience(quick + [5.0] * 9, 15.0) == 0.5, "one slow page in a hundred changes nothing"
    assert patience([0.5] * 100, 15.0) == 2.0
    assert head_start([0.05] * 100) == 0.1


def test_it_has_bounds():
    assert patience([30.0] * 100, 15.0) == 15.0
    assert head_start([30.0] * 100) == 0.3
    assert head_start([0.001] * 100) == 0.05
