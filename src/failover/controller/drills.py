"""Drills at work: begun, looked after once a second, and ended, with a record of what they showed.

Shadow drills ask here what users asked of the primary: both sides anew, without anybody's cookies, and compare. So a
static backup sees no secret, and the data plane does nothing but name the paths.
"""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING

from failover.controller import lines
from failover.core.alike import differences
from failover.core.drill import Counted, Drill, Plan, Sort
from failover.core.facts import DrillBegan, DrillEnded
from failover.core.helm import Steer, Wish
from failover.core.model import PRIMARY
from failover.core.paths import folded

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Iterable

    from failover.controller.loop import Controller
    from failover.controller.recorder import Recorder

_A_SECOND = 5  # questions that each side is asked in a second, at most
_MOST_PATHS = 500
_MOST_FINDINGS = 20


class Drills:
    """At most one at a time: `running`. `over` is called when it has ended."""

    def __init__(
        self,
        controller: Controller,
        recorder: Recorder,
        loop: asyncio.AbstractEventLoop,
        over: Callable[[], None],
    ) -> None:
        self._controller = controller
        self._recorder = recorder
        self._loop = loop
        self._over = over
        self.running: Drill | None = None
        self._asked: set[str] = set()
        self._questions: list[str] = []
        self._asking: set[asyncio.Task[None]] = set()

    def begin(self, plan: Plan) -> None:
        now = monotonic()
        self.running = drill = Drill(plan, now, self.counted())
        self._asked, self._questions = set(), []
        self._recorder.happened(DrillBegan(plan))
        lines.drill_began(plan)
        if plan.sort is Sort.SHADOW:
            self.asked_by_users(["/"])
        else:
            wish = Wish.BACKUP if plan.sort is Sort.FULL else Wish.SHARE
            # Should we forget it, it ends by itself all the same.
            self._controller.steer(Steer(wish, plan.who, drill.ends + 5.0, plan.percent, drill=True))
        self._controller.drill_changed(plan.sort.value)

    def look(self) -> None:
        """Once a second: is it over, and what is to be asked next?"""
        drill = self.running
        if drill is None:
            return
        if not self._controller.usable(PRIMARY):  # in a full drill no verdict tells of it: the backup serves already
            self.overtaken(suspected=False)
            return
        backups = [alias for alias in self._controller.backups if self._controller.usable(alias)]
        end = drill.over(monotonic(), self.counted(), backup_usable=bool(backups))
        if end is not None:
            self.end(end.reason, passed=end.passed)
        elif drill.plan.sort is Sort.SHADOW and backups:
            questions, self._questions = self._questions[:_A_SECOND], self._questions[_A_SECOND:]
            for path in questions:
                task = self._loop.create_task(self._compare(drill, path, backups[0]))
                self._asking.add(task)
                task.add_done_callback(self._asking.discard)

    def asked_by_users(self, targets: Iterable[str]) -> None:
        """Safe requests that users have made, as they stood in their heads; each is asked once."""
        for target in targets:
            if len(self._asked) < _MOST_PATHS and target not in self._asked:
                self._asked.add(target)
                self._questions.append(target)

    def overtaken(self, *, suspected: bool) -> None:
        """The primary has failed in earnest, or is suspected to."""
        what = "is suspected, and that is no drill" if suspected else "failed, and that was no drill"
        self.end(f"the primary {what}", passed=False, earnest=True)

    def end(self, reason: str, *, passed: bool, earnest: bool = False) -> bool:
        """End the drill, if there is one. False when there was none."""
        drill, self.running = self.running, None
        if drill is None:
            return False
        most = sorted(drill.findings, key=lambda found: -drill.findings[found])[:_MOST_FINDINGS]
        ended = DrillEnded(
            passed=passed,
            reason=reason,
            compared=drill.compared,
            different=drill.different,
            findings=tuple(most),
            earnest=earnest,
        )
        self._recorder.happened(ended)
        if drill.plan.sort is not Sort.SHADOW:
            self._controller.steer(Steer(Wish.AUTO, drill.plan.who, drill=True))
        lines.drill_ended(drill.plan, ended)
        self._controller.drill_changed("")
        self._over()
        return True

    def close(self) -> None:
        for task in self._asking:
            task.cancel()

    def counted(self) -> Counted:
        board, backups = self._controller.board, self._controller.backups
        return Counted(
            failed=board.total("failures"),
            refused=board.total("values", "turned_away"),
            held=board.gauge("held"),
            backup_answers=sum(board.total("answers", alias) for alias in backups),
            backup_errors=sum(board.total("errors", alias) for alias in backups),
        )

    async def _compare(self, drill: Drill, target: str, backup: str) -> None:
        primary = await self._controller.look(PRIMARY, target)
        other = await self._controller.look(backup, target)
        if drill is not self.running or primary is None or not primary.is_good:
            return  # what the primary does not have itself, no backup needs
        found = differences(primary, other) if other is not None else ("the backup gave no answer",)
        drill.differs(folded(target), found)
