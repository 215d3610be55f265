"""Stop 5 of a request: the target's side. Writes what the exchange gives it, reads the answer, tells the exchange.

The law: it never decides. It knows where an answer begins and ends (RFC 9112 section 6), holds a small one back until
it is whole, and says exactly one of `whole`, `finished` or `failed` for each request it was given.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from failover.core.model import Address, ErrorType
from failover.faults import Fault, translate
from failover.proxy.chunked import ChunkedReader
from failover.proxy.fields import CHUNKED, UNTIL_CLOSE, Malformed, ResponseHead
from failover.proxy.flow import FIRST_FLIGHT, NEVER, WRITE_BUFFER, glance, outstanding, read_on

if TYPE_CHECKING:
    from collections.abc import Callable

    from failover.proxy.exchange import Exchange
    from failover.proxy.pool import Pool
    from failover.proxy.race import Rival, Witness

SMALL_ANSWER = 64 * 1024
"""An answer of up to this many bytes is passed on only when it is whole: its target may die in the middle of it."""

IDLE_S = 4.0
"""Closed before the target closes it: Node and uvicorn wait 5 s, nginx 75 s; gunicorn's threads, 2 s, are noticed."""
_MOST_INTERIMS = 64  # more 1xx than this before an answer are a flood, which nobody waits for


