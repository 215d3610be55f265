"""What is measured, a row of the table each: what it wants of the stage, and how it measures one turn of a proxy."""

from __future__ import annotations

import os
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import ClassVar

import clients
import memory
import origins
import uvloop
from stage import USUAL, Meter, Proxy, Setup, Stage, Turn, family
from wrk import wrk

Measure = Callable[[Stage, Proxy, float], Turn]
Client = Callable[[int, int, Meter, float], Coroutine[None, None, tuple[int, str]]]
Alone = Callable[[Stage, str, float], Turn]


@dataclass(frozen=True, slots=True)
class Line:
    title: str
    unit: str = "µs"


@dataclass(frozen=True, slots=True)
class Row:
    """`lines` by the keys of a turn's values. Without a setup, `measure` gets a name and starts the proxy itself."""

    lines: dict[str, Line]
    measure: Measure | Alone
    setup: Setup | None = USUAL


def cost(title: str, measure: Measure, setup: Setup = USUAL, unit: str = "µs") -> Row:
    """A row of one line: processor time of all of a proxy's own processes, for each of what was done."""
    return Row({"cost": Line(title, unit)}, measure, setup)


# -- how a turn is measured


def requests(connections: int, path: str = origins.SMALL, headers: dict[str, str] = origins.REQUEST) -> Measure:
    """Per request, as fast as they are answered. Those still open at the end, one a connection, are not counted."""
    least = 1.0 if connections >= 1000 else 0.0  # s: so many take a while to connect

    def measure(stage: Stage, proxy: Proxy, seconds: float) -> Turn:
        with Meter(family(proxy.pid)) as meter:
            load = wrk(stage.folder, proxy.url, max(seconds, least), connections, path, headers)
        return meter.each(load.requests, wall=load.seconds, trouble=load.trouble)

    return measure


def downloads(connections: int, name: str, scale: float = 1e6) -> Measure:
    """Per file: by the bytes that arrived, so that those still under way at the end count in part."""

    def measure(stage: Stage, proxy: Proxy, seconds: float) -> Turn:
        with Meter(family(proxy.pid)) as meter:
            load = wrk(stage.folder, proxy.url, seconds, connections, f"/files/{name}", origins.REQUEST)
        return meter.each(load.read / origins.FILES[name], scale=scale, wall=load.seconds, trouble=load.trouble)

    return measure


def uploads(connections: int, size: int) -> Measure:
    """Per upload, all whole, in ms."""

    def measure(_stage: Stage, proxy: Proxy, seconds: float) -> Turn:
        with Meter(family(proxy.pid)) as meter:
            taken, trouble = clients.upload(proxy.port, size, connections, seconds)
        return meter.each(taken, scale=1e3, trouble=trouble)

    return measure


def messages(client: Client, connections: int) -> Measure:
    """Per WebSocket message that came back, or per event that arrived: what this client of ours counts."""

    def measure(_stage: Stage, proxy: Proxy, seconds: float) -> Turn:
        meter = Meter(family(proxy.pid))
        count, trouble = uvloop.run(client(proxy.port, connections, meter, seconds))
        return meter.each(count, trouble=trouble)

    return measure


