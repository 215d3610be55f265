"""Plays tests/scenarios/*.txt: the switch among simulated targets and a simulated clock. No time passes.

given fail=3 recover=2                            thresholds, intervals, backups=N, static=ALIAS
at 3 primary is refused                           weather: good, good in 1.2 s, refused, hung, nameless, or a status
at 3 a request to primary fails refused           a live signal; may end in `after a good one at 2.9`
at 3 a request to primary is answered             a good live signal
at 3 4 requests to primary wait for too long      doubts; may end in `after a good one at 2.9`
at 3 a person wants the primary back
at 3 the controller dies, reborn at 4             snapshot, restore; probes in flight are lost
by 9 -> SUSPECT at 3.2, BACKUP at 3.24            every change of a verdict, a share or a backup since the line before
because primary refused connections               how the reason of the last change begins
between 3 and 9 primary is probed at 3.2, 3.45    every probe in that time; may end in `within 0.5 s`
the way back is closed for 15 s                   the hold-down told with the last change
safe requests try backup, primary                 the ladder; also: writes try nobody; chosen visitors' writes try …
"""

import heapq
import itertools
import re
from pathlib import Path

import pytest

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
from failover.core.helm import Steer, Steered, Wish
from failover.core.model import PRIMARY, ErrorType, Kind, Routing, TargetState
from failover.core.pace import Rules
from failover.core.routing import ladder
from failover.core.switch import Switch

SCENARIOS = Path(__file__).parents[2] / "scenarios"

ERRORS = {
    "refused": ErrorType.CONNECTION_REFUSED,
    "reset": ErrorType.CONNECTION_TERMINATED,
    "hung": ErrorType.HTTP_RESPONSE_TIMEOUT,
    "nameless": ErrorType.DNS_ERROR,
    "swallowed": ErrorType.CONNECTION_TIMEOUT,
    "429": ErrorType.HTTP_429,
}
RULES = {
    "fail": "fail_threshold",
    "recover": "recover_threshold",
    "interval": "check_interval",
    "timeout": "check_timeout",
    "backup_interval": "backup_check_interval",
}


Change = VerdictChanged | TargetChanged | ShareChanged | ReadyToGoBack | NetworkChanged


def error_of(word: str) -> tuple[ErrorType, str]:
    return (ErrorType.HTTP_5XX, word) if re.fullmatch(r"5\d\d", word) else (ERRORS[word], "")


class World:
    """The switch, its targets' weather, and everything that it has said so far."""

    def __init__(self, given: str) -> None:
        words = dict(pair.split("=") for pair in given.split())
        self.backups = tuple("backup" if n == 0 else f"backup-{n + 1}" for n in range(int(words.pop("backups", "1"))))
        self.static = words.pop("static", "").split(",")
        manual = words.pop("failback", "auto") == "manual"
        self.rules = Rules(
            **{RULES[key]: int(v) if key in ("fail", "recover") else float(v) for key, v in words.items()},
            failback_manual=manual,
        )
        self.weather = dict.fromkeys((PRIMARY, *self.backups), "good")
        self.switch = Switch(self.rules, self.backups, 0.0)
        self.now = 0.0
        self.answers: list[tuple[float, int, Signal]] = []
        self.order = itertools.count()
        self.changes: list[tuple[float, Change]] = []
        self.probes: list[tuple[float, Probe]] = []
        self.told = 0

    def handle(self, event: Event) -> None:
        for effect in self.switch.handle(event, self.now):
            self.act(effect)

    def act(self, effect: Effect) -> None:
        match effect:
            case Probe():
                self.probes.append((self.now, effect))
                after, signal = self.answer(effect)
                heapq.heappush(self.answers, (self.now + after, next(self.order), signal))
            case RoutingChanged():
                pass
            case _:
                self.changes.append((self.now, effect))

    def answer(self, probe: Probe) -> tuple[float, Signal]:
        weather = self.weather[probe.target]
        if found := re.fullmatch(r"good(?: in ([\d.]+) s)?", weather):
            latency = float(found[1] or 0.02)
            if latency < probe.timeout:
                return latency, Signal(Source.PROBE, probe.target, good=True, latency=latency)
            weather = "hung"
        error, detail = error_of(weather)
        after = probe.timeout if weather in ("hung", "swallowed") else 0.001
        return after, Signal(Source.PROBE, probe.target, good=False, error=error, detail=detail, began=self.now)

    def run(self, until: float) -> None:
        while until > self.now:
            wake = self.switch.wake_at()
            answer = self.answers[0][0] if self.answers else float("inf")
            then = min(answer, wake if wake is not None else float("inf"))
            if then > until:
                self.now = until
                break
            self.now = max(self.now, then)
            self.handle(heapq.heappop(self.answers)[2] if answer <= then else Tick())

    def die(self, reborn: float) -> None:
        memory = self.switch.snapshot(self.now)
        self.answers.clear()
        self.now = reborn
        self.switch = Switch.restore(self.rules, self.backups, memory, reborn)

    def unread(self) -> str:
        unread, self.told = self.changes[self.told :], len(self.changes)
        return ", ".join(f"{name_of(change)} at {short(at)}" for at, change in unread) or "nothing"

    def ladder(self, *, safe: bool, chosen: bool) -> str:
        states = [
            TargetState(alias, self.switch.usable(alias), (), Kind.STATIC if alias in self.static else Kind.REPLICA)
            for alias in (PRIMARY, *self.backups)
        ]
        routing = Routing(self.switch.verdict, 0.0, 0, 0, tuple(states), self.switch.share)
        return ", ".join(ladder(routing, safe=safe, chosen=chosen)) or "nobody"


