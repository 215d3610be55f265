"""Processor time per proxied request: Failover beside HAProxy and nginx, in one run, on this machine.

    .venv/bin/python bench/run.py [--seconds 2] [--rounds 5] [--json FILE] [--only haproxy,failover]

Each proxy is one process on the first core; the load (wrk, 64 kept connections, 12 request headers as a browser has
them) and the origin (nginx: 12 response headers, a body of 111 bytes) share the second. They take turns, A B C A B C,
so that a machine that changes its mind treats all alike. What counts is the processor time (user and system) of all of
a proxy's own processes over the requests answered; compare the ratios, figures drift from machine to machine.
Everything stays on 127.0.0.1; everything started here is ended here. It takes about a minute.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import json
import os
import platform
import re
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from peers import BODY_LENGTH, haproxy_config, nginx_origin_config, nginx_proxy_config, wrk_script

_TICK = os.sysconf("SC_CLK_TCK")
_PATIENCE = 15.0
_PACKAGES = {"nginx": "nginx", "haproxy": "haproxy", "wrk": "wrk", "taskset": "util-linux"}


@dataclass(frozen=True, slots=True)
class Proxy:
    name: str
    pid: int
    url: str


@dataclass(frozen=True, slots=True)
class Turn:
    """What one proxy did in one turn."""

    requests: int
    processor_s: float
    wall_s: float
    trouble: str

    @property
    def us(self) -> float:
        return self.processor_s / self.requests * 1e6


def main() -> int:
    flags = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    flags.add_argument("--seconds", type=float, default=2.0, help="length of a turn")
    flags.add_argument("--rounds", type=int, default=5, help="turns of each proxy")
    flags.add_argument("--connections", type=int, default=64)
    flags.add_argument("--only", default="haproxy,failover,nginx", help="which proxies, in which order")
    flags.add_argument("--python", default=sys.executable, help="the Python that has Failover")
    flags.add_argument("--json", type=Path, help="file to write the figures to")
    args = flags.parse_args()
    cores = sorted(os.sched_getaffinity(0))
    missing = [tool for tool in _PACKAGES if shutil.which(tool, path=_path()) is None]
    if missing:
        print(f"bench: no {', '.join(missing)} here: apt-get install {' '.join(_PACKAGES[tool] for tool in missing)}")
        return 2
    if len(cores) < 2:
        print("bench: needs two cores, one for the proxy and one for load and origin")
        return 2
    names = args.only.split(",")
    with contextlib.ExitStack() as running:
        folder = Path(running.enter_context(tempfile.TemporaryDirectory(prefix="failover-bench-")))
        folder.chmod(0o755)  # nginx lays its worker's temporary files here, as another user
        stage = Stage(running, folder, proxy_core=cores[0], load_core=cores[1], python=args.python)
        try:
            proxies = [stage.start(name) for name in names]
            turns = take_turns(stage, proxies, args.rounds, args.seconds, args.connections)
        except BenchError as error:
            print(f"bench: {error}")
            return 1
    result = summary(turns, args, cores)
    print(table(result))
    if args.json:
        args.json.write_text(json.dumps(result, indent=1) + "\n")
    return 1 if any(turn.trouble for several in turns.values() for turn in several) else 0


class BenchError(Exception):
    """It cannot be measured; the text says why."""


class Stage:
    """The processes of a run; all end with `running`."""

    def __init__(
        self, running: contextlib.ExitStack, folder: Path, *, proxy_core: int, load_core: int, python: str
    ) -> None:
        self._running, self.folder, self._python = running, folder, python
        self._proxy_core, self.load_core = proxy_core, load_core
        (folder / "load.lua").write_text(wrk_script())
        self.primary, self.backup = free_port(), free_port()
        config = self._write("origin.conf", nginx_origin_config(folder / "origin", self.primary, self.backup))
        self._launch(["nginx", "-c", config, "-p", str(folder)], self.load_core)
        for port in (self.primary, self.backup):
            wait_until_good(f"http://127.0.0.1:{port}")

    def start(self, name: str, *more: str) -> Proxy:
        """Start a proxy; `more` are flags of ours."""
        primary, backup = f"127.0.0.1:{self.primary}", f"127.0.0.1:{self.backup}"
        port = free_port()
        if name == "haproxy":
            config = self._write("haproxy.cfg", haproxy_config(port, primary, backup))
            command = ["haproxy", "-db", "-f", config]
        elif name == "nginx":
            config = self._write("proxy.conf", nginx_proxy_config(self.folder / "proxy", port, primary, backup))
            command = ["nginx", "-c", config, "-p", str(self.folder)]
        elif name == "failover":
            urls = ["--primary", f"http://{primary}", "--backup", f"http://{backup}"]
            command = [self._python, "-m", "failover", *urls, "--listen", f"127.0.0.1:{port}", "--workers", "1"]
            command += ["--state-dir", "memory", *(more or ("--admin-listen", "off"))]
        else:
            raise BenchError(f"{name} is not known; there are haproxy, nginx and failover")
        process = self._launch(command, self._proxy_core)
        url = f"http://127.0.0.1:{port}"
        try:
            wait_until_good(url, process)
        except BenchError as error:
            said = (self.folder / f"{process.pid}.log").read_text()[-2000:]
            raise BenchError(f"{name}: {error}\n{said}") from None
        return Proxy(name, process.pid, url)

    def _write(self, name: str, text: str) -> str:
        file = self.folder / name
        file.write_text(text)
        return str(file)

    def _launch(self, command: list[str], core: int) -> subprocess.Popen[bytes]:
        log = self.folder / "launch.log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                ["taskset", "-c", str(core), *command],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=os.environ | {"PATH": _path()},
            )
        log.rename(self.folder / f"{process.pid}.log")
        self._running.callback(end, process)
        return process


def _path() -> str:
    return os.environ.get("PATH", os.defpath) + ":/usr/sbin:/sbin"


def end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(5)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_until_good(url: str, process: subprocess.Popen[bytes] | None = None) -> None:
    """Wait until that address gives the origin's answer, whole and with status 200."""
    until = time.monotonic() + _PATIENCE
    saw = "nothing"
    while time.monotonic() < until:
        if process is not None and process.poll() is not None:
            raise BenchError(f"it ended with exit code {process.returncode}")
        connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=2)
        try:
            connection.request("GET", "/articles/hello?utm=1")
            answer = connection.getresponse()
            body = answer.read()
            if answer.status == 200 and len(body) == BODY_LENGTH:
                return
            saw = f"status {answer.status} and {len(body)} bytes"
        except (OSError, http.client.HTTPException) as error:
            saw = repr(error)
        finally:
            connection.close()
        time.sleep(0.05)
    raise BenchError(f"{url} did not answer in {_PATIENCE:g} s; last seen: {saw}")


