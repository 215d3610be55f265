"""Signals and `kill -9` at the worst moments: in a start, in a reload, in a drain, again and again (stories 21 and 22).

The moments are events: a line of the log, or a process that has just been born, as the system tells it.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from support.load import Load
from support.origin import Origin
from support.program import PATIENCE, Program
from support.raw import RawOrigin, dial, ok

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="/proc tells who was born and who was buried: Linux")

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
SLOW = b"GET /slow HTTP/1.1\r\nHost: a\r\n\r\n"
RELOADS = 20


@pytest.fixture(scope="module")
def flags() -> Iterator[tuple[str, ...]]:
    with Origin("primary") as primary, Origin("backup") as backup:
        yield ("--primary", primary.url, "--backup", backup.url, "--workers", "2")


@pytest.fixture(scope="module")
def running(flags: tuple[str, ...]) -> Iterator[Program]:
    with Program(*flags) as program:
        yield program.ready()


@pytest.fixture
def program(running: Program) -> Iterator[Program]:
    """Whatever a case does to it: the supervisor has lost nothing, and nobody is left whom it does not know."""
    before = open_files(running.pid)
    yield running
    until(
        lambda: set(children(running.pid)) == set(known(running)),
        f"one generation alone; its log:\n{running.log[-3000:]}",
    )
    until(lambda: open_files(running.pid) == before, f"{before} descriptors of the supervisor")
    assert "Traceback" not in running.log


def until(holds: Callable[[], object], what: str) -> None:
    """Asked again and again: /proc tells nobody when it changes."""
    end = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < end, f"never came: {what}"


def children(pid: int) -> dict[int, str]:
    """The children of a process, dead ones that nobody has buried included, with their states."""
    found = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                state, parent = (entry / "stat").read_text(encoding="latin-1").rpartition(") ")[2].split()[:2]
            except (FileNotFoundError, ProcessLookupError):
                continue
            if int(parent) == pid:
                found[int(entry.name)] = state
    return found


def known(program: Program) -> list[int]:
    return [*program.workers(), program.controller()]


def open_files(pid: int) -> int:
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


def newborn(program: Program, before: set[int]) -> set[int]:
    until(lambda: set(children(program.pid)) - before, "a birth")
    return set(children(program.pid)) - before


# -- reloads


def test_twenty_reloads_in_a_row_refuse_nobody_and_leave_one_generation(program: Program) -> None:
    with Load(program.url, rate=200) as load:
        load.wait_for(answered=20)
        for reload in range(RELOADS):
            mark = program.mark
            program.signal(signal.SIGHUP)
            # Every other one is asked for while the one before is still under way.
            program.wait_for("reloading" if reload % 2 else "reloaded", after=mark)
        mark = program.mark
        program.signal(signal.SIGHUP)
        program.wait_for("reloaded", after=mark)
        load.wait_for(answered=load.tally.answered + 50)
    assert not load.tally.failures, load.tally
    assert program.log.count("reloading: SIGHUP") >= RELOADS / 2
    assert "died" not in program.log


@pytest.mark.parametrize("victim", ["new worker", "new controller", "old worker", "old controller"])
def test_who_is_killed_in_a_reload_is_followed_and_the_reload_comes_to_its_end(program: Program, victim: str) -> None:
    old = set(known(program))
    controller, worker = program.controller(), program.workers()[0]
    mark = program.mark
    with Load(program.url, rate=100) as load:
        load.wait_for(answered=10)
        program.signal(signal.SIGHUP)
        program.wait_for("reloading", after=mark)
        if victim.startswith("old"):
            os.kill(worker if victim == "old worker" else controller, signal.SIGKILL)
        else:
            first = min(newborn(program, old))  # the controller's seat is the first one
            os.kill(first if victim == "new controller" else min(newborn(program, {*old, first})), signal.SIGKILL)
        program.wait_for("reloaded", after=mark)
        load.wait_for(answered=load.tally.answered + 30)
    assert [line for line in program.lines[mark:] if "died: killed by SIGKILL" in line]
    assert not old & set(program.workers())
    # A worker that carried traffic takes with it what it had in hand; nobody else takes anything.
    assert len(load.tally.failures) <= (5 if victim == "old worker" else 0), load.tally


def test_a_controller_that_dies_again_and_again_comes_back_slower_and_slower_and_traffic_goes_on(
    program: Program,
) -> None:
    with Load(program.url, rate=100) as load:
        load.wait_for(answered=5)
        first = program.mark
        for _ in range(5):
            mark = program.mark
            os.kill(program.controller(), signal.SIGKILL)
            program.wait_for("controller is back", after=mark)
    assert not load.tally.failures, load.tally
    told = [line for line in program.lines[first:] if "controller died" in line]
    waits = [float(line.split('"in ')[1].split(" s")[0]) if '"in ' in line else 0.0 for line in told]
    assert waits == sorted(waits), waits
    assert waits[-1] >= 2 * waits[-2] >= 4 * waits[-3] > 0.0, waits
    assert len(set(program.workers())) == 2


def test_signals_that_mean_nothing_here_change_nothing(program: Program) -> None:
    before, mark = known(program), program.mark
    for number in (signal.SIGPIPE, signal.SIGUSR2):
        for pid in (program.pid, *before):
            os.kill(pid, number)
    for pid in program.workers():
        os.kill(pid, signal.SIGUSR1)
        os.kill(pid, signal.SIGHUP)
        os.kill(pid, signal.SIGINT)
    program.signal(signal.SIGHUP)
    program.wait_for("reloaded", after=mark)
    assert not [line for line in program.lines[mark:] if "died" in line]
    with dial(program.port) as client:
        client.send(GET)
        assert b" 200 " in client.read_answer()[0]


# -- the end


@pytest.fixture
def draining() -> Iterator[tuple[Program, threading.Event, ExitStack]]:
    """A program that is told to stop, with a request in hand that is answered once the event is set."""
    arrived, release = threading.Event(), threading.Event()

    def script(wire, head):
        if head.startswith(b"GET /slow"):
            arrived.set()
            release.wait(PATIENCE)
        wire.send(ok())

    with RawOrigin(script) as primary, ExitStack() as stack:
        program = stack.enter_context(
            Program("--primary", primary.url, "--backup", "http://127.0.0.1:1", "--workers", "2")
        ).ready()
        client = stack.enter_context(dial(program.port))
        client.send(SLOW)
        assert arrived.wait(PATIENCE)
        program.signal(signal.SIGTERM)
        program.wait_for("stopping, requests in hand")
        yield program, release, client
        release.set()


def busy(program: Program) -> int:
    """The worker that is still there once the one with nothing in hand has left."""
    workers = program.workers()
    until(lambda: len(set(workers) & set(children(program.pid))) == 1, "the idle worker's end")
    return next(iter(set(workers) & set(children(program.pid))))


def test_a_controller_that_is_killed_in_the_drain_takes_nothing_with_it(draining) -> None:
    program, release, client = draining
    os.kill(program.controller(), signal.SIGKILL)
    program.wait_for("controller died: killed by SIGKILL")
    release.set()
    assert client.read_answer()[1] == b"ok"
    client.close()  # or it would linger for what he may yet send
    assert program.wait() == 0
    program.wait_for_silence()
    assert "successor" not in program.log


def test_a_worker_that_is_killed_in_the_drain_is_told_and_shows_in_the_exit_code(draining) -> None:
    program, _release, client = draining
    os.kill(busy(program), signal.SIGKILL)
    assert program.wait() == 1
    program.wait_for_silence()
    program.wait_for("worker . died: killed by SIGKILL")
    assert "is back" not in program.log
    assert client.is_closed()


def test_a_second_sigterm_ends_it_also_when_somebody_was_killed_between(draining) -> None:
    program, _release, client = draining
    os.kill(program.controller(), signal.SIGKILL)
    program.wait_for("controller died")
    program.signal(signal.SIGTERM)
    assert program.wait() == 128 + signal.SIGTERM
    program.wait_for_silence()
    assert client.is_closed()


# -- the start


@pytest.mark.parametrize("moment", ["pydantic_core", "uvloop", "listening", "first child"])
def test_ctrl_c_in_the_first_moments_ends_it_without_a_traceback(flags: tuple[str, ...], moment: str) -> None:
    with Program(*flags) as program:
        if moment == "listening":
            program.wait_for("listening on")
        elif moment == "first child":
            until(lambda: children(program.pid), moment)
        else:
            maps = Path(f"/proc/{program.pid}/maps")
            until(lambda: moment in maps.read_text() or not program.running, moment)
        program.signal(signal.SIGINT)
        assert program.wait() in {0, 130, -signal.SIGINT}
        program.wait_for_silence()
    assert "died" not in program.log
    assert "Traceback" not in program.log


@pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("unshare"), reason="only root makes a process namespace")
def test_as_process_1_it_buries_orphans_and_ends_when_told(flags: tuple[str, ...]) -> None:
    with Program(*flags, before=["unshare", "--pid", "--fork", "--mount-proc"]) as program:
        program.ready()
        (first,) = children(program.pid)
        inside = ["nsenter", "--target", str(first), "--pid", "--mount", "sh", "-c"]
        leave_an_orphan = "exec 3<&0; (read line <&3; exit 3) & exit 0"
        family = set(children(first))
        with subprocess.Popen([*inside, leave_an_orphan], stdin=subprocess.PIPE) as parent:
            until(lambda: len(children(first)) == len(family) + 1, "an orphan")
            parent.communicate(b"end\n")
        until(lambda: set(children(first)) == family, "the orphan's burial")
        os.kill(first, signal.SIGTERM)
        assert program.wait() == 0
        program.wait_for_silence()
    assert "died" not in program.log
