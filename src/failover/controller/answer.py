"""The answer to a probe, from bytes to a status: read strictly, 64 KiB of head and 64 KiB of body at most."""

from __future__ import annotations

import asyncio
from time import monotonic

import httptools

from failover.core.model import ErrorType
from failover.faults import Fault, translate
from failover.settings.secret import mask_text

_LARGEST = 64 * 1024
_BEGINNING = 8 * 1024
_LONGEST_VALUE = 200

_TELLING = {
    name.lower().encode(): name
    for name in (
        "Server", "Content-Type", "Retry-After", "Location", "Via", "X-Powered-By", "Proxy-Status", "X-Version",
        "X-App-Version", "X-Release", "X-Cache", "X-Served-By", "X-Varnish", "CF-RAY", "CF-Mitigated",
        "CF-Cache-Status", "X-Amz-Cf-Id", "X-Amz-Cf-Pop", "X-Amz-Request-Id", "X-Amzn-RequestId", "X-Amzn-ErrorType",
        "Apigw-RequestId", "X-Vercel-Error", "X-Vercel-Id", "Fly-Request-Id", "X-Render-Routing",
        "X-Render-Origin-Server", "Rndr-Id", "X-Railway-Fallback", "X-Railway-Edge", "X-Railway-Request-Id",
        "X-NF-Request-Id", "X-Azure-Ref", "X-MS-Request-Id", "X-GitHub-Request-Id", "X-Cloud-Trace-Context",
        "X-Envoy-Upstream-Service-Time", "X-Envoy-Overloaded", "X-Kong-Upstream-Latency", "X-Kong-Proxy-Latency",
        "X-LiteSpeed-Cache", "X-RateLimit-Remaining", "X-Request-Id",
    )
}  # fmt: skip
"""The headers that say who answered, or what is planned: a platform, a proxy before the app, a maintenance."""


class Answer(asyncio.Protocol):
    """Receives one response. `whole` is done when enough of it is here, or fails with a Fault.

    `head_at` is when its head was whole, in monotonic seconds. `headers` has those that tell of a platform or a plan,
    `beginning` the first 8 KiB of the body.
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
        self._stated = -1
        self._pieces: list[bytes] = []
        self.headers: dict[str, str] = {}
        self.server = ""

    @property
    def length(self) -> int:
        """The length of the body: as it was stated, or what came of it."""
        return self._stated if self._stated >= 0 else self._body

    @property
    def beginning(self) -> bytes:
        return b"".join(self._pieces)[:_BEGINNING]

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
        elif self._received > 2 * _LARGEST:
            self._end()  # a body of next to nothing but chunks, or trailers, without end

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
        if self.head_at is not None:
            return  # a trailer, or of a second answer, which nobody asked for
        name = name.lower()
        if name in _TELLING:
            self._keep(_TELLING[name], value.decode("latin-1"))
        match name:
            case b"server":
                self.server = value.decode("latin-1")[:_LONGEST_VALUE]
            case b"content-length":
                self._sized = True
                self._stated = int(value) if value.isdigit() and len(value) < 16 else -1
            case b"transfer-encoding":
                self._sized = True
            case b"content-type":
                self._endless = value.lower().startswith(b"text/event-stream")

    def _keep(self, name: str, value: str) -> None:
        value = mask_text(value) if name == "Location" else value
        before = self.headers.get(name)
        self.headers[name] = (value if before is None else f"{before}, {value}")[:_LONGEST_VALUE]

    def on_headers_complete(self) -> None:
        if self.head_at is not None:
            return
        self.status = self._parser.get_status_code()
        self._interim = self.status < 200
        if self._interim:
            return
        self.head_at = monotonic()
        if self._is_head_request or self._endless:
            self._end()

    def on_body(self, body: bytes) -> None:
        if self.whole.done():
            return
        if self._body < _BEGINNING:
            self._pieces.append(body)
        self._body += len(body)
        if self._body >= _LARGEST:
            self._end()

    def on_message_complete(self) -> None:
        if self._interim:
            self._begin()
        else:
            self._end()
