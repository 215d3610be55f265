"""What is measured, a row of the table each: what it wants of the stage, and how it measures one turn of a proxy."""

from __future__ import annotations

import re
import signal
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import origins
from stage import USUAL, BenchError, Proxy, Setup, Stage, family, processor_time


@dataclass(frozen=True, slots=True)
class Turn:
    """What one proxy did in one turn: a value for each line of its row, and what is worth knowing beside them."""

    values: Mapping[str, float]
    beside: Mapping[str, float] = field(default_factory=dict)
    trouble: str = ""


Measure = Callable[[Stage, Proxy, float], Turn]


@dataclass(frozen=True, slots=True)
class Row:
    """`lines` are what a turn measures: key, title, unit. Turns last `seconds`."""

    lines: tuple[tuple[str, str, str], ...]
    measure: Measure
    setup: Setup = USUAL


def cost(title: str, unit: str = "µs") -> tuple[tuple[str, str, str], ...]:
    return (("us", title, unit),)


# -- requests by wrk


def requests(connections: int, path: str = origins.SMALL, headers: Mapping[str, str] = origins.REQUEST) -> Measure:
    """Processor time per request. The requests still open at the end (at most one a connection) are not counted."""

    def measure(stage: Stage, proxy: Proxy, seconds: float) -> Turn:
        pids = family(proxy.pid)
        before = processor_time(*pids)
        load = wrk(stage, proxy, seconds, connections, path, headers)
        spent = processor_time(*pids) - before
        beside = {"per_second": load.per_second, "busy": spent / load.seconds}
        return Turn({"us": spent / load.requests * 1e6}, beside, load.trouble)

    return measure


@dataclass(frozen=True, slots=True)
class Load:
    requests: int
    read: int  # bytes
    seconds: float
    trouble: str

    @property
    def per_second(self) -> float:
        return self.requests / self.seconds


def wrk(stage: Stage, proxy: Proxy, seconds: float, connections: int, path: str, headers: Mapping[str, str]) -> Load:
    """Load that begins a request as soon as one is answered, on kept connections."""
    script = stage.folder / "load.lua"
    script.write_text(wrk_script(path, headers))
    command = ["wrk", "-t1", f"-c{connections}", "-d1h", "-s", str(script), proxy.url]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        time.sleep(seconds)
        process.send_signal(signal.SIGINT)  # its own clock knows whole seconds only; this is how it is ended early
        told, _ = process.communicate(timeout=30)
    return parse_wrk(told)


def wrk_script(path: str, headers: Mapping[str, str]) -> str:
    lines = [f'wrk.headers["{name}"] = "{value}"' for name, value in headers.items()]
    told = 'io.write(string.format("total %d %d %d\\n", summary.requests, summary.bytes, summary.duration))'
    return "\n".join([*lines, f'wrk.path = "{path}"', f"done = function(summary) {told} end", ""])


def parse_wrk(told: str) -> Load:
    total = re.search(r"^total (\d+) (\d+) (\d+)$", told, re.MULTILINE)
    if not total or not int(total[1]):
        raise BenchError(f"nothing was answered: {told}")
    trouble = "; ".join(found.strip() for found in re.findall(r"(?:Socket errors|Non-2xx).*", told))
    return Load(int(total[1]), int(total[2]), int(total[3]) / 1e6, trouble)


ROWS: dict[str, Row] = {
    "small": Row(cost("small request, 64 connections"), requests(64)),
}
