"""How bytes flow: what a peer has not taken yet, and whether it is still there."""

from __future__ import annotations

import fcntl
import select
import socket
import struct
import termios
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import asyncio

NEVER = float("inf")
"""The deadline of what nobody waits for."""

WRITE_BUFFER = 256 * 1024
"""Bytes that wait for a slow peer, on each side, before the other side is not read any more."""

FIRST_FLIGHT = 12 * 1024
"""Bytes that are on their way, all of them, once the kernel has them: a peer need not take any first (RFC 6928)."""

_PROBE_AFTER_S = 60


def outstanding(transport: asyncio.Transport) -> int:
    """Bytes that the peer has not acknowledged: ours, and those that the kernel still holds for it."""
    sock = transport.get_extra_info("socket")
    try:
        queued = struct.unpack("i", fcntl.ioctl(sock.fileno(), termios.TIOCOUTQ, b"\0\0\0\0"))[0]
    except (OSError, ValueError, AttributeError):
        queued = 0  # closed meanwhile
    return int(queued) + transport.get_write_buffer_size()


def has_ended(transport: asyncio.Transport) -> bool:
    """Whether the peer sends no more, where nobody reads what it has sent."""
    sock = transport.get_extra_info("socket")
    if sock is None or transport.is_closing():
        return False
    poll = select.poll()
    poll.register(sock.fileno(), getattr(select, "POLLRDHUP", select.POLLHUP))
    return bool(poll.poll(0))


def keep_alive(transport: asyncio.Transport) -> None:
    """Let the kernel find out when the other end of a connection that may be silent for hours is gone."""
    sock = transport.get_extra_info("socket")
    if sock is not None:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        if hasattr(socket, "TCP_KEEPIDLE"):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, _PROBE_AFTER_S)


def reset(transport: asyncio.Transport) -> None:
    """Break a connection so that the peer sees it: a plain close would look like the end of what was sent."""
    sock = transport.get_extra_info("socket")
    if sock is not None and not transport.is_closing():
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()
