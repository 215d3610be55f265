"""Stop 4 of a request: an idle or a new connection to one target; next comes `upstream`.

One pool a target and worker. Idle connections are taken last in, first out, so that few stay warm and the rest age out;
they are closed before a common server would close them, and leave the pool the moment the target closes them.
"""

from __future__ import annotations

import asyncio
from collections import deque
from time import monotonic
from typing import TYPE_CHECKING

from failover.core.headers import host_to_send, location_rewriter
from failover.core.model import PRIMARY, Address, ErrorType, Kind, Target, TargetState
from failover.core.patience import HEAD_START, head_start, patience
from failover.core.ratio import Ratio
from failover.core.validators import Marks
from failover.dial import dial
from failover.faults import Fault, translate
from failover.proxy.stats import Tally
from failover.proxy.tls import Tls
from failover.proxy.upstream import Upstream

if TYPE_CHECKING:
    import socket
    import ssl
    from collections.abc import Iterator

    from failover.proxy.exchange import Exchange
    from failover.proxy.race import Rival, Witness
    from failover.proxy.worker import Worker


_MEASURED = 1024
_MOST_TOLD = 10
_WATCHED_S = 2.0
_GONE = frozenset({ErrorType.CONNECTION_REFUSED, ErrorType.CONNECTION_TERMINATED})


