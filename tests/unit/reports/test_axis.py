from dataclasses import replace
from datetime import timedelta

import pytest

from failover.reports.axis import Span, rounded_up, span
from support.incidents import ALL, at, resolved, sparse


def ticks(seconds):
    return [text for _, text in Span(at(0), at(seconds), 0, 100).ticks()]


@pytest.mark.parametrize(
    ("seconds", "first", "last"),
    [
        (3, "14:13:20", "14:13:23"),
        (60, "14:13:20", "14:14:20"),
        (900, "14:14", "14:28"),
        (48 * 3600, "18:00", "12:00"),
        (49 * 3600, "2026-11-24", "12:00"),
        (30 * 86400, "2026-11-26", "2026-12-17"),
    ],
)
def test_ticks_are_round_from_seconds_to_months(seconds, first, last):
    texts = ticks(seconds)
    assert texts[0] == first
    assert texts[-1] == last


@pytest.mark.parametrize("seconds", [1, 7, 59, 61, 599, 3601, 86400, 90 * 86400, 5000 * 86400])
def test_ticks_are_never_too_many_nor_none(seconds):
    assert 1 <= len(ticks(seconds)) <= 9


def test_a_moment_outside_lies_on_the_edge():
    line = Span(at(0), at(10), 100, 200)
    assert [line.x(at(n)) for n in (-5, 0, 5, 10, 99)] == [100, 100, 150, 200, 200]


def test_an_incident_of_no_length_has_seconds_around_it():
    line = span(sparse(), 0, 1)
    assert (line.start, line.end) == (at(-5), at(5))


@pytest.mark.parametrize("sample", ALL)
def test_all_that_is_known_lies_in_the_span(sample):
    document = ALL[sample]()
    line = span(document, 0, 1)
    inside = [one.start for one in (*document.phases, *document.shifts, *document.traffic)]
    inside += [one.end for one in (*document.phases, *document.shifts)]
    assert all(line.start <= one <= line.end for one in inside)


def test_what_came_after_the_recovery_makes_no_span_longer():
    later = replace(resolved(), updated=at(99999))
    assert span(later, 0, 1).end - at(0) < timedelta(seconds=1000)


@pytest.mark.parametrize(("value", "up"), [(0, 1), (0.3, 0.5), (1, 1), (20.1, 50), (20.001, 20), (61, 100)])
def test_scales_end_at_numbers_that_read_well(value, up):
    assert rounded_up(value) == pytest.approx(up)
