"""The fault lab: what visitors notice when an app breaks, behind Failover and behind its peers.

    make chaos                                              # all of it: about 20 minutes
    .venv/bin/python tests/chaos/run.py --proxies failover --only kill-get,stop-post
    .venv/bin/python tests/chaos/run.py --seconds 14 --rounds 3 --json FILE

150 requests a second for 28 s; the fault comes at 4 s and its cure at 14 s (with --seconds, at the same parts of it).
A cell is `failed / slowest answer`, or for writes `failed / lost / doubled`; docs/chaos.md says what each word means.
The exit code is 1 where Failover misses what is wanted of it. Everything stays on 127.0.0.1 and ends with this command.
"""

from __future__ import annotations

import argparse
import json
import platform
import signal
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from chaos.lab import USUAL, measure
from chaos.proxies import KINDS
from chaos.rows import BY_NAME, ROWS
from chaos.table import MISSED, Cell, table

if TYPE_CHECKING:
    from chaos.lab import Method

_START_AND_END = 1.5  # seconds around the load, roughly


def main() -> int:
    flags = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    flags.add_argument("--seconds", type=float, default=USUAL.seconds, help="length of the load in each cell")
    flags.add_argument("--rate", type=float, default=USUAL.rate, help="requests a second")
    flags.add_argument("--visitors", type=int, default=USUAL.visitors, help="most requests at a time")
    flags.add_argument(
        "--rounds", type=int, default=1, help="how often each cell is measured: the worst counts, the median time"
    )
    flags.add_argument("--only", type=_names(BY_NAME), default=list(BY_NAME), help=f"rows of {','.join(BY_NAME)}")
    flags.add_argument("--proxies", type=_names(KINDS), default=list(KINDS), help=f"columns of {','.join(KINDS)}")
    flags.add_argument("--json", type=Path, help="file to write all figures to")
    args = flags.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # told to end, we end what we have started as well
    signal.signal(signal.SIGINT, signal.default_int_handler)

    method = USUAL.lasting(args.seconds, args.rate, args.visitors)
    rows = [row for row in ROWS if row.name in args.only]
    for name in list(args.proxies):
        if not KINDS[name].installed:
            args.proxies.remove(name)
            print(f"chaos: no {name} here, so its column is left out: apt-get install {KINDS[name].package}")
    titles = {name: KINDS[name].full_title for name in args.proxies}
    count = len(rows) * len(titles) * args.rounds
    minutes = count * (method.seconds + _START_AND_END) / 60
    print(f"chaos: {count} measurements, about {minutes:.0f} min", file=sys.stderr)

    rounds: dict[tuple[str, str], list] = {}
    try:
        for number in range(args.rounds):
            for row in rows:
                for name in titles:
                    measured, log = measure(KINDS[name], row, method)
                    rounds.setdefault((row.name, name), []).append(measured)
                    _tell_progress(number, name, Cell(row, (measured,)), log)
    except KeyboardInterrupt:
        print("chaos: interrupted; everything that was started has ended", file=sys.stderr)
    cells = {(row.name, name): Cell(row, tuple(rounds[row.name, name])) for row, name in _pairs(rows, titles, rounds)}
    print(table(rows, cells, titles))
    print(_notes(cells))
    if args.json:
        args.json.write_text(json.dumps(_figures(cells, titles, method), indent=1) + "\n")
    missed = [cell for (_, name), cell in cells.items() if name == "failover" and cell.misses]
    for cell in missed:
        print(f"{MISSED} {cell.row.title}: {'; '.join(cell.misses)}")
    return 130 if len(cells) < len(rows) * len(titles) else 1 if missed else 0


def _names(known: dict[str, object]):
    def read(text: str) -> list[str]:
        names = text.split(",")
        if unknown := [name for name in names if name not in known]:
            raise argparse.ArgumentTypeError(f"{', '.join(unknown)} is not known; there are {', '.join(known)}")
        return names

    return read


def _pairs(rows, titles, rounds):
    return [(row, name) for row in rows for name in titles if (row.name, name) in rounds]


def _tell_progress(number: int, name: str, cell: Cell, log: list[str]) -> None:
    outcome = cell.rounds[0]
    switches = sum("switched to" in line for line in log), sum("switched back" in line for line in log)
    told = f", switched {switches[0]} times and back {switches[1]}" if name == "failover" else ""
    hands = f", {outcome.in_hands} of them under way when the fault came" if outcome.in_hands else ""
    hands += f", {outcome.again} asked again by the browser" if outcome.again else ""
    print(
        f"round {number + 1}: {cell.row.title}, {name}: {cell}{hands}; failures {outcome.kinds}, answers {outcome.by}"
        f"{told}; {'; '.join(cell.misses) if name == 'failover' else ''}".rstrip("; "),
        file=sys.stderr,
        flush=True,
    )


def _notes(cells: dict[tuple[str, str], Cell]) -> str:
    """How far the figures can be trusted."""
    if not cells:
        return ""
    late = max(cell.worst("late_ms") for cell in cells.values())
    calm = max(cell.worst("calm_ms") for cell in cells.values())
    return (
        f"The load itself was at most {late:.1f} ms late, which is in the figures;"
        f" before any fault the slowest answer took {calm:.0f} ms."
    )


def _figures(cells: dict[tuple[str, str], Cell], titles: dict[str, str], method: Method) -> dict[str, object]:
    return {
        "what": "what visitors saw of an app's fault: requests failed, lost, doubled; milliseconds",
        "when": time.strftime("%Y-%m-%d %H:%M:%S%z"),
        "machine": {"system": platform.platform(), "python": platform.python_version()},
        "proxies": titles,
        "method": asdict(method),
        "rows": {
            row: {name: [asdict(one) for one in cell.rounds] for (other, name), cell in cells.items() if other == row}
            for row in dict.fromkeys(row for row, _ in cells)
        },
    }
