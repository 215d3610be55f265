"""The real program as a process: started, listened to, told to end.

    with Program("--primary", primary.url, "--backup", backup.url) as program:
        program.wait_for("ready")
        ...requests to program.url...
        program.wait_for(r"switched to backup")
    assert program.exit_code == 0

In a coroutine: `async with`, `await program.seen("ready")`. Nothing here sleeps: a line of the log is the event. What
is waited for must be said within PATIENCE; leaving the block ends the process and all its children, or fails.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING, Self
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

PATIENCE = 30.0
_ports = (10_000 + (os.getpid() * 101 + step) % 20_000 for step in itertools.count())
_OURS = re.compile(
    r"FAILOVER_.*|PRIMARY_URL|BACKUP_URL|PORT|CHECK_INTERVAL|FAIL_THRESHOLD|RECOVER_THRESHOLD|WEBHOOK_\w+|MAX_BODY"
    r"|JSON_LOGS|NOTIFY_SOCKET|LISTEN_\w+|STATE_DIRECTORY"
)


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def refused(port: int | None) -> bool:
    """Connect until that is refused; False where it never is."""
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=PATIENCE).close()
        except ConnectionRefusedError:
            return True
        except OSError:
            continue
    return False


def free_port() -> int:
    """A port that nobody has, for who cannot be given port 0. It is below those that the kernel gives for that, so that
    tests beside this one do not get it meanwhile; each test process looks from a place of its own on.
    """
    for port in itertools.islice(_ports, 20_000):
        with socket.socket() as one, contextlib.suppress(OSError):
            one.bind(("127.0.0.1", port))
            return port
    raise AssertionError("no free port")


def clean_environment(more: Mapping[str, str] = {}) -> dict[str, str]:
    """This environment without anything that configures the program, and with `more`."""
    return {name: value for name, value in os.environ.items() if not _OURS.fullmatch(name)} | dict(more)


class Process:
    """Any command. `lines` is what it and its children have written so far, both streams.

    With `orders` it reads what `tell` says from its standard input, which ends when we do, however that happens.
    """

    def __init__(
        self,
        command: Sequence[str | os.PathLike[str]],
        *,
        env: Mapping[str, str] = {},
        cwd: str | os.PathLike[str] | None = None,
        pass_fds: Sequence[int] = (),
        own_group: bool = False,
        orders: bool = False,
    ) -> None:
        self.lines: list[str] = []
        self._command = [os.fspath(word) for word in command]
        self._env, self._cwd, self._pass_fds, self._own_group = clean_environment(env), cwd, tuple(pass_fds), own_group
        self._orders = orders
        self._said = threading.Condition()
        self._silent = False
        self._process: subprocess.Popen[str] | None = None
        self._reader: threading.Thread | None = None

    def start(self) -> Self:
        self._process = subprocess.Popen(
            self._command,
            stdin=subprocess.PIPE if self._orders else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="backslashreplace",
            env=self._env,
            cwd=self._cwd,
            pass_fds=self._pass_fds,
            process_group=0 if self._own_group else None,
        )
        self._reader = threading.Thread(target=self._read, args=(self._process,), daemon=True)
        self._reader.start()
        return self

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.end()

    async def __aenter__(self) -> Self:
        return self.start()

    async def __aexit__(self, *_: object) -> None:
        await asyncio.to_thread(self.end)

    def _read(self, process: subprocess.Popen[str]) -> None:
        for line in process.stdout:
            with self._said:
                self._take(line.rstrip("\n"))
                self._said.notify_all()
        with self._said:
            self._silent = True
            self._said.notify_all()

    def _take(self, line: str) -> None:
        """One line more; nobody else reads meanwhile."""
        self.lines.append(line)

    # -- what it says

    @property
    def mark(self) -> int:
        """Now, as a place in `lines`: to wait only for what is said from here on."""
        return len(self.lines)

    @property
    def log(self) -> str:
        return "\n".join(self.lines)

    def wait_for(self, pattern: str, *, after: int = 0, patience: float = PATIENCE) -> re.Match[str]:
        """The first line from `after` on in which the pattern is found; fails where it never comes."""
        until = time.monotonic() + patience
        place = after
        with self._said:
            while True:
                while place < len(self.lines):
                    found = re.search(pattern, self.lines[place])
                    if found:
                        return found
                    place += 1
                if self._silent or not self._said.wait(until - time.monotonic()):
                    why = "it ended" if self._silent else f"{patience:g} s passed"
                    raise AssertionError(f"{why} without a line with {pattern!r}; its log:\n{self.log}")

    def wait_until(self, reached: Callable[[], object], what: Callable[[], str], patience: float = PATIENCE) -> None:
        """Wait until that holds; asked again with each line. `what` is told where it never does."""
        with self._said:
            held = self._said.wait_for(lambda: reached() or self._silent, patience) and reached()
            assert held, f"{'it ended' if self._silent else f'{patience:g} s passed'} without {what()}"

    async def seen(self, pattern: str, *, after: int = 0, patience: float = PATIENCE) -> re.Match[str]:
        """`wait_for` in a coroutine."""
        return await asyncio.to_thread(self.wait_for, pattern, after=after, patience=patience)

    # -- its life

    @property
    def pid(self) -> int:
        assert self._process is not None, "not started"
        return self._process.pid

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def exit_code(self) -> int:
        """Its exit code once it has ended; negative for a signal."""
        assert self._process is not None
        assert self._process.returncode is not None, "still running"
        return self._process.returncode

    def signal(self, number: signal.Signals) -> None:
        assert self._process is not None, "not started"
        self._process.send_signal(number)

    def tell(self, order: str) -> None:
        """One line for its standard input."""
        assert self._process is not None, "not started"
        assert self._process.stdin is not None, "it takes no orders"
        self._process.stdin.write(f"{order}\n")
        self._process.stdin.flush()

    def wait(self, patience: float = PATIENCE) -> int:
        """Wait until it has ended by itself: the exit code."""
        assert self._process is not None, "not started"
        try:
            return self._process.wait(patience)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"it did not end in {patience:g} s; its log:\n{self.log}") from None

    async def ended(self, patience: float = PATIENCE) -> int:
        """`wait` in a coroutine."""
        return await asyncio.to_thread(self.wait, patience)

    def wait_for_silence(self, patience: float = PATIENCE) -> None:
        """Wait until nobody holds its output open: until its last child has ended too."""
        assert self._reader is not None, "not started"
        self._reader.join(patience)
        assert not self._reader.is_alive(), f"children outlived the program; its log:\n{self.log}"

    def end(self) -> None:
        """End it, politely at first, and take care that nothing of it is left."""
        if self._process is None:
            return
        try:
            if self.running:
                self.signal(signal.SIGTERM)
                try:
                    self._process.wait(3)
                except subprocess.TimeoutExpired:
                    self.signal(signal.SIGTERM)  # the second one cuts what still runs
                    try:
                        self._process.wait(10)
                    except subprocess.TimeoutExpired:
                        self._process.kill()
                        self._process.wait()
            self.wait_for_silence()
        finally:
            if self._process.stdin is not None:
                with contextlib.suppress(BrokenPipeError):
                    self._process.stdin.close()
            if self._process.stdout is not None and (self._reader is None or not self._reader.is_alive()):
                self._process.stdout.close()


class Program(Process):
    """Failover itself, on a free port of 127.0.0.1 unless `listen` says otherwise, or is None.

    `before` is a command that runs it, as `["nice"]`; `more` is what `Process` takes.
    """

    def __init__(
        self,
        *args: str,
        listen: str | None = "127.0.0.1:0",
        before: Sequence[str] = (),
        env: Mapping[str, str] = {},
        **more: object,
    ) -> None:
        listening = ["--listen", listen] if listen is not None else []
        # Unless it is asked for, it leaves nothing on this machine, and takes no port that somebody may have.
        env = {"FAILOVER_STATE_DIR": "memory", "FAILOVER_ADMIN_LISTEN": "off", **env}
        super().__init__([*before, sys.executable, "-m", "failover", *args, *listening], env=env, **more)

    @property
    def url(self) -> str:
        """Its address, with no slash at the end; waits until it listens."""
        return self.wait_for(r'listening on (https?://[^\s"]+)')[1].replace("//0.0.0.0:", "//127.0.0.1:")

    @property
    def port(self) -> int:
        return urlsplit(self.url).port or 80

    def ready(self) -> Self:
        """Wait until all workers serve."""
        self.wait_for(_WORKERS.pattern)
        return self

    def workers(self) -> list[int]:
        """The process numbers of the workers as the log last told them, by slot."""
        pids: list[int] = []
        for line in self.lines:
            if found := _WORKERS.search(line):
                pids = [int(pid) for pid in found[1].split(",")]
            elif found := _WORKER_BACK.search(line):
                pids[int(found[1])] = int(found[2])
        return pids

    def controller(self) -> int:
        """The process number of the controller as the log last told it."""
        pids = [int(found[1]) for line in self.lines if (found := _CONTROLLER.search(line))]
        assert pids, f"no controller is told; its log:\n{self.log}"
        return pids[-1]


# The log is for people, or with --json-logs for machines: `controller=7 workers=8,9`, `"failover.workers":[8,9]`.
_WORKERS = re.compile(r'\b(?:ready|reloaded)\b.*\bworkers(?:=|":\[)([\d,]+)')
_WORKER_BACK = re.compile(r'\bworker (\d+) is back\b.*\bprocess(?:=|":)(\d+)')
_CONTROLLER = re.compile(r'(?:\b(?:ready|reloaded)\b.*\bcontroller|\bcontroller is back\b.*\bprocess)(?:=|":)(\d+)')
