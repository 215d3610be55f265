"""Keeps the story of what happens: facts of the loop into the core's incident, the incident into store and outbox.

The law: the loop tells and goes on. Nothing here is awaited by it, and what goes wrong here is a line in the log and
never a switch that does not happen.
"""

from __future__ import annotations

import asyncio
import functools
import time
from datetime import UTC, datetime, timedelta
from time import monotonic
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec

import msgspec

from failover import __version__
from failover.controller import boot, lines, memory
from failover.controller.facts import probe_fact
from failover.controller.ledger import Ledger
from failover.controller.readable import readable
from failover.core.document import Place, Recurrence, RequestFact
from failover.core.events import Tick
from failover.core.facts import Described, Met, Named, Probed, Seen, Usual
from failover.core.findings import NameFact
from failover.core.incident import Incidents, Stage, Want
from failover.core.model import PRIMARY, ErrorType, Verdict
from failover.core.story import Setting, document

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future

    from failover.channel import Counters, Saw
    from failover.controller.prober import Result
    from failover.controller.resolver import News
    from failover.core.document import Certificate, Document
    from failover.core.facts import Fact
    from failover.core.model import Kind
    from failover.core.record import Record
    from failover.incidents.base import Kept, Store, Totals
    from failover.notify.base import Courier
    from failover.settings.model import Settings

_BUDGET_S = 30 * 86400.0
_MOST_CLIENTS = 200_000
_LEDGER_EVERY_S = 10.0
_PRUNE_EVERY_S = 3600.0
_LOOK_EVERY_S = 1.0
_ALIVE_EVERY_S = 5.0
_MOST_EARLY = 1000
_MEMORY = "controller"
_NOT_EVIDENCE = frozenset({ErrorType.PROXY_INTERNAL_ERROR, ErrorType.CONNECTION_LIMIT_REACHED})

P = ParamSpec("P")


def _never_raises(method: Callable[Concatenate[Recorder, P], None]) -> Callable[Concatenate[Recorder, P], None]:
    """A story that cannot be written must not stop who acts."""

    @functools.wraps(method)
    def guarded(self: Recorder, /, *args: P.args, **kwargs: P.kwargs) -> None:
        try:
            method(self, *args, **kwargs)
        except Exception as error:  # noqa: BLE001 - see above
            lines.recording_failed(error)

    return guarded