def take_turns(
    stage: Stage, proxies: list[Proxy], rounds: int, seconds: float, connections: int
) -> dict[str, list[Turn]]:
    turns: dict[str, list[Turn]] = {proxy.name: [] for proxy in proxies}
    for proxy in proxies:
        take_turn(stage, proxy, min(1.0, seconds), connections)  # warm: code, caches, connections to the origin
    for number in range(rounds):
        for proxy in proxies:
            turn = take_turn(stage, proxy, seconds, connections)
            turns[proxy.name].append(turn)
            print(f"round {number + 1}: {proxy.name:9} {turn.us:6.1f} µs  {turn.trouble}", file=sys.stderr)
    return turns


def take_turn(stage: Stage, proxy: Proxy, seconds: float, connections: int) -> Turn:
    """A turn of load on one proxy. The requests still open at its end (at most one a connection) are not counted."""
    before, began = processor_time(proxy.pid), time.monotonic()
    wrk = ["wrk", "-t1", f"-c{connections}", f"-d{seconds:g}s", "-s", str(stage.folder / "load.lua"), proxy.url]
    told = subprocess.run(
        ["taskset", "-c", str(stage.load_core), *wrk], capture_output=True, text=True, timeout=seconds + 30, check=True
    ).stdout
    wall, spent = time.monotonic() - began, processor_time(proxy.pid) - before
    found = re.search(r"(\d+) requests in", told)
    if not found or not int(found[1]):
        raise BenchError(f"{proxy.name} answered nothing:\n{told}")
    return Turn(int(found[1]), spent, wall, "; ".join(re.findall(r"(?:Socket errors|Non-2xx).*", told)))


def processor_time(pid: int) -> float:
    """User and system seconds of a process and everything that came from it and lives."""
    parents: dict[int, int] = {}
    ticks: dict[int, int] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
                parents[int(entry.name)], ticks[int(entry.name)] = int(fields[1]), int(fields[11]) + int(fields[12])
    family = {pid}
    while more := {one for one, parent in parents.items() if parent in family} - family:
        family |= more
    return sum(ticks.get(one, 0) for one in family) / _TICK


def summary(turns: dict[str, list[Turn]], args: argparse.Namespace, cores: list[int]) -> dict[str, object]:
    median = {name: statistics.median(turn.us for turn in several) for name, several in turns.items()}
    base = median.get("haproxy")
    return {
        "what": "processor time per proxied request, microseconds",
        "machine": {"system": platform.platform(), "cores": len(cores), "python": platform.python_version()},
        "versions": {name: version(name) for name in turns},
        "seconds": args.seconds,
        "connections": args.connections,
        "proxies": {
            name: {
                "median_us": round(median[name], 2),
                "to_haproxy": round(median[name] / base, 3) if base else None,
                "turns_us": [round(turn.us, 2) for turn in several],
                "requests": sum(turn.requests for turn in several),
                "requests_per_second": round(statistics.median(turn.requests / turn.wall_s for turn in several)),
                "busy": round(statistics.median(turn.processor_s / turn.wall_s for turn in several), 2),
                "trouble": [turn.trouble for turn in several if turn.trouble],
            }
            for name, several in turns.items()
        },
    }


def version(name: str) -> str:
    """What a peer calls itself."""
    if name == "failover":
        return ""
    told = subprocess.run([name, "-v"], capture_output=True, text=True, env=os.environ | {"PATH": _path()}, check=False)
    found = re.search(r"\d+\.\d+\.\d+", told.stdout + told.stderr)
    return found[0] if found else ""


def table(result: dict[str, object]) -> str:
    lines = [
        f"{'proxy':<16} {'µs a request':>12} {'to HAProxy':>11} {'least-most':>15} {'requests/s':>11} {'core busy':>10}"
    ]
    for name, row in sorted(result["proxies"].items(), key=lambda item: item[1]["median_us"]):
        title = f"{name} {result['versions'][name]}".strip()
        spread = f"{min(row['turns_us']):.1f}-{max(row['turns_us']):.1f}"
        ratio = f"{row['to_haproxy']:.2f}" if row["to_haproxy"] else "-"
        lines.append(
            f"{title:<16} {row['median_us']:>12.1f} {ratio:>11} {spread:>15} {row['requests_per_second']:>11}"
            f" {row['busy']:>9.0%} {'; '.join(row['trouble'])}".rstrip()
        )
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
