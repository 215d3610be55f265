"""Stop 1 of a request: the sockets that the supervisor holds; accepts, counts, stops; next comes `downstream`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from failover.proxy.downstream import Downstream
from failover.proxy.handshake import Handshake

if TYPE_CHECKING:
    import asyncio
    import socket

    from failover.proxy.worker import Worker

BACKLOG = 4096


class Listener:
    """Accepts clients on inherited sockets. Closing it here leaves them open for the other workers."""

    def __init__(self, worker: Worker) -> None:
        self._worker = worker
        self._servers: list[asyncio.AbstractServer] = []

    async def start(self, sockets: tuple[socket.socket, ...]) -> None:
        worker = self._worker
        client = Downstream if worker.launch.tls is None else Handshake
        for sock in sockets:
            self._servers.append(
                await worker.loop.create_server(lambda: client(worker), sock=sock, backlog=BACKLOG),
            )

    def stop(self) -> None:
        """Accept no more; connections already made go on."""
        for server in self._servers:
            server.close()
        self._servers.clear()
