"""What the supervisor hands to a child at its birth: the one thing that supervisor, workers and controller share."""

from __future__ import annotations

import hashlib
import os
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import mmap
    import socket
    import ssl

    from failover.settings.model import Settings

CONTROLLER_SLOT = -1


@dataclass(frozen=True, slots=True)
class Launch:
    """What a child is given. Everything in it with a file descriptor belongs to the child from then on.

    `channel` is the address of the channel's listening end: a path, or a Linux abstract name that begins with a null.
    `token` proves in `Hello` that a worker is one of ours; it stays the same as long as the targets do, so that what
    workers of other targets were told is never taken for news about these.
    `ancestor` is the token of workers with the same primary but other backups: a new controller learns the verdict from
    their Hello, and nothing else.
    `slot` is a worker's number from 0, or CONTROLLER_SLOT.
    `listening` holds the public sockets for a worker, the channel's one socket for the controller.
    `peers` are the user numbers of this proxy's processes: nobody else is heard on the channel or asks for pages there.
    `counters` is memory that the workers of one generation share, where each client's connections are counted; None
    where nobody asks for that.
    `tls` is what a worker's clients speak there, None for plain HTTP; `upstream_tls` is what https targets are verified
    with, None where there are none. Both are loaded before the child becomes a user that could not read the files.
    `lifeline` is the read end of a pipe whose other end the supervisor alone holds: end of file means that the
    supervisor is dead, and the child drains and exits.
    `reborn` is True for a controller with a predecessor: it learns the routing from the workers' Hello first.
    `public` are the addresses of the public port, as a browser on this machine takes them.
    `pages` is the address at which the controller answers for its pages on the public port; it listens there with
    `pages_listening`, and for people of this machine with `admin`. Workers have neither.
    `signs` is the write end of a pipe that never makes anybody wait: the child writes READY once when it serves, and
    ALIVE every SIGN_EVERY_S seconds from its beginning to its end. One that gives no sign for long is killed.
    """

    settings: Settings
    channel: str
    token: str = field(repr=False)
    slot: int
    listening: tuple[socket.socket, ...]
    lifeline: int
    reborn: bool
    signs: int
    ancestor: str = field(default="", repr=False)
    public: tuple[str, ...] = ()
    pages: str = ""
    pages_listening: socket.socket | None = None
    admin: tuple[socket.socket, ...] = ()
    peers: frozenset[int] = field(default_factory=lambda: frozenset((os.geteuid(),)))
    tls: ssl.SSLContext | None = None
    upstream_tls: ssl.SSLContext | None = None
    counters: mmap.mmap | None = None

    @property
    def via(self) -> str:
        """Our name in Via, the same in all children of one supervisor: a loop is seen wherever it comes round."""
        return f"failover-{hashlib.sha256(self.token.encode()).hexdigest()[:12]}"

    @property
    def sockets(self) -> tuple[socket.socket, ...]:
        """All that belong to the child."""
        pages = (self.pages_listening,) if self.pages_listening is not None else ()
        return (*self.listening, *pages, *self.admin)

    def sign(self, what: bytes) -> None:
        """Tell the supervisor READY or ALIVE."""
        with suppress(OSError):  # it is gone, or it has not looked for a day
            os.write(self.signs, what)


COUNTER_CELLS = 1 << 15
"""Counters of four bytes that each worker has in `Launch.counters`."""

READY = b"\x01"
ALIVE = b"\x02"
SIGN_EVERY_S = 1.0
