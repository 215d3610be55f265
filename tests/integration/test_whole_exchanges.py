"""Whole exchanges, whatever both sides do: the real worker on a virtual clock, clients and targets from a script.

Each answer belongs to its request, in order and exact, or is visibly none; a write is sent once; nothing stays behind.
HYPOTHESIS_PROFILE=explore looks for other scripts than the fixed ones: docs/fuzzing.md.
"""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from fuzz.reference import Chunks
from simulation.stage import Stage
from simulation.street import ALIASES, Answer, Client, Request, Script, content, has_body, play

FAULTS = (
    "resets at once",
    "closes at once",
    "cut by a reset",
    "cut by a close",
    "talks nonsense",
    "says too much",
    "hangs",
)
OWN = {400, 408, 413, 502, 503, 504}
SIZES = st.sampled_from((0, 1, 7, 200, 5_000, 65_535, 65_537, 300_000))
PIECES = st.lists(st.sampled_from((1, 2, 17, 100, 1_400, 9_000, 70_000)), max_size=4).map(tuple)
PAUSES = st.sampled_from((0.0, 0.0, 0.003, 0.2))
TIMES = st.sampled_from((0.0, 0.001, 0.004, 0.006, 0.01, 0.05, 0.3, 1.2))


@st.composite
def answers(draw, *, calm):
    fault = "" if calm else draw(st.sampled_from(("", "", "", *FAULTS)))
    framing = draw(st.sampled_from(("length", "chunked", "close")))
    if (
        fault == "says too much"
    ):  # in one piece: what comes later may be the answer to the next request, for all we know
        return Answer(size=draw(st.sampled_from((0, 7, 200))), fault=fault)
    return Answer(
        status=draw(st.sampled_from((200, 200, 200, 404, 204, 304) if calm else (200, 200, 404, 204, 304, 500, 503))),
        framing=framing,
        size=draw(SIZES),
        interim=draw(st.sampled_from(((), (), (103,), (100, 103)))),
        early=not calm and draw(st.booleans()),
        pieces=draw(PIECES),
        pause=draw(PAUSES) if not calm else draw(st.sampled_from((0.0, 0.003))),
        fault=fault,
        faulty=draw(st.sampled_from((ALIASES, ALIASES[:1]))),
        closes=draw(st.sampled_from(("", "", "says so") if calm else ("", "", "says so", "silently"))),
    )


@st.composite
def requests(draw, *, calm):
    method = draw(st.sampled_from(("GET", "GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE")))
    version = draw(st.sampled_from(("1.1", "1.1", "1.1", "1.0")))
    return Request(
        method=method,
        framing=draw(st.sampled_from(("length", "chunked"))) if version == "1.1" else "length",
        size=draw(SIZES) if method in {"POST", "PUT", "PATCH"} else draw(st.sampled_from((0, 0, 0, 20))),
        version=version,
        keyed=draw(st.sampled_from((False, False, True))),
        expects=version == "1.1" and draw(st.sampled_from((False, False, True))),
        closes=draw(st.sampled_from((False, False, False, True))),
        answer=draw(answers(calm=calm)),
    )


@st.composite
def clients(draw, *, calm):
    several = draw(st.lists(requests(calm=calm), min_size=1, max_size=4))
    if calm:
        for request in several[:-1]:
            request.closes = False  # who says so sends nothing behind it (RFC 9112 section 9.6)
    return Client(
        requests=several,
        pieces=draw(PIECES),
        pause=draw(PAUSES) if not calm else 0.0,
        begins=draw(TIMES),
        stops_reading=draw(st.none() | st.tuples(TIMES, st.sampled_from((0.1, 1.0)))),
        leaves=None if calm else draw(st.none() | st.none() | st.tuples(TIMES, st.sampled_from(("reset", "close")))),
        half_closes=not calm and draw(st.booleans()),
    )


@st.composite
def scripts(draw, *, calm):
    verdicts = st.sampled_from(("primary", "suspect", "backup", "ramp"))
    return Script(
        clients=draw(st.lists(clients(calm=calm), min_size=1, max_size=3)),
        verdicts=[] if calm else draw(st.lists(st.tuples(TIMES, verdicts), max_size=2)),
        window=draw(st.sampled_from((1 << 18, 1 << 14))),
    )


@pytest.fixture(scope="module")
def stage():
    with Stage() as stage:
        yield stage


def alone(*several, **more):
    return Script([Client([*several], **more)])


# Rare by chance: each is what one line of the code is there for.
ANSWERED_EARLY = Script(
    [
        Client([Request("POST", size=5_000, answer=Answer(early=True))], pieces=(1_400,), pause=0.2),
        Client([Request(), Request("POST", size=200)], begins=0.3),
    ]
)
CUT_WITHOUT_A_LENGTH = alone(
    Request(version="1.0", answer=Answer(framing="close", size=300_000, fault="cut by a reset")),
)
LARGE_AND_SENT_AGAIN = alone(
    Request("PUT", size=300_000, keyed=True, answer=Answer(fault="resets at once", faulty=("primary",))),
    Request("PUT", "chunked", size=300_000, keyed=True, answer=Answer(fault="closes at once", faulty=("primary",))),
)
EXTENSIONS_OF_CHUNKS = alone(Request(answer=Answer(framing="chunked", size=65_537, pieces=(1, 400))))
CLOSED_AS_IT_IS_USED_AGAIN = alone(
    Request(answer=Answer(size=7)), Request("POST", size=7, answer=Answer(fault="closes at once"))
)


