"""The one loop: facts in (messages, probe results, names, time), the core decides, effects out (routing, probes, log).

Nothing here waits for anything: a fact is handled in one go, and the routing goes out before a line is logged. Wall
time is stamped here and nowhere below; the core knows monotonic seconds only.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import signal
import time
from dataclasses import replace
from functools import partial
from time import monotonic
from typing import TYPE_CHECKING, Any

from failover.channel import Answered, Counters, Doubted, Failure, Hello, Peer, Saw, Told
from failover.controller import lines, memory
from failover.controller.describe import describe
from failover.controller.prober import Prober, Result
from failover.controller.resolver import News, Resolver
from failover.controller.tally import Tally
from failover.core.events import (
    Doubt,
    Effect,
    Event,
    GoBack,
    NetworkChanged,
    Probe,
    ReadyToGoBack,
    RoutingChanged,
    ShareChanged,
    Signal,
    Source,
    TargetChanged,
    Tick,
    VerdictChanged,
)
from failover.core.model import PRIMARY, ErrorType, Kind, Routing, TargetState, Verdict
from failover.core.pace import Rules
from failover.core.switch import Switch
from failover.launch import READY

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from failover.controller.recorder import Quiet, Recorder
    from failover.core.model import Target
    from failover.launch import Launch

_FIRST_ROUTING_WITHIN = 1.0
_LONGEST_DETAIL = 200
_DESCRIBED_WITHIN = 3.0
_REMEMBERED_S = 3600.0
_STATIC_SERVERS = frozenset({"AmazonS3"})


class Controller:
    """The controller of one supervisor, from its start to its end."""

    def __init__(self, launch: Launch, loop: asyncio.AbstractEventLoop, recorder: Recorder | Quiet) -> None:
        # for the process
        self._recorder = recorder
        self._launch = launch
        self._loop = loop
        settings = launch.settings
        self._targets = {target.alias: target for target in (settings.primary, *settings.backup)}
        self._backups = tuple(target.alias for target in settings.backup)
        self._urls = tuple(target.url for target in self._targets.values())
        self._resolver = Resolver(self._targets.values(), loop, self._name_changed)
        self._prober = Prober(settings, self._resolver, loop)
        self._rules = Rules(
            fail_threshold=settings.fail_threshold,
            recover_threshold=settings.recover_threshold,
            check_interval=settings.check_interval,
            check_timeout=settings.check_timeout,
            backup_check_interval=settings.backup_check_interval,
            failback_manual=settings.failback == "manual",
            ramp_step=settings.ramp_step,
        )
        self._stopped: asyncio.Future[None] = loop.create_future()
        # learned
        self._kinds = {alias: target.kind for alias, target in self._targets.items()}
        self._last_bad: dict[str, float] = {}
        self._since_unix = time.time()  # noqa: TID251 - the edge at which wall time is stamped
        self._predecessors = loop.create_future()
        self._asked_early = False
        # at work
        self._switch: Switch | None = None
        self._routing: Routing | None = None
        self._workers: dict[Peer, Tally] = {}
        self._strangers: set[Peer] = set()
        self._probes: set[asyncio.Task[Result]] = set()
        self._others: set[asyncio.Task[None]] = set()
        self._timer: asyncio.TimerHandle | None = None

    # -- life

    async def run(self) -> None:
        """Serve until SIGTERM, or until the supervisor is gone. SIGUSR1: a person wants the primary back."""
        self._loop.add_signal_handler(signal.SIGTERM, self._leave)
        self._loop.add_signal_handler(signal.SIGUSR1, self._go_back)
        self._loop.add_reader(self._launch.lifeline, self._supervisor_gone)
        server = await self._loop.create_unix_server(self._worker_came, sock=self._launch.listening[0])
        self._resolver.start()
        beginning = self._loop.create_task(self._begin())
        beginning.add_done_callback(self._began)
        try:
            await self._stopped
        finally:
            server.close()
            await self._stop(beginning)

    async def _begin(self) -> None:
        """Find out as much as a second allows, then tell the first routing."""
        told = await self._predecessors_routing() if self._launch.reborn else None
        remembered = memory.decode(told.memory) if told is not None else None
        now = monotonic()
        if told is not None and remembered is not None:
            # Under another ladder the old names of backups may mean others.
            known = {PRIMARY} if self._launch.ancestor else set(self._targets)
            remembered = replace(remembered, healths={a: h for a, h in remembered.healths.items() if a in known})
            for state in told.targets:
                if state.alias in known:
                    self._kinds[state.alias] = state.kind
                    self._resolver.learn(self._targets[state.alias], state.addresses)
            self._since_unix = told.since_unix
            if remembered.verdict is not Verdict.PRIMARY:
                self._last_bad = dict.fromkeys(known, now)
            self._switch = Switch.restore(self._rules, self._backups, remembered, now)
            lines.learned_from_workers(self._switch.verdict, now - remembered.taken)
        else:
            settled = asyncio.wait_for(self._resolver.settled(), _FIRST_ROUTING_WITHIN)
            kept = asyncio.wait_for(self._recorder.remembered(), _FIRST_ROUTING_WITHIN)
            _, lasting = await asyncio.gather(settled, kept, return_exceptions=True)
            self._switch = self._from_before(lasting) or Switch(self._rules, self._backups, monotonic())
        self._tell()
        self._start(self._recorder.begin(self._switch.verdict, reborn=told is not None))
        with contextlib.suppress(OSError):
            os.write(self._launch.ready, READY)
            os.close(self._launch.ready)
        self._handle(GoBack() if self._asked_early else Tick())

    def _from_before(self, kept: Any) -> Switch | None:
        """The switch as it was when all of us died, if that was lately and with the same targets."""
        if not isinstance(kept, tuple) or not 0 <= kept[1] <= _REMEMBERED_S:
            return None
        lasting = memory.decode_lasting(kept[0])
        remembered = memory.decode(lasting.memory) if lasting is not None else None
        if lasting is None or remembered is None or lasting.targets != self._urls:
            return None
        self._since_unix = lasting.since_unix
        switch = Switch.restore(self._rules, self._backups, remembered, monotonic())
        lines.learned_from_store(switch.verdict, kept[1])
        return switch

    async def _predecessors_routing(self) -> Routing | None:
        try:
            return await asyncio.wait_for(self._predecessors, _FIRST_ROUTING_WITHIN)
        except TimeoutError:
            return None

    def _began(self, beginning: asyncio.Task[None]) -> None:
        """A controller that cannot begin must fall, so that the supervisor sees it and starts another."""
        if not beginning.cancelled() and (error := beginning.exception()) and not self._stopped.done():
            self._stopped.set_exception(error)

    def _supervisor_gone(self) -> None:
        self._loop.remove_reader(self._launch.lifeline)
        self._leave()

    def _leave(self) -> None:
        if not self._stopped.done():
            self._stopped.set_result(None)

    async def _stop(self, beginning: asyncio.Task[None]) -> None:
        self._loop.remove_signal_handler(signal.SIGTERM)
        self._loop.remove_signal_handler(signal.SIGUSR1)
        self._loop.remove_reader(self._launch.lifeline)
        self._resolver.stop()
        if self._timer is not None:
            self._timer.cancel()
        for peer in (*self._workers, *self._strangers):
            peer.close()
        self._recorder.stop()
        under_way = (beginning, *self._probes, *self._others)
        for task in under_way:
            task.cancel()
        await asyncio.gather(*under_way, return_exceptions=True)

    # -- facts in

    def _worker_came(self) -> Peer:
        peer = Peer("controller", self._message, self._worker_left)
        self._strangers.add(peer)
        return peer

    def _worker_left(self, peer: Peer) -> None:
        self._recorder.worker_left(id(peer))
        self._strangers.discard(peer)
        self._workers.pop(peer, None)

    def _message(self, peer: Peer, message: Any) -> None:
        if isinstance(message, Hello):
            self._hello(peer, message)
            return
        if peer not in self._workers:
            peer.close()
        elif isinstance(message, Failure):
            self._failure(message)
        elif isinstance(message, Answered):
            self._handle(Signal(Source.LIVE, message.target, good=True, last_good=message.at))
        elif isinstance(message, Doubted):
            self._last_bad[message.target] = monotonic()
            self._handle(Doubt(message.target, message.last_good))
        elif isinstance(message, Saw):
            self._recorder.saw(message)
        elif isinstance(message, Counters):
            self._recorder.counted(id(peer), message)
            tally = self._workers[peer]
            since = tally.counted_at
            for alias in tally.count(message.good, self._last_bad, monotonic()):
                self._handle(Signal(Source.LIVE, alias, good=True, last_good=since))

    def _hello(self, peer: Peer, hello: Hello) -> None:
        if not secrets.compare_digest(hello.token.encode(), self._launch.token.encode()):
            if self._launch.ancestor and secrets.compare_digest(hello.token, self._launch.ancestor):
                self._inherit(hello)
            peer.close()
            return
        self._strangers.discard(peer)
        self._workers[peer] = Tally()
        self._inherit(hello)
        if self._routing is not None:
            peer.send(Told(self._routing))

    def _inherit(self, hello: Hello) -> None:
        if hello.routing is not None and not self._predecessors.done():
            self._predecessors.set_result(hello.routing)

    def _failure(self, failure: Failure) -> None:
        self._last_bad[failure.target] = monotonic()
        self._recorder.failed(failure.target, failure.error, failure.detail[:_LONGEST_DETAIL])
        self._handle(
            Signal(
                Source.LIVE,
                failure.target,
                good=False,
                error=failure.error,
                detail=failure.detail[:_LONGEST_DETAIL],
                last_good=failure.last_good,
            )
        )

    def _probe_ended(self, target: str, task: asyncio.Task[Result]) -> None:
        """Every probe ends here with one signal, even one that ended by a mistake of ours: the core counts them."""
        self._probes.discard(task)
        if task.cancelled():
            return
        if (error := task.exception()) is not None:
            lines.mistake(error)
            self._handle(Signal(Source.PROBE, target, good=False, error=ErrorType.PROXY_INTERNAL_ERROR))
            return
        result = task.result()
        lines.probed(result)
        if not result.signal.good:
            self._last_bad[target] = monotonic()
        self._learn_kind(target, result.server)
        self._recorder.probed(result)
        self._handle(result.signal)

    def _learn_kind(self, alias: str, server: str) -> None:
        target = self._targets[alias]
        if alias == PRIMARY or target.kind_is_certain or self._kinds[alias] is Kind.STATIC:
            return
        if server in _STATIC_SERVERS:
            self._kinds[alias] = Kind.STATIC
            lines.turned_out_static(target, server)
            self._recorder.kind(alias, Kind.STATIC)
            self._tell()

    def _go_back(self) -> None:
        self._asked_early = self._switch is None
        self._handle(GoBack())
        self._recorder.happened(GoBack())
        self._loop.call_soon(lines.asked_to_go_back)  # by then the workers hold it, whatever becomes of us

    def _name_changed(self, news: News) -> None:
        self._tell()
        self._recorder.named(news)
        lines.name_changed(news)

    # -- the core decides

    def _handle(self, event: Event) -> None:
        if self._switch is None:
            return
        effects = self._switch.handle(event, monotonic())
        if any(isinstance(effect, VerdictChanged) and effect.side_changed for effect in effects):
            self._since_unix = time.time()  # noqa: TID251 - as above
        if RoutingChanged() in effects:
            self._tell()
        for effect in effects:
            self._act(effect)
        self._arm()

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = self._loop.create_task(work)
        self._others.add(task)
        task.add_done_callback(self._others.discard)

    def _arm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        wake = self._switch.wake_at() if self._switch is not None else None
        # uvloop counts whole milliseconds: waking a little late is better than twice.
        self._timer = None if wake is None else self._loop.call_later(max(wake - monotonic(), 0.0) + 0.001, self._wake)

    def _wake(self) -> None:
        self._handle(Tick())

    # -- effects out

    def _act(self, effect: Effect) -> None:
        match effect:
            case Probe(target, timeout):
                task = self._loop.create_task(self._prober.probe(self._targets[target], timeout))
                self._probes.add(task)
                task.add_done_callback(partial(self._probe_ended, target))
            case VerdictChanged():
                self._recorder.happened(effect)
                if effect.new in (Verdict.SUSPECT, Verdict.BACKUP):
                    self._resolver.refresh(self._targets[PRIMARY])
                if effect.new is Verdict.BACKUP and effect.error is ErrorType.TLS_CERTIFICATE_ERROR:
                    self._start(self._describe(self._targets[PRIMARY]))
                lines.verdict_changed(effect, tuple(alias for alias in self._backups if self._usable(alias)))
            case TargetChanged():
                self._recorder.happened(effect)
                lines.target_changed(effect)
            case ShareChanged(share):
                self._recorder.happened(effect)
                lines.share_changed(share)
            case ReadyToGoBack(reason):
                self._recorder.happened(effect)
                lines.ready_to_go_back(reason)
            case NetworkChanged():
                self._recorder.happened(effect)
                lines.network_changed(effect)
            case RoutingChanged():
                pass  # was done first

    async def _describe(self, target: Target) -> None:
        """Look at the certificate that was not accepted, for the report alone."""
        seen = await describe(self._loop, self._resolver.addresses(target), target.host, _DESCRIBED_WITHIN)
        self._recorder.described(seen)

    def _usable(self, alias: str) -> bool:
        return self._switch is None or self._switch.usable(alias)

    def _tell(self) -> None:
        """Tell every worker how to route from now on."""
        if self._switch is None:
            return
        switch = self._switch
        self._routing = Routing(
            verdict=switch.verdict,
            since_unix=self._since_unix,
            fail_count=switch.fail_count,
            recover_count=switch.recover_count,
            targets=tuple(self._state_of(alias, switch) for alias in self._targets),
            share=switch.share,
            memory=memory.encode(switch.snapshot(monotonic())),
        )
        for peer in self._workers:
            peer.send(Told(self._routing))
        kept = memory.Lasting(self._routing.memory, self._since_unix, self._urls)
        self._recorder.remember(memory.encode_lasting(kept))

    def _state_of(self, alias: str, switch: Switch) -> TargetState:
        target = self._targets[alias]
        addresses = self._resolver.addresses(target)
        fault = self._resolver.fault(target) if not addresses else None
        return TargetState(
            alias=alias,
            usable=switch.usable(alias),
            addresses=addresses,
            kind=self._kinds[alias],
            error=switch.error(alias) or (fault.error if fault is not None else None),
        )