class Upstream(asyncio.Protocol):
    """One connection to a target, carrying one exchange at a time. `told` are the addresses known when it was made;
    `kept` says that it has been idle in the pool, where its target may close it at any moment. `look(0)` is something
    when the kernel has news of it that we have not read yet.
    """

    __slots__ = (
        "_buffer",
        "_chunked",
        "_head",
        "_heard",
        "_held",
        "_left",
        "_owed",
        "_unsent",
        "address",
        "deadline",
        "exchange",
        "idle_for",
        "kept",
        "look",
        "paused",
        "pool",
        "told",
        "transport",
    )

    transport: asyncio.Transport
    look: Callable[[int], object]

    def __init__(self, pool: Pool, address: Address, told: tuple[Address, ...]) -> None:
        # for the connection
        self.pool = pool
        self.address = address
        self.told = told
        self.idle_for = IDLE_S
        self.kept = False
        self.deadline = NEVER
        self.paused = False
        # for the exchange
        self.exchange: Exchange | Rival | Witness | None = None
        self._heard = 0  # the heads of which a byte has come, 1xx included
        self._owed = 0.0  # when the head must be here at last, once the request is sent
        self._unsent = 0.0
        self._buffer = b""
        self._head: ResponseHead | None = None
        self._held: list[bytes] | None = None
        self._left = 0
        self._chunked: ChunkedReader | None = None

    # -- called by the event loop

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport  # type: ignore[assignment]  # a stream socket gives a stream transport
        self.transport.set_write_buffer_limits(WRITE_BUFFER)
        self.look = glance(self.transport)
        self.pool.open.add(self)

    def data_received(self, data: bytes) -> None:
        exchange = self.exchange
        if exchange is None:
            self.close()  # an answer that nobody asked for: nothing behind it can be trusted
            return
        try:
            if self._head is None:
                self._heard = self._heard or 1
                self._read_head(exchange, data)
            elif self._held is None and (chunked := self._chunked) is not None and chunked.whole(data):
                if self.deadline != NEVER:
                    self.deadline = self.pool.worker.now + self.pool.worker.idle_timeout
                exchange.stream_on(data, chunked.size)  # type: ignore[union-attr]  # it has begun: no race is on
                if chunked.done:
                    self._end(keep=True)
            else:
                self._read_body(data)
        except Malformed as error:
            self._fail(Fault(ErrorType.HTTP_PROTOCOL_ERROR, error.reason))

    def eof_received(self) -> bool:
        head = self._head
        if self.exchange is not None and head is not None and self._left == UNTIL_CLOSE:
            self._end(keep=False)
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self.pool.open.discard(self)
        if isinstance(exc, OSError) and self.exchange is not None:
            read_on(self.transport, self if self.pool.tls is None else self.transport)
        if self.exchange is None:
            if self in self.pool.idle:
                self.pool.idle.remove(self)
            return
        ours = exc is not None and not isinstance(exc, OSError)  # no memory left in the middle of a callback, say
        if self._head is not None and not ours:
            fault = Fault(ErrorType.HTTP_RESPONSE_INCOMPLETE, "the answer was cut off")
        elif exc is not None:
            fault = translate(exc, connecting=False)
        else:
            fault = Fault(ErrorType.CONNECTION_TERMINATED, "closed without an answer")
        self._fail(fault)

    def pause_writing(self) -> None:
        self.paused = True
        if self.exchange is not None:
            self.exchange.upload_paused()

    def resume_writing(self) -> None:
        self.paused = False
        if self.exchange is not None:
            self.exchange.upload_resumed()

    # -- called by the exchange

    def begin(self, exchange: Exchange | Rival | Witness) -> None:
        """Carry this exchange from now on."""
        self.exchange = exchange
        self._owed = 0.0
        self._heard = 0
        self._unsent = NEVER

    def ask(self, exchange: Exchange | Rival | Witness, request: bytes) -> None:
        """Carry this exchange from now on; its request is whole, and has no body."""
        self.transport.write(request)
        self.exchange = exchange
        self._heard = 0
        self._unsent = 0.0
        pool = self.pool
        now = pool.worker.now
        self._owed = now + pool.first_byte_timeout
        self.deadline = now + pool.patience

    def await_head(self, body: int) -> None:
        """The request is sent whole, with a body of this length: the answer is owed as soon as is usual here."""
        # A large body may still be on its way, over a slow link; what is not taken of a small request was dropped.
        self._unsent = 0 if 0 <= body <= FIRST_FLIGHT else outstanding(self.transport)
        pool = self.pool
        now = pool.worker.now
        self._owed = now + pool.first_byte_timeout
        self.deadline = now + pool.patience

    @property
    def answering(self) -> bool:
        """True once a byte of the answer has come."""
        return self._heard > 0

    def listen(self, longest: float) -> None:
        """Nobody waits for the head any more; it may still come within so many seconds."""
        self._owed = self.deadline = self.pool.worker.now + longest

    @property
    def waiting(self) -> bool:
        """True while it carries a request and its client has seen nothing of the answer."""
        return self.exchange is not None and not self.exchange.answering

    @property
    def streams_events(self) -> bool:
        """True while it brings an event stream."""
        return self.exchange is not None and self._head is not None and self._head.event_stream

    @property
    def head_read(self) -> bool:
        """True once the head of the answer has come."""
        return self._head is not None

    def pause(self) -> None:
        """The client reads too slowly: stop reading from the target, whose time does not run meanwhile."""
        self.deadline = NEVER
        if not self.transport.is_closing():
            self.transport.pause_reading()

    def resume(self) -> None:
        if self.transport.is_closing():
            return
        self.transport.resume_reading()
        if self._head is not None:
            self._touch()
        elif self._owed:
            self._owed = self.deadline = self.pool.worker.now + self.pool.first_byte_timeout

    def abandon(self) -> None:
        """The exchange no longer wants the answer."""
        self.exchange = None
        self.close()

    def leave(self) -> None:
        """The target no longer serves: cut its event stream, so that the client comes to the one that does."""
        exchange = self.exchange
        if exchange is not None and self.streams_events:
            exchange.cut()

    def close(self) -> None:
        self.transport.abort()

    # -- called by the worker's clock

    def expire(self) -> None:
        """The deadline has passed: an idle connection goes quietly, a busy one has failed."""
        if self.exchange is None:
            if self in self.pool.idle:
                self.pool.idle.remove(self)
            self.close()
        elif self._head is None and self._still_sending():
            self.deadline = self.pool.worker.now + self.pool.worker.settings.first_byte_timeout
        elif self._head is None and self._owed > self.deadline:
            self.deadline = self._owed
            self.pool.doubt()
        elif self._head is None:
            self._fail(Fault(ErrorType.HTTP_RESPONSE_TIMEOUT, "no answer in time"))
        else:
            self._fail(Fault(ErrorType.CONNECTION_READ_TIMEOUT, "the answer stalled"))

    def _still_sending(self) -> bool:
        """Whether the request is still on its way, over a slow link, and gets on."""
        before, self._unsent = self._unsent, outstanding(self.transport)
        return 0 < self._unsent < before

    # -- reading the answer

    def _read_head(self, exchange: Exchange | Rival | Witness, data: bytes) -> None:
        if self._buffer:
            data = self._buffer + data
            self._buffer = b""
        while data:
            head = self.pool.heads.response(data)
            if head is None:
                self._buffer = data
                return
            data = data[head.size :]
            if head.status >= 200:
                self._frame(exchange, head, data)
                return
            if head.status == 101:
                self._head = head
                exchange.switched(self, head, data)
                return
            if self._heard > _MOST_INTERIMS:
                raise Malformed(502, f"more than {_MOST_INTERIMS} interim answers")
            self._heard += 1
            exchange.interim(head)

    def _frame(self, exchange: Exchange | Rival | Witness, head: ResponseHead, data: bytes) -> None:
        """Where this answer ends, and how its beginning is passed on (RFC 9112 section 6.3, spec section 6)."""
        length = 0 if exchange.head.method == b"HEAD" else head.body
        if len(data) == length <= SMALL_ANSWER:
            # What HEAD announces comes from some all the same, a moment later: it would be the next exchange's answer.
            self._give_back(exchange, head, length == head.body)
            exchange.whole(head, data)
            return
        self._head = head
        self._left = length
        if 0 <= length <= SMALL_ANSWER:
            if len(data) > length:
                self._release(exchange, head, keep=False)  # what comes behind the answer was never asked for
                exchange.whole(head, data[:length])
                return
            self._held = [data]
            self._left -= len(data)
            self._touch()
            return
        if length == CHUNKED:
            self._chunked = ChunkedReader(framed=not exchange.head.http10, named=head.named)
        self._held = []  # the head waits for its first body bytes
        if head.event_stream and self._announce() is None:
            return
        self._touch()
        if data:
            self._read_body(data)

    def _read_body(self, data: bytes) -> None:
        if self._chunked is not None:
            self._read_chunked(self._chunked, data)
            return
        behind = -1  # bytes that came behind its end; below zero, more are to come
        if self._left != UNTIL_CLOSE:
            behind = len(data) - self._left
            data = data[: self._left]
            self._left -= len(data)
        head, held, exchange = self._head, self._held, self.exchange
        if held is not None and self._left >= 0 and head is not None and head.length <= SMALL_ANSWER:
            held.append(data)
            if behind >= 0 and exchange is not None:
                self._release(exchange, head, not behind)
                exchange.whole(head, b"".join(held))
            else:
                self._touch()
            return
        receiver = self._announce()
        if receiver is None:
            return
        receiver.stream([data], len(data))
        if behind >= 0:
            self._end(not behind)
        else:
            self._touch()

    def _read_chunked(self, chunked: ChunkedReader, data: bytes) -> None:
        pieces = [data] if chunked.whole(data) else chunked.feed(data)
        if self._held is not None:
            self._held += pieces
            pieces = self._held
        if chunked.size or chunked.done or self._held is None:
            exchange = self._announce()
            if exchange is None:
                return
            exchange.stream(pieces, chunked.size)
        if chunked.done:
            self._end(not chunked.rest)
        else:
            self._touch()

    def _announce(self) -> Exchange | None:
        """Pass the head on, once; the exchange that gets the body, or None when nobody wants this answer.

        A rival that wins with this head hands us to its exchange.
        """
        exchange = self.exchange
        if exchange is not None and self._held is not None and self._head is not None:
            self._held = None
            exchange.answer(self._head)
        return self.exchange  # type: ignore[return-value]  # a rival has won or lost by now

    def _touch(self) -> None:
        """Bytes came: the target has until then to send more. Event streams may be silent for as long as they like."""
        head = self._head
        if (self.exchange is not None and self.exchange.reading_paused) or (head is not None and head.event_stream):
            self.deadline = NEVER
        else:
            self.deadline = self.pool.worker.now + self.pool.worker.idle_timeout

    # -- the ends

    def _end(self, keep: bool) -> None:
        exchange, head = self._announce(), self._head
        if exchange is not None and head is not None:
            self._release(exchange, head, keep)
            exchange.finished()

    def _release(self, exchange: Exchange | Rival | Witness, head: ResponseHead, keep: bool) -> None:
        """A streamed answer is over."""
        self._head = None
        self._held = None
        self._chunked = None
        self._give_back(exchange, head, keep)

    def _give_back(self, exchange: Exchange | Rival | Witness, head: ResponseHead, keep: bool) -> None:
        """Back to the pool, or closed, before the exchange goes on to the client's next request."""
        # `keep` may be told by its place: a name costs 170 instructions more.
        self.exchange = None
        exchange.upstream = None
        if exchange.reading_paused and not self.transport.is_closing():
            self.transport.resume_reading()  # that pause was this client's, not the next one's
        sent = not exchange.head.length or (exchange.upload_done and not self.transport.get_write_buffer_size())
        if keep and head.keep_alive and sent:
            if head.keep_alive_timeout:
                self.idle_for = min(IDLE_S, max(head.keep_alive_timeout - 1, 0))
            self.pool.put_back(self)
        else:
            self.close()

    def _fail(self, fault: Fault) -> None:
        exchange, self.exchange = self.exchange, None
        self.close()
        if exchange is not None:
            exchange.failed(self, fault)
