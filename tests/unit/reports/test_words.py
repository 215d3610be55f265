from dataclasses import replace

import pytest

from failover.core.document import Severity
from failover.reports.words import clock, headline, impact, moment, number, percent, plain
from support.incidents import ALL, at, hostile, opened, own_network, resolved, sparse


def test_numbers_have_separators_of_thousands():
    assert number(18342) == "18,342"
    assert number(999) == "999"


@pytest.mark.parametrize(
    ("part", "whole", "written"),
    [
        (3, 18342, "0.016 %"),
        (18339, 18342, "99.984 %"),
        (480, 500, "96 %"),
        (1, 3, "33 %"),
        (1, 10, "10 %"),
        (0, 5, "0 %"),
        (5, 5, "100 %"),
        (0, 0, "0 %"),
        (1, 10**9, "under 0.001 %"),
        (10**9 - 1, 10**9, "over 99.999 %"),
        (1.2, 1, "120 %"),
    ],
)
def test_a_percentage_is_never_all_or_nothing_when_it_is_not(part, whole, written):
    assert percent(part, whole) == written


def test_moments_are_in_utc_to_the_tenth_of_a_second_and_never_ahead():
    assert moment(at(0)) == "2026-11-23 14:13:20.0 UTC"
    assert clock(at(0.99)) == "14:13:20.9"


def test_a_headline_says_how_long_it_was():
    assert headline(resolved()) == "Primary refused connections, 14 min 53 s on the backup"
    assert headline(opened()) == "Primary refused connections, 2 s on the backup so far"
    assert headline(sparse()) == "Primary failed, since 14:13:20.0 UTC"
    assert headline(own_network()) == "The network of this proxy was cut, 12 s long"


def test_a_headline_flags_a_drill_and_a_further_episode():
    assert headline(replace(resolved(), severity=Severity.DRILL)).startswith("Drill: Primary")
    assert "(time 2 in a row)" in headline(replace(resolved(), episode=2))


def test_the_impact_tells_the_hidden_downtime_first_and_then_what_failed():
    assert impact(resolved()) == (
        "Downtime hidden from 18,317 requests (18,290 served by the backup, 27 rescued); "
        "3 failed (0.016 %), 22 refused."
    )
    assert impact(opened()).endswith("; none failed.")
    assert impact(own_network()) == "Downtime hidden from 0 requests; 40 failed (100 %)."
    assert impact(sparse()) == "No request came meanwhile: nobody saw it."


def test_a_foreign_text_becomes_one_visible_line():
    assert plain("a\x1b[31m\r\nb\u202ec\u2028d\x00 \ufeff\t e") == "a[31m bc d e"
    assert plain("\ud800").encode() == "\ufffd".encode()


def test_a_foreign_text_is_shortened_on_request():
    assert plain("one two three", 8) == "one two…"
    assert plain("one", 3) == "one"


@pytest.mark.parametrize("sample", ALL)
def test_a_headline_and_an_impact_are_one_line_each(sample):
    for line in (headline(ALL[sample]()), impact(ALL[sample]())):
        assert line == plain(line)


def test_a_hostile_title_does_not_make_the_headline_long():
    assert len(headline(hostile())) < 200