class Recorder:
    """One for each controller."""

    def __init__(self, settings: Settings, loop: asyncio.AbstractEventLoop, store: Store, courier: Courier) -> None:
        targets = (settings.primary, *settings.backup)
        self._settings = settings
        self._loop = loop
        self._store = store
        self._courier = courier
        self._incidents = Incidents(settings.primary.url, tuple(target.alias for target in settings.backup))
        self._places = {target.alias: Place(alias=target.alias, url=target.url, kind=target.kind) for target in targets}
        self._recurrence = Recurrence()
        self._totals: Totals | None = None
        self._known = ""
        self._clients: set[int] = set()
        self._ledger = Ledger()
        self._timer: asyncio.TimerHandle | None = None
        self._rounds: dict[str, asyncio.TimerHandle] = {}
        self._begun = False
        self._early: list[tuple[Fact, float, float]] = []
        self._memory: memory.Lasting | None = None
        self._alive = float("-inf")

    # -- life

    async def remembered(self) -> tuple[memory.Lasting, float] | None:
        """What was remembered last, and how many seconds ago, or None. The caller limits the wait."""
        try:
            found = await asyncio.wrap_future(self._store.recall(_MEMORY))
        except Exception as error:  # noqa: BLE001 - the proxy serves without its past as well
            lines.recording_failed(error)
            return None
        kept = None if found is None else memory.decode_lasting(found[0], _wall() - found[1])
        if kept is not None:
            self._alive = monotonic() - max(kept[1], 0.0)
        return kept

    def remember(self, lasting: memory.Lasting) -> None:
        """Keep what a proxy that is started after our death must know. Repeated, it says how long we have lived."""
        self._memory = lasting
        self._keep_memory()

    def _keep_memory(self) -> None:
        if self._memory is not None and self._begun:
            self._when_done(self._store.remember(_MEMORY, memory.encode_lasting(self._memory)), lambda _: None)

    async def begin(self, verdict: Verdict, *, reborn: bool) -> None:
        """Go on with the incident that a predecessor left, if there is one. Takes as long as the store does."""
        try:
            kept = await asyncio.wrap_future(self._store.newest())
            if kept is not None:
                self._resume(kept, verdict, reborn=reborn)
        except Exception as error:  # noqa: BLE001 - the proxy serves without its past as well
            lines.recording_failed(error)
        self._begun = True
        early, self._early = self._early, []
        for fact, now, wall in early:
            self._hear(fact, now, wall)
        self._keep_memory()
        self._every("memory", _ALIVE_EVERY_S, self._keep_memory)
        self._every("ledger", _LEDGER_EVERY_S, self._keep_ledger)
        self._every("prune", _PRUNE_EVERY_S, self._prune)
        self._every("look", _LOOK_EVERY_S, self._look)

    def _resume(self, kept: Kept, verdict: Verdict, *, reborn: bool) -> None:
        record = memory.decode_record(kept.state)
        if record is None:
            return
        wall = boot.wall_of(record, _wall())
        told = kept.document
        if told.primary.url != self._settings.primary.url:
            if not told.resolved:
                self._end_of_another(record, told, wall)
            return
        record.seen = max(record.seen, wall - (monotonic() - self._alive) - record.began_unix)
        want = self._incidents.resume(record, monotonic(), wall, reborn=reborn, verdict=verdict)
        self._known = record.id
        self._recurrence = told.recurrence
        self._ask_totals()
        self._do(want)

    def _end_of_another(self, record: Record, told: Document, wall: float) -> None:
        """The incident of a primary that is not ours any more: nobody will ever see it recover."""
        record.resolved, record.recovered = True, max(wall - record.began_unix, record.seen)
        setting = Setting(primary=told.primary, backups=told.backups, version=__version__, slo=self._settings.slo)
        self._keep(document(record, record.recovered, setting), record, tell=True)

    @_never_raises
    def stop(self) -> None:
        """The last of everything goes to the store; the courier and the store are closed by who made them."""
        for timer in (self._timer, *self._rounds.values()):
            if timer is not None:
                timer.cancel()
        self._rounds = {}
        self._keep_memory()
        self._keep_ledger()
        self._do(Want.KEEP if self._incidents.stage in (Stage.OPEN, Stage.CLOSING) else Want.NOTHING)

    # -- facts

    def happened(self, fact: Fact) -> None:
        """Something that needs no translation: an effect of the switch, or a person's word."""
        self._take(fact)

    @_never_raises
    def probed(self, result: Result) -> None:
        signal = result.signal
        if signal.error not in _NOT_EVIDENCE:
            self._take(Probed(probe_fact(result, _now()), signal.latency or 0.0))

    def failed(self, target: str, error: ErrorType, detail: str) -> None:
        """A live request met a failing target."""
        if target == PRIMARY and error not in _NOT_EVIDENCE:
            self._take(Met(error, detail))

    @_never_raises
    def named(self, news: News) -> None:
        if PRIMARY not in news.aliases or not (news.fault is not None or news.before):
            return
        error, detail = ("", "") if news.fault is None else (news.fault.error.value, news.fault.detail)
        name = NameFact(
            after=0.0, host=news.host, before=news.before, addresses=news.addresses, error=error, detail=detail
        )
        self._take(Named(name))

    def described(self, certificate: Certificate | None) -> None:
        if certificate is not None:
            self._take(Described(certificate))

    @_never_raises
    def saw(self, saw: Saw) -> None:
        before = len(self._clients)
        if before < _MOST_CLIENTS:
            self._clients.update(saw.clients)
        now, wall = monotonic(), _now()
        samples = tuple(
            RequestFact(
                at=wall - timedelta(seconds=now - one.began),
                method=one.method,
                path=one.path,
                error=one.error,
                detail=one.detail,
                answered_by=one.answered_by,
                status=one.status,
                took=round(one.took, 3),
            )
            for one in saw.samples
        )
        self._take(
            Seen(
                rows=tuple(saw.rows),
                held=saw.held,
                delivered=saw.delivered,
                clients=len(self._clients) - before,
                samples=samples,
                body=readable(saw.body, "") if saw.body else "",
                backup_ok=saw.backup_ok,
            )
        )
        if not self._incidents.active:
            self._clients.clear()

    @_never_raises
    def counted(self, worker: int, counters: Counters) -> None:
        """A worker's counters; `worker` tells it from its predecessor."""
        new = self._ledger.count(worker, counters, drilling=self.drilling)
        if new and not self._incidents.active:
            self._take(Usual(new))

    @property
    def open_incident(self) -> str:
        """The id of the incident that is open, or empty. A drill is none."""
        return self._incidents.opened

    @property
    def drilling(self) -> bool:
        record = self._incidents.record
        return record is not None and record.exercise is not None and self._incidents.active

    def worker_left(self, worker: int) -> None:
        self._ledger.left(worker)

    def kind(self, alias: str, kind: Kind) -> None:
        """A backup turned out to be of another kind."""
        self._places[alias] = Place(alias=alias, url=self._places[alias].url, kind=kind)

    # -- the incident

    def _take(self, fact: Fact) -> None:
        """While the past is still being read, what happens waits for it."""
        if self._begun:
            self._hear(fact, monotonic(), _wall())
        elif len(self._early) < _MOST_EARLY:
            self._early.append((fact, monotonic(), _wall()))

    @_never_raises
    def _hear(self, fact: Fact, now: float, wall: float) -> None:
        self._do(self._incidents.handle(fact, now, wall))
        if self._timer is not None:
            self._timer.cancel()
        wake = self._incidents.wake_at()
        self._timer = None if wake is None else self._loop.call_later(max(wake - monotonic(), 0.0) + 0.001, self._wake)

    def _wake(self) -> None:
        self._take(Tick())

    def _do(self, want: Want) -> None:
        record = self._incidents.kept
        if want is Want.NOTHING or record is None:
            return
        told = self._document(record)
        if record.id != self._known:
            self._known = record.id
            self._recurrence, self._totals = Recurrence(), None
            self._ask_totals()
        if want is Want.KEEP:
            self._keep(told, record, tell=False)
        else:
            # How often that was before is a matter of the cause, of which most is known now. It is kept and told in
            # one: kept alone, an end would never be told if we died in between.
            asked = self._store.recurrence(told)
            self._when_done(asked, self._set_recurrence, finally_=lambda: self._tell(record))

    @_never_raises
    def _tell(self, record: Record) -> None:
        told = self._document(record)
        self._keep(told, record, tell=True)
        lines.incident(told)

    def _document(self, record: Record) -> Document:
        age = self._incidents.after(monotonic())
        boot.mark(record, age)
        return document(record, age, self._setting())

    def _keep(self, told: Document, record: Record, *, tell: bool) -> None:
        state = msgspec.msgpack.encode(record)
        kept = self._store.save(told, state, self._courier.channels if tell else ())
        self._when_done(kept, lambda _: self._courier.poke() if tell else None)

    def _setting(self) -> Setting:
        primary, *backups = self._places.values()
        totals = self._totals
        return Setting(
            primary=primary,
            backups=tuple(backups),
            version=__version__,
            slo=self._settings.slo,
            link=self._settings.public_url or "",
            recurrence=self._recurrence,
            since=datetime.fromtimestamp(totals.since, UTC) if totals is not None and totals.since else None,
            requests=(totals.requests if totals is not None else 0) + self._ledger.requests,
            failed=(totals.failed if totals is not None else 0) + self._ledger.failed,
        )

    def _ask_totals(self) -> None:
        self._when_done(self._store.totals(_wall() - _BUDGET_S), self._set_totals)

    def _set_recurrence(self, recurrence: Recurrence) -> None:
        self._recurrence = recurrence

    def _set_totals(self, totals: Totals) -> None:
        self._totals = totals

    # -- rounds

    def _every(self, name: str, seconds: float, work: Callable[[], None]) -> None:
        def again() -> None:
            self._rounds[name] = self._loop.call_later(seconds, again)
            work()

        self._rounds[name] = self._loop.call_later(seconds, again)

    def _keep_ledger(self) -> None:
        if any(counts := self._ledger.take()):
            self._when_done(self._store.add_to_ledger(_wall(), *counts), lambda _: None)
            if self._incidents.active:
                self._ask_totals()

    def _prune(self) -> None:
        self._when_done(self._store.prune(_wall() - self._settings.keep_incidents), lambda _: None)

    def _look(self) -> None:
        """Notes and wishes of `failover incidents` come through the store itself."""
        self._when_done(self._store.changed_by_others(), lambda changed: self._courier.poke() if changed else None)

    def _when_done(
        self, future: Future[Any], then: Callable[[Any], None], finally_: Callable[[], None] = lambda: None
    ) -> None:
        """Call `then` with the result, and in any case `finally_`, on the loop."""

        def done(future: Future[Any]) -> None:
            if not future.cancelled() and not self._loop.is_closed():
                self._loop.call_soon_threadsafe(on_loop, future)

        def on_loop(future: Future[Any]) -> None:
            if (error := future.exception()) is not None:
                lines.recording_failed(error)
            else:
                then(future.result())
            finally_()

        future.add_done_callback(done)


class Quiet:
    """Keeps nothing: for who wants a controller alone."""

    async def remembered(self) -> None:
        return None

    async def begin(self, *_: Any, **__: Any) -> None:
        pass

    def _nothing(self, *_: Any, **__: Any) -> None:
        pass

    remember = stop = happened = probed = failed = named = described = saw = counted = worker_left = kind = _nothing


def _wall() -> float:
    return time.time()  # noqa: TID251 - incidents are told in the time of people


def _now() -> datetime:
    return datetime.fromtimestamp(_wall(), UTC)