class Latency:
    """At half of what each proxy reached itself, and at half of what the slowest did. The first turns find that out."""

    PARTS: ClassVar = {"p50": 0.5, "p99": 0.99, "p99.9": 0.999}
    LINES: ClassVar = {f"own {part}": Line(f"latency at 50 % of its own most, {part}", "ms") for part in PARTS} | {
        f"same {part}": Line(f"latency at one rate for all, 50 % of the slowest's most, {part}", "ms") for part in PARTS
    }

    MOST_BEHIND = 0.05  # of what it sends may be late by itself
    MOST_BUSY = 0.75  # of its core: beyond that the load and the origin would measure themselves

    def __init__(self) -> None:
        self._most: dict[int, float] = {}

    def __call__(self, stage: Stage, proxy: Proxy, seconds: float) -> Turn:
        if proxy.pid not in self._most:
            self._most[proxy.pid] = wrk(stage.folder, proxy.url, max(seconds, 1.0), 64).per_second
            return Turn({})
        values, troubles, note = {}, [], ""
        for kind, most in (("own", self._most[proxy.pid]), ("same", min(self._most.values()))):
            load = Meter([os.getpid(), *(pid for origin in stage.origin_pids for pid in family(origin))])
            late, behind, trouble = uvloop.run(clients.open_loop(proxy.port, most / 2, seconds, load))
            if load.spent / load.wall > self.MOST_BUSY or behind > self.MOST_BEHIND:
                note = f"the load had no time to spare at {most / 2:.0f} requests a second"
                continue
            late.sort()
            values |= {f"{kind} {name}": late[int(len(late) * part)] * 1e3 for name, part in self.PARTS.items()}
            troubles += [f"at {most / 2:.0f}/s {trouble}"] * bool(trouble)
        return Turn(values, {"per_second": self._most[proxy.pid] / 2}, note, "; ".join(troubles))


def workers(stage: Stage, name: str, seconds: float) -> Turn:
    """Requests per second with one and with two; nobody is pinned, load and origin share the cores with the proxy."""
    reached, costs = [], []
    for count in (1, 2):
        with stage.proxy(name, Setup(workers=count, pinned=False)) as proxy:
            wrk(stage.folder, proxy.url, seconds / 3, 64)
            with Meter(family(proxy.pid)) as meter:
                load = wrk(stage.folder, proxy.url, seconds, 64)
            reached.append(load.per_second)
            costs.append(meter.spent / load.requests)
    ratios = {"ratio": reached[1] / reached[0], "cost": costs[1] / costs[0]}
    return Turn({"one": reached[0], "two": reached[1]} | ratios)


# -- the table

_CLOSING = origins.REQUEST | {"Connection": "close"}
_APP = Setup(origin="app")

ROWS: dict[str, Row] = {
    "small": cost("small request, 64 connections", requests(64)),
    "varied": cost("small request, every head another one", requests(64, origins.VARIED)),
    "c1": cost("small request, 1 connection", requests(1)),
    "c1000": cost("small request, 1,000 connections", requests(1000)),
    "new": cost("small request on a new connection", requests(64, headers=_CLOSING)),
    "10k": cost("10 KB response, 64 connections", downloads(64, "10k")),
    "1m": cost("1 MB response, 16 connections", downloads(16, "1000k")),
    "100m": cost("100 MB response, 2 connections", downloads(2, "100m", 1e3), unit="ms"),
    "latency": Row(Latency.LINES, Latency()),
    "tls": cost("small request, TLS from the client", requests(64), Setup(client_tls=True)),
    "tls-origin": cost("small request, TLS to the origin", requests(64), Setup(origin="files over tls")),
    "100m-up": cost("100 MB request, 2 connections", uploads(2, 100_000_000), _APP, "ms"),
    "websocket": cost("WebSocket message there and back, 64 connections", messages(clients.echo, 64), _APP),
    "events": cost("event, on 1,000 streams", messages(clients.listen, 1000), _APP),
    "workers": Row(
        {
            "one": Line("most requests a second, 1 worker, sharing two cores with load and origin", "/s"),
            "two": Line("most requests a second, 2 workers, sharing two cores with load and origin", "/s"),
            "ratio": Line("the same, 2 workers over 1", "x"),
            "cost": Line("processor time of a request there, 2 workers over 1", "x"),
        },
        workers,
        None,
    ),
    "memory": Row(
        {
            "idle": Line("memory, idle", "MB"),
            "connection": Line("memory, each of 1,000 idle connections", "KB"),
            "stream": Line("memory, each of 1,000 event streams", "KB"),
            "supervisor": Line("memory of the supervisor, idle", "MB"),
            "controller": Line("memory of the controller, idle", "MB"),
            "worker": Line("memory of one worker, idle", "MB"),
        },
        memory.measure,
        None,
    ),
}
