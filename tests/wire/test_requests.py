"""Every case of a client's bytes against the real program: what is asked of the target, what is answered, what ends."""

from __future__ import annotations

import contextlib
import copy
import itertools
import socket

import pytest

from support.program import Program, alive
from support.raw import dial
from wire.corpus import REQUESTS
from wire.peers import CONTROL, Recorder, check_asked, read_answers, worker_has_read

BEHIND = b"GET /behind HTTP/1.1\r\nHost: a\r\n\r\n"
KEEPING = [case for case in REQUESTS if case.valid and not case.ends and case.got.method != b"HEAD"]


@pytest.fixture(scope="module")
def target():
    with Recorder() as recorder:
        yield recorder


@pytest.fixture(scope="module")
def proxy(target):
    """One for all: a case that harmed it, or another exchange, is seen by the next one."""
    times = ("--head-timeout", "5s", "--idle-timeout", "5s", "--first-byte-timeout", "5s")
    args = ("--workers", "1", "--check-interval", "1h", "--max-body", "1MB", *times)
    with Program("--primary", target.url, "--backup", "http://127.0.0.1:1", *args) as program:
        workers = program.ready().workers()
        yield program
        assert program.workers() == workers
        assert all(map(alive, workers))
        assert "Traceback" not in program.log


@pytest.fixture
def control(proxy, target):
    """Afterwards somebody else asks: answered by the same worker, and nothing else has come in between."""
    before = len(target.got)
    wanted: list[bytes] = []
    yield wanted
    with dial(proxy.port) as other:
        other.send(CONTROL)
        assert other.read_answer()[1] == b"/control"
    assert [one[1] for one in target.got[before:]] == [*wanted, b"/control"]


def run(case, proxy, target, behind=b"", *, at=0, clock=None):
    """Send it and see what comes of it; in two parts, where `clock` is somebody who asks in between."""
    before = len(target.got)
    with dial(proxy.port) as client:
        if clock is not None:
            client.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            client.send(case.sent[:at])
            worker_has_read(clock)
        client.send(case.sent[at:] + behind)
        answers = read_answers(client, case)
        if not case.ends:
            client.sock.shutdown(socket.SHUT_WR)
        with contextlib.suppress(ConnectionError):  # it may be closed already, which is as good
            client.send(behind)
            assert client.read_all() == b""
    got = [one for one in target.got[before:] if one[1] != b"/control"]
    assert len(got) == len(case.asked)
    for one, wanted in zip(got, case.asked, strict=True):
        check_asked(one, wanted)
    passed = [body for ((status, body),) in zip(answers, strict=True) if status == 200 and body.startswith(b"/")]
    assert passed == [one.target for one in case.asked if one.method != b"HEAD" and one.target.startswith(b"/")]


# Twice, so that each head is read as a new one, and then by what is remembered of it.
@pytest.mark.parametrize("seen", ["new", "known"])
@pytest.mark.parametrize("case", REQUESTS, ids=str)
def test_a_request_is_read_as_is_written_beside_it(case, seen, proxy, target, control):
    control += [one.target for one in case.asked]
    run(case, proxy, target)


@pytest.mark.parametrize("case", [case for case in REQUESTS if case.ends], ids=str)
def test_nothing_behind_the_last_request_is_read(case, proxy, target, control):
    control += [one.target for one in case.asked]
    run(case, proxy, target, BEHIND)


IN_PARTS = {
    "empty-lines-before", "host-ipv6-and-port", "chunk-extension-quoted", "trailers-that-forward",
    "three-requests-with-bodies", "lf-behind-field", "fold-of-coding", "extension-crlf-in-quotes", "term-ext",
    "bad-behind-good",
}  # fmt: skip


@pytest.mark.parametrize("case", [case for case in REQUESTS if case.name[4:] in IN_PARTS], ids=str)
def test_a_request_in_two_packets_is_the_same_request(case, proxy, target):
    with dial(proxy.port) as clock:
        for place in range(1, len(case.sent)):
            run(case, proxy, target, at=place, clock=clock)


@pytest.mark.parametrize(("first", "second"), list(itertools.pairwise(KEEPING)), ids=lambda case: case.name)
def test_a_request_behind_another_is_read_as_alone(first, second, proxy, target, control):
    both = copy.copy(first)
    both.sent = first.sent + second.sent
    both.answers = first.answers + second.answers
    both.asked = first.asked + second.asked
    control += [one.target for one in both.asked]
    run(both, proxy, target)


def test_all_parts_of_the_list_are_cases():
    assert {case.name[4:] for case in REQUESTS} >= IN_PARTS
