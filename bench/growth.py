"""How the cost of a request grows with what there is more of. Failover alone.

    .venv/bin/python bench/growth.py [--lines headers,body] [--quick] [--json FILE]

The values of a line take turns, as the proxies of `run.py` do. A line is *flat* when the straight line of least squares
through it rises by less than 15 % of the mean from end to end. If it rises by more, it *levels off* when the last step
alone rises by less than that; it is *linear* when the last step is at most 1.5 times as steep as the straight line,
else *steeper*. It takes about three minutes.
"""

from __future__ import annotations

import argparse
import contextlib
import datetime as dt
import functools
import http.client
import statistics
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import origins
import results
from peers import PEERS
from rows import downloads, requests
from stage import USUAL, BenchError, Proxy, Setup, Stage, Turn, free_port
from turns import take_turns

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_FLAT = 0.15
_LINEAR = 1.5
_PAGES = 20


@dataclass(frozen=True, slots=True)
class Growth:
    """One line: what grows, by `unit`; how a turn of each size is measured. `values` are titles by a turn's keys."""

    title: str
    unit: str
    sizes: tuple[int, ...]
    measure: Callable[[int], Callable[[Stage, Proxy, float], Turn]]
    setup: Callable[[int, Path], Setup] = lambda _size, _folder: USUAL
    values: tuple[tuple[str, str, str], ...] = (("cost", "a request", "µs"),)


def headers(count: int) -> dict[str, str]:
    """Request headers; with Host, which is written beside them, there are `count`."""
    usual = list(origins.REQUEST.items())[: count - 1]
    more = [(f"X-Header-{number}", f"value-{number:014}") for number in range(count - 1 - len(usual))]
    return dict(usual + more)


def small(_size: int) -> Callable[[Stage, Proxy, float], Turn]:
    return requests(64)


def with_history(count: int, folder: Path) -> Setup:
    """A state folder with so many incidents in it, one every five minutes until now; pages that show them."""
    from failover.core.document import Severity  # noqa: PLC0415 - the others need nothing of Failover's
    from failover.incidents.store import SqliteStore  # noqa: PLC0415
    from failover.notify.sample import sample  # noqa: PLC0415
    from failover.targets import parse_target  # noqa: PLC0415

    state = folder / f"state-{count}-{time.monotonic_ns()}"
    store = SqliteStore(state)
    primary, backup = parse_target("http://127.0.0.1:1", "primary"), parse_target("http://127.0.0.1:2", "backup")
    now = dt.datetime.now(dt.UTC)
    saved = []
    for number in range(count):
        told = sample(primary, (backup,), now - dt.timedelta(minutes=5 * (count - number)))
        told = replace(told, id=f"inc_{number:08}", severity=Severity.MAJOR)
        saved.append(store.save(told, b""))
    for future in saved:
        future.result()
    store.close()
    return Setup(more=("--state-dir", str(state), "--admin-listen", f"127.0.0.1:{free_port()}"))


def and_page(setup: Setup, stage: Stage, proxy: Proxy, seconds: float) -> Turn:
    """A turn of requests, and after it the dashboard's page, on one connection: milliseconds, median."""
    turn = requests(64)(stage, proxy, seconds)
    host, port = setup.more[-1].split(":")
    took = []
    with contextlib.closing(http.client.HTTPConnection(host, int(port), timeout=10)) as connection:
        for _ in range(_PAGES):
            began = time.perf_counter()
            connection.request("GET", "/")
            answer = connection.getresponse()
            page = answer.read()
            took.append(time.perf_counter() - began)
            if answer.status != 200 or b"</html>" not in page:
                raise BenchError(f"the dashboard answered {answer.status}")
    return replace(turn, values={**turn.values, "page": statistics.median(took) * 1e3})


LINES: dict[str, Growth] = {
    "headers": Growth("headers of a request", "header", (5, 12, 50, 100), lambda n: requests(64, headers=headers(n))),
    "body": Growth("KB of a response", "KB", (1, 10, 100, 1000), lambda n: downloads(16, f"{n}k")),
    "connections": Growth("connections", "connection", (1, 8, 64, 256, 1000), requests),
    "targets": Growth("backups", "backup", (1, 2, 8, 32), small, lambda n, _: Setup(backups=n)),
    "workers": Growth("workers on one core", "worker", (1, 2), small, lambda n, _: Setup(workers=n)),
    "incidents": Growth(
        "incidents kept", "incident", (0, 1000, 10000), small, with_history,
        (("cost", "a request", "µs"), ("page", "the dashboard's page", "ms")),
    ),
}  # fmt: skip