@example(script=ANSWERED_EARLY)
@example(script=CUT_WITHOUT_A_LENGTH)
@example(script=LARGE_AND_SENT_AGAIN)
@example(script=EXTENSIONS_OF_CHUNKS)
@example(script=CLOSED_AS_IT_IS_USED_AGAIN)
@given(script=scripts(calm=False))
def test_whatever_both_sides_do_an_answer_is_whole_or_visibly_none(stage, script):
    street = play(stage, script)
    judge(street)


@given(script=scripts(calm=True))
def test_where_all_behave_every_request_has_its_answer(stage, script):
    street = play(stage, script)
    judge(street)
    for visitor in street.visitors:
        told = read(visitor)
        for name, request in zip(visitor.names, visitor.client.requests, strict=True):
            assert told[name].kind == "answered", (name, told[name])
            assert told[name].by_target, (name, told[name])
            assert sum(received.name == name for received in street.ledger) == 1
            if request.closes or told[name].closing:
                break


def test_a_large_write_with_a_key_goes_to_the_backup_whole(stage):
    street = play(stage, LARGE_AND_SENT_AGAIN)
    judge(street)
    told = read(street.visitors[0])
    assert [one.kind for one in told.values()] == ["answered", "answered"]
    assert all(one.by_target for one in told.values())


@dataclasses.dataclass(slots=True)
class Told:
    """What a client can make of an answer. `kind`: answered, cut, or none."""

    kind: str = "none"
    status: int = 0
    by_target: bool = False
    body: bytes = b""
    trailers: tuple = ()
    closing: bool = False


def read(visitor):
    """The answers on one connection, by name of the request, as a strict client reads them."""
    told = {name: Told() for name in visitor.names}
    data = visitor.got
    for name, request in zip(visitor.names, visitor.client.requests, strict=True):
        while True:
            head, mark, rest = data.partition(b"\r\n\r\n")
            if not mark:
                told[name].kind = "cut" if data else "none"
                return told
            status, fields = headed(head)
            if status >= 200:
                break
            assert fields.get(b"x-name", name.encode()) == name.encode(), "an interim answer to another request"
            data = rest
        one = told[name]
        one.status = status
        one.by_target = b"x-name" in fields
        one.closing = fields.get(b"connection") == b"close"
        assert fields.get(b"x-name", name.encode()) == name.encode(), "an answer to another request"
        until_close = False
        if not has_body(request.method, status) and not (status == 408 and one.closing):
            data = rest  # the head of a request that did not come in time may have been of any method
        elif b"transfer-encoding" in fields:
            assert request.version == "1.1"
            chunks = Chunks(rest)
            if not chunks.whole:
                one.kind = "cut"
                return told
            one.body, one.trailers, data = chunks.payload, tuple(chunks.trailers), chunks.rest
        elif b"content-length" in fields:
            length = int(fields[b"content-length"])
            one.body, data = rest[:length], rest[length:]
            if len(one.body) < length:
                one.kind = "cut"
                return told
        else:
            until_close = True
            one.body, data = rest, b""
            one.kind = "answered" if visitor.ended == "end" and not visitor.left else "cut"
        one.kind = one.kind if until_close else "answered"
        if until_close or one.closing:
            assert not data, "something behind the last answer"
            return told
    assert not data, "an answer that nobody asked for"
    return told


def headed(head):
    first, *lines = head.split(b"\r\n")
    assert first.startswith(b"HTTP/1.1 ")
    fields = {}
    for line in lines:
        name, _, value = line.partition(b":")
        assert name.lower() not in fields or name.lower() in {b"via", b"x-name"}, line
        fields[name.lower()] = value.strip()
    return int(first[9:12]), fields


def judge(street):
    assert not street.wrong
    assert not street.loop.mishaps
    assert not [event for _, event in street.lines if "exc_info" in event]
    for visitor in street.visitors:
        assert visitor.left or visitor.ended, "a connection that nobody ended"
        for name, told in read(visitor).items():
            judge_answer(street.requests[name], name, told)
    for received in street.ledger:
        request = street.requests[received.name]
        sent = content(received.name, request.size)
        assert received.method == request.method
        assert received.body == sent if received.whole else sent.startswith(received.body)
        if received.whole and request.framing == "chunked":
            assert received.trailers == (b"X-Sum: %d" % request.size,)
    for name, request in street.requests.items():
        times = sum(received.name == name for received in street.ledger)
        if request.method in {"POST", "PATCH"} and not request.keyed:
            assert times <= 1, f"{name} was sent {times} times"
        elif request.method in {"PUT", "DELETE"} and not request.keyed:
            assert times <= 2, f"{name} was sent {times} times"
        assert times <= 4
    assert not street.left_behind()


def judge_answer(request, name, told):
    if told.kind != "answered":
        return
    answer = request.answer
    if not told.by_target:
        assert told.status in OWN, told
        return
    assert told.status == answer.status
    if not has_body(request.method, told.status):
        return
    body = content(name, answer.size)
    if answer.framing == "close" and answer.fault == "cut by a close":
        assert body.startswith(told.body)  # nobody can know
    else:
        assert told.body == body, (len(told.body), len(body))
    if answer.framing == "chunked" and request.version == "1.1":
        assert told.trailers == (b"X-Sum: %d" % answer.size,)
