"""Stop 2 of a request: the client's side. Reads heads and bodies, makes one exchange at a time; next comes `exchange`.

The law: a callback never raises, whatever the client sends; answers leave in the order of the requests; no more than
one head or one chunk beyond the current exchange is kept.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from failover.proxy import own, pages
from failover.proxy.beginning import Beginning
from failover.proxy.chunked import ChunkedReader
from failover.proxy.connection import Connection
from failover.proxy.exchange import Exchange
from failover.proxy.fields import CHUNKED, Malformed, RequestHead
from failover.proxy.flow import NEVER, WRITE_BUFFER, outstanding
from failover.proxy.wire import MAX_HEAD, without_empty_lines

if TYPE_CHECKING:
    import asyncio

    from failover.proxy.worker import Worker

# How long a connection that was kept alive may still bring a request when the worker drains.
_LAST_REQUEST_S = 1.0

_NEWLINE = 0x0D

# Of a body in small chunks, so many bytes are read at a time when they have more than so many ends of lines: each costs
# as much as a large one.
_SLICE = 4096
_DENSE = 256


class Downstream(Connection):
    """One connection from a client, and the requests on it."""

    __slots__ = ("_body", "_body_left", "_body_size", "_came")

    def __init__(self, worker: Worker) -> None:
        super().__init__(worker)
        # for the exchange
        self._body: ChunkedReader | None = None
        self._body_left = 0
        self._body_size = 0
        self._came = 0  # bytes of it since the deadline was moved

    # -- called by the event loop

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport  # type: ignore[assignment]  # a stream socket gives a stream transport
        self.transport.set_write_buffer_limits(WRITE_BUFFER)
        worker = self.worker
        self.client = worker.clients.at((transport.get_extra_info("peername") or ("",))[0])
        self.deadline = worker.now + worker.settings.head_timeout
        worker.crowd.join(self)
        if worker.draining:
            self.drain()  # was accepted in the last moment

    def data_received(self, data: bytes) -> None:
        exchange = self.exchange
        if self._lingering:
            return
        if exchange is None:
            if self._write_paused:
                self._buffer += data  # who does not read answers gets no more of them
            elif self._beginning is not None:
                self._read_part_of_head(self._beginning, data)
            else:
                self._read_head(self._buffer + data if self._buffer else data)
        elif not exchange.upload_done:
            if self._buffer:
                self._buffer += data  # `_read_rest` will read what came before
            else:
                self._read_body(exchange, data)
        else:
            self._buffer += data  # the next request is here already: it waits its turn
            if len(self._buffer) > MAX_HEAD:
                self._pause_reading()

    def eof_received(self) -> bool:
        while self._buffer and self.exchange is not None and not self.exchange.upload_done:
            self._read_on(self.exchange)  # at once: nothing is to come behind it
        exchange = self.exchange
        self.half_closed = True
        if self._next_is_here and not self._lingering:
            return True  # it is about to be read
        # A client may close its half and still read the answer, but nobody closes a half of a stream without end, or of
        # a tunnel to be; and a write that was sent nowhere yet is not worth the doubt.
        may_be_gone = exchange is not None and (exchange.endless or exchange.held or exchange.head.upgrade)
        if exchange is not None and exchange.upload_done and not may_be_gone:
            return True
        self._abandon()
        return False

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - why it went changes nothing
        self._lingering = True
        self.worker.crowd.leave(self)
        self._abandon()

    def pause_writing(self) -> None:
        self._write_paused = True
        self._unsent = outstanding(self.transport)
        self.deadline = self.worker.now + self.worker.idle_timeout
        if self.exchange is not None:
            self.exchange.reading_too_slowly()

    def resume_writing(self) -> None:
        self._write_paused = False
        if self.exchange is not None:
            self._set_deadline()
            self.exchange.reading_again()
        elif not self._lingering:
            self.done()

    # -- reading a request

    def _read_head(self, data: bytes) -> None:
        worker = self.worker
        if data[0] <= _NEWLINE:
            data = without_empty_lines(data)
            if data in (b"", b"\r"):  # half of one
                self._buffer = data
                if self.half_closed:
                    self._close(linger=False)
                elif data:
                    self._head_begins()
                return
        try:
            head = worker.heads.request(data, self.client.kin)
        except Malformed as error:
            self._refuse(error.status, error.reason)
            return
        if head is None:
            self._head_begins()
            self._buffer = b""
            self._beginning = Beginning()
            self._read_part_of_head(self._beginning, data)
            return
        self._in_head = False
        if worker.refused and (no := worker.refused.get(self)):
            self._refuse(no.status, no.text, head)
            return
        if head.via and worker.via in head.via:
            self._refuse(508, "This request has been here before: a target of this proxy points back at it.", head)
            return
        if not head.plain and own.is_own(head.target):
            self._answer_own(head, data)
            return
        if head.length > worker.max_body:
            self._refuse(413, f"The body is larger than the {worker.max_body} bytes allowed here.", head)
            return
        self._begin(head, data, Exchange(self, head))

    def _begin(self, head: RequestHead, data: bytes, exchange: Exchange | pages.Page) -> None:
        self.exchange = exchange
        length, end = head.length, head.size
        if not length:
            self._buffer = data[end:] if end < len(data) else b""
            self.deadline = NEVER
            exchange.start()
            return
        self._buffer = b""
        self._body_size = 0
        self._came = self.worker.least_progress  # its first bytes begin its time
        self.upload_waits = False
        self._body = ChunkedReader(named=(head.kin or head).named) if length == CHUNKED else None
        self._body_left = length
        if self.reading_paused:
            self._resume_reading()  # the rest of it is behind what was here already
        if head.expects_continue and end == len(data):
            self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        if end < len(data):
            self._read_body(exchange, data[end:])  # what is here already goes to the target with the head
            if self.exchange is not exchange:
                return
        else:
            self._set_deadline()
        exchange.start()
        if self.half_closed and self.exchange is exchange and not exchange.upload_done:
            self._abandon()  # the rest of its body will never come
            self._close(linger=False)

    def _head_begins(self) -> None:
        if not self._in_head:
            self._in_head = True
            self.deadline = self.worker.now + self.worker.settings.head_timeout

    def _read_part_of_head(self, beginning: Beginning, data: bytes) -> None:
        try:
            if beginning.add(data):
                self._beginning = None
                self._read_head(bytes(beginning.data))
            elif self.half_closed:
                self._close(linger=False)  # the rest of it will never come
        except Malformed as error:
            self._refuse(error.status, error.reason)

    def _read_body(self, exchange: Exchange | pages.Page, data: bytes) -> None:
        chunked = self._body
        if chunked is None:
            left = self._body_left - len(data)
            if left < 0:
                data, self._buffer = data[:left], data[left:]
            self._body_left = max(left, 0)
            exchange.upload([data])
            if left <= 0 and not exchange.over:
                exchange.upload_end(b"")
            if not self._lingering:
                if left <= 0:
                    self._set_deadline()
                else:
                    self._got_on(exchange, len(data))
            return
        if len(data) > _SLICE and data.count(b"\r\n", 0, _SLICE) > _DENSE:
            self._buffer = data[_SLICE:]
            data = data[:_SLICE]
            self._pause_reading()
            self.worker.loop.call_soon(self._read_rest)
        try:
            pieces = chunked.feed(data)
        except Malformed as error:
            self._refuse(error.status, error.reason)
            return
        size = sum(map(len, pieces))
        self._body_size += size
        if self._body_size > self.worker.max_body:
            self._refuse(413, f"The body is larger than the {self.worker.max_body} bytes allowed here.")
            return
        if pieces:
            exchange.upload(pieces if len(pieces) == 1 else [b"".join(pieces)])
        if exchange.over:
            return
        if chunked.done:
            self._body = None
            self._buffer = chunked.rest + self._buffer
            exchange.upload_end(chunked.trailers)
        self._got_on(exchange, size)

    def _read_rest(self) -> None:
        """Go on with a body of many small chunks, after others had their turn."""
        exchange = self.exchange
        if exchange is not None and not exchange.upload_done and self._buffer and not self.upload_waits:
            self._read_on(exchange)

    def _read_on(self, exchange: Exchange | pages.Page) -> None:
        data, self._buffer = self._buffer, b""
        self._resume_reading()
        self._read_body(exchange, data)

    def _got_on(self, exchange: Exchange | pages.Page, size: int) -> None:
        """Bytes of the body have come. Only with enough of them does its time begin anew: one a minute would hold a
        connection of the target for days. Once the target answers, it has taken that upon itself.
        """
        self._came += size
        if self._came >= self.worker.least_progress or exchange.upload_done or exchange.answering:
            self._came = 0
            self._set_deadline()

    def _next(self) -> None:
        """Go on with what came while the exchange before was under way."""
        if self.exchange is None and not self._lingering and self._buffer and not self.transport.is_closing():
            self._read_head(self._buffer)

    # -- called by the exchange

    def pause_upload(self) -> None:
        self.upload_waits = True
        self._pause_reading()
        self._set_deadline()

    def resume_upload(self) -> None:
        self.upload_waits = False
        exchange = self.exchange
        if self._buffer and exchange is not None and not exchange.upload_done:
            self.worker.loop.call_soon(self._read_rest)
        else:
            self._resume_reading()
        self._set_deadline()

    def done(self) -> None:
        """The exchange is over and its answer written."""
        if self.close_after or (self.half_closed and not self._buffer):
            self._close(linger=self.exchange is None or not self.exchange.parted)
            self.exchange = None
            return
        self.exchange = None
        if self._write_paused:
            self._pause_reading()
            return
        worker = self.worker
        self.deadline = worker.now + worker.idle_timeout
        if self._buffer:
            worker.loop.call_soon(self._next)
            if len(self._buffer) > MAX_HEAD:
                self._pause_reading()  # its requests come faster than they are answered
        if self.reading_paused:
            self._resume_reading()

    def leave(self) -> bytes:
        """A tunnel takes the connection over; what the client has sent already comes along."""
        early, self._buffer = self._buffer, b""
        self.exchange = None
        self._resume_reading()
        return early

    # -- called by the worker

    def drain(self) -> None:
        """No more requests: close after this answer, or after the next when it comes at once: to close an idle
        connection just as its client uses it again would lose that request (RFC 9112 section 9.5).
        """
        self.close_after = True
        if isinstance(self.exchange, pages.Page) and self.exchange.answering:
            self.cut()  # one that is open stays open
        elif self.exchange is None and self._beginning is None and not (self._next_is_here or self._write_paused):
            self.deadline = min(self.deadline, self.worker.now + _LAST_REQUEST_S)

    def _answer_own(self, head: RequestHead, data: bytes) -> None:
        if pages.is_page(self.worker, head) and not own.has(head.target):
            self._begin(head, data, pages.Page(self, head))
            return
        self._buffer = data[head.size :]
        if head.length or not head.keep_alive or self.worker.draining:
            self.close_after = True  # nobody reads that body
        self.transport.write(own.answer(self.worker, head, closing=self.close_after))
        self.done()
