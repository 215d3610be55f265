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
