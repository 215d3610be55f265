"""What the pure readers make of a stream that comes in parts, as `downstream` and `upstream` ask them. No sockets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from failover.proxy import own
from failover.proxy.beginning import Beginning
from failover.proxy.chunked import ChunkedReader
from failover.proxy.fields import CHUNKED, UNTIL_CLOSE, Malformed
from failover.proxy.wire import HeadReader, without_empty_lines

if TYPE_CHECKING:
    from collections.abc import Iterable

MAX_BODY = 1_000_000


class Requests:
    """One connection of a client. `read` are the whole requests so far, with what is told of each; the last entry may
    be how it ended: a status, or that it closes.
    """

    def __init__(self, heads: HeadReader, *, kin: bool = False) -> None:
        self._heads = heads
        self._kin = kin
        self._last: Any = None
        self._buffer = b""
        self._beginning: Beginning | None = None
        self._head: Any = None
        self._body = b""
        self._left = 0
        self._chunked: ChunkedReader | None = None
        self.read: list[Any] = []
        self.over = False

    def feed(self, data: bytes) -> None:
        try:
            self._buffer += data
            while self._buffer and not self.over:
                before = self._buffer
                self._read_body() if self._head else self._read_head()
                if self._buffer == before and not self._chunked:
                    return
        except Malformed as error:
            self._end(error.status)

    def _end(self, how: object) -> None:
        self.read.append(how)
        self.over = True

    def _read_head(self) -> None:
        self._buffer = without_empty_lines(self._buffer)
        if self._buffer in (b"", b"\r"):
            return
        head = self._heads.request(self._buffer, self._last)
        if head is None:
            self._beginning = self._beginning or Beginning()
            assert not self._beginning.add(self._buffer[len(self._beginning.data) :])
            return
        self._beginning = None
        self._buffer = self._buffer[head.size :]
        self._last = head.kin if self._kin else None
        if not head.plain and own.is_own(head.target):
            self.read.append((head.method, head.target, "own"))
            if head.length or not head.keep_alive:
                self._end("closed")
            return
        if head.length > MAX_BODY:
            raise Malformed(413, "too large")
        self._head, self._body, self._left = head, b"", max(head.length, 0)
        self._chunked = ChunkedReader(named=(head.kin or head).named) if head.length == CHUNKED else None
        if not head.length:
            self._whole(b"")

    def _read_body(self) -> None:
        data, self._buffer = self._buffer, b""
        if self._chunked is None:
            self._body += data[: self._left]
            self._buffer = data[self._left :]
            self._left -= min(self._left, len(data))
            if not self._left:
                self._whole(b"")
            return
        self._body += b"".join(self._chunked.feed(data))
        if len(self._body) > MAX_BODY:
            raise Malformed(413, "too large")
        if self._chunked.done:
            self._buffer = self._chunked.rest
            self._whole(self._chunked.trailers)

    def _whole(self, trailers: bytes) -> None:
        head = self._head
        told = head.host, head.via, head.upgrade, head.expects_continue, head.keep_alive, head.safe, head.forwarded
        self.read.append((head.method, head.target, self._body, trailers, tuple(head.lines), *told))
        self._head = self._chunked = None
        if not head.keep_alive:
            self._end("closed")


class Answers:
    """One answer of a target to a request of this method, in HTTP/1.0 or not."""

    def __init__(self, heads: HeadReader, *, head_only: bool, http10: bool) -> None:
        self._heads = heads
        self._head_only = head_only
        self._http10 = http10
        self._buffer = b""
        self._head: Any = None
        self._length = 0
        self._chunked: ChunkedReader | None = None
        self.interims: list[Any] = []
        self.passed = b""
        self.read: Any = None
        self.over = False
        self.behind = False

    def feed(self, data: bytes) -> None:
        if self.over:
            self.behind = True
            return
        try:
            if self._head is not None:
                self._read_body(data)
            else:
                self._buffer += data
                self._read_heads()
        except Malformed:
            self.over, self.read = True, 502  # its own status is for clients

    def _read_heads(self) -> None:
        while self._head is None:
            head = self._heads.response(self._buffer)
            if head is None:
                return
            self._buffer = self._buffer[head.size :]
            if head.status >= 200 or head.status == 101:
                self._head = head
                self._length = 0 if self._head_only or head.status == 101 else head.body
                self._chunked = (
                    ChunkedReader(framed=not self._http10, named=head.named) if self._length == CHUNKED else None
                )
                data, self._buffer = self._buffer, b""
                self._read_body(data)
                return
            self.interims.append((head.status, tuple(head.lines)))
            if not self._buffer:
                return

    def _read_body(self, data: bytes) -> None:
        chunked = self._chunked
        if chunked is not None:
            if data and chunked.whole(data):
                self.passed += data
            else:
                self.passed += b"".join(chunked.feed(data))
            if chunked.done:
                self._end(b"" if not self._http10 else chunked.trailers, bool(chunked.rest))
            return
        self.passed += data if self._length == UNTIL_CLOSE else data[: max(self._length - len(self.passed), 0)]
        if self._length == len(self.passed):
            self._end(b"", len(data) > self._length)

    def _end(self, trailers: bytes, behind: bool) -> None:
        self.over = True
        self.behind = behind
        self.read = trailers

    def told(self) -> Any:
        """All that is known of it now; of a body that goes on in chunks, what is read of them."""
        if isinstance(self.read, int):
            return self.interims, self.read
        head = self._head and (self._head.status, tuple(self._head.lines), self._head.keep_alive)
        passed: object = self.passed
        if self._chunked is not None and not self._http10:
            again = ChunkedReader()
            passed = b"".join(again.feed(self.passed)), again.trailers, again.done
        return self.interims, head, passed, self.read, self.over


def requests(parts: Iterable[bytes], heads: HeadReader, *, kin: bool = False) -> list[Any]:
    stream = Requests(heads, kin=kin)
    for part in parts:
        stream.feed(part)
    return stream.read
