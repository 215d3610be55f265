"""Stop 4 of a request: an idle or a new connection to one target; next comes `upstream`.

One pool a target and worker. Idle connections are taken last in, first out, so that few stay warm and the rest age out;
they are closed before a common server would close them, and leave the pool the moment the target closes them.
"""

from __future__ import annotations

import asyncio
import socket
from typing import TYPE_CHECKING

from failover.core.headers import host_to_send, location_rewriter
from failover.core.model import Address, ErrorType, Kind, Target, TargetState
from failover.faults import Fault, translate
from failover.proxy.upstream import Upstream

if TYPE_CHECKING:
    from failover.proxy.exchange import Exchange
    from failover.proxy.worker import Worker

_STAGGER_S = 0.25
"""The next address is tried after this, without giving the first one up (RFC 8305 section 5)."""


class Pool:
    """Connections to one target, and what the hot path needs to know of it."""

    def __init__(self, worker: Worker, target: Target) -> None:
        settings = worker.settings
        # for the process
        self.worker = worker
        self.target = target
        self.alias = target.alias
        self.tls = worker.client_tls() if target.tls else None
        self.rewrite = location_rewriter(target)
        self.base_path = target.base_path.encode()
        self.authority = target.authority.encode()
        host = host_to_send(target, settings.host)
        self.host = None if host is None else host.encode()
        self.authorization = target.authorization.encode()
        self.answer_lines = b"Via: 1.1 %b\r\nProxy-Status: failover; next-hop=%b" % (
            worker.via,
            target.alias.encode(),
        )
        # as told by the controller
        self.addresses: tuple[Address, ...] = ()
        self.error: ErrorType | None = None
        self.static = False
        self.hides = bool(self.base_path)
        # by traffic
        self.idle: list[Upstream] = []
        self.open: set[Upstream] = set()
        self.good = 0
        self._good_told = 0
        self._bad_in_row = 0
        self._bad_told_at = 0.0
        self._connecting: set[asyncio.Task[None]] = set()

    def told(self, state: TargetState) -> None:
        """Take over what the controller says; connections to addresses that are gone finish what they carry."""
        if state.addresses != self.addresses:
            self.addresses = state.addresses
            for upstream in [u for u in self.idle if u.address not in state.addresses]:
                self.idle.remove(upstream)
                upstream.close()
        self.error = state.error
        self.static = state.kind is Kind.STATIC and self.alias != "primary"
        self.hides = self.static or bool(self.base_path)

    def connect(self, exchange: Exchange) -> None:
        """Open a connection for `exchange`: its `connected` or `not_connected` is called, never before we return."""
        task = self.worker.loop.create_task(self._connect(exchange))
        self._connecting.add(task)
        task.add_done_callback(self._connecting.discard)

    async def _connect(self, exchange: Exchange) -> None:
        try:
            async with asyncio.timeout(self.worker.settings.connect_timeout):
                upstream = await self._race()
        except Fault as fault:
            exchange.not_connected(self, fault)
        except Exception as error:  # noqa: BLE001 - whatever it is, the exchange must hear of it
            exchange.not_connected(self, translate(error, connecting=True))
        else:
            if not exchange.connected(self, upstream):
                self.put_back(upstream)  # the client left meanwhile; the next one finds it ready

    async def _race(self) -> Upstream:
        """The first address that answers wins; each next one starts after a moment or when all before have failed."""
        if not self.addresses:
            raise Fault(self.error or ErrorType.DNS_ERROR, f"the name {self.target.host} has no address")
        if len(self.addresses) == 1:
            return await self._open(self.addresses[0])
        waiting = list(self.addresses)
        running: set[asyncio.Task[Upstream]] = set()
        last: BaseException = OSError("no address")
        try:
            while waiting or running:
                if waiting:
                    running.add(self.worker.loop.create_task(self._open(waiting.pop(0))))
                done, running = await asyncio.wait(
                    running,
                    timeout=_STAGGER_S if waiting else None,
                    return_when=asyncio.FIRST_COMPLETED,
                )
                for task in done:
                    error = task.exception()
                    if error is None:
                        return task.result()
                    last = error
            raise last
        finally:
            for task in running:
                task.cancel()

    async def _open(self, address: Address) -> Upstream:
        _, upstream = await self.worker.loop.create_connection(
            lambda: Upstream(self, address),
            address[0],
            address[1],
            family=socket.AF_INET6 if ":" in address[0] else socket.AF_INET,
            ssl=self.tls,
            server_hostname=self.target.host if self.tls else None,
        )
        return upstream

    def put_back(self, upstream: Upstream) -> None:
        """Keep a connection that has nothing to do for the next request."""
        if self.worker.draining:
            upstream.close()
            return
        upstream.deadline = self.worker.now + upstream.idle_for
        self.idle.append(upstream)

    def failed(self, error: ErrorType, detail: str) -> None:
        """Tell the controller that live traffic met a failure here: at once, and thinned out when they rain."""
        self._bad_in_row += 1
        good_before, self._good_told = self.good - self._good_told, self.good
        if good_before:
            self._bad_in_row = 1
        elif self._bad_in_row > 10 and self._bad_told_at == self.worker.now:
            return
        self._bad_told_at = self.worker.now
        self.worker.tell_failure(self.alias, error, detail, good_before)

    def close(self) -> None:
        """Close what is idle; connections in use close themselves when their exchange is over."""
        idle, self.idle = self.idle, []
        for upstream in idle:
            upstream.close()
