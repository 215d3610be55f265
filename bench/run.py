"""What a proxied request costs: Failover beside the proxies that are found here, in one run, on this machine.

    .venv/bin/python bench/run.py [--rows small,10k] [--only haproxy,failover] [--failover NAME=DIR] [--quick]

Each proxy is one process on the first core; the load and the origin share the second. They take turns, A B C A B C, so
that a machine that changes its mind treats all alike. What counts is the processor time (user and system) of all of a
proxy's own processes over the work done; compare the ratios, figures drift from machine to machine. Nothing is
installed, everything stays on 127.0.0.1, and everything started here is ended here. All rows take about ten minutes.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import importlib.util
import itertools
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import results
from peers import PEERS, Failover
from rows import ROWS
from stage import BenchError, Stage, found
from turns import take_turns

if TYPE_CHECKING:
    from collections.abc import Iterator

    from peers import Peer
    from stage import Proxy, Setup

_TOOLS = {"nginx": "nginx", "wrk": "wrk", "taskset": "util-linux"}


def main() -> int:
    args = arguments()
    if missing := [package for tool, package in _TOOLS.items() if not found(tool)]:
        print(f"bench: it needs more than is here: apt-get install {' '.join(missing)}")
        return 2
    cast = chosen(args.only, args.failover)
    versions = {name: peer.version(found(peer.needs) or "") for name, peer in cast.items()}
    try:
        result = results.read(args.json, versions, rows=args.rows)
        with Stage(cast) as stage:
            for setup, names in itertools.groupby(args.rows, key=lambda name: ROWS[name].setup):
                with opened(stage, setup, list(cast)) as (subjects, cannot):
                    for name in names:
                        result["rows"][name] = measure(name, stage, subjects, cannot, args)
                        if args.json:
                            results.write(args.json, result)
    except BenchError as error:
        print(f"bench: {error}")
        return 1
    titles = {name: peer.title for name, peer in cast.items()}
    print(results.table(result, args.rows, list(cast), titles))
    if args.plot:
        import plot  # noqa: PLC0415 - it needs matplotlib, of the extra `bench`

        plot.ratios(result, titles, args.plot)
    troubles = [f"{name}: {said}" for name in args.rows for said in results.troubles(result["rows"][name])]
    print(*troubles, sep="\n", end="\n" if troubles else "")
    return 1 if troubles else 0


def arguments() -> argparse.Namespace:
    flags = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    flags.add_argument("--rows", default=",".join(ROWS), help=f"which rows: {', '.join(ROWS)}")
    flags.add_argument("--only", default=",".join(PEERS), help="which proxies, in which order")
    flags.add_argument("--failover", action="append", default=[], metavar="NAME=DIR", help="one more, of these sources")
    flags.add_argument("--rounds", type=int, default=3, help="turns of each proxy")
    flags.add_argument("--seconds", type=float, default=1.5, help="length of a turn")
    flags.add_argument("--quick", action="store_true", help="one short turn each: whether it works, not what it costs")
    flags.add_argument("--json", type=Path, help="file to write the figures to, beside those of other rows in it")
    flags.add_argument("--plot", type=Path, help="SVG file to draw the ratios to HAProxy in")
    args = flags.parse_args()
    if args.plot and not importlib.util.find_spec("matplotlib"):
        flags.error("a plot needs matplotlib: pip install 'failover[bench]'")
    args.rows, args.only = args.rows.split(","), args.only.split(",")
    for given, known in ((args.rows, ROWS), (args.only, PEERS)):
        if unknown := [name for name in given if name not in known]:
            flags.error(f"{', '.join(unknown)} is not known; there are {', '.join(known)}")
    if args.quick:
        args.rounds, args.seconds = 1, min(args.seconds, 0.4)
    return args


def chosen(names: list[str], more: list[str]) -> dict[str, Peer]:
    """The proxies that are here; of the others it is said how to get them."""
    cast: dict[str, Peer] = {}
    for name in names:
        peer = PEERS[name]
        if found(peer.needs):
            cast[name] = peer
        else:
            print(f"bench: no {peer.title} here, the rest runs; to have it: {peer.how}", file=sys.stderr)
    for text in more:
        name, _, folder = text.partition("=")
        cast[name] = replace(Failover(), title=name, folder=Path(folder).resolve())
    return cast


@contextlib.contextmanager
def opened(
    stage: Stage, setup: Setup | None, cast: list[str]
) -> Iterator[tuple[dict[str, Proxy | str], dict[str, str]]]:
    """All proxies with that setup, and the reasons of those that cannot have it. Without one: their names."""
    subjects: dict[str, Proxy | str] = {}
    cannot: dict[str, str] = {}
    with contextlib.ExitStack() as running:
        for one in cast:
            try:
                subjects[one] = one if setup is None else running.enter_context(stage.proxy(one, setup))
            except BenchError as error:
                cannot[one] = str(error)
        yield subjects, cannot


def measure(
    name: str, stage: Stage, subjects: dict[str, Proxy | str], cannot: dict[str, str], args: argparse.Namespace
) -> dict[str, Any]:
    """All turns of a row. Who breaks off in the middle is in trouble; who cannot begin is not."""
    row = ROWS[name]
    calls = {one: functools.partial(row.measure, stage, subject) for one, subject in subjects.items()}
    warm = row.setup is not None
    turns, broken = take_turns(name, calls, rounds=args.rounds, seconds=args.seconds, warm=warm)
    result = results.summary(row, turns, cannot | broken, args.seconds)
    result["trouble"] |= {one: [why] for one, why in broken.items()}
    return result


if __name__ == "__main__":
    sys.exit(main())
