"""Instructions that one worker executes per proxied request: a cost that does not depend on the load of the machine.

    .venv/bin/python bench/instructions.py             compare with the record; what has grown by over 5 % is red
    .venv/bin/python bench/instructions.py --record    count three times, and make that the record of this release
    .venv/bin/python bench/instructions.py --scenario small --profile --source ../other-checkout

The real worker runs under valgrind's callgrind. This script plays all the others, the controller, the client and the
origin, one after the other and over kept connections, so that every run takes the same way and gives the same figure.
Not counted: the kernel, the start, connecting, and the worker's clock, which ticks by time and not by requests.
Compare counts with counts alone: how long an instruction takes, and what the kernel adds, is for `run.py` to say.
Everything stays on 127.0.0.1. It takes half a minute.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import re
import select
import shlex
import shutil
import socket
import subprocess
import sys
import sysconfig
import tempfile
from collections import Counter as Counts
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Self

from instructions_record import compare, renew
from instructions_scenarios import PATIENCE, SCENARIOS, Conversation, CountError, listen

if TYPE_CHECKING:
    from instructions_record import Record

_HERE = Path(__file__).resolve().parent
_RECORD = _HERE / "results" / "instructions.json"
_RUNS = 3
_MARK, _COLLECT = b"m", b"c"
_READY = b"\x01"
_MARKED = "getpgrp"
_SHOWN = 40


class Counter:
    """The worker under callgrind. Use it as a context."""

    def __init__(self, source: Path) -> None:
        self._source = source
        self._running = contextlib.ExitStack()
        self._dumps = 0

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as running:
            self._start(running)
            self._running = running.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._running.close()

    def _start(self, running: contextlib.ExitStack) -> None:
        self.folder = folder = Path(running.enter_context(tempfile.TemporaryDirectory(prefix="failover-count-")))
        public, self._primary, backup = (running.enter_context(listen()) for _ in range(3))
        self._public = public.getsockname()[1]
        channel = running.enter_context(socket.socket(socket.AF_UNIX))
        channel.bind(str(folder / "channel"))
        channel.listen()
        self._control, control = socket.socketpair()
        running.enter_context(self._control)
        self._control.settimeout(PATIENCE)
        lifeline, alive = os.pipe()
        running.callback(os.close, alive)
        served, ready = os.pipe()
        running.callback(os.close, served)
        given = [control.fileno(), public.fileno(), lifeline, ready]
        ports = [sock.getsockname()[1] for sock in (self._primary, backup)]
        valgrind = [
            *["valgrind", "--tool=callgrind", "--instr-atstart=no", "--compress-strings=no"],
            f"--dump-before={_MARKED}",
            f"--callgrind-out-file={folder / 'counts'}",
            f"--vgdb-prefix={folder / 'vgdb'}",
        ]
        with (folder / "log").open("wb") as output:
            self._process = subprocess.Popen(
                [
                    *[*valgrind, sys.executable, str(_HERE / "instructions_worker.py"), str(self._source)],
                    *[str(folder / "channel"), *map(str, given), *map(str, ports)],
                ],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                pass_fds=given,
                env=environment(self._source),
            )
        running.callback(self._end)
        control.close()
        for number in (lifeline, ready):
            os.close(number)
        told = self._control.recv(65536)
        if not told:
            raise CountError(self._said())
        command = ["vgdb", f"--vgdb-prefix={folder / 'vgdb'}", f"--pid={self._process.pid}", "--max-invoke-ms=0"]
        subprocess.run([*command, "instrumentation", "on"], check=True, capture_output=True, timeout=PATIENCE)
        self._control.send(b".")
        if channel not in select.select([channel, self._control], [], [], PATIENCE)[0]:
            raise CountError(self._said())  # it has ended: with it ends its side of the control
        line = running.enter_context(channel.accept()[0])
        line.sendall(told)
        while _READY not in (said := os.read(served, 16)):  # it may be a sign of life alone
            if not said:
                raise CountError(self._said())

    def _end(self) -> None:
        self._process.kill()
        self._process.wait()

    def _said(self) -> str:
        return "the worker did not start:\n" + (self.folder / "log").read_text()[-2000:]

    def count(self, name: str, requests: int, warm: int) -> tuple[float, Path]:
        """Instructions per request of one scenario, and the file with all that callgrind knows of these requests."""
        with Conversation(self._public, self._primary) as talk:
            once = SCENARIOS[name](talk)
            for _ in range(warm):
                once()
            self._order(_COLLECT)
            self._mark()
            empty = total(self._mark())
            for _ in range(requests):
                once()
            file = self._mark()
        return (total(file) - empty) / requests, file

    def _order(self, order: bytes) -> None:
        self._control.send(order)
        if not self._control.recv(1):
            raise CountError(self._said())

    def _mark(self) -> Path:
        """End a count, and give its file; the next one begins."""
        self._order(_MARK)
        self._dumps += 1
        return self.folder / f"counts.{self._dumps}"


def environment(source: Path) -> dict[str, str]:
    """Nothing that makes Python work in another way; the hashes are always the same."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    return kept | {"PYTHONHASHSEED": "0", "PYTHONPATH": str(source)}


def total(file: Path) -> int:
    found = re.search(r"^(?:summary|totals): (\d+)$", file.read_text(), re.MULTILINE)
    if not found:
        raise CountError(f"callgrind wrote no sum to {file}")
    return int(found[1])


