"""Heads that come in pieces: the same is said of them as of whole ones, and not a byte is looked at twice."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as some

from failover.proxy.beginning import Beginning
from failover.proxy.fields import Malformed
from failover.proxy.wire import MAX_FIELDS, MAX_HEAD, HeadReader

FIRST = b"GET / HTTP/1.1\r\nHost: a\r\n"


def trickle(data: bytes, step: int = 1) -> int | None:
    """How many bytes were taken until the head was whole, or None when it never was."""
    beginning = Beginning()
    for place in range(0, len(data), step):
        if beginning.add(data[place : place + step]):
            return min(place + step, len(data))
    return None


@given(some.integers(1, 40), some.integers(0, 5))
def test_the_end_is_found_wherever_the_pieces_are_cut(step, fields):
    head = FIRST + b"X-Some: thing\r\n" * fields + b"\r\n"
    taken = trickle(head + b"GET /next", step)
    assert taken is not None
    assert len(head) <= taken < len(head) + step


@pytest.mark.parametrize("step", [1, 2, 3, 7])
@pytest.mark.parametrize("bad", [FIRST + b"X: y\nZ: 1", FIRST + b"X: y\rZ: 1", b"GET / HTTP/1.1\nHost: a"])
def test_a_bare_line_end_is_refused_wherever_the_pieces_are_cut(bad, step):
    with pytest.raises(Malformed) as error:
        trickle(bad, step)
    assert error.value.status == 400


def test_line_ends_that_are_cut_in_two_are_none_of_those():
    assert trickle(FIRST, 1) is None


def test_one_field_too_many_is_refused_before_the_head_is_whole():
    most = FIRST + b"X: y\r\n" * (MAX_FIELDS - 1)
    assert trickle(most + b"\r\n") == len(most) + 2
    with pytest.raises(Malformed) as error:
        trickle(most + b"X: y\r\n")
    assert error.value.status == 431


def test_a_byte_too_many_is_refused_before_the_head_is_whole():
    with pytest.raises(Malformed) as error:
        trickle(FIRST + b"X: " + b"y" * MAX_HEAD, 4096)
    assert error.value.status == 431


def test_a_byte_costs_the_same_however_many_came_before():
    """Counted by what is searched, which is what took the time: all of it again for each byte."""
    searched = []

    class Watched(bytearray):
        def find(self, what, start):
            searched.append(len(self) - start)
            return super().find(what, start)

    beginning = Beginning()
    beginning.data = Watched()
    for _ in range(10_000):
        beginning.add(b"x")
    assert max(searched) <= 4


def test_a_bomb_is_known_before_its_end_is_looked_for():
    with pytest.raises(Malformed) as error:
        HeadReader().request(FIRST + b"X: y\r\n" * 2000)
    assert error.value.status == 431


def test_lines_of_a_body_behind_a_head_are_no_fields():
    head = FIRST + b"X: y\r\n" * (MAX_FIELDS - 1) + b"\r\n"
    read = HeadReader().request(head + b"a line\r\n" * 10_000)
    assert read is not None
    assert read.size == len(head)
