"""Stop 1 of a request: the sockets that the supervisor holds; accepts, counts, stops; next comes `downstream`."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from failover.observe import log
from failover.observe.shortage import Shortage
from failover.proxy import answers
from failover.proxy.downstream import Downstream
from failover.proxy.tls import Tls

if TYPE_CHECKING:
    import asyncio
    import socket
    import ssl

    from failover.proxy.worker import Worker

BACKLOG = 4096

_PLAINLY = answers.refusal(400, "This port speaks HTTPS: write https:// before the address.")


class Listener:
    """Accepts clients on inherited sockets. Closing it here leaves them open for the other workers."""

    def __init__(self, worker: Worker) -> None:
        self._worker = worker
        self._servers: list[asyncio.AbstractServer] = []
        self._shortage = Shortage(log.get("worker"), "there is no room for more clients, they are turned away")

    async def start(self, sockets: tuple[socket.socket, ...]) -> None:
        worker = self._worker
        tls = worker.launch.tls
        for sock in sockets:
            self._servers.append(
                await worker.loop.create_server(
                    lambda: Downstream(worker) if tls is None else _secured(worker, tls), sock=sock, backlog=BACKLOG
                ),
            )

    def look(self) -> None:
        """Whether there is a descriptor for another client. libuv closes whom it cannot take, and tells nobody."""
        try:
            os.close(os.dup(self._worker.launch.lifeline))
        except OSError as error:
            self._shortage.begins((error.strerror or str(error)).lower())
        else:
            self._shortage.ends()

    def stop(self) -> None:
        """Accept no more; connections already made go on."""
        for server in self._servers:
            server.close()
        self._servers.clear()


def _secured(worker: Worker, context: ssl.SSLContext) -> Tls:
    """A client over TLS. It counts from the first moment, and has `head_timeout` for its handshake, like one that sends
    no head. Who does not get through it is counted and not told of: strangers try every port.
    """
    downstream = Downstream(worker)

    def ready(error: Exception | None) -> None:
        if error is not None:
            worker.stats.failed_handshakes += 1
        elif not downstream.close_after:
            downstream.deadline = worker.now + worker.settings.head_timeout

    return Tls(downstream, context, ready, server_side=True, plainly=_PLAINLY)