def profile(file: Path, requests: int) -> str:
    """The functions that take most, alone and with all that they call, in instructions per request."""
    parts = []
    for title, costs in zip(("alone", "with what they call"), costs_by_function(file.read_text()), strict=True):
        rows = sorted(costs.items(), key=lambda row: -row[1])[:_SHOWN]
        lines = [f"{cost / requests:>10,.0f}  {name}" for name, cost in rows]
        parts.append("\n".join([f"Instructions per request, {title}:", *lines]))
    return "\n\n".join(parts)


def costs_by_function(text: str) -> tuple[Counts, Counts]:
    """What each function took alone, and with all that it called, from a file of callgrind.

    callgrind_annotate counts functions that had begun before the count as if they had done it all, and tears one apart
    where the compiler put others into it. The same name in recursion (`name'2`) is one function here.
    """
    alone: Counts = Counts()
    inclusive: Counts = Counts()
    full = name = ""
    of_call = False
    for line in text.splitlines():
        if line.startswith("fn="):
            full = line.removeprefix("fn=")
            name = full.partition("'")[0]
        elif line.startswith("calls="):
            of_call = True
        elif line[:1] in "0123456789+-*" and line:
            cost = int(line.split()[1])
            inclusive[full] += cost
            if not of_call:
                alone[name] += cost
            of_call = False
    merged: Counts = Counts()
    for full, cost in inclusive.items():
        name = full.partition("'")[0]
        merged[name] = max(merged[name], min(cost, alone.total()))
    return alone, merged


def conditions() -> dict[str, str]:
    """What a count depends on beside our own code."""
    built = shlex.split(sysconfig.get_config_var("CONFIG_ARGS") or "")
    options = [one for one in built if one.startswith(("--enable-", "--with-")) and "/" not in one]
    valgrind = subprocess.run(["valgrind", "--version"], capture_output=True, text=True, check=True).stdout
    return {
        "python": " ".join([platform.python_version(), *sorted(options)]),
        "compiler": platform.python_compiler(),
        "libc": " ".join(platform.libc_ver()),
        "uvloop": version("uvloop"),
        "httptools": version("httptools"),
        "valgrind": valgrind.strip().removeprefix("valgrind-"),
        "architecture": platform.machine(),
    }


def count_all(args: argparse.Namespace) -> dict[str, float]:
    """Each scenario with a worker of its own, so that none finds what another has left."""
    counts = {}
    for name in args.scenario:
        with Counter((args.source / "src").resolve()) as counter:
            counts[name], file = counter.count(name, args.requests, args.warm)
            if args.profile:
                print(profile(file, args.requests), end="\n\n")
    return counts


def main() -> int:
    flags = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    flags.add_argument("--record", action="store_true", help="count three times and make that the record")
    flags.add_argument("--strict", action="store_true", help="exit code 1 when a scenario has grown by over 5 %%")
    flags.add_argument("--requests", type=int, default=400, help="requests of each scenario that are counted")
    flags.add_argument("--warm", type=int, default=200, help="requests of each scenario before them")
    flags.add_argument("--scenario", type=names, default=list(SCENARIOS), help=f"of {', '.join(SCENARIOS)}")
    flags.add_argument("--source", type=Path, default=_HERE.parent, help="the checkout whose src/ is counted")
    flags.add_argument("--profile", action="store_true", help=f"the {_SHOWN} functions that take most")
    args = flags.parse_args()
    if args.record and (args.scenario != list(SCENARIOS) or args.source != _HERE.parent):
        flags.error("--record is for all scenarios of this checkout")
    missing = [tool for tool in ("valgrind", "vgdb") if shutil.which(tool) is None]
    if missing:
        print(f"instructions: no {', '.join(missing)} here: apt-get install valgrind", file=sys.stderr)
        return 2
    try:
        return record(args) if args.record else comparison(args)
    except (CountError, OSError, subprocess.SubprocessError) as error:
        print(f"instructions: {error}", file=sys.stderr)
        return 2


def names(text: str) -> list[str]:
    """Scenarios as a flag names them."""
    chosen = text.split(",")
    if unknown := set(chosen) - set(SCENARIOS):
        raise argparse.ArgumentTypeError(f"{', '.join(sorted(unknown))} is not among {', '.join(SCENARIOS)}")
    return chosen


def record(args: argparse.Namespace) -> int:
    runs = [count_all(args) for _ in range(_RUNS)]
    release = re.search(r'__version__ = "(.+)"', (_HERE.parent / "src/failover/__init__.py").read_text())
    made = renew(
        recorded(),
        runs,
        release=release[1] if release else "unknown",
        date=datetime.now(UTC).date().isoformat(),
        conditions=conditions(),
        requests=args.requests,
    )
    _RECORD.parent.mkdir(exist_ok=True)
    _RECORD.write_text(json.dumps(made, indent=1) + "\n")
    for name, row in made["scenarios"].items():
        print(f"{name:<10} {row['instructions']:>10,}  spread {row['spread_percent']} %")
    return 0


def comparison(args: argparse.Namespace) -> int:
    colour = sys.stdout.isatty() or bool(os.environ.get("CI") or os.environ.get("FORCE_COLOR"))
    text, slower = compare(recorded(), count_all(args), conditions(), colour=colour)
    print(text)
    return 1 if slower and args.strict else 0


def recorded() -> Record | None:
    return json.loads(_RECORD.read_text()) if _RECORD.exists() else None


if __name__ == "__main__":
    sys.exit(main())
