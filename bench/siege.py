"""What honest visitors notice while others attack: latency, memory and open files, quiet and under each attack.

    .venv/bin/python bench/siege.py [--attacks trickle,bombs] [--tls] [--rounds 3] [--seconds 5] [--failover NAME=DIR]

50 visitors ask at a fixed rate, whatever happens. In each round every attack has its turn, with a quiet turn before it:
the ratio is that of the turn to the quiet one beside it, and the median over the rounds is what counts. The proxy has a
core of its own, one process for all turns; visitors, attackers (who are nice to them) and the origin share the other.
On a machine that has other things to do, start it with `chrt --rr 5`: what others do is no attack.
It lives here and not with the tests because it is about figures: what must hold is in tests/integration/test_floods.py.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import clients
import uvloop
from attackers import trusting
from memory import pss
from peers import PEERS, Failover
from stage import BenchError, Meter, Setup, Stage, family
from wrk import wrk

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from stage import Proxy

_RATE = 500
_VISITORS = 50
_READY_S = 60.0
_SETTLED_S = 15.0
_EXCHANGES = 100_000


@dataclass(frozen=True, slots=True)
class Attack:
    title: str
    parts: tuple[tuple[str, int], ...]
    tls: bool = False  # makes sense with TLS only


ATTACKS = {
    "trickle": Attack("1,000 heads, a byte each 2 s", (("slow_head", 1000),)),
    "bombs": Attack("the same, and 200 header bombs a second", (("slow_head", 1000), ("bomb", 200))),
    "bodies": Attack("1,000 bodies, a byte each 2 s", (("slow_body", 1000),)),
    "readers": Attack("200 slow readers of 100 MB", (("slow_reader", 200),)),
    "idle": Attack("8,000 idle connections", (("idle", 8000),)),
    "storm": Attack("1,000 connections a second that come and go", (("come_and_go", 1000),)),
    "dust": Attack("50 bodies of 1-byte chunks, 10 kB/s each", (("dust", 50),)),
    "deaf": Attack("50 times 100,000 requests, no answer read", (("deaf", 50),)),
    "own": Attack("500 requests a second for /__failover/state", (("own_pages", 500),)),
    "handshakes": Attack("1,000 handshakes that stop in the middle", (("half_shake", 1000),), tls=True),
}


@dataclass(frozen=True, slots=True)
class Seen:
    """One turn: latencies in ms, memory in MB, open files, and what went wrong."""

    p50: float
    p99: float
    memory: float
    files: int
    busy: float
    trouble: str = ""
    attackers: str = ""


Rounds = dict[str, list[tuple[Seen, Seen, float, int]]]
"""Of each attack: the quiet turn before it, its own, and what was held and left open afterwards."""


def files_of(pids: Sequence[int]) -> int:
    return sum(len(list(Path(f"/proc/{pid}/fd").iterdir())) for pid in pids)


@contextlib.contextmanager
def besieged(proxy: Proxy, attack: Attack | None, said: list[str]) -> Iterator[None]:
    """The attackers are there, all of them; `said` is what they tell at the end."""
    started = []
    try:
        for kind, count in attack.parts if attack else ():
            program = [sys.executable, str(Path(__file__).with_name("attackers.py")), kind, str(proxy.port), str(count)]
            flags = ["--tls"] if proxy.tls else []
            one = subprocess.Popen(["nice", "-n", "5", *program, *flags], stdout=subprocess.PIPE, text=True)
            os.sched_setscheduler(one.pid, os.SCHED_OTHER, os.sched_param(0))  # where all was started with chrt
            started.append((kind, one))
        for kind, one in started:
            if one.stdout is None or one.stdout.readline() != "ready\n":
                raise BenchError(f"the attack {kind} did not begin")
        yield
    finally:
        for kind, one in started:
            one.terminate()
            out, _ = one.communicate(timeout=_READY_S)
            told = json.loads(out.strip().splitlines()[-1]) if out.strip() else {}
            said.append(f"{kind}: " + ", ".join(f"{number} {what}" for what, number in told.items()))


def turn(proxy: Proxy, attack: Attack | None, seconds: float) -> Seen:
    pids = family(proxy.pid)
    said: list[str] = []
    tls = trusting() if proxy.tls else None
    with besieged(proxy, attack, said):
        meter = Meter(pids)
        latencies, late, trouble = uvloop.run(
            clients.open_loop(proxy.port, _RATE, seconds, meter, connections=_VISITORS, tls=tls)
        )
        memory, files = sum(map(pss, pids)) / 1e6, files_of(pids)
    if late > 0.05:
        trouble = f"{trouble} the load itself was late in {late:.0%}".strip()
    cuts = statistics.quantiles(latencies, n=100)
    return Seen(cuts[49] * 1e3, cuts[98] * 1e3, memory, files, meter.spent / meter.wall, trouble, "; ".join(said))


def settled(proxy: Proxy, files: int) -> tuple[float, int]:
    """Memory and open files once everything is over."""
    pids = family(proxy.pid)
    until = time.monotonic() + _SETTLED_S
    while files_of(pids) > files and time.monotonic() < until:
        time.sleep(0.1)
    return sum(map(pss, pids)) / 1e6, files_of(pids)


def exchanges(stage: Stage, proxy: Proxy) -> str:
    """Whether memory stays as it is over many exchanges."""
    held, count = [], 0
    while count < _EXCHANGES:
        count += wrk(stage.folder, proxy.url, 5.0, 64).requests
        held.append((count, sum(map(pss, family(proxy.pid))) / 1e6))
    return "memory after so many exchanges: " + ", ".join(f"{number}: {memory:.1f} MB" for number, memory in held)


def lay(proxy: Proxy, names: Sequence[str], rounds: int, seconds: float, *, quick: bool) -> Rounds:
    """Quiet and attack in turns."""
    turn(proxy, None, seconds / 2)  # code, caches, connections
    pids = family(proxy.pid)
    seen: Rounds = {name: [] for name in names}
    if not quick:
        time.sleep(5.0)  # what is kept to the origin is closed
    begun = files_of(pids)
    for number in range(1, rounds + 1):
        for name in names:
            quiet = turn(proxy, None, seconds)
            under = turn(proxy, ATTACKS[name], seconds)
            memory, files = settled(proxy, begun)
            seen[name].append((quiet, under, memory, max(files - begun, 0)))
            told = f"p50 {quiet.p50:.2f} -> {under.p50:.2f} ms, p99 {quiet.p99:.2f} -> {under.p99:.2f} ms"
            core = f"core {quiet.busy:.0%} -> {under.busy:.0%} busy"
            print(f"{number} {name:10} {told}, {core}  {under.trouble}  [{under.attackers}]", file=sys.stderr)
    return seen


def table(seen: Rounds) -> str:
    lines = [
        "| attack | p50 quiet | p50 | p99 quiet | p99 | p99 ratio | memory before | during | after | files | left |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for name, rounds in seen.items():
        quiet, under, after, left = zip(*rounds, strict=True)
        middle = statistics.median
        ratio = middle(u.p99 / q.p99 for q, u in zip(quiet, under, strict=True))
        lines.append(
            f"| {ATTACKS[name].title} | {middle(q.p50 for q in quiet):.2f} ms | {middle(u.p50 for u in under):.2f} ms"
            f" | {middle(q.p99 for q in quiet):.2f} ms | {middle(u.p99 for u in under):.2f} ms | {ratio:.2f}"
            f" | {quiet[0].memory:.1f} MB | {max(u.memory for u in under):.1f} MB | {after[-1]:.1f} MB"
            f" | {max(u.files for u in under)} | {max(left)} |"
        )
    troubles = [f"{name}: {u.trouble}" for name, rounds in seen.items() for _, u, *_ in rounds if u.trouble]
    return "\n".join([*lines, *troubles])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--attacks", type=lambda text: text.split(","), help=", ".join(ATTACKS))
    parser.add_argument("--tls", action="store_true", help="visitors and attackers speak TLS")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="files kept to the origin count as open before")
    parser.add_argument("--seconds", type=float, default=5.0, help="of each turn")
    parser.add_argument("--failover", type=Path, help="the sources to besiege, instead of these")
    args = parser.parse_args()
    names = args.attacks or [name for name, attack in ATTACKS.items() if args.tls or not attack.tls]
    peer = PEERS["failover"]
    if not isinstance(peer, Failover):
        return 2
    if args.failover:
        peer = replace(peer, folder=args.failover.absolute())
    try:
        with Stage({"failover": peer}) as stage, stage.proxy("failover", Setup(client_tls=args.tls)) as proxy:
            os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
            if not args.attacks and not args.tls:
                print(exchanges(stage, proxy))
            print(table(lay(proxy, names, args.rounds, args.seconds, quick=args.quick)))
    except BenchError as error:
        print(f"siege: {error}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
