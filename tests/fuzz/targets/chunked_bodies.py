"""Chunked bodies, from either side (`proxy/chunked`).

1. Nothing but Malformed is ever raised.
2. However the bytes are split, the payload, the end and what is behind it are the same.
3. A body that is found whole is whole, with the same payload, for a decoder written from the RFC alone.
4. What goes on in its frames, read by that decoder, has the payload that was counted, in every mixture of `whole` and
   `feed`; and it is whole just when the body was.
5. No trailer goes on that frames, routes or authorises.
"""

from __future__ import annotations

from failover.proxy.chunked import ChunkedReader, last_chunk
from failover.proxy.fields import Malformed
from fuzz.parts import pieces, taken_apart
from fuzz.reference import Chunks

DICTIONARY = "http"
NEVER_TRAILERS = (b"content-length:", b"transfer-encoding:", b"host:", b"authorization:", b"set-cookie:")
NEVER_TRAILERS += (b"x-forwarded-",)


def unframed(parts):
    """As for a request's body: payload, the reader, and what was behind the end."""
    reader = ChunkedReader()
    payload = b""
    for n, part in enumerate(parts):
        got = b"".join(reader.feed(part))
        assert len(got) == reader.size
        payload += got
        if reader.done:
            return payload, reader, reader.rest + b"".join(parts[n + 1 :])
    return payload, reader, b""


def framed(parts):
    """As for an answer's: what goes on, how much payload that was, and the reader."""
    reader = ChunkedReader(framed=True)
    out, size = b"", 0
    for part in parts:
        out += part if reader.whole(part) else b"".join(reader.feed(part))
        size += reader.size
        if reader.done:
            break
    return out, size, reader


def attempt(read, parts):
    try:
        return read(parts)
    except Malformed as refused:
        assert refused.status == 400
        return None


def one(data):
    data, numbers = taken_apart(data)
    parts = pieces(data, numbers)
    whole, split = attempt(unframed, [data] if data else []), attempt(unframed, parts)
    if whole is not None and split is not None:
        assert whole[0] == split[0]
        assert whole[1].done == split[1].done
        assert whole[2] == split[2]
        assert whole[1].trailers == split[1].trailers
    else:
        # In parts it may be refused later, when more of it is here, but never taken for whole.
        assert whole is None or not whole[1].done
        assert split is None or not split[1].done
    for got in (whole, split):
        if got is not None:
            payload, reader, rest = got
            theirs = Chunks(data)
            assert theirs.payload == payload
            assert theirs.whole == reader.done
            assert not reader.done or theirs.rest == rest
            lines = reader.trailers.lower().split(b"\r\n")
            assert not [line for line in lines if line.replace(b"_", b"-").startswith(NEVER_TRAILERS)]
            assert Chunks(last_chunk(reader.trailers)).whole
    for given in ([data] if data else [], parts):
        passed = attempt(framed, given)
        if passed is None:
            assert split is None or whole is None or not split[1].done
            continue
        out, size, reader = passed
        again = Chunks(out)
        assert len(again.payload) == size
        assert again.whole == reader.done
        assert not again.rest
        assert whole is None or again.payload == whole[0]
