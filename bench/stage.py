"""The stage of a run: starts origins and proxies, pins them, ends them, and reads the processor time that they used.

The proxies have the first core; the load, the origins and this program have the second. Everything stays on 127.0.0.1.
"""

from __future__ import annotations

import contextlib
import http.client
import os
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Self

import origins
from configs import Certificates, Work
from peers import Failover, Peer

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

_PATIENCE = 15.0
_SEARCHED = os.pathsep.join(
    [str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"]
)


class BenchError(Exception):
    """It cannot be measured; the text says why."""


@dataclass(frozen=True, slots=True)
class Setup:
    """What a row wants of origin and proxy. `origin`: "files" (nginx), "files over tls", or "app" (Python)."""

    origin: str = "files"
    client_tls: bool = False
    workers: int = 1
    pinned: bool = True
    more: tuple[str, ...] = ()  # flags of Failover's own
    backups: int = 1


USUAL = Setup()


@dataclass(frozen=True, slots=True)
class Proxy:
    name: str
    pid: int
    port: int
    tls: bool = False

    @property
    def url(self) -> str:
        return f"{'https' if self.tls else 'http'}://127.0.0.1:{self.port}"


@dataclass(frozen=True, slots=True)
class Turn:
    """What one proxy did in one turn: a value for each line of its row, and what is worth knowing beside them."""

    values: Mapping[str, float]
    beside: Mapping[str, float] = field(default_factory=dict)
    note: str = ""
    trouble: str = ""


class Stage:
    """The processes of a run. Use it as a context: whatever was started ends with it."""

    def __init__(self, cast: dict[str, Peer]) -> None:
        self.cast = cast
        self._ending = contextlib.ExitStack()
        self._cores = sorted(os.sched_getaffinity(0))
        self._origins: dict[str, tuple[int, int]] = {}
        self.origin_pids: list[int] = []

    def __enter__(self) -> Self:
        if len(self._cores) < 2:
            raise BenchError("it needs two cores, one for the proxy and one for load and origin")
        self.folder = Path(self._ending.enter_context(tempfile.TemporaryDirectory(prefix="failover-bench-")))
        self.folder.chmod(0o755)  # nginx lays its worker's temporary files here, as another user
        os.sched_setaffinity(0, {self._cores[1]})
        self._ending.callback(os.sched_setaffinity, 0, self._cores)
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # as Ctrl-C does: whatever was started ends
        return self

    def __exit__(self, *_: object) -> None:
        self._ending.close()

    @contextlib.contextmanager
    def proxy(self, name: str, setup: Setup = USUAL) -> Iterator[Proxy]:
        """A proxy that answers; it ends with the context. BenchError says why there is none."""
        primary, backup = self._origin(setup.origin)
        work = Work(
            folder=self.folder,
            port=free_port(),
            primary=f"127.0.0.1:{primary}",
            backup=f"127.0.0.1:{backup}",
            workers=setup.workers,
            client_tls=self._certificates() if setup.client_tls else None,
            origin_tls=self._certificates() if "tls" in setup.origin else None,
        )
        peer = self.cast[name]
        if isinstance(peer, Failover):
            peer = replace(peer, more=setup.more, backups=setup.backups)
        command, env = peer.command(work)
        cores = str(self._cores[0]) if setup.pinned else ",".join(map(str, self._cores))
        process, log = self._launch([*command], cores, env)
        try:
            os.sched_setaffinity(0, {self._cores[1]} if setup.pinned else self._cores)  # the load is ours, or our child
            proxy = Proxy(name, process.pid, work.port, setup.client_tls)
            try:
                wait_until_good(proxy, process)
            except BenchError as error:
                raise BenchError(f"{error}: {peer.reason(log.read_text(errors='replace'))}") from None
            yield proxy
        finally:
            end(process)
            os.sched_setaffinity(0, {self._cores[1]})

    def _origin(self, kind: str) -> tuple[int, int]:
        """The ports of primary and backup."""
        if kind not in self._origins:
            ports = free_port(), free_port()
            tls = self._certificates() if "tls" in kind else None
            process, log = self._launch(origins.command(kind, self.folder, ports, tls), str(self._cores[1]), {})
            self._ending.callback(end, process)
            self.origin_pids.append(process.pid)
            for port in ports:
                try:
                    wait_until_good(Proxy("origin", process.pid, port, tls is not None), process)
                except BenchError as error:
                    raise BenchError(f"no origin: {error}: {log.read_text()[-500:]}") from None
            self._origins[kind] = ports
        return self._origins[kind]

    def _certificates(self) -> Certificates:
        made = Certificates(self.folder)
        if not made.both.exists():
            try:
                made.make()
            except ImportError:
                raise BenchError("certificates need trustme: pip install 'failover[bench]'") from None
        return made

    def _launch(self, command: list[str], cores: str, env: dict[str, str]) -> tuple[subprocess.Popen[bytes], Path]:
        program = found(command[0])
        if program is None:
            raise BenchError(f"no {command[0]} here")
        log = self.folder / f"{Path(command[0]).name}-{time.monotonic_ns()}.log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                ["taskset", "-c", cores, program, *command[1:]],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=os.environ | {"HOME": str(self.folder)} | env,
            )
        return process, log


