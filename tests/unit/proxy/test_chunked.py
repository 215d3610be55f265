"""Chunked bodies: the same payload however the bytes come, and nothing but that."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from failover.proxy.chunked import ChunkedReader, frame, last_chunk
from failover.proxy.fields import Malformed


def read(data: bytes, cuts: list[int] | None = None) -> tuple[bytes, ChunkedReader]:
    reader = ChunkedReader()
    places = sorted({min(cut, len(data)) for cut in cuts or []})
    payload = b""
    for start, end in zip([0, *places], [*places, len(data)], strict=True):
        if reader.done:
            reader.rest += data[start:end]
        else:
            payload += b"".join(reader.feed(data[start:end]))
    return payload, reader


@given(
    st.lists(st.binary(min_size=1, max_size=50), max_size=6),
    st.lists(st.integers(0, 400), max_size=8),
    st.binary(max_size=9),
)
def test_any_split_gives_the_same_payload(pieces, cuts, behind):
    payload, reader = read(frame(pieces) + last_chunk(b"X: 1\r\n") + behind, cuts)
    assert payload == b"".join(pieces)
    assert reader.done
    assert reader.rest == behind
    assert reader.trailers == b"X: 1\r\n"


@pytest.mark.parametrize(
    "data",
    [
        b"g\r\n",
        b"\r\n",
        b"-1\r\n",
        b"0x1\r\na\r\n",
        b"1 \r\na\r\n",
        b"1\r\nab\r\n",
        b"1\r\na\n",
        b"1\na\r\n",
        b"1;a\x00\r\na\r\n",
        b"1;\n\r\na\r\n",
        b"1;" + b"a" * 2000,
        b"1" * 16 + b"\r\n",
        b"0\r\nbad\r\n\r\n",
        b"0\r\nX : 1\r\n\r\n",
        b"0\r\n X: 1\r\n\r\n",
        b"0\r\n" + b"X: 1\r\n" * 4000 + b"\r\n",
    ],
)
def test_what_breaks_the_framing_is_refused(data):
    with pytest.raises(Malformed):
        read(data)


def test_extensions_end_here_and_framing_trailers_too():
    payload, reader = read(b"2;a=b;c\r\nhi\r\n0;x\r\nContent-Length: 5\r\nX-A: 1\r\nSet-Cookie: a\r\n\r\n")
    assert (payload, reader.trailers) == (b"hi", b"X-A: 1\r\n")


@given(st.binary(max_size=80), st.lists(st.integers(0, 80), max_size=5))
def test_noise_is_read_the_same_whole_and_in_parts(noise, cuts):
    def outcome(parts):
        try:
            payload, reader = read(noise, parts)
        except Malformed:
            return "refused"
        return payload, reader.done, reader.rest

    whole, split = outcome([]), outcome(cuts)
    assert whole == split or "refused" in {str(whole), str(split)}
    if whole == "refused":
        # In parts it may be refused later, but never accepted as complete.
        assert split == "refused" or not split[1]


def pass_on(data: bytes, cuts: list[int]) -> tuple[bytes, int, ChunkedReader]:
    """What goes on of chunks that go on in their frames, and how much payload was counted."""
    reader = ChunkedReader(framed=True)
    places = sorted({min(cut, len(data)) for cut in cuts})
    passed, size = b"", 0
    for start, end in zip([0, *places], [*places, len(data)], strict=True):
        part = data[start:end]
        if part and not reader.done:
            passed += part if reader.whole(part) else b"".join(reader.feed(part))
            size += reader.size
    return passed, size, reader


@given(st.lists(st.binary(min_size=1, max_size=50), max_size=6), st.lists(st.integers(0, 400), max_size=8))
def test_chunks_go_on_as_the_bytes_that_they_are(pieces, cuts):
    data = frame(pieces) + last_chunk(b"X: 1\r\n")
    passed, size, reader = pass_on(data, cuts)
    assert passed == data
    assert size == len(b"".join(pieces))
    assert reader.done


@given(st.lists(st.integers(0, 80), max_size=5))
def test_of_chunks_that_go_on_the_extensions_and_what_frames_stay_behind(cuts):
    data = b"2;a=b;c\r\nhi\r\n02\r\nho\r\n1 ;d\r\n!\r\n0;x\r\nContent-Length: 5\r\nX-A: 1\r\n\r\n"
    passed, size, reader = pass_on(data, cuts)
    assert passed == b"2\r\nhi\r\n02\r\nho\r\n1\r\n!\r\n0\r\nX-A: 1\r\n\r\n"
    assert size == 5
    assert reader.done


def test_what_comes_behind_the_last_chunk_does_not_go_on():
    passed, size, reader = pass_on(b"2\r\nhi\r\n0\r\n\r\nHTTP/1.1 200 OK\r\n", [])
    assert (passed, size) == (b"2\r\nhi\r\n0\r\n\r\n", 2)
    assert reader.rest == b"HTTP/1.1 200 OK\r\n"


@given(st.binary(max_size=80), st.lists(st.integers(0, 80), max_size=5))
def test_what_goes_on_can_be_read_as_it_came(noise, cuts):
    """Whatever a target sends: what a client gets of it has the payload that was read here."""
    try:
        passed, size, reader = pass_on(b"3\r\nabc\r\n" + noise, cuts)
    except Malformed:
        return
    payload, again = read(passed)
    assert len(payload) == size
    assert again.done == reader.done


def test_extensions_that_outweigh_the_payload_are_refused():
    dust = b"1;%b\r\nx\r\n" % (b"a" * 200)
    with pytest.raises(Malformed) as error:
        read(dust * 1000)
    assert error.value.status == 400


def test_extensions_that_sign_each_chunk_are_none_of_those():
    signed = b"10000;chunk-signature=%b\r\n%b\r\n" % (b"a" * 64, b"x" * 65536)
    assert len(read(signed * 100)[0]) == 6_553_600
    assert len(read(b"1;sig=1234567\r\nx\r\n" * 5000)[0]) == 5000


def test_whole_chunks_in_a_row_end_where_they_are_not_whole():
    payload, reader = read(b"1\r\na\r\n2\r\nbc\r\n3\r\nd")
    assert payload == b"abcd"
    assert not reader.done
    with pytest.raises(Malformed):
        read(b"1\r\na\r\n1\r\nabc\r\n")
