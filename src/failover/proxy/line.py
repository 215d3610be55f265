"""The worker's line to the controller: made again whenever it is lost, and nobody ever waits for it."""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING

from failover.channel import Hello, Peer

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    from failover.channel import ToController, Told
    from failover.core.model import Routing
    from failover.launch import Launch

_RECONNECT_S = 0.05


class Line:
    """`told` gets each message; `routing` gives what was told last, which a new controller learns from us."""

    def __init__(
        self,
        launch: Launch,
        loop: asyncio.AbstractEventLoop,
        told: Callable[[Told], None],
        routing: Callable[[], Routing | None],
    ) -> None:
        self._launch = launch
        self._loop = loop
        self._told = told
        self._routing = routing
        self._peer: Peer | None = None
        self._connecting: asyncio.Task[None] | None = None
        self._ended = False

    @property
    def up(self) -> bool:
        """True while a controller listens."""
        return self._peer is not None

    def send(self, message: ToController) -> None:
        """Send it, or drop it where nobody listens: what matters is told again."""
        if self._peer is not None:
            self._peer.send(message)

    def connect(self) -> None:
        if not self._ended:
            self._connecting = self._loop.create_task(self._connect())

    def end(self) -> None:
        """Connect no more; what there is stays."""
        self._ended = True

    async def _connect(self) -> None:
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            sock.setblocking(False)
            sock.connect(self._launch.channel)
            _, self._peer = await self._loop.create_unix_connection(
                lambda: Peer("worker", self._launch.peers, lambda _, message: self._told(message), self._lost),
                sock=sock,
            )
        except OSError:
            sock.close()
            self._loop.call_later(_RECONNECT_S, self.connect)
            return
        self._peer.send(Hello(self._launch.token, self._launch.slot, os.getpid(), self._routing()))

    def _lost(self, _peer: Peer) -> None:
        self._peer = None
        self._loop.call_later(_RECONNECT_S, self.connect)
