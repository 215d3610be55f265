"""Where people ask the controller for something: who serves, drills; and what is published of it all.

The pages live in another thread: what they ask comes onto the loop first, and what they show is published once a second
and at each change.
"""

from __future__ import annotations

import time
from concurrent.futures import Future
from contextlib import suppress
from time import monotonic
from typing import TYPE_CHECKING, Any

from failover import __version__
from failover.admin.base import DrillState, Event, Pinned, RefusedError, Sheet, State
from failover.controller.drills import Drills
from failover.core.drill import Plan, Scene, Sort, refusal
from failover.core.helm import Steer, Wish
from failover.core.model import PRIMARY, Verdict
from failover.core.words import lasting

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, MutableMapping, Sequence

    from failover.admin.base import Pages
    from failover.controller.loop import Controller
    from failover.controller.recorder import Recorder
    from failover.core.events import VerdictChanged
    from failover.launch import Launch

_TICK_S = 1.0
_SOON_S = 0.02
_LONGEST_WISH_S = 7 * 86400.0
_LONGEST_NAME = 80
_RESULTS = {"notification.sent": "sent", "notification.retry": "retry", "notification.failed": "failed"}


class Desk:
    """One for each controller, on its loop. `steer`, `drill` and `end_drill` may be called from any thread."""

    def __init__(
        self, launch: Launch, loop: asyncio.AbstractEventLoop, controller: Controller, recorder: Recorder
    ) -> None:
        self._launch = launch
        self._settings = launch.settings
        self._loop = loop
        self._controller = controller
        self._recorder = recorder
        self._pages: Pages | None = None
        self._drills = Drills(controller, recorder, loop, self._drill_is_over)
        self._timer: asyncio.TimerHandle | None = None
        self._soon: asyncio.TimerHandle | None = None
        self._events = 0
        self._reason = ""

    # -- life

    def open(self, pages: Pages) -> None:
        self._pages = pages
        self._controller.watcher = self
        self._tick()

    def close(self) -> None:
        for timer in (self._timer, self._soon):
            if timer is not None:
                timer.cancel()
        self._drills.close()

    def _tick(self) -> None:
        self._timer = self._loop.call_later(_TICK_S, self._tick)
        self._controller.board.tick()
        switch = self._controller.switch
        if switch is not None and switch.verdict in (Verdict.BACKUP, Verdict.RAMP):
            self._controller.board.counters["backup_seconds",] += 1
        self._drills.look()
        self._publish()

    # -- what the loop tells

    def changed(self) -> None:
        """Something that the pages show is different now."""
        if self._soon is None:
            self._soon = self._loop.call_later(_SOON_S, self._publish)

    def verdict_changed(self, change: VerdictChanged) -> None:
        """Told before it is written down: a drill that is overtaken by an outage ends first."""
        self._reason = change.reason
        if change.side_changed:
            to = "primary" if change.new is Verdict.PRIMARY else "backup"
            self._controller.board.counters["switches", to, _why(change)] += 1
        if change.error is not None:
            self._drills.overtaken(suspected=change.new is Verdict.SUSPECT)

    def asked_by_users(self, targets: Sequence[str]) -> None:
        self._drills.asked_by_users(targets)

    def heard(self, event: MutableMapping[str, Any]) -> None:
        """A line of the log, from any thread."""
        with suppress(RuntimeError):  # the last words of all come when the loop is closed
            self._loop.call_soon_threadsafe(self._hear, event, _wall())

    def _hear(self, event: MutableMapping[str, Any], at: float) -> None:
        facts = {key: value for key, value in event.items() if value is not None and key not in _NOT_FACTS}
        action = str(event.get("action", ""))
        counters = self._controller.board.counters
        if (result := _RESULTS.get(action)) is not None:
            counters["notifications", str(event.get("channel")), result] += 1
        elif action == "incident.resolved":
            counters["incidents", str(event.get("severity"))] += 1
        self._events += 1
        told = Event(
            # the ids of a successor are greater than those of its predecessor
            id=int(self._controller.board.started * 1000) + self._events,
            at=at,
            level=str(event.get("level", "info")),
            action=action,
            text=str(event.get("event", "")),
            reason=str(event.get("reason") or ""),
            facts=facts,
        )
        if self._pages is not None:
            self._pages.tell(told)
            self.changed()

    # -- what people ask

    def steer(self, wish: Wish, who: str, seconds: float | None) -> Future[str]:
        return self._ask(lambda: self._steer(wish, _name(who), seconds))

    def drill(self, plan: Plan) -> Future[str]:
        return self._ask(lambda: self._drill(Plan(plan.sort, plan.seconds, plan.percent, _name(plan.who))))

    def end_drill(self, who: str) -> Future[str]:
        return self._ask(lambda: self._end_drill(_name(who)))

    def _ask(self, what: Callable[[], str]) -> Future[str]:
        future: Future[str] = Future()

        def work() -> None:
            try:
                told = what()
                self._publish()  # whoever looks after the answer sees what he has done
                future.set_result(told)
            except Exception as error:  # noqa: BLE001 - whoever asks hears of it, and nobody else
                future.set_exception(error)

        self._loop.call_soon_threadsafe(work)
        return future

    def _steer(self, wish: Wish, who: str, seconds: float | None) -> str:
        controller = self._controller
        if controller.switch is None:
            raise RefusedError("the proxy has only just begun; ask again in a moment")
        if wish is Wish.SHARE:
            raise RefusedError("a share of the visitors is given to the backup by a drill alone")
        if seconds is not None and not 1 <= seconds <= _LONGEST_WISH_S:
            raise RefusedError(f"a wish lasts from {lasting(1)} to 7 days")
        if wish is Wish.BACKUP and not any(controller.usable(alias) for alias in controller.backups):
            raise RefusedError("no backup is usable: that would be an outage")
        self._drills.end(f"{who} wanted something else", passed=False)
        until = None if seconds is None or wish in (Wish.AUTO, Wish.PRIMARY) else monotonic() + seconds
        controller.steer(Steer(wish, who, until))
        return self._answer(wish, seconds if until is not None else None)

    def _answer(self, wish: Wish, seconds: float | None) -> str:
        switch = self._controller.switch
        verdict = switch.verdict if switch is not None else Verdict.PRIMARY
        length = (
            f" for {lasting(seconds)}" if seconds is not None else " until you say otherwise (failover switch auto)"
        )
        if wish is Wish.BACKUP:
            return f"the backup serves{length}"
        if wish is Wish.HOLD:
            side = "backup" if verdict in (Verdict.BACKUP, Verdict.RAMP) else "primary"
            return f"the {side} goes on serving, whatever happens,{length}"
        if wish is Wish.AUTO:
            return "the signals decide again"
        if verdict in (Verdict.PRIMARY, Verdict.SUSPECT):
            return "the primary serves"
        if verdict is Verdict.RAMP:
            return "the primary is on its way back, step by step"
        wanted = self._settings.recover_threshold
        return f"the primary serves again as soon as it has answered {wanted} probes in a row"

    def _drill(self, plan: Plan) -> str:
        controller = self._controller
        switch, board, now = controller.switch, controller.board, _wall()
        if switch is None:
            raise RefusedError("the proxy has only just begun; ask again in a moment")
        usable = [alias for alias in controller.backups if controller.usable(alias)]
        ages = [(alias, now - at if (at := board.last_ok(alias)) is not None else None) for alias in usable]
        scene = Scene(
            verdict=switch.verdict,
            incident=self._recorder.open_incident,
            pinned=switch.helm.pin.told if switch.helm.pin is not None else "",
            drilling=self._drills.running is not None,
            network_cut=switch.network_cut,
            primary_usable=controller.usable(PRIMARY),
            backups=ages,
        )
        if why := refusal(plan, scene):
            raise RefusedError(why)
        self._drills.begin(plan)
        return f"{plan.told} has begun; it ends by itself, or with failover drill --stop"

    def _end_drill(self, who: str) -> str:
        if not self._drills.end(f"{who} ended it", passed=False):
            raise RefusedError("no drill runs")
        return "the drill is over"

    def _drill_is_over(self) -> None:
        self.changed()

    # -- what is shown

    def _publish(self) -> None:
        self._soon = None
        state = self._state()
        if self._pages is not None and state is not None:
            self._pages.publish(Sheet(state, dict(self._controller.board.counters)))

    def _state(self) -> State | None:
        controller = self._controller
        switch, routing, board = controller.switch, controller.routing, controller.board
        if switch is None or routing is None:
            return None
        now, wall = monotonic(), _wall()
        serving = self._serving(switch.verdict)
        pin, drill = switch.helm.pin, self._drills.running
        return State(
            version=__version__,
            now=round(wall, 3),
            started=board.started,
            listening=list(self._launch.public),
            serving=serving,
            sentence=_sentence(
                serving, switch.share, drilling=drill is not None and drill.plan.sort is not Sort.SHADOW
            ),
            reason=self._reason,
            verdict=switch.verdict.value,
            share=switch.share,
            since=round(routing.since_unix, 3),
            failback=self._settings.failback,
            fail_count=switch.fail_count,
            fail_threshold=self._settings.fail_threshold,
            recover_count=switch.recover_count,
            recover_threshold=self._settings.recover_threshold,
            pinned=None
            if pin is None or pin.drill
            else Pinned(wish=pin.wish.value, who=pin.who, until=None if pin.until is None else wall + pin.until - now),
            network_cut=switch.network_cut,
            incident=self._recorder.open_incident,
            drill=None
            if drill is None
            else DrillState(
                sort=drill.plan.sort.value,
                percent=drill.plan.percent,
                who=drill.plan.who,
                began=wall + drill.began - now,
                ends=wall + drill.ends - now,
                compared=drill.compared,
                different=drill.different,
                hidden=drill.answered(self._drills.counted()),
            ),
            targets=[
                board.target(controller.target(state.alias), state, serving=state.alias == controller.first())
                for state in routing.targets
            ],
            live=board.live(),
            traffic=board.traffic(),
        )

    def _serving(self, verdict: Verdict) -> str:
        controller = self._controller
        if verdict is Verdict.BACKUP:
            return "backup" if any(map(controller.usable, controller.backups)) else "none"
        return "ramp" if verdict is Verdict.RAMP else "primary"


_NOT_FACTS = frozenset({"action", "event", "level", "reason", "room", "exception", "exc_info"})


def _why(change: VerdictChanged) -> str:
    if change.wanted is not None:
        return "person"
    return change.error.value if change.error is not None else "recovered"


def _sentence(serving: str, share: int, *, drilling: bool) -> str:
    told = {
        "primary": "The primary serves",
        "backup": "The backup serves",
        "ramp": f"The primary is tried with {share} % of the visitors",
        "none": "No target is usable",
    }[serving]
    return f"Drill: {told[:1].lower()}{told[1:]}" if drilling else told


def _name(who: str) -> str:
    """A name as it may stand in a timeline."""
    plain = " ".join("".join(one if one.isprintable() else " " for one in who).split())
    return plain[:_LONGEST_NAME] or "somebody"


def _wall() -> float:
    return time.time()  # noqa: TID251 - the pages are read in the time of people
