"""Every case in parts, in every memory and in pairs, against the pure readers: a stream has no parts."""

from __future__ import annotations

import itertools
import random

import pytest

from failover.proxy.wire import HeadReader
from wire.corpus import ANSWERS, REQUESTS
from wire.reading import Answers, requests

SMALL = 4096
"""Cases of more bytes are split at some hundred places only."""

KEEPING = [case for case in REQUESTS if case.valid and not case.ends and len(case.sent) <= SMALL]


def places(data):
    if len(data) <= SMALL:
        return range(1, len(data))
    return sorted({*range(1, 60), *range(len(data) - 60, len(data)), *range(60, len(data), len(data) // 100)})


def answer(parts, heads, case):
    stream = Answers(heads, head_only=case.to.startswith(b"HEAD"), http10=b" HTTP/1.0\r\n" in case.to)
    for part in parts:
        stream.feed(part)
    return stream.told()


@pytest.mark.parametrize("case", REQUESTS, ids=str)
def test_a_request_in_parts_is_the_same_request(case):
    whole = requests([case.sent], HeadReader())
    heads = HeadReader()
    for place in places(case.sent):
        assert requests([case.sent[:place], case.sent[place:]], heads) == whole, place
    if len(case.sent) <= SMALL:
        assert requests([case.sent[place : place + 1] for place in range(len(case.sent))], heads) == whole


@pytest.mark.parametrize("case", ANSWERS, ids=str)
def test_an_answer_in_parts_is_the_same_answer(case):
    whole = answer([case.sent], HeadReader(), case)
    heads = HeadReader()
    for place in places(case.sent):
        assert answer([case.sent[:place], case.sent[place:]], heads, case) == whole, place
    if len(case.sent) <= SMALL:
        assert answer([case.sent[place : place + 1] for place in range(len(case.sent))], heads, case) == whole


@pytest.mark.parametrize("case", REQUESTS, ids=str)
def test_the_readers_say_what_the_program_does(case):
    """So that what is said here of the readers is said of it: the cases are those that went over sockets."""
    read = requests([case.sent], HeadReader())
    own = [one for one in read if isinstance(one, tuple) and one[2] == "own"]
    got = [one for one in read if isinstance(one, tuple) and one[2] != "own"]
    assert [one[:3] for one in got] == [(one.method, one.target, one.body) for one in case.asked]
    refused = [one for one in read if isinstance(one, int)]
    assert len(got) + len(own) + len(refused) == len(case.statuses)
    if refused:
        assert refused == case.statuses[-1:]


@pytest.mark.parametrize("seed", range(3))
def test_what_was_read_before_changes_nothing(seed):
    """One reader that has read all of the corpus, in any order, says of each case what a new one says."""
    cases = REQUESTS + ANSWERS
    random.Random(seed).shuffle(cases)
    warm = HeadReader()
    for case in cases:
        for _ in range(2):
            if case.of_client:
                assert requests([case.sent], warm, kin=True) == requests([case.sent], HeadReader()), case
            else:
                assert answer([case.sent], warm, case) == answer([case.sent], HeadReader(), case), case


def test_every_request_behind_every_other_is_read_as_alone():
    alone = {case.name: requests([case.sent], HeadReader()) for case in REQUESTS}
    heads = HeadReader()
    for first, second in itertools.product(KEEPING, REQUESTS):
        if len(second.sent) <= SMALL:
            both = requests([first.sent + second.sent], heads, kin=True)
            assert both == alone[first.name] + alone[second.name], (str(first), str(second))
