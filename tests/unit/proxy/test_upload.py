"""What is kept of a request's body: in memory, in a file, and what becomes of it when the file takes no more."""

from __future__ import annotations

import pytest

from failover.proxy.chunked import ChunkedReader
from failover.proxy.fields import CHUNKED
from failover.proxy.upload import KEPT, Spills, Upload

PIECES = [bytes([n]) * 50_000 for n in range(20)]
WHOLE = b"".join(PIECES)


@pytest.fixture
def upload():
    made = []

    def make(length=1_000_000, *, repeatable=True):
        made.append(Upload(length, lambda: Spills(10_000_000, 1).take(length) if repeatable else None))
        return made[-1]

    yield make
    for one in made:
        one.close()


def all_of(made):
    """What a target that is asked now gets of it in the end."""
    data = made.so_far()
    while made.behind:
        data += made.more()
    return data


def test_a_little_is_kept_in_memory(upload):
    made = upload(5)
    assert made.send([b"hello"]) == b"hello"
    assert made.end(b"") == b""
    assert made.in_memory
    assert made.kept_bytes == 5
    assert all_of(made) == b"hello"


def test_what_may_not_be_repeated_is_let_go(upload):
    made = upload(repeatable=False)
    for piece in PIECES:
        assert made.send([piece]) == piece
    assert not made.at_hand
    assert not made.lost


@pytest.mark.parametrize("length", [len(WHOLE), CHUNKED])
def test_more_goes_to_a_file_and_comes_back_whole(upload, length):
    made = upload(length)
    sent = b"".join(made.send([piece]) for piece in PIECES) + made.end(b"")
    again = all_of(made)
    assert made.at_hand
    assert not made.in_memory
    if length == CHUNKED:
        sent, again = (b"".join(ChunkedReader().feed(data)) for data in (sent, again))
    assert sent == again == WHOLE


def test_what_comes_while_a_target_is_behind_has_its_turn(upload):
    made = upload()
    for piece in PIECES[:10]:
        made.send([piece])
    data = made.so_far()
    assert made.behind
    for piece in PIECES[10:]:
        assert made.send([piece]) == b"", "not before what came earlier"
    made.end(b"")
    while made.behind:
        data += made.more()
    assert data == WHOLE


def fail(*_, **__):
    raise OSError("no space left on device")


def full(made, monkeypatch):
    class Full:
        seek = close = staticmethod(lambda *_: None)
        write = staticmethod(fail)

    made._file.close()
    made._file = Full()


def test_a_full_disk_costs_a_target_that_has_everything_nothing(upload, monkeypatch):
    made = upload()
    made.send(PIECES[:2])
    full(made, monkeypatch)
    assert made.send([PIECES[2]]) == PIECES[2]
    assert not made.at_hand
    assert not made.lost
    assert made.send([PIECES[3]]) == PIECES[3]


def test_a_full_disk_ends_what_only_the_file_had(upload, monkeypatch):
    made = upload()
    for piece in PIECES[:10]:
        made.send([piece])
    made.so_far()
    assert made.behind
    full(made, monkeypatch)
    assert made.send([PIECES[10]]) == b""
    assert made.lost


def test_a_full_disk_between_two_targets_ends_it(upload, monkeypatch):
    made = upload()
    made.send(PIECES[:2])
    full(made, monkeypatch)
    made.keep([PIECES[2]])
    assert made.lost


def test_no_place_for_a_file_is_no_reason_to_fail(upload, monkeypatch):
    monkeypatch.setattr("failover.proxy.upload.tempfile.TemporaryFile", fail)
    made = upload()
    assert [made.send([piece]) for piece in PIECES] == PIECES
    assert not made.at_hand
    assert not made.lost


def test_while_nobody_takes_it_the_client_waits(upload):
    made = upload()
    assert made.keep([b"x" * (KEPT - 1)])
    assert not made.keep([b"x"])


def test_files_of_all_bodies_together_have_a_bound():
    spills = Spills(1_000_000, 1100)  # the part of a worker is less than one body: it has room for one
    first, second, third = (Upload(n, lambda n=n: spills.take(n)) for n in (1_000_000, CHUNKED, CHUNKED))
    for piece in PIECES:
        assert first.send([piece]) == piece
        second.send([piece])
    assert first.at_hand
    assert not second.at_hand, "it is kept, though there is no room"
    assert not second.lost, "it is proxied once all the same"
    first.close()
    for piece in PIECES:
        third.send([piece])
    assert third.at_hand, "room that was given back is not given again"
    third.close()


def test_many_small_pieces_hold_no_more_than_their_bytes():
    made = Upload(CHUNKED, lambda: None)
    for _ in range(10_000):
        made.keep([b"xy"])
    assert len(made._kept) <= 100
    assert made.so_far() == b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in made._kept)
    assert b"".join(made._kept) == b"xy" * 10_000
