"""A client's connection, whatever is said on it: how long its client has, by what it owes us, and how it ends.

`downstream` reads the requests on it, and is what everybody else knows.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from failover.proxy import answers
from failover.proxy.flow import NEVER, outstanding, reset
from failover.proxy.wire import MAX_HEAD

if TYPE_CHECKING:
    from failover.proxy.beginning import Beginning
    from failover.proxy.client import Client
    from failover.proxy.exchange import Exchange
    from failover.proxy.fields import RequestHead
    from failover.proxy.pages import Page
    from failover.proxy.worker import Worker

# How long a client may go on sending what we no longer read before the connection is closed: closing at once would
# reset it, and the answer with it (RFC 9112 section 9.6).
_LINGER_S = 2.0


class Connection(asyncio.Protocol):
    """The connection of one client."""

    __slots__ = (
        "_beginning",
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
        "upload_waits",
        "worker",
    )

    transport: asyncio.Transport
    client: Client

    def __init__(self, worker: Worker) -> None:
        self.worker = worker
        self.deadline = NEVER
        self.close_after = False
        self.half_closed = False
        self._buffer = b""
        self._beginning: Beginning | None = None  # of a head
        self._in_head: bool | None = None  # None: nothing has come yet
        self._lingering = False
        self.reading_paused = False
        self.upload_waits = False  # for a target, which takes no more now
        self._write_paused = False
        self._unsent = NEVER
        self.exchange: Exchange | Page | None = None

    # -- called by the exchange

    def reply(self, status: int, text: str, head: RequestHead | None, proxy_status: bytes = b"") -> None:
        """An answer of our own."""
        if head is None:
            self.transport.write(answers.refusal(status, text))
            self.close_after = True
            return
        self.transport.write(
            answers.error(
                status,
                text,
                accept=head.field(b"accept"),
                request_id=head.request_id,
                proxy_status=proxy_status,
                closing=self.close_after or not head.keep_alive,
                body=head.method != b"HEAD",
                extra=self.worker.cors.fields(head),
            ),
        )
        if not head.keep_alive:
            self.close_after = True

    def cut(self) -> None:
        """The answer cannot be completed: break the connection so that the client sees it (RFC 9112 section 8)."""
        self._abandon()
        self._lingering = True
        reset(self.transport)

    # -- called by the worker

    def expire(self) -> None:
        """The deadline has passed."""
        if self._write_paused or self._lingering:
            self._expire_writing()
        elif self.exchange is not None:
            self._refuse(408, "The body did not come in time.")
        elif self._beginning is not None:
            self._refuse(408, "The request did not come in time.")
        else:
            self._close(linger=False)

    def owes_head_since(self) -> float:
        """Since when it could have sent a head that is not here, by the worker's clock; NEVER while it owes none."""
        if self.exchange is not None or self._lingering or self._write_paused or self._next_is_here:
            return NEVER
        allowed = self.worker.idle_timeout if self._in_head is False else self.worker.settings.head_timeout
        return self.deadline - allowed

    @property
    def _next_is_here(self) -> bool:
        """Whether a request has come and waits for its turn. What is kept of an empty line is none."""
        return bool(self._buffer) and self.exchange is None and not self._in_head

    def make_room(self) -> None:
        """Others need the place more than one that brings no request."""
        self._close(linger=False)

    def turn_away(self) -> None:
        """There is not even room to answer."""
        self._lingering = True
        reset(self.transport)

    def _set_deadline(self) -> None:
        """The one place that says how long the client has, by what it owes: to read, to send, or nothing."""
        exchange = self.exchange
        if self._write_paused:
            return  # it owes us reading; only reading postpones that, in `_expire_writing`
        if exchange is not None and (exchange.upload_done or self.upload_waits):
            self.deadline = NEVER
        else:
            self.deadline = self.worker.now + self.worker.idle_timeout

    def _expire_writing(self) -> None:
        # A slow reader lives as long as it gets on; what the kernel still holds counts as unread. Progress is that of a
        # whole idle time-out, also where the end is near: a slow link takes little in a moment.
        before, self._unsent = self._unsent, outstanding(self.transport)
        if 0 < self._unsent <= before - max(self.worker.least_progress, 1):
            self.deadline = self.worker.now + self.worker.idle_timeout
        else:
            reset(self.transport)  # a plain close would wait in the kernel for a reader that is not there

    # -- the ends

    def _abandon(self) -> None:
        """Nobody waits for the answer any more."""
        exchange, self.exchange = self.exchange, None
        if exchange is not None and not exchange.over:
            exchange.abandon()

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
        self._beginning = None
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
        """Read on, unless more than a head is here already that has not had its turn."""
        if self.reading_paused and len(self._buffer) <= MAX_HEAD:
            self.reading_paused = False
            if not self.transport.is_closing():
                self.transport.resume_reading()
