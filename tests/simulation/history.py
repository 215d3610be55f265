"""What happens in a history: made of one seed, before anything runs, as a list that a person can read aloud."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

from simulation.target import BAD_WEATHER
from simulation.visitor import Plan

PRIMARY = "primary"
# What an operator would not call an outage of a backup, and what the contract passes on as it is.
_NO_OUTAGE = frozenset({"one page broken"})


@dataclass(slots=True)
class History:
    """One history. `events` are (time, what, arguments); `calm_backups` says that no backup ever fails in it."""

    seed: int
    settings: dict
    workers: int
    lasts: float
    jumps: bool
    calm_backups: bool
    events: list = field(default_factory=list)
    plans: list = field(default_factory=list)

    def __str__(self):
        settings = ", ".join(f"{key} {value}" for key, value in self.settings.items())
        return f"{self.workers} workers, {self.lasts:.0f} s, {settings}"


def make(seed):
    """The history of a seed."""
    chance = random.Random(seed)
    settings = {
        "check_interval": chance.choice((0.5, 1.0, 2.0, 10.0)),
        "check_timeout": chance.choice((1.0, 2.0)),
        "fail_threshold": chance.choice((1, 2, 3, 3, 3)),
        "recover_threshold": chance.choice((1, 2, 2)),
        "connect_timeout": chance.choice((0.3, 1.0)),
        "first_byte_timeout": chance.choice((1.5, 3.0, 6.0, 15.0)),
        "hold_writes": chance.choice((2.0, 4.0, 10.0)),
        "backups": chance.choice((1, 1, 2)),
        "backup_kind": chance.choice(("replica", "replica", "static")),
    }
    lasts = chance.choice((chance.uniform(6, 15), chance.uniform(6, 15), chance.uniform(15, 45)))
    if chance.random() < 0.01:
        lasts = chance.uniform(100, 400)
    sort = chance.choices(("outage", "flapping", "everybody", "network", "calm"), (5, 3, 4, 1, 1))[0]
    history = History(
        seed=seed,
        settings=settings,
        workers=chance.choice((1, 1, 2, 3)),
        lasts=lasts,
        jumps=chance.random() < 0.3,
        calm_backups=sort in ("outage", "flapping", "calm"),
    )
    _weather(history, sort, chance)
    _deaths(history, sort, chance)
    _visitors(history, chance)
    history.events.sort(key=lambda event: event[0])
    return history


def _weather(history, sort, chance):
    if sort == "calm":
        return
    if sort == "flapping":
        _seasons(history, PRIMARY, chance, good=(0.3, 3.0), bad=(0.3, 3.0))
        return
    _seasons(history, PRIMARY, chance, good=(1.0, 8.0), bad=(0.5, 12.0))
    if sort == "everybody":
        for n in range(history.settings["backups"]):
            _seasons(history, backup(n), chance, good=(1.0, 10.0), bad=(0.5, 10.0))
    if sort == "network":
        at = chance.uniform(0.5, history.lasts * 0.7)
        history.events.append((at, "our own network is cut", ()))
        history.events.append((at + chance.uniform(0.2, 8.0), "our own network is back", ()))


def backup(n):
    return "backup" if n == 0 else f"backup-{n + 1}"


def _seasons(history, alias, chance, *, good, bad):
    """Good and bad weather by turns; seldom is bad weather followed by another sort of it."""
    at = chance.uniform(0.5, good[1])
    allowed = [weather for weather in BAD_WEATHER if alias == PRIMARY or weather not in _NO_OUTAGE]
    while at < history.lasts - 1.0:
        history.events.append((at, "turn", (alias, chance.choice(allowed))))
        at += chance.uniform(*bad)
        if chance.random() < 0.15:
            continue
        history.events.append((at, "turn", (alias, "good")))
        at += chance.uniform(*good)
    history.events.append((history.lasts, "turn", (alias, "good")))


def _deaths(history, sort, chance):
    if sort != "calm" and chance.random() < 0.3:
        at = chance.uniform(0.5, history.lasts)
        history.events.append((at, "the controller dies", ()))
        history.events.append((at + chance.choice((0.02, 0.3, 2.0)), "a controller is born", ()))
    if chance.random() < 0.15:
        slot = chance.randrange(history.workers)
        at = chance.uniform(0.5, history.lasts)
        if chance.random() < 0.5:
            history.events.append((at, "a worker dies", (slot,)))
            history.events.append((at + chance.choice((0.02, 0.3)), "a worker is born", (slot,)))
        else:
            history.events.append((at, "a worker is born", (slot,)))
            history.events.append((at + 0.05, "the older worker drains", (slot,)))
    if history.jumps:
        for _ in range(chance.randrange(1, 4)):
            jump = chance.choice((-86_400.0, -3.0, 3.0, 3600.0))
            history.events.append((chance.uniform(0.0, history.lasts), "the wall clock jumps", (jump,)))


def _visitors(history, chance):
    for n in range(chance.randrange(2, 9)):
        plan = Plan(f"10.1.{chance.randrange(256)}.{n + 1}", chance.uniform(0.2, history.lasts * 0.8))
        plan.pipelines = chance.random() < 0.1
        most = chance.choice((0.05, 0.5, 4.0))
        for _ in range(chance.choice((1, 2, 4, 8))):
            plan.requests.append(_request(plan, most, chance))
        history.plans.append(plan)
    if chance.random() < 0.15:
        at = chance.uniform(0.5, history.lasts)  # many at once
        for n in range(chance.randrange(5, 25)):
            plan = Plan(f"10.2.0.{n + 1}", at + chance.uniform(0.0, 0.05))
            plan.requests.append(_request(plan, 0.01, chance))
            history.plans.append(plan)


def _request(plan, most, chance):
    method = chance.choices(("GET", "HEAD", "POST", "PUT", "DELETE", "PATCH"), (10, 1, 4, 2, 1, 1))[0]
    safe = method in ("GET", "HEAD")
    size = 0 if safe or method == "DELETE" else chance.choice((0, 3, 500, 5000))
    if size and chance.random() < 0.04:
        size = chance.choice((90_000, 400_000))  # more than is kept in memory
    pieces = not plan.pipelines and chance.random() < 0.15
    leaves = chance.choice((0.0, 0.01, 0.05, chance.uniform(0.0, 1.0))) if chance.random() < 0.07 else None
    return (chance.uniform(0.0, most), method, not safe and chance.random() < 0.3, size, pieces, leaves)
