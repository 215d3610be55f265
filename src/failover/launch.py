"""What the supervisor hands to a child at its birth: the one thing that supervisor, workers and controller share."""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import asyncio
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
    `tls` is what a worker's clients speak there, None for plain HTTP.
    `lifeline` is the read end of a pipe whose other end the supervisor alone holds: end of file means that the
    supervisor is dead, and the child drains and exits.
    `reborn` is True for a controller with a predecessor: it learns the routing from the workers' Hello first.
    `public` are the addresses of the public port, as a browser on this machine takes them.
    `pages` is the address at which the controller answers for its pages on the public port; it listens there with
    `pages_listening`, and for people of this machine with `admin`. Workers have neither.
    `ready` is the write end of a pipe: the child writes READY when it serves, then closes it; or, where `pulse` is not
    0, writes it again each `pulse` seconds, so that one sees that its loop turns.
    """

    settings: Settings
    channel: str
    token: str = field(repr=False)
    slot: int
    listening: tuple[socket.socket, ...]
    lifeline: int
    reborn: bool
    ready: int
    pulse: float = 0.0
    ancestor: str = field(default="", repr=False)
    public: tuple[str, ...] = ()
    pages: str = ""
    pages_listening: socket.socket | None = None
    admin: tuple[socket.socket, ...] = ()
    tls: ssl.SSLContext | None = None

    @property
    def sockets(self) -> tuple[socket.socket, ...]:
        """All that belong to the child."""
        pages = (self.pages_listening,) if self.pages_listening is not None else ()
        return (*self.listening, *pages, *self.admin)


READY = b"\x01"


def say_ready(launch: Launch, loop: asyncio.AbstractEventLoop) -> None:
    """Tell the supervisor that this child serves, and where it is asked for, go on telling while the loop turns."""
    os.set_blocking(launch.ready, False)  # a supervisor that does not read must not hold up a child
    with contextlib.suppress(OSError):
        os.write(launch.ready, READY)
    if launch.pulse:
        loop.call_later(launch.pulse, say_ready, launch, loop)
    else:
        os.close(launch.ready)