def main() -> int:
    flags = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    flags.add_argument("--lines", default=",".join(LINES), help=f"which lines: {', '.join(LINES)}")
    flags.add_argument("--rounds", type=int, default=5, help="turns of each size")
    flags.add_argument("--seconds", type=float, default=1.0, help="length of a turn")
    flags.add_argument("--quick", action="store_true", help="one short turn each")
    flags.add_argument("--json", type=Path, help="file to write the figures to, beside what is in it")
    args = flags.parse_args()
    if args.quick:
        args.rounds, args.seconds = 1, 0.3
    cast = {"failover": PEERS["failover"]}
    versions = {"failover": cast["failover"].version("")}
    names = args.lines.split(",")
    try:
        result = results.read(args.json, versions, growth=names)
        with Stage(cast) as stage:
            for name in names:
                for key, line in grown(stage, LINES[name], args).items():
                    result["growth"][name if key == "cost" else f"{name} {key}"] = line
                    print(told(line), flush=True)
                if args.json:
                    results.write(args.json, result)
    except BenchError as error:
        print(f"bench: {error}")
        return 1
    troubles = [f"{name}: {said}" for name in result["growth"] for said in result["growth"][name]["trouble"]]
    print(*troubles, sep="\n", end="\n" if troubles else "")
    return 1 if troubles else 0


def grown(stage: Stage, growth: Growth, args: argparse.Namespace) -> dict[str, dict[str, object]]:
    """The figures of a line, by the keys of its values."""
    with contextlib.ExitStack() as running:
        subjects = {}
        for size in growth.sizes:
            setup = growth.setup(size, stage.folder)
            measure = functools.partial(and_page, setup) if len(growth.values) > 1 else growth.measure(size)
            proxy = running.enter_context(stage.proxy("failover", setup))
            subjects[str(size)] = functools.partial(measure, stage, proxy)
        turns, cannot = take_turns(growth.title, subjects, rounds=args.rounds, seconds=args.seconds)
    if cannot:
        raise BenchError(f"{growth.title}: {cannot}")
    trouble = [turn.trouble for several in turns.values() for turn in several if turn.trouble]
    lines = {}
    for key, of, unit in growth.values:
        medians = [statistics.median(turn.values[key] for turn in turns[str(size)]) for size in growth.sizes]
        slope, word = judged(growth.sizes, medians)
        lines[key] = {
            "title": growth.title,
            "by": growth.unit,
            "of": of,
            "unit": unit,
            "date": results.today(),
            "sizes": list(growth.sizes),
            "medians": [results.significant(value) for value in medians],
            "slope": results.significant(slope),
            "word": word,
            "trouble": trouble,
        }
    return lines


def judged(sizes: Sequence[float], values: Sequence[float]) -> tuple[float, str]:
    """The slope by least squares, and the word for it by the rule above."""
    slope, _ = statistics.linear_regression(sizes, values)
    flat = _FLAT * statistics.mean(values)
    if slope * (sizes[-1] - sizes[0]) < flat:
        return slope, "flat"
    last = values[-1] - values[-2]
    if len(sizes) > 2 and last < flat:
        return slope, "levels off"
    return slope, "linear" if last <= _LINEAR * slope * (sizes[-1] - sizes[-2]) else "steeper"


def told(line: dict[str, object]) -> str:
    """`headers of a request 5, 12, 50, 100: 28, 30, 41, 56 µs a request: linear, 0.3 µs a header`."""
    sizes, medians = (", ".join(f"{one:,g}" for one in line[key]) for key in ("sizes", "medians"))
    rise = (
        ""
        if line["word"] in {"flat", "levels off"}
        else f", {line['slope']:.2g} {line['unit']} for each {line['by']} more"
    )
    return f"{line['title']} {sizes}: {medians} {line['unit']} for {line['of']}: {line['word']}{rise}"


if __name__ == "__main__":
    sys.exit(main())
