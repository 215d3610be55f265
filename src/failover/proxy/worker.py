"""One worker process: nothing but traffic. It holds the last routing it was told and never waits for anybody.

What the five stops share lives here: the clock, the pools, the counters, the way to the controller.
"""

from __future__ import annotations

import asyncio
import gc
import ipaddress
import itertools
import random
import secrets
import signal
from time import monotonic
from typing import TYPE_CHECKING

import uvloop

from failover.channel import Answered, Doubted, Failure
from failover.core.model import Verdict
from failover.core.ramp import is_chosen
from failover.core.routing import ladder
from failover.launch import ALIVE, READY, SIGN_EVERY_S
from failover.observe import log
from failover.observe.shortage import tell_of_memory
from failover.proxy.client import Clients
from failover.proxy.cors import Cors
from failover.proxy.crowd import Crowd
from failover.proxy.evidence import Evidence
from failover.proxy.exchange import Exchange
from failover.proxy.headcount import Headcount
from failover.proxy.hold import Hold
from failover.proxy.line import Line
from failover.proxy.listener import Listener
from failover.proxy.pool import Pool
from failover.proxy.stats import Stats
from failover.proxy.upload import Spills
from failover.proxy.wire import HeadReader

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from failover.channel import Counters, Told
    from failover.core.model import ErrorType, Routing
    from failover.launch import Launch
    from failover.proxy.answering import Answering
    from failover.proxy.client import Client
    from failover.proxy.fields import RequestHead
    from failover.proxy.pages import Page

TICK_S = 0.05
"""How coarse the clock is: all deadlines are looked after by one timer, none has one of its own."""

_COUNTER_TICKS = round(SIGN_EVERY_S / TICK_S)
_RACE_TICK_S = 0.02
_LATE_S = 0.25
_SUSPECTING_S = 1.0
_LEAVE_WITHIN_S = 5.0
_LEAST_RESCUES = 3
_RESCUED_PART = 5


