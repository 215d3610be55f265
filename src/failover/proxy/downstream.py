"""Stop 2 of a request: the client's side. Reads heads and bodies, makes one exchange at a time; next comes `exchange`.

The law: a callback never raises, whatever the client sends; answers leave in the order of the requests; no more than
one head or one chunk beyond the current exchange is kept.
"""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING

from failover.proxy import answers, own, pages
from failover.proxy.chunked import ChunkedReader
from failover.proxy.exchange import Exchange
from failover.proxy.fields import CHUNKED, Malformed, RequestHead
from failover.proxy.flow import NEVER, WRITE_BUFFER, outstanding, reset
from failover.proxy.wire import MAX_HEAD

if TYPE_CHECKING:
    from failover.proxy.client import Client
    from failover.proxy.worker import Worker

# How long a client may go on sending what we no longer read before the connection is closed: closing at once would
# reset it, and the answer with it (RFC 9112 section 9.6).
_LINGER_S = 2.0

# How long a connection that was kept alive may still bring a request when the worker drains.
_LAST_REQUEST_S = 1.0

_NEWLINE = 0x0D
_BARE_NEWLINE = re.compile(rb"(?<!\r)\n|\r(?!\n|\Z)")


class Downstream(asyncio.Protocol):
    """One connection from a client."""

    __slots__ = (
        "_body",
        "_body_left",
        "_body_size",
        "_buffer",
        "_in_head",
        "_lingering",
        "_unsent",
        "_write_paused",
        "client",
        "close_after",
        "deadline",
        "exchange",
        "half_closed",
        "reading_paused",
        "transport",
        "worker",
    )

    transport: asyncio.Transport
    client: Client

    def __init__(self, worker: Worker) -> None:
        # for the connection
        self.worker = worker
        self.deadline = NEVER
        self.close_after = False
        self.half_closed = False
        self._buffer = b""
        self._in_head = False
        self._lingering = False
        self.reading_paused = False
        self._write_paused = False
        self._unsent = NEVER
        # for the exchange
        self.exchange: Exchange | pages.Page | None = None
        self._body: ChunkedReader | None = None
        self._body_left = 0
        self._body_size = 0

    # -- called by the event loop

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport  # type: ignore[assignment]  # a stream socket gives a stream transport
        self.transport.set_write_buffer_limits(WRITE_BUFFER)
        worker = self.worker
        self.client = worker.clients.at((transport.get_extra_info("peername") or ("",))[0])
        self.deadline = worker.now + worker.settings.head_timeout
        worker.joined(self)

    def data_received(self, data: bytes) -> None:
        exchange = self.exchange
        if self._lingering:
            return
        if exchange is None:
            if self._write_paused:
                self._buffer += data  # who does not read answers gets no more of them
            else:
                self._read_head(self._buffer + data if self._buffer else data)
        elif not exchange.upload_done:
            self._read_body(exchange, data)
        else:
            self._buffer += data  # the next request is here already: it waits its turn
            if len(self._buffer) > MAX_HEAD:
                self._pause_reading()

    def eof_received(self) -> bool:
        exchange = self.exchange
        self.half_closed = True
        if exchange is None and self._buffer and not (self._in_head or self._lingering):
            return True  # the next one is here already, and is about to be read
        # A client may close its half and still read the answer, but nobody closes a half of a stream without end, or of
        # a tunnel to be; and a write that was sent nowhere yet is not worth the doubt.
        may_be_gone = exchange is not None and (exchange.endless or exchange.held or exchange.head.upgrade)
        if exchange is not None and exchange.upload_done and not may_be_gone:
            return True
        self._abandon()
        return False

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - why it went changes nothing
        self._lingering = True
        self.worker.left(self)
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
            data = data.removeprefix(b"\r\n")  # a stray empty line (RFC 9112 section 2.2)
            if not data:
                self._buffer = b""
                return
        try:
            head = worker.heads.request(data, self.client.kin)
        except Malformed as error:
            self._refuse(error.status, error.reason)
            return
        if head is None:
            self._read_part_of_head(data)
            return
        self._in_head = False
        if worker.overflow and self in worker.overflow:
            self._refuse(503, "Too many connections. Please try again shortly.", head)
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
        self._body = ChunkedReader() if length == CHUNKED else None
        self._body_left = length
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

    def _read_part_of_head(self, data: bytes) -> None:
        if len(data) > MAX_HEAD:
            self._refuse(431, f"The head is larger than {MAX_HEAD} bytes.")
        elif _BARE_NEWLINE.search(data, max(len(self._buffer) - 1, 0) if self._in_head else 0):  # in what is new
            self._refuse(400, "Lines end in CR LF.")
        elif self.half_closed:
            self._close(linger=False)  # the rest of it will never come
        else:
            if not self._in_head:
                self._in_head = True
                self.deadline = self.worker.now + self.worker.settings.head_timeout
            self._buffer = data

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
                self._set_deadline()
            return
        try:
            pieces = chunked.feed(data)
        except Malformed as error:
            self._refuse(error.status, error.reason)
            return
        self._body_size += sum(map(len, pieces))
        if self._body_size > self.worker.max_body:
            self._refuse(413, f"The body is larger than the {self.worker.max_body} bytes allowed here.")
            return
        if pieces:
            exchange.upload(pieces)
        if exchange.over:
            return
        if chunked.done:
            self._body = None
            self._buffer = chunked.rest
            exchange.upload_end(chunked.trailers)
        self._set_deadline()

    def _next(self) -> None:
        """Go on with what came while the exchange before was under way."""
        if self.exchange is None and not self._lingering and self._buffer and not self.transport.is_closing():
            self._read_head(self._buffer)

    # -- called by the exchange

    def pause_upload(self) -> None:
        self._pause_reading()
        self._set_deadline()

    def resume_upload(self) -> None:
        self._resume_reading()
        self._set_deadline()

    def reply(self, status: int, text: str, head: RequestHead | None, proxy_status: bytes = b"") -> None:
        """An answer of our own."""
        self.transport.write(
            answers.error(
                status,
                text,
                accept=head.field(b"accept") if head else b"",
                request_id=head.request_id if head else b"",
                proxy_status=proxy_status,
                closing=self.close_after or head is None or not head.keep_alive,
                body=head is None or head.method != b"HEAD",
                extra=self.worker.cors.fields(head) if head else [],
            ),
        )
        if head is None or not head.keep_alive:
            self.close_after = True

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
        if self.reading_paused:
            self._resume_reading()

    def cut(self) -> None:
        """The answer cannot be completed: break the connection so that the client sees it (RFC 9112 section 8)."""
        self._abandon()
        self._lingering = True
        reset(self.transport)

    def leave(self) -> bytes:
        """A tunnel takes the connection over; what the client has sent already comes along."""
        early, self._buffer = self._buffer, b""
        self.exchange = None
        self._resume_reading()
        self.worker.left(self)
        return early

    # -- called by the worker

    def drain(self) -> None:
        """No more requests: close after this answer, or after the next when it comes at once: to close an idle
        connection just as its client uses it again would lose that request (RFC 9112 section 9.5).
        """
        self.close_after = True
        if isinstance(self.exchange, pages.Page) and self.exchange.answering:
            self.cut()  # one that is open stays open
        elif self.exchange is None and not self._buffer:
            self.deadline = min(self.deadline, self.worker.now + _LAST_REQUEST_S)

    def expire(self) -> None:
        """The deadline has passed."""
        exchange = self.exchange
        if self._write_paused or self._lingering:
            self._expire_writing()
        elif exchange is None:
            if self._buffer:
                self._refuse(408, "The request did not come in time.")
            else:
                self._close(linger=False)
        else:
            self._refuse(408, "The body did not come in time.")

    def _set_deadline(self) -> None:
        """The one place that says how long the client has, by what it owes: to read, to send, or nothing."""
        exchange = self.exchange
        if self._write_paused:
            return  # it owes us reading; only reading postpones that, in `_expire_writing`
        if exchange is not None and (exchange.upload_done or self.reading_paused):
            self.deadline = NEVER
        else:
            self.deadline = self.worker.now + self.worker.idle_timeout

    def _expire_writing(self) -> None:
        # A slow reader lives as long as it reads at all; what the kernel still holds counts as unread.
        before, self._unsent = self._unsent, outstanding(self.transport)
        if 0 < self._unsent < before:
            self.deadline = self.worker.now + (_LINGER_S if before == NEVER else self.worker.idle_timeout)
        else:
            reset(self.transport)  # a plain close would wait in the kernel for a reader that is not there

    # -- the ends

    def _abandon(self) -> None:
        """Nobody waits for the answer any more."""
        exchange, self.exchange = self.exchange, None
        if exchange is not None and not exchange.over:
            exchange.abandon()

    def _answer_own(self, head: RequestHead, data: bytes) -> None:
        if pages.is_page(self.worker, head) and not own.has(head.target):
            self._begin(head, data, pages.Page(self, head))
            return
        self._buffer = data[head.size :]
        if head.length or not head.keep_alive or self.worker.draining:
            self.close_after = True  # nobody reads that body
        self.transport.write(own.answer(self.worker, head, closing=self.close_after))
        self.done()

    def _refuse(self, status: int, text: str, head: RequestHead | None = None) -> None:
        """Answer a request that goes nowhere, and close: what follows it cannot be trusted."""
        exchange, self.exchange = self.exchange, None
        if exchange is not None:
            exchange.abandon()
            if exchange.answering:
                self.cut()
                return
            head = exchange.head
        self.worker.stats.rejected += 1
        self.close_after = True
        self.reply(status, text, head)
        self._close(linger=True)

    def _close(self, *, linger: bool) -> None:
        self._buffer = b""
        if self._lingering:
            return
        self._lingering = True
        self._unsent = NEVER  # looked at when it matters
        if linger and not self.half_closed and self.transport.can_write_eof():
            self._resume_reading()
            self.deadline = self.worker.now + _LINGER_S
            self.transport.write_eof()
        else:
            self.deadline = self.worker.now + self.worker.idle_timeout
            self.transport.close()

    def _pause_reading(self) -> None:
        if not self.reading_paused and not self.transport.is_closing():
            self.reading_paused = True
            self.transport.pause_reading()

    def _resume_reading(self) -> None:
        if self.reading_paused:
            self.reading_paused = False
            if not self.transport.is_closing():
                self.transport.resume_reading()
