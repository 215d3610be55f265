"""Before stop 2 with TLS: a client that has connected and does not speak HTTP yet. Next comes `downstream`.

The connection counts from the first moment, and has `head_timeout` for its handshake, like one that sends no head. The
handshake begins with the client's first bytes: who says nothing costs next to nothing. Who ends here is counted and not
told of: strangers try every port.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, cast

from failover.proxy.downstream import Downstream
from failover.proxy.flow import WRITE_BUFFER

if TYPE_CHECKING:
    from failover.proxy.worker import Worker

_HANDSHAKE = b"\x16"
"""The first byte of every client that speaks TLS: the content type of RFC 8446 section 5.1."""

_LINGER_S = 2.0
_FOR_OUR_CLOCK_S = 3600.0


class Secured(Downstream):
    """A connection from a client over TLS, from its first moment on."""

    __slots__ = ("_lost",)

    def __init__(self, worker: Worker) -> None:
        super().__init__(worker)
        self._lost = False

    def secured(self, transport: asyncio.Transport) -> None:
        """The handshake is done: requests come from this transport."""
        self.transport.set_write_buffer_limits(0)  # what waits is to wait above, where it is seen
        transport.set_write_buffer_limits(WRITE_BUFFER)
        self.transport = transport
        if not self.close_after:
            self.deadline = self.worker.now + self.worker.settings.head_timeout

    def refuse_plain(self) -> None:
        self._refuse(400, "This port speaks HTTPS: write https:// before the address.")

    def eof_received(self) -> bool:
        # Over TLS no half of a connection can be closed alone: whatever is under way, nobody will read it.
        self.half_closed = True
        self._abandon()
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        if not self._lost:
            self._lost = True
            super().connection_lost(exc)

    def _close(self, *, linger: bool) -> None:
        if not self._lingering:
            super()._close(linger=linger)
            # TLS waits for the other side's goodbye, which some never say.
            self.deadline = min(self.deadline, self.worker.now + _LINGER_S)


class Handshake(asyncio.Protocol):
    """The connection until it is secured. What it brings afterwards goes to its `Secured` alone."""

    __slots__ = ("_downstream", "_shaking", "_transport", "_worker")

    _transport: asyncio.Transport

    def __init__(self, worker: Worker) -> None:
        self._worker = worker
        self._downstream = Secured(worker)
        self._shaking: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._downstream.connection_made(transport)

    def data_received(self, data: bytes) -> None:
        if not data.startswith(_HANDSHAKE):
            self._worker.stats.failed_handshakes += 1
            self._transport.set_protocol(self._downstream)
            self._downstream.refuse_plain()
            return
        self._transport.pause_reading()
        self._shaking = self._worker.loop.create_task(self._shake(data))

    def connection_lost(self, exc: Exception | None) -> None:
        self._worker.stats.failed_handshakes += 1
        self._downstream.connection_lost(exc)

    async def _shake(self, data: bytes) -> None:
        worker, transport = self._worker, self._transport
        if transport.is_closing() or worker.launch.tls is None:
            return
        worker.loop.call_soon(_give, transport, data)
        secured = None
        with contextlib.suppress(OSError):  # ssl.SSLError is one; that a client went, or took too long, are others
            secured = await worker.loop.start_tls(
                transport,
                self._downstream,
                worker.launch.tls,
                server_side=True,
                ssl_handshake_timeout=worker.settings.head_timeout,
                ssl_shutdown_timeout=_FOR_OUR_CLOCK_S,
            )
        if secured is None or secured.is_closing():
            worker.stats.failed_handshakes += 1
            self._downstream.connection_lost(None)
        else:
            self._downstream.secured(secured)


def _give(transport: asyncio.Transport, data: bytes) -> None:
    """Hand on the first bytes: `start_tls` has put its own protocol in our place and does not know of them."""
    protocol = cast("asyncio.BufferedProtocol", transport.get_protocol())
    protocol.get_buffer(len(data))[: len(data)] = data  # type: ignore[index]  # typeshed has only Buffer
    protocol.buffer_updated(len(data))
