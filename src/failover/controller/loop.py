"""The one loop: facts in (messages, probe results, names, time), the core decides, effects out (routing, probes, log).

Nothing here waits for anything: a fact is handled in one go, and the routing goes out before a line is logged. Wall
time is stamped here and nowhere below; the core knows monotonic seconds only.
"""

from __future__ import annotations

import asyncio
import signal
import time
from dataclasses import replace
from functools import partial
from time import monotonic
from typing import TYPE_CHECKING, Any

from failover.channel import Answered, Counters, Doubted, Failure, Saw
from failover.controller import lines, memory
from failover.controller.board import Board
from failover.controller.crew import Crew
from failover.controller.describe import describe
from failover.controller.prober import Prober, Result
from failover.controller.resolver import News, Resolver
from failover.controller.watcher import Nobody
from failover.core.events import (
    Doubt,
    Effect,
    Event,
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
    Withheld,
)
from failover.core.helm import Steer, Steered, Wish, observing
from failover.core.model import PRIMARY, ErrorType, Kind, Routing, TargetState, Verdict
from failover.core.pace import Rules
from failover.core.routing import ladder
from failover.core.switch import Switch
from failover.launch import READY

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from failover.controller.recorder import Quiet, Recorder
    from failover.controller.watcher import Watcher
    from failover.core.alike import Look
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
        self.board = Board((launch.settings.primary.alias, *(target.alias for target in launch.settings.backup)))
        self.watcher: Watcher = Nobody()
        self._launch = launch
        self._loop = loop
        settings = launch.settings
        self._targets = {target.alias: target for target in (settings.primary, *settings.backup)}
        self.backups = tuple(target.alias for target in settings.backup)
        self._urls = tuple(target.url for target in self._targets.values())
        self._resolver = Resolver(self._targets.values(), loop, self._name_changed)
        self._prober = Prober(settings, self._resolver, loop, launch.upstream_tls, launch.via)
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
        self._asked_early: Steer | None = None
        # at work
        self.switch: Switch | None = None
        self.routing: Routing | None = None
        self._crew = Crew(launch, loop, self._message, self._worker_left)
        self._probes: set[asyncio.Task[Result]] = set()
        self._others: set[asyncio.Task[None]] = set()
        self._drill = ""
        self._timer: asyncio.TimerHandle | None = None

    # -- life

    async def run(self) -> None:
        """Serve until SIGTERM, or until the supervisor is gone. SIGUSR1: a person wants the primary back."""
        self._loop.add_signal_handler(signal.SIGTERM, self._leave)
        self._loop.add_signal_handler(signal.SIGUSR1, self._go_back)
        self._loop.add_reader(self._launch.lifeline, self._supervisor_gone)
        server = await self._loop.create_unix_server(self._crew.came, sock=self._launch.listening[0])
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
        told = await self._crew.predecessors_routing(_FIRST_ROUTING_WITHIN) if self._launch.reborn else None
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
            self.switch = Switch.restore(self._rules, self.backups, remembered, now)
            lines.learned_from_workers(self.switch.verdict, now - remembered.taken)
        else:
            settled = asyncio.wait_for(self._resolver.settled(), _FIRST_ROUTING_WITHIN)
            kept = asyncio.wait_for(self._recorder.remembered(), _FIRST_ROUTING_WITHIN)
            _, lasting = await asyncio.gather(settled, kept, return_exceptions=True)
            self.switch = self._from_before(lasting) or Switch(self._rules, self.backups, monotonic())
        self._tell()
        self._start(self._recorder.begin(self.switch.verdict, reborn=told is not None))
        self._launch.sign(READY)
        self._handle(self._asked_early or Tick())
        if wish := observing(self.switch.helm.pin, observe=self._launch.settings.observe):
            self.steer(wish)

    def _from_before(self, kept: Any) -> Switch | None:
        found = memory.resumed(kept, self._urls, _REMEMBERED_S)
        if found is None:
            return None
        remembered, self._since_unix = found
        switch = Switch.restore(self._rules, self.backups, remembered, monotonic())
        lines.learned_from_store(switch.verdict, kept[1])
        return switch

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
        self._crew.close()
        self._recorder.stop()
        under_way = (beginning, *self._probes, *self._others)
        for task in under_way:
            task.cancel()
        await asyncio.gather(*under_way, return_exceptions=True)

    # -- facts in

    def _worker_left(self, worker: int) -> None:
        self._recorder.worker_left(worker)
        self.board.left(worker)

    def _message(self, worker: int, message: Any) -> None:
        if isinstance(message, Failure):
            self._failure(message)
        elif isinstance(message, Answered):
            self._handle(Signal(Source.LIVE, message.target, good=True, last_good=message.at))
        elif isinstance(message, Doubted):
            self._last_bad[message.target] = monotonic()
            self._handle(Doubt(message.target, message.last_good))
        elif isinstance(message, Saw):
            self._recorder.saw(message)
            self.watcher.asked_by_users(message.targets)
        elif isinstance(message, Counters):
            self._counted(worker, message)

    def _counted(self, worker: int, counters: Counters) -> None:
        self._recorder.counted(worker, counters)
        self.board.counted(worker, counters)
        tally = self._crew.tally(worker)
        since = tally.counted_at
        for alias in tally.count(counters.good, self._last_bad, monotonic()):
            self._handle(Signal(Source.LIVE, alias, good=True, last_good=since))

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
        self.board.probed(result)
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
        self.steer(Steer(Wish.PRIMARY, "a person (SIGUSR1)"))

    def steer(self, wish: Steer) -> None:
        """A person wants something. The workers hold it before anybody is told, whatever becomes of us."""
        if self.switch is None:
            self._asked_early = wish
        self._handle(wish)
        if not wish.drill:  # of drills the record tells by itself
            self._recorder.happened(wish)
            self._loop.call_soon(lines.asked, wish)

    def drill_changed(self, sort: str) -> None:
        """A drill of this sort has begun, or none runs any more."""
        self._drill = sort
        self._tell()

    def _name_changed(self, news: News) -> None:
        self._tell()
        self._recorder.named(news)
        lines.name_changed(news)

    # -- the core decides

    def _handle(self, event: Event) -> None:
        if self.switch is None:
            return
        effects = self.switch.handle(event, monotonic())
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
        wake = self.switch.wake_at() if self.switch is not None else None
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
                self.watcher.verdict_changed(effect)
                self._recorder.happened(effect)
                if effect.new in (Verdict.SUSPECT, Verdict.BACKUP):
                    self._resolver.refresh(self._targets[PRIMARY])
                if effect.new is Verdict.BACKUP and effect.error is ErrorType.TLS_CERTIFICATE_ERROR:
                    self._start(self._describe(self._targets[PRIMARY], effect.detail))
                lines.verdict_changed(effect, tuple(alias for alias in self.backups if self.usable(alias)))
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
            case Steered():
                self._recorder.happened(effect)
                lines.steered(effect)
            case Withheld(reason):
                self._recorder.happened(effect)
                lines.withheld(reason)
            case RoutingChanged():
                pass  # was done first

    async def _describe(self, target: Target, words: str) -> None:
        """Look at the certificate that was not accepted, for the report alone."""
        seen = await describe(self._loop, self._resolver.addresses(target), target.host, _DESCRIBED_WITHIN, words)
        self._recorder.described(seen)

    # -- what is asked

    def usable(self, alias: str) -> bool:
        return self.switch is None or self.switch.usable(alias)

    def target(self, alias: str) -> Target:
        return self._targets[alias]

    def first(self) -> str:
        """The target that most new requests go to first."""
        return ladder(self.routing, safe=True, chosen=True)[0] if self.routing is not None else PRIMARY

    async def look(self, alias: str, path: str) -> Look | None:
        return await self._prober.look(self._targets[alias], path, self._rules.check_timeout)

    def _tell(self) -> None:
        """Tell every worker how to route from now on."""
        if self.switch is None:
            return
        switch = self.switch
        self.routing = Routing(
            verdict=switch.verdict,
            since_unix=self._since_unix,
            fail_count=switch.fail_count,
            recover_count=switch.recover_count,
            targets=tuple(self._state_of(alias, switch) for alias in self._targets),
            share=switch.share,
            memory=memory.encode(switch.snapshot(monotonic())),
            drill=self._drill,
        )
        self._crew.tell(self.routing)
        self._recorder.remember(memory.Lasting(self.routing.memory, self._since_unix, self._urls))
        self.watcher.changed()

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
