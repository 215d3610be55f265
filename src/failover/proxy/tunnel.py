"""After a 101: two connections, bytes both ways, no time-out and nothing read. Each side keeps the other's pace."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from failover.proxy.flow import keep_alive

if TYPE_CHECKING:
    from failover.proxy.worker import Worker


class TunnelEnd(asyncio.Protocol):
    """One end; `other` is the transport of the opposite one."""

    __slots__ = ("_other", "_sent_eof", "_worker")

    def __init__(self, worker: Worker, other: asyncio.Transport) -> None:
        self._worker = worker
        self._other = other
        self._sent_eof = False
        worker.tunnels.add(self)

    def data_received(self, data: bytes) -> None:
        if not self._other.is_closing():
            self._other.write(data)

    def eof_received(self) -> bool:
        if self._sent_eof:
            return False  # both directions have ended: nothing would ever close these connections but we
        peer = self._other.get_protocol()
        if self._other.can_write_eof() and not self._other.is_closing() and isinstance(peer, TunnelEnd):
            self._other.write_eof()
            peer._sent_eof = True  # noqa: SLF001 - its own kind
            return True
        self._other.close()
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self._worker.tunnels.discard(self)
        if exc is None:
            self._other.close()
        else:
            self._other.abort()

    def pause_writing(self) -> None:
        if not self._other.is_closing():
            self._other.pause_reading()

    def resume_writing(self) -> None:
        if not self._other.is_closing():
            self._other.resume_reading()


def join(worker: Worker, client: asyncio.Transport, target: asyncio.Transport, early: bytes) -> None:
    """Make a tunnel of two connections; `early` is what the client sent before it was one."""
    for transport in (client, target):
        keep_alive(transport)
    client.set_protocol(TunnelEnd(worker, target))
    target.set_protocol(TunnelEnd(worker, client))
    if early:
        target.write(early)
