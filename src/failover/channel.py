"""The messages between the controller and the workers, and the one way they travel.

A message is msgpack behind a length of four bytes, over a Unix socket whose listening end the supervisor holds: when
the controller dies the workers reconnect to the same end, and its successor finds them waiting there.
Told, never asked: nobody waits for an answer. On Linux anybody of this machine can connect to that end, so both sides
look at the user of the other one.
"""

from __future__ import annotations

import asyncio
import socket
import struct
import sys
from typing import TYPE_CHECKING, Any

import msgspec

from failover.core.model import ErrorType, Routing

if TYPE_CHECKING:
    from collections.abc import Callable

_MAX_MESSAGE = 4 * 1024 * 1024
_MAX_UNSENT = 1024 * 1024
_PEER = struct.Struct("iII")  # struct ucred, unix(7)


class Hello(msgspec.Struct, frozen=True, tag=True):
    """A worker's first words. `routing` is what it was told last, the memory of a controller that died."""

    token: str
    slot: int
    pid: int
    routing: Routing | None


class Failure(msgspec.Struct, frozen=True, tag=True):
    """A live request met a failing target: sent at once. `last_good` is when this worker had a good answer from it
    last, in monotonic seconds, which are the same in all processes of a machine.
    """

    target: str
    error: ErrorType
    detail: str
    last_good: float


class Doubted(msgspec.Struct, frozen=True, tag=True):
    """A live request met what may mean nothing, such as a long wait. `last_good` as in `Failure`."""

    target: str
    last_good: float


class Answered(msgspec.Struct, frozen=True, tag=True):
    """A target that this worker has told bad things of has given a good answer since, at this monotonic time."""

    target: str
    at: float


class Counters(msgspec.Struct, frozen=True, tag=True):
    """What a worker counted since it started, sent each second.

    `good` and `busy` (requests at this moment) are by target alias. `answers` are alias or `none`, method, status and
    number; `durations` are requests by bucket (`observe.metrics.BUCKETS`, and one above them) and their seconds in all;
    `errors` are alias, error type and number; `rescued` and `failures` are by what was met first.
    """

    slot: int
    values: dict[str, int]
    good: dict[str, int]
    busy: dict[str, int] = {}
    answers: list[tuple[str, str, int, int]] = []
    durations: dict[str, tuple[list[int], float]] = {}
    errors: list[tuple[str, str, int]] = []
    rescued: dict[str, int] = {}
    failures: dict[str, int] = {}


class Sample(msgspec.Struct, frozen=True):
    """One of the first requests that met the failure: it began at this monotonic time and took so many seconds.

    `answered_by` is a target's alias, or `failover`.
    """

    began: float
    took: float
    method: str
    path: str
    error: str
    detail: str
    answered_by: str
    status: int


class Saw(msgspec.Struct, frozen=True, tag=True):
    """How requests ended since a worker last told: outcome, folded path, status (0: none) and their number.

    `clients` are hashes of those not told of since the trouble began. `backup_ok` is when a backup first answered well,
    in monotonic seconds. `body` is the beginning of an error page of the primary. `targets` are what users asked for in
    a shadow drill, safely and without a body.
    """

    slot: int
    rows: list[tuple[str, str, int, int]]
    held: int
    delivered: int
    clients: list[int]
    samples: list[Sample]
    body: bytes
    backup_ok: float | None
    targets: list[str] = []


class Told(msgspec.Struct, frozen=True, tag=True):
    """From the controller: route by this from now on."""

    routing: Routing


ToController = Hello | Failure | Doubted | Answered | Counters | Saw
_encode = msgspec.msgpack.Encoder().encode
_decoders = {
    "controller": msgspec.msgpack.Decoder(ToController),
    "worker": msgspec.msgpack.Decoder(Told),
}


def is_of(users: frozenset[int], connected: socket.socket) -> bool:
    """Whether the process at the other end of a Unix socket runs as one of these users: who listened, or who connected.

    Where the system does not tell it, the socket is a file in a folder that nobody else can enter.
    """
    if sys.platform != "linux":
        return True
    _pid, user, _group = _PEER.unpack(connected.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _PEER.size))
    return user in users


class Peer(asyncio.Protocol):
    """One end of the channel. `side` is who we are: `controller` or `worker`; `users` are those whom we hear.

    `on_message(peer, message)` gets each message, `on_lost(peer)` is called once when the other end is gone or has
    sent what cannot be read.
    """

    def __init__(
        self,
        side: str,
        users: frozenset[int],
        on_message: Callable[[Peer, Any], None],
        on_lost: Callable[[Peer], None],
    ) -> None:
        self._users = users
        self._decode = _decoders[side].decode
        self._on_message = on_message
        self._on_lost = on_lost
        self._transport: asyncio.Transport | None = None
        self._buffer = bytearray()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]  # a stream socket gives a stream transport
        if not is_of(self._users, transport.get_extra_info("socket")):
            self.close()

    def data_received(self, data: bytes) -> None:
        buffer = self._buffer
        buffer += data
        while len(buffer) >= 4:
            size = int.from_bytes(buffer[:4], "big")
            if size > _MAX_MESSAGE:
                self.close()
                return
            if len(buffer) < 4 + size:
                return
            raw = bytes(buffer[4 : 4 + size])
            del buffer[: 4 + size]
            try:
                message = self._decode(raw)
            except (ValueError, RecursionError):  # no msgpack, no UTF-8, nested without end
                self.close()
                return
            self._on_message(self, message)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - why it went changes nothing
        self._transport = None
        self._on_lost(self)

    def send(self, message: ToController | Told) -> None:
        """Send, or drop the message when the other end has stopped reading: the next one supersedes it."""
        transport = self._transport
        if transport is None or transport.is_closing() or transport.get_write_buffer_size() > _MAX_UNSENT:
            return
        raw = _encode(message)
        transport.write(len(raw).to_bytes(4, "big") + raw)

    def close(self) -> None:
        """End it; what has come already is not heard any more."""
        self._buffer.clear()
        if self._transport is not None:
            self._transport.abort()