def name_of(change: Change) -> str:
    match change:
        case VerdictChanged():
            return change.new.name
        case ShareChanged():
            return f"{change.share} %"
        case ReadyToGoBack():
            return "waits for a person"
        case NetworkChanged():
            return "network cut" if change.cut else "network back"
        case Steered():
            return f"{change.wish.wish} is over"
        case Withheld():
            return "would switch"
    return f"{change.target} {'up' if change.usable else 'down'}"


def short(time: float) -> str:
    """To 10 ms: an answer takes 1 ms here, which nobody wants to read."""
    return f"{time:.2f}".rstrip("0").rstrip(".")


def play_line(world: World, line: str) -> None:
    if found := re.fullmatch(r"by ([\d.]+)\s+-> (.+)", line):
        world.run(float(found[1]))
        assert world.unread() == found[2]
        return
    if found := re.fullmatch(r"at ([\d.]+) (.+)", line):
        world.run(float(found[1]))
        happen(world, found[2])
    elif found := re.fullmatch(r"because (.+)", line):
        assert world.changes[-1][1].reason.startswith(found[1]), world.changes[-1][1].reason
    elif found := re.fullmatch(
        r"between ([\d.]+) and ([\d.]+) (\S+) is probed at ([\d., ]+?)(?: within ([\d.]+) s)?", line
    ):
        seen = [(at, p) for at, p in world.probes if p.target == found[3] and float(found[1]) <= at <= float(found[2])]
        assert ", ".join(short(at) for at, _ in seen) == found[4]
        assert not found[5] or {short(probe.timeout) for _, probe in seen} == {found[5]}
    elif found := re.fullmatch(r"the way back is closed for ([\d.]+) s", line):
        assert short(world.changes[-1][1].hold_down) == found[1]
    elif found := re.fullmatch(r"(chosen visitors' )?(safe requests|writes) try (.+)", line):
        assert world.ladder(safe=found[2] != "writes", chosen=bool(found[1])) == found[3]
    else:
        raise ValueError(f"nobody understands: {line}")


def happen(world: World, what: str) -> None:
    if found := re.fullmatch(r"a request to (\S+) fails (\S+)(?: after a good one at ([\d.]+))?", what):
        error, detail = error_of(found[2])
        last_good = float(found[3] or -1)
        world.handle(Signal(Source.LIVE, found[1], good=False, error=error, detail=detail, last_good=last_good))
    elif found := re.fullmatch(r"a request to (\S+) is answered", what):
        world.handle(Signal(Source.LIVE, found[1], good=True, last_good=world.now))
    elif found := re.fullmatch(r"(\d+) requests to (\S+) wait for too long(?: after a good one at ([\d.]+))?", what):
        for _ in range(int(found[1])):
            world.handle(Doubt(found[2], float(found[3] or -1)))
    elif what == "a person wants the primary back":
        world.handle(Steer(Wish.PRIMARY))
    elif found := re.fullmatch(r"(a person|a drill) wants (\w+)(?: of (\d+) %)?(?: for ([\d.]+) s)?", what):
        until = world.now + float(found[4]) if found[4] else None
        share = int(found[3] or 0)
        world.handle(Steer(Wish(found[2]), "somebody", until, share=share, drill=found[1] == "a drill"))
    elif found := re.fullmatch(r"the controller dies, reborn at ([\d.]+)", what):
        world.die(float(found[1]))
    elif found := re.fullmatch(r"(\S+) is (.+)", what):
        assert found[1] in world.weather
        world.weather[found[1]] = found[2]
    else:
        raise ValueError(f"nobody understands: {what}")


@pytest.mark.parametrize("scenario", sorted(SCENARIOS.glob("*.txt")), ids=lambda path: path.stem)
def test_scenario(scenario: Path) -> None:
    world: World | None = None
    for number, raw in enumerate(scenario.read_text().splitlines(), 1):
        line = " ".join(raw.split("#")[0].split())
        if not line:
            continue
        if line.startswith("given"):
            world = World(line.removeprefix("given"))
            continue
        try:
            play_line(world, line)
        except (AssertionError, ValueError) as error:
            error.add_note(f"{scenario.name}:{number}: {line}")
            raise


def test_there_are_scenarios() -> None:
    assert len(list(SCENARIOS.glob("*.txt"))) >= 12
