"""The answer to a probe, from bytes to a status: read strictly, 64 KiB of head and 64 KiB of body at most."""

from __future__ import annotations

import asyncio
from time import monotonic

import httptools

from failover.core.model import ErrorType
from failover.faults import Fault, translate

_LARGEST = 64 * 1024


class Answer(asyncio.Protocol):
    """Receives one response. `whole` is done when enough of it is here, or fails with a Fault.

    `head_at` is when its head was whole, in monotonic seconds.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, method: str) -> None:
        self.whole: asyncio.Future[None] = loop.create_future()
        self.transport: asyncio.Transport | None = None
        self.status = 0
        self.server = ""
        self.head_at: float | None = None
        self._is_head_request = method == "HEAD"
        self._parser = httptools.HttpResponseParser(self)
        self._received = 0
        self._begin()

    def _begin(self) -> None:
        self._interim = False
        self._sized = False
        self._endless = False
        self._body = 0
        self.server = ""

    # -- from the transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport  # type: ignore[assignment]  # a stream socket gives a stream transport

    def data_received(self, data: bytes) -> None:
        if self.whole.done():
            return
        self._received += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._end(Fault(ErrorType.HTTP_PROTOCOL_ERROR, "it changed the protocol, unasked"))
        except httptools.HttpParserError as error:
            self._end(Fault(ErrorType.HTTP_PROTOCOL_ERROR, str(error).lower()[:100]))
        if self.head_at is None and self._received > _LARGEST:
            self._end(Fault(ErrorType.HTTP_PROTOCOL_ERROR, "a head of more than 64 KiB"))

    def eof_received(self) -> bool:
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        if self.head_at is not None and not self._sized and exc is None:
            self._end()  # the end of the connection is the end of a body without a length (RFC 9112 section 6.3)
        elif self._received:
            self._end(Fault(ErrorType.HTTP_RESPONSE_INCOMPLETE, "the connection was closed in the middle of it"))
        elif exc is not None:
            self._end(translate(exc, connecting=False))
        else:
            self._end(Fault(ErrorType.CONNECTION_TERMINATED, "closed without an answer"))

    def abandon(self) -> None:
        """Nobody waits for it any more: close the connection and forget what comes."""
        if not self.whole.cancel() and not self.whole.cancelled():
            self.whole.exception()
        if self.transport is not None:
            self.transport.abort()

    def _end(self, fault: Fault | None = None) -> None:
        if self.whole.done():
            return
        if fault is None:
            self.whole.set_result(None)
        else:
            self.whole.set_exception(fault)

    # -- from the parser

    def on_header(self, name: bytes, value: bytes) -> None:
        match name.lower():
            case b"server":
                self.server = value.decode("latin-1")
            case b"content-length" | b"transfer-encoding":
                self._sized = True
            case b"content-type":
                self._endless = value.lower().startswith(b"text/event-stream")

    def on_headers_complete(self) -> None:
        self.status = self._parser.get_status_code()
        self._interim = self.status < 200
        if self._interim:
            return
        self.head_at = monotonic()
        if self._is_head_request or self._endless:
            self._end()

    def on_body(self, body: bytes) -> None:
        self._body += len(body)
        if self._body >= _LARGEST:
            self._end()

    def on_message_complete(self) -> None:
        if self._interim:
            self._begin()
        else:
            self._end()