class Pool:
    """Connections to one target, and what the hot path needs to know of it."""

    def __init__(self, worker: Worker, target: Target) -> None:
        settings = worker.settings
        # for the process
        self.worker = worker
        self.heads = worker.heads
        self.target = target
        self.alias = target.alias
        self.tls = worker.launch.upstream_tls if target.tls else None
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
        self.usable = True
        self.static = False
        self.hides = bool(self.base_path)
        self.marks = None if target.alias == PRIMARY else Marks(target.alias)
        # by traffic
        self.idle: list[Upstream] = []
        self.open: set[Upstream] = set()
        self.tally = Tally()
        self.good = 0
        self.good_at = 0.0  # when the last of them came
        self.latencies: deque[float] = deque(maxlen=_MEASURED)  # of first heads, in seconds
        self.first_byte_timeout = settings.first_byte_timeout
        self.patience = patience((), settings.first_byte_timeout)
        self.head_start = HEAD_START
        self._ratio = Ratio()
        self._answer_told = 0.0
        self._watched_until = 0.0
        self._doubt_told_at = self._bad_told_at = 0.0
        self._doubts_told = self._bad_told = 0
        self._connecting: dict[asyncio.Task[None], tuple[Exchange | Rival, float]] = {}

    def told(self, state: TargetState) -> None:
        """Take over what the controller says; connections to addresses that are gone finish what they carry."""
        if state.addresses != self.addresses:
            self.addresses = state.addresses
            for upstream in [u for u in self.idle if u.address not in state.addresses]:
                self.idle.remove(upstream)
                upstream.close()
        self.error = state.error
        self.usable = state.usable
        self.static = state.kind is Kind.STATIC and self.alias != PRIMARY
        self.hides = self.static or bool(self.base_path)

    def take(self, again: bool) -> Upstream | None:
        """The idle connection used last, of which the kernel has nothing to say: neither its end nor bytes unasked for,
        which would be read as the answer to what is sent now. One that we are closing is only for what may be sent
        `again`.
        """
        idle = self.idle
        while idle:
            upstream = idle.pop()
            if not upstream.look(0) and (again or not upstream.transport.is_closing()):
                return upstream
            upstream.close()
        return None

    def connect(self, exchange: Exchange | Rival) -> None:
        """Open a connection for `exchange`: its `connected` or `not_connected` is called, never before we return."""
        task = self.worker.loop.create_task(self._connect(exchange))
        self._connecting[task] = (exchange, monotonic())
        task.add_done_callback(self._connecting.pop)

    async def _connect(self, exchange: Exchange | Rival) -> None:
        try:
            async with asyncio.timeout(self.worker.settings.connect_timeout):
                upstream = await self._open()
        except Fault as fault:
            exchange.not_connected(self, fault)
        except Exception as error:  # noqa: BLE001 - whatever it is, the exchange must hear of it
            exchange.not_connected(self, translate(error, connecting=True))
        else:
            if not exchange.connected(self, upstream):
                self.put_back(upstream)  # the client left meanwhile; the next one finds it ready

    async def _open(self) -> Upstream:
        if not self.addresses:
            raise Fault(self.error or ErrorType.DNS_ERROR, f"the name {self.target.host} has no address")
        loop = self.worker.loop
        sock = await dial(loop, self.addresses, self.worker.settings.connect_timeout)
        try:
            upstream = Upstream(self, sock.getpeername()[:2], self.addresses)
            if self.tls is None:
                await loop.create_connection(lambda: upstream, sock=sock)
            else:
                await self._secure(upstream, sock, self.tls)
        except BaseException:
            sock.close()
            raise
        return upstream

    async def _secure(self, upstream: Upstream, sock: socket.socket, context: ssl.SSLContext) -> None:
        secured: asyncio.Future[None] = self.worker.loop.create_future()

        def ready(error: Exception | None) -> None:
            if secured.done():
                return  # it took too long
            if error is None:
                secured.set_result(None)
            else:
                secured.set_exception(error)

        tls = Tls(upstream, context, ready, server_hostname=self.target.host)
        await self.worker.loop.create_connection(lambda: tls, sock=sock)
        try:
            await secured
        except BaseException:
            tls.abort()
            raise

    def put_back(self, upstream: Upstream) -> None:
        """Keep a connection that has nothing to do for the next request."""
        if self.worker.draining or (upstream.told is not self.addresses and upstream.address not in self.addresses):
            upstream.close()
            return
        upstream.kept = True
        upstream.deadline = self.worker.now + upstream.idle_for
        self.idle.append(upstream)

    def failed(self, error: ErrorType, detail: str) -> None:
        """Tell the controller that live traffic met a failure here: at once, and thinned out when they rain."""
        if error in _GONE:
            self.close()  # what died under one request will have died under the idle ones as well
        if self._bad_told_at != self.worker.now:
            self._bad_told_at, self._bad_told = self.worker.now, 0
        self._bad_told += 1
        self._watched_until = self.worker.now + _WATCHED_S
        if self._bad_told <= _MOST_TOLD:
            self.worker.tell_failure(self.alias, error, detail, self.good_at)

    def answered(self) -> None:
        """A good answer came, to whomever."""
        self.good += 1
        self.good_at = monotonic()

    def server_error(self, target: bytes) -> None:
        """Count a 500: alone it says nothing of the target."""
        story = self._ratio.error(target.decode("latin-1"), self.good, monotonic())
        if story is not None:
            self.failed(ErrorType.HTTP_5XX, story)

    def doubt(self) -> None:
        """Tell the controller that a request met what may mean nothing: at once, and thinned out."""
        if self._doubt_told_at != self.worker.now:
            self._doubt_told_at, self._doubts_told = self.worker.now, 0
        self._doubts_told += 1
        self._watched_until = self.worker.now + _WATCHED_S
        if self._doubts_told <= _MOST_TOLD:
            self.worker.tell_doubt(self.alias, self.good_at)

    def tell_of_answers(self) -> None:
        """After a bad word each good answer is worth one as well: told once a tick, for as long as it may matter."""
        if self._watched_until >= self.worker.now and self.good_at > self._answer_told:
            self._answer_told = self.good_at
            self.worker.tell_answer(self.alias, self.good_at)

    def waiting(self) -> Iterator[Exchange | Rival | Witness]:
        """Who waits here, for a connection or an answer, while his client has seen nothing."""
        yield from [upstream.exchange for upstream in self.open if upstream.exchange and upstream.waiting]
        yield from [one for one, _ in self._still_connecting()]

    def _still_connecting(self) -> list[tuple[Exchange | Rival, float]]:
        return [(one, since) for one, since in self._connecting.values() if one.pool is self and not one.over]

    def learn(self) -> None:
        """What is usual here, from the latest answers; what is learned in a suspicion is not usual."""
        self.patience = patience(self.latencies, self.worker.settings.first_byte_timeout)
        self.head_start = head_start(self.latencies)

    def look_after_connecting(self) -> None:
        """Who waits for a connection waits for an answer as well."""
        if self._connecting:
            usual = monotonic() - self.patience
            for one, since in self._still_connecting():
                if since < usual and not one.doubted:
                    one.doubted = True
                    self.doubt()

    def close(self) -> None:
        """Close what is idle; connections in use close themselves when their exchange is over."""
        idle, self.idle = self.idle, []
        for upstream in idle:
            upstream.close()
