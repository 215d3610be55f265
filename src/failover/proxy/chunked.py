"""Chunked bodies (RFC 9112 section 7.1): strict in, normalised out. Pure.

Whatever a sender wrote into chunk extensions ends here, and what can be read in two ways is refused. A chunk without
them goes on as the bytes that it is, so two readers can never disagree.
"""

from __future__ import annotations

import re

from failover.proxy.fields import Malformed
from failover.proxy.wire import MAX_FIELDS

_MAX_LINE = 1024
_MAX_TRAILERS = 16 * 1024
_MAX_EXCESS = 16 * 1024  # bytes of extensions beyond 16 a chunk and twice its payload, as Go's net/http has it
_PLAIN_SIZE = re.compile(rb"([0-9A-Fa-f]{1,15})\r\n")
_TOKEN = rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_QUOTED = rb"\"(?:[\t\x20\x21\x23-\x5b\x5d-\x7e\x80-\xff]|\\[\t\x20-\x7e\x80-\xff])*\""
_EXTENSION = rb"[ \t]*;[ \t]*%b(?:[ \t]*=[ \t]*(?:%b|%b))?" % (_TOKEN, _TOKEN, _QUOTED)
_SIZE_LINE = re.compile(rb"([0-9A-Fa-f]{1,15})(?:%b)*" % _EXTENSION)
_TRAILER = re.compile(rb"(%b):[\t\x20-\x7e\x80-\xff]*" % _TOKEN)
LAST_CHUNK = b"0\r\n\r\n"

# Fields that frame, route, authorise, steer or make conditions would change the message after the fact (RFC 9110
# section 6.5.1).
_FORBIDDEN_TRAILERS = frozenset(
    (
        b"transfer-encoding content-length host trailer connection keep-alive te upgrade proxy-connection"
        b" content-encoding content-type content-range authorization proxy-authorization proxy-authenticate"
        b" set-cookie cookie cache-control expect max-forwards location via forwarded x-request-id www-authenticate"
        b" pragma range if-match if-none-match if-modified-since if-unmodified-since if-range"
        b" age expires date retry-after vary warning"
    ).split(),
)


