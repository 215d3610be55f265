"""After a 101: two connections, bytes both ways, and nothing read. Each side keeps the other's pace.

While both directions are open and both sides read there is no time-out. Once one direction has ended, or a side does
not read, the tunnel must get on or is cut.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from failover.proxy.flow import NEVER, WRITE_BUFFER, keep_alive, outstanding, reset

if TYPE_CHECKING:
    from failover.proxy.client import Client
    from failover.proxy.downstream import Downstream
    from failover.proxy.pool import Pool


class Tunnel:
    """Two connections joined. It is over when both are lost. `pool` is that of its target."""

    def __init__(self, pool: Pool, client: Client) -> None:
        self.pool = pool
        self.client = client
        self._worker = pool.worker
        self._ends: list[TunnelEnd] = []
        self._ending = False
        self.deadline = NEVER

    def join(self, client: asyncio.Transport, target: asyncio.Transport) -> None:
        self._ends = [TunnelEnd(self, client, target), TunnelEnd(self, target, client)]
        for end in self._ends:
            keep_alive(end.own)
            end.own.set_protocol(end)
            if end.own.get_write_buffer_size() > WRITE_BUFFER:
                end.pause_writing()  # it was full before, so nobody will say so again

    def leave(self) -> None:
        """Its target no longer serves: end it, so that the client comes to the one that does."""
        self.ending()  # what it has not taken yet, a side may take as long as it gets on
        for end in self._ends:
            end.own.close()

    def watch(self) -> None:
        """Bytes have passed, or a side has begun or ceased to read: how long may the tunnel stand still now?"""
        if self._ending or any(end.full for end in self._ends):
            self.deadline = self._worker.now + self._worker.settings.idle_timeout
        else:
            self.deadline = NEVER

    def ending(self) -> None:
        """One direction is over."""
        self._ending = True
        self.watch()

    def lost(self, end: TunnelEnd) -> None:
        """One connection is gone."""
        self.ending()
        self._ends.remove(end)
        if not self._ends:
            self._worker.crowd.over(self)

    def expire(self) -> None:
        """It has stood still for too long, unless a slow reader gets on at least."""
        if [end for end in self._ends if end.gets_on()]:
            self.watch()
            return
        for end in self._ends:
            reset(end.own)  # a plain close would wait in the kernel for a reader that is not there


class TunnelEnd(asyncio.Protocol):
    """One end: what comes from `own` goes to the other."""

    __slots__ = ("_other", "_tunnel", "_unsent", "eof_sent", "full", "own")

    def __init__(self, tunnel: Tunnel, own: asyncio.Transport, other: asyncio.Transport) -> None:
        self.own = own
        self.eof_sent = False
        self.full = False
        self._unsent = 0
        self._other = other
        self._tunnel = tunnel

    def data_received(self, data: bytes) -> None:
        if not self._other.is_closing():
            self._other.write(data)
        self._tunnel.watch()

    def eof_received(self) -> bool:
        self._tunnel.ending()
        if self.eof_sent:
            return False  # both directions have ended: nothing would ever close these connections but we
        peer = self._other.get_protocol()
        if self._other.can_write_eof() and not self._other.is_closing() and isinstance(peer, TunnelEnd):
            self._other.write_eof()
            peer.eof_sent = True
            return True
        self._other.close()
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self._tunnel.lost(self)
        if exc is None:
            self._other.close()
        else:
            self._other.abort()

    def pause_writing(self) -> None:
        self.full = True
        self._unsent = outstanding(self.own)
        self._tunnel.watch()
        if not self._other.is_closing():
            self._other.pause_reading()

    def resume_writing(self) -> None:
        self.full = False
        self._tunnel.watch()
        if not self._other.is_closing():
            self._other.resume_reading()

    def gets_on(self) -> bool:
        """Whether its side has taken something of what waits for it since this was asked last."""
        before, self._unsent = self._unsent, outstanding(self.own)
        return self.full and 0 < self._unsent < before


def was_asked_for(protocol: bytes, asked: bytes) -> bool:
    """Whether a target may switch to this protocol for the Upgrade that was asked (RFC 9110 section 7.8). Some do not
    name it.
    """
    offered = [one.strip() for one in asked.lower().split(b",")]
    return bool(asked) and (not protocol or all(one.strip() in offered for one in protocol.lower().split(b",")))


def join(pool: Pool, downstream: Downstream, target: asyncio.Transport, early: bytes) -> None:
    """Make a tunnel of two connections; `early` is what the client sent before it was one."""
    tunnel = Tunnel(pool, downstream.client)
    pool.worker.crowd.becomes(downstream, tunnel)
    tunnel.join(downstream.transport, target)
    if early:
        target.write(early)