class Worker:
    """The world of one worker process."""

    routing: Routing

    def __init__(self, launch: Launch, loop: asyncio.AbstractEventLoop) -> None:
        settings = launch.settings
        self.launch = launch
        self.settings = settings
        self.loop = loop
        self.now = loop.time()
        # read by each request, and reading settings costs more
        self.max_body = settings.max_body
        self.idle_timeout = settings.idle_timeout
        self.least_progress = int(settings.min_rate * settings.idle_timeout)
        self.draining = False
        self.stats = Stats()
        self.evidence = Evidence(launch.slot)
        self.heads = HeadReader()
        self.clients = Clients(self)
        self.via = launch.via.encode()
        self.request_id = _identifiers().__next__
        self.targets = (settings.primary, *settings.backup)
        self.pools = {target.alias: Pool(self, target) for target in self.targets}
        self.primary = self.pools[settings.primary.alias]
        # The ladders as told, for everybody; in a ramp there are others for the visitors that it has chosen.
        self.safe: tuple[Pool, ...] = ()
        self.writes: tuple[Pool, ...] = ()
        self.ramping = False
        self._chosen_safe: tuple[Pool, ...] = ()
        self._chosen_writes: tuple[Pool, ...] = ()
        self.hold = Hold(self, settings.workers)
        self.cors = Cors()
        self._leaving: list[tuple[float, Callable[[], None]]] = []
        self._racing = False
        self.pages: set[Page] = set()  # that are asked for now
        self.spills = Spills(settings.max_body, settings.workers)
        self.crowd = _crowd(launch, self.stats)
        self.refused = self.crowd.refused
        self.access_log: Callable[[Answering], None] | None = _access_log if settings.access_log else None
        self._log = log.get("worker")
        self._listener = Listener(self)
        self.line = Line(launch, loop, self._told, lambda: getattr(self, "routing", None))
        self._serving: asyncio.Task[None] | None = None
        self._ticks = 0
        self._late = False
        self._rescues = 0
        self._suspecting_until = 0.0  # we have told of a failure, and the controller's word on it is on its way
        self.stopped = loop.create_future()

    # -- life

    def start(self) -> None:
        """Connect to the controller; serving begins with its first word."""
        self.loop.add_signal_handler(signal.SIGTERM, self.drain)
        self.loop.add_reader(self.launch.lifeline, self._supervisor_gone)
        self.line.connect()
        self._tick()

    async def _serve(self) -> None:
        await self._listener.start(self.launch.listening)
        self.launch.sign(READY)

    def drain(self) -> None:
        """Accept no more, finish what is under way, and stop (spec section 12)."""
        if self.draining:
            return
        self.draining = True
        self.line.end()
        self._listener.stop()
        for downstream in list(self.crowd.downstreams):
            downstream.drain()
        for pool in self.pools.values():
            pool.close()
        self.loop.call_later(self.settings.drain_timeout, self._give_up)

    def _stop_when_idle(self) -> None:
        if self.draining and not self.crowd.downstreams and not self.crowd.tunnels and not self.stopped.done():
            self.stopped.set_result(None)

    def _give_up(self) -> None:
        """The time to finish is over: whoever still waits is cut, and sees it."""
        for downstream in list(self.crowd.downstreams):
            if downstream.exchange is not None:
                downstream.cut()
        if not self.stopped.done():
            self.stopped.set_result(None)

    def _supervisor_gone(self) -> None:
        self.loop.remove_reader(self.launch.lifeline)
        self.drain()

    # -- the clock

    def _tick(self) -> None:
        self.loop.call_later(TICK_S, self._tick)  # first of all: whatever happens below, the clock goes on
        before, now = self.now, self.loop.time()
        self.now = now
        self._ticks += 1
        # Where it was we who had no time, what came meanwhile is read first. Not twice in a row: whoever keeps us busy
        # would have all the time in the world.
        self._late = not self._late and now - before >= _LATE_S
        if not self._late:
            for pool in self.pools.values():
                for upstream in [u for u in pool.open if u.deadline < now]:
                    upstream.expire()
                pool.look_after_connecting()
            self.crowd.tick(now)
        for pool in self.pools.values():
            pool.tell_of_answers()
        self.hold.tick()
        if self._leaving:
            self._leave_in_turn()
        if self._ticks % _COUNTER_TICKS == 0:
            self.launch.sign(ALIVE)
            self._listener.look()
            if self.line.up:
                self._learn()
                self.line.send(self._counters())
                self._tell_evidence()
        self._stop_when_idle()

    def _counters(self) -> Counters:
        stats = self.stats
        gauges = {
            "in_flight": sum(isinstance(downstream.exchange, Exchange) for downstream in self.crowd.downstreams),
            "clients": len(self.crowd.downstreams) + len(self.crowd.tunnels),
            "held": len(self.hold.waiting),
        }
        return stats.told(self.launch.slot, self.pools, gauges)

    def _learn(self) -> None:
        """What is usual at each target; what a primary in doubt does is not."""
        if self._serving is not None:
            for pool in self.pools.values():
                if pool is not self.primary or self.routing.verdict is Verdict.PRIMARY:
                    pool.learn()

    # -- the controller

    def _told(self, message: Told) -> None:
        """Route by this from now on."""
        before, drill = (self.routing.verdict, self.routing.drill) if hasattr(self, "routing") else (None, "")
        unusable = {state.alias for state in message.routing.targets if not state.usable}
        lost = [pool for pool in self.pools.values() if pool.usable and pool.alias in unusable]
        found = any(not pool.usable and pool.alias not in unusable for pool in self.pools.values())
        self.routing = routing = message.routing
        self._suspecting_until = 0.0
        for state in routing.targets:
            pool = self.pools.get(state.alias)
            if pool is not None:
                pool.told(state)
        self.ramping = routing.verdict is Verdict.RAMP
        self.safe = self._pools(ladder(routing, safe=True, chosen=False))
        self.writes = self._pools(ladder(routing, safe=False, chosen=False))
        self._chosen_safe = self._pools(ladder(routing, safe=True, chosen=True))
        self._chosen_writes = self._pools(ladder(routing, safe=False, chosen=True))
        for pool in lost:
            self._ask_others(pool, waiting_for=0.0)
        if routing.verdict is not before or routing.drill != drill:
            self._tell_evidence()  # what it belongs to may be over for the controller in a moment
            self.evidence.verdict_changed(routing.verdict, routing.drill)
        if routing.verdict is not before:
            self._verdict_changed(before, routing.verdict)
        elif found and routing.verdict is Verdict.BACKUP:
            self._ask_others(self.primary, waiting_for=0.0)  # it was asked because there was nobody else
        if self._serving is None and not self.draining:
            self._serving = self.loop.create_task(self._serve())

    def _pools(self, aliases: tuple[str, ...]) -> tuple[Pool, ...]:
        return tuple(self.pools[alias] for alias in aliases if alias in self.pools)

    def _verdict_changed(self, before: Verdict | None, verdict: Verdict) -> None:
        """What a new verdict means for what is under way."""
        if verdict in (Verdict.SUSPECT, Verdict.RAMP) and not self._racing:
            self._racing = True
            self._race()
        elif verdict is Verdict.BACKUP:
            self._ask_others(self.primary, waiting_for=0.0)
            self._leave(self.primary)
        elif verdict is Verdict.PRIMARY and before in (Verdict.BACKUP, Verdict.RAMP):
            self._leave(*(pool for pool in self.pools.values() if pool is not self.primary))

    def _race(self) -> None:
        """While the primary is in doubt: who has waited for longer than its head start asks the next one, too."""
        self._racing = self.routing.verdict in (Verdict.SUSPECT, Verdict.RAMP)
        if self._racing:
            self.loop.call_later(_RACE_TICK_S, self._race)
            self._ask_others(self.primary, waiting_for=self.primary.head_start)

    def _ask_others(self, pool: Pool, *, waiting_for: float) -> None:
        """Who has waited here for so many seconds asks the next target as well."""
        latest = monotonic() - waiting_for
        for exchange in list(pool.waiting()):
            if exchange.started <= latest:
                exchange.race()

    def _leave(self, *pools: Pool) -> None:
        """These targets do not serve any more: end their tunnels and event streams, not all in one moment."""
        if not any(target.usable for target in self.routing.targets):
            return  # there is nobody better to come back to
        left = [tunnel.leave for tunnel in self.crowd.tunnels if tunnel.pool in pools]
        left += [upstream.leave for pool in pools for upstream in pool.open if upstream.streams_events]
        self._leaving += [(self.now + random.uniform(0.0, _LEAVE_WITHIN_S), leave) for leave in left]  # noqa: S311 - jitter

    def _leave_in_turn(self) -> None:
        due = [leave for at, leave in self._leaving if at <= self.now]
        self._leaving = [(at, leave) for at, leave in self._leaving if at > self.now]
        for leave in due:
            leave()

    def _tell_evidence(self) -> None:
        if self.line.up and (saw := self.evidence.told()) is not None:
            self.line.send(saw)

    def tell_answer(self, alias: str, at: float) -> None:
        self.line.send(Answered(alias, at))

    def tell_doubt(self, alias: str, last_good: float) -> None:
        self.line.send(Doubted(alias, last_good))

    def tell_failure(self, alias: str, error: ErrorType, detail: str, last_good: float) -> None:
        if alias == self.primary.alias:
            self._suspecting_until = self.now + _SUSPECTING_S
        self.line.send(Failure(alias, error, detail, last_good))

    # -- what the stops ask

    def plan(self, client: Client, head: RequestHead, *, safe: bool) -> tuple[Pool, ...]:
        """Whom this client's request is to be sent to, best first."""
        if self.ramping and is_chosen(client.number(head), self.routing.share):
            return self._chosen_safe if safe else self._chosen_writes
        return self.safe if safe else self.writes

    @property
    def on_its_own(self) -> bool:
        """True in a worker that drains and that no controller talks to any more: it must find out itself."""
        return self.draining and not self.line.up

    def takes_writes(self) -> bool:
        """Whether a held write may be sent now: not to a primary that has just failed."""
        if not self.writes:
            return False
        return self.writes[0] is not self.primary or not (self.routing.fail_count or self._suspecting)

    @property
    def _suspecting(self) -> bool:
        return self.now < self._suspecting_until

    def begin_rescue(self) -> bool:
        """A place in the budget of rescues: while the primary is trusted, at most a fifth of the requests under way, so
        that a storm of failures does not become a storm on the backup. From a suspicion on there is no limit.
        """
        if self.routing.verdict is Verdict.PRIMARY and not self._suspecting:
            under_way = sum(len(pool.open) - len(pool.idle) for pool in self.pools.values())
            if self._rescues >= max(_LEAST_RESCUES, under_way // _RESCUED_PART):
                return False
        self._rescues += 1
        return True

    def end_rescue(self) -> None:
        self._rescues -= 1

    def is_trusted(self, peer: str) -> bool:
        """Whether X-Forwarded-… from this address may be believed (`--trusted-proxies`)."""
        networks = self.settings.trusted_proxies
        if not networks or not peer:
            return False
        address = ipaddress.ip_address(peer.partition("%")[0])
        mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
        return any((mapped or address) in network for network in networks)


def _identifiers() -> Iterator[bytes]:
    """Identifiers that no other request of any worker has."""
    prefix = secrets.token_hex(6).encode()
    last = [b"%02x" % number for number in range(256)]
    for count in itertools.count():
        first = b"%b%06x" % (prefix, count)
        for two in last:
            yield first + two


def _crowd(launch: Launch, stats: Stats) -> Crowd:
    """The places of this worker: its part of all, rounded up."""
    settings = launch.settings
    counters = launch.counters
    headcount = None if counters is None else Headcount(counters, launch.slot, launch.token)
    most = -(-settings.max_connections // settings.workers)
    return Crowd(most, stats, headcount, settings.max_connections_per_client)


def _access_log(exchange: Answering) -> None:
    """One line an exchange; the query, which may hold secrets, stays out."""
    head = exchange.head
    log.access(
        client=exchange.downstream.client.address,
        method=head.method.decode("latin-1"),
        path=head.target.partition(b"?")[0].decode("latin-1"),
        status=exchange.status,
        sent_bytes=exchange.sent_bytes,
        duration_s=monotonic() - exchange.started,
        target=exchange.pool.alias if exchange.pool else "",
        request_id=head.request_id.decode("latin-1"),
    )


def run(launch: Launch) -> int:
    """Serve until told to stop. The exit code of the process."""
    gc.freeze()  # what the supervisor loaded is shared and immortal: the collector need not look at it
    loop = uvloop.new_event_loop()
    asyncio.set_event_loop(loop)
    tell_of_memory(loop, log.get("worker"))
    try:
        loop.run_until_complete(_live(Worker(launch, loop)))
    finally:
        loop.close()
    return 0


async def _live(worker: Worker) -> None:
    """It starts in the running loop: uvloop hears no signal that comes between its handler and its first turn."""
    worker.start()
    await worker.stopped