def found(command: str) -> str | None:
    """Where a command is: beside this Python, on the path, or where Debian has servers."""
    return shutil.which(command, path=_SEARCHED)


def end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(5)
    except subprocess.TimeoutExpired:
        process.terminate()  # Failover's second signal cuts what still runs
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


class Meter:
    """What these processes use while the context is open. `spent`, `wall`: seconds."""

    def __init__(self, pids: Sequence[int]) -> None:
        self._pids = pids

    def __enter__(self) -> Self:
        self._began, self._before = time.monotonic(), processor_time(*self._pids)
        return self

    def __exit__(self, *_: object) -> None:
        self.wall, self.spent = time.monotonic() - self._began, processor_time(*self._pids) - self._before

    def each(self, count: float, *, scale: float = 1e6, wall: float = 0.0, trouble: str = "") -> Turn:
        """The turn in which so much was done: processor time for each, in µs, or by `scale`.

        `wall` is for how many seconds there was load, where that is not as long as the meter ran.
        """
        if not count:
            raise BenchError(f"nothing was answered {trouble}".rstrip())
        wall = wall or self.wall
        beside = {"per_second": count / wall, "busy": self.spent / wall}
        return Turn({"cost": self.spent / count * scale}, beside, trouble=trouble)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_until_good(proxy: Proxy, process: subprocess.Popen[bytes]) -> None:
    """Wait until that address gives the origin's answer, whole and with status 200."""
    until = time.monotonic() + _PATIENCE
    saw = "nothing"
    while time.monotonic() < until:
        if process.poll() is not None:
            raise BenchError(f"it ended with exit code {process.returncode}")
        try:
            status, body = fetch(proxy, origins.SMALL)
            if status == 200 and len(body) == origins.SMALL_LENGTH:
                return
            saw = f"status {status} and {len(body)} bytes"
        except (OSError, http.client.HTTPException) as error:
            saw = repr(error)
        time.sleep(0.05)
    raise BenchError(f"it did not answer in {_PATIENCE:g} s; last seen: {saw}")


def fetch(proxy: Proxy, path: str) -> tuple[int, bytes]:
    """One answer on a connection of its own; the certificate is nobody's business here."""
    if proxy.tls:
        context = ssl._create_unverified_context()  # noqa: SLF001 - an origin and a proxy of ours
        connection = http.client.HTTPSConnection("127.0.0.1", proxy.port, timeout=5, context=context)
    else:
        connection = http.client.HTTPConnection("127.0.0.1", proxy.port, timeout=5)
    with contextlib.closing(connection):
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read()


def family(pid: int) -> list[int]:
    """A process and everything that came from it and lives, the oldest first."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [pid, *(one for child in children for one in family(int(child)))]


def processor_time(*pids: int) -> float:
    """User and system seconds of these processes so far, to the nanosecond: what the scheduler gave their threads."""
    total = 0
    for pid in pids:
        for thread in Path(f"/proc/{pid}/task").iterdir():
            with contextlib.suppress(OSError):
                total += int((thread / "schedstat").read_text().split()[0])
    return total / 1e9
