"""How bytes flow: what a peer has not taken yet, and whether it is still there."""

from __future__ import annotations

import contextlib
import fcntl
import os
import select
import socket
import struct
import termios
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

NEVER = float("inf")
"""The deadline of what nobody waits for."""

WRITE_BUFFER = 256 * 1024
"""Bytes that wait for a slow peer, on each side, before the other side is not read any more."""

FIRST_FLIGHT = 12 * 1024
"""Bytes that are on their way, all of them, once the kernel has them: a peer need not take any first (RFC 6928)."""

_PROBE_AFTER_S = 60
_READ_AT_ONCE = 64 * 1024


def outstanding(transport: asyncio.Transport) -> int:
    """Bytes that the peer has not acknowledged: ours, and those that the kernel still holds for it."""
    sock = transport.get_extra_info("socket")
    try:
        queued = struct.unpack("i", fcntl.ioctl(sock.fileno(), termios.TIOCOUTQ, b"\0\0\0\0"))[0]
    except (OSError, ValueError, AttributeError):
        queued = 0  # closed meanwhile
    return int(queued) + transport.get_write_buffer_size()


def read_on(transport: asyncio.Transport, receiver: Any) -> None:
    """Give on what came on a connection that is just being lost, and lies unread: who refuses a request and does not
    read its body breaks the connection behind his answer, and our write may meet that first (RFC 9112 section 9.6).
    """
    sock = transport.get_extra_info("socket")
    with contextlib.suppress(OSError):
        while data := os.read(sock.fileno(), _READ_AT_ONCE):
            receiver.data_received(data)


def glance(transport: asyncio.Transport) -> Callable[[int], object]:
    """`glance(transport)(0)` is something when the kernel has news of this connection that nobody has read yet."""
    poll = select.poll()
    poll.register(transport.get_extra_info("socket").fileno(), select.POLLIN)
    return poll.poll


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
