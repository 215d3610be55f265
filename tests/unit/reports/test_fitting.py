from hypothesis import given
from hypothesis import strategies as st

from failover.reports.fitting import WIDTHS, fitting, size, units


def test_texts_are_as_long_as_they_may_be():
    assert fitting(lambda width: "x" * width, lambda made: len(made) <= 130) == "x" * 120
    assert fitting(lambda width: "x" * width, lambda made: len(made) <= 1000) == "x" * WIDTHS[0]


def test_if_nothing_fits_it_is_the_shortest():
    assert fitting(lambda width: "x" * width, lambda _: False) == "x" * WIDTHS[-1]


def test_a_size_is_that_of_the_most_wordy_encoder():
    assert size({"a": "\U0001f600"}) == len(r'{"a": "\ud83d\ude00"}')


@given(st.text())
def test_units_are_never_fewer_than_code_points(text):
    assert units(text) >= len(text)


def test_beyond_the_basic_plane_there_are_two():
    assert units("a\U0001f600") == 3