class ChunkedReader:
    """Takes a chunked body apart; one that is `framed` is to go on in its chunks, the last of them included. `named`
    are the lower-cased fields that Connection named.

    After each `feed`: `size` is how much payload it had, `done` says that the body is over, `rest` has the bytes behind
    it and `trailers` the block of its trailer fields, each with a CRLF behind it.
    """

    __slots__ = (
        "_between",
        "_excess",
        "_framed",
        "_left",
        "_named",
        "_pending",
        "_state",
        "_trailer_count",
        "_trailer_size",
        "done",
        "rest",
        "size",
        "trailers",
    )

    def __init__(self, *, framed: bool = False, named: tuple[bytes, ...] = ()) -> None:
        self._framed = framed
        self._named = named
        self._between = framed  # nothing of a chunk has come that is not complete, and gone on
        self._left = 0
        self._excess = 0
        self._pending = b""
        self._state = _SIZE
        self._trailer_count = self._trailer_size = 0
        self.size = 0
        self.done = False
        self.rest = b""
        self.trailers = b""

    def whole(self, data: bytes) -> bool:
        """Whether `data` is nothing but whole chunks that go on as they are, as most of what comes is; if not, nothing
        has happened.
        """
        if not self._between:
            return False
        payload = position = 0
        while match := _PLAIN_SIZE.match(data, position):
            size = int(match[1], 16)
            position = match.end() + size + 2
            if data[position - 2 : position] != b"\r\n":
                return False
            payload += size
            if position == len(data):
                self.size = payload
                self.done = not size
                return True
            if not size:
                return False
        return False

    def feed(self, data: bytes) -> list[bytes]:
        """What of `data` goes on, in pieces. Raises Malformed (400) at the first byte that breaks the framing."""
        pieces: list[bytes] = []
        if self._pending:
            data = self._pending + data
            self._pending = b""
        self.size = begin = position = 0
        size = len(data)
        while position < size:
            state = self._state
            if state == _DATA:
                part = min(self._left, size - position)
                if not self._framed:
                    pieces.append(data[position : position + part])
                position += part
                self.size += part
                self._left -= part
                if not self._left:
                    self._state = _DATA_END
                continue
            if state == _SIZE and not self._framed:
                start = position
                position = self._whole_chunks(data, position, pieces)
                if position > start:
                    continue
            if state == _DATA_END:
                if size - position < 2 and data[position] == 0x0D:
                    break
                if data[position : position + 2] != b"\r\n":
                    raise Malformed(400, "a chunk is longer than it says")
                position += 2
                self._state = _SIZE
                continue
            end = data.find(b"\r\n", position)
            if end < 0:
                self._check_line(size - position)
                self._check_part(data[position:])
                break
            self._check_line(end - position)
            line = data[position:end]
            if state == _SIZE:
                digits = self._size_line(line)
                if self._framed and (not self._left or digits < len(line)):
                    # Ours is another last chunk, with the trailers that may pass, and no chunk has extensions.
                    pieces.append(data[begin : position + (digits if self._left else 0)])
                    begin = end
            elif line:
                self._trailer_line(line)
            else:
                self.done = True
                self.rest = data[end + 2 :]
                if self._framed:
                    pieces.append(last_chunk(self.trailers))
                return pieces
            position = end + 2
        self._pending = data[position:]
        if self._framed and self._state != _TRAILERS:
            if begin < position:
                pieces.append(data[begin:position])
            self._between = self._state == _SIZE and not self._pending
        return pieces

    def _whole_chunks(self, data: bytes, position: int, pieces: list[bytes]) -> int:
        """Take over the chunks from there on that are whole and plain: where they end. There may be very many."""
        before = len(pieces)
        while match := _PLAIN_SIZE.match(data, position):
            start = match.end()
            end = start + int(match[1], 16)
            if start == end or data[end : end + 2] != b"\r\n":
                break
            pieces.append(data[start:end])
            position = end + 2
        self.size += sum(map(len, pieces[before:]))
        return position

    def _check_line(self, length: int) -> None:
        if length > (_MAX_LINE if self._state == _SIZE else _MAX_TRAILERS):
            raise Malformed(400, "a line of the chunked body is too long")

    @staticmethod
    def _check_part(line: bytes) -> None:
        """Of a line that is not whole: waiting longer would not mend it."""
        if b"\n" in line or b"\r" in line[:-1]:
            raise Malformed(400, "a line of the chunked body does not end in CR LF")

    def _size_line(self, line: bytes) -> int:
        """Take the size over; how many digits it has."""
        match = _SIZE_LINE.fullmatch(line)
        if match is None:
            raise Malformed(400, "a chunk size cannot be read")
        self._left = int(match[1], 16)
        self._state = _DATA if self._left else _TRAILERS
        digits = match.end(1)
        if digits < len(line):
            self._excess = max(self._excess + len(line) - digits - 16 - 2 * self._left, 0)
            if self._excess > _MAX_EXCESS:
                raise Malformed(400, "the chunks have more extensions than payload")
        return digits

    def _trailer_line(self, line: bytes) -> None:
        match = _TRAILER.fullmatch(line)
        if match is None:
            raise Malformed(400, "a trailer field cannot be read")
        self._trailer_size += len(line) + 2
        self._trailer_count += 1
        if self._trailer_size > _MAX_TRAILERS or self._trailer_count > MAX_FIELDS:
            raise Malformed(400, "too many trailer fields")
        name = match[1].lower()
        if name in self._named:
            return
        name = name.replace(b"_", b"-")
        if name not in _FORBIDDEN_TRAILERS and not name.startswith(b"x-forwarded-"):
            self.trailers += line + b"\r\n"


_SIZE, _DATA, _DATA_END, _TRAILERS = range(4)


def frame(payload: list[bytes]) -> bytes:
    """Payload as chunks, one for each piece that has bytes."""
    return b"".join([b"%x\r\n%b\r\n" % (len(piece), piece) for piece in payload if piece])


def last_chunk(trailers: bytes) -> bytes:
    """The end of a chunked body, with its trailer fields."""
    return b"0\r\n" + trailers + b"\r\n" if trailers else LAST_CHUNK
