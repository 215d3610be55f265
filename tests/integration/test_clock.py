"""The wall clock is set forward and back while the proxy runs (story 23): the times of an outage stay right.

The clock of the program alone is moved, by a small library in front of libc that adds a number from a file. It moves
the clock that nobody can set as well, for all processes alike: so a proxy has been off, and nobody waits for that.
"""

from __future__ import annotations

import os
import shutil
import signal
import struct
import subprocess
import sys
from datetime import datetime
from typing import TYPE_CHECKING

import pytest

from support.fakes import FakeReceiver, Reply
from support.load import Load
from support.origin import Origin
from support.program import Program, clean_environment

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from support.fakes import Request

HOUR = 3600.0
FORWARD, BACK = 6 * HOUR, -48 * HOUR
OFF = 90.0
QUICK = ("--check-interval", "100ms", "--ramp-step", "50ms", "--workers", "1")
CLOCK = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
static volatile double *offset;
__attribute__((constructor)) static void begin(void) {
    int file = open(getenv("CLOCK_OFFSET"), O_RDONLY | O_CLOEXEC);
    offset = mmap(0, 2 * sizeof(double), PROT_READ, MAP_SHARED, file, 0);
}
int clock_gettime(clockid_t which, struct timespec *now) {
    static int (*real)(clockid_t, struct timespec *);
    if (!real) real = dlsym(RTLD_NEXT, "clock_gettime");
    int failed = real(which, now);
    if (which == CLOCK_REALTIME && !failed) now->tv_sec += (long)(offset[0] + offset[1]);
    if (which == CLOCK_MONOTONIC && !failed) now->tv_sec += (long)offset[1];
    return failed;
}
"""


class Clock:
    def __init__(self, folder: Path) -> None:
        self._file = folder / "offset"
        self._file.write_bytes(struct.pack("dd", 0.0, 0.0))
        self.env = {"LD_PRELOAD": os.fspath(folder / "clock.so"), "CLOCK_OFFSET": os.fspath(self._file)}

    def set(self, offset: float, *, later: float = 0.0) -> None:
        """The wall clock is wrong by `offset`, and `later` seconds have passed that nobody waited for."""
        with self._file.open("r+b") as file:
            file.write(struct.pack("dd", offset, later))


@pytest.fixture
def clock(tmp_path: Path) -> Iterator[Clock]:
    compiler = shutil.which("cc") or shutil.which("gcc")
    if sys.platform != "linux" or compiler is None:
        pytest.skip("moving the clock of one program needs Linux and a C compiler")
    (tmp_path / "clock.c").write_text(CLOCK, encoding="ascii")
    command = [compiler, "-shared", "-fPIC", "-o", "clock.so", "clock.c", "-ldl"]
    subprocess.run(command, cwd=tmp_path, env=clean_environment(), check=True)
    return Clock(tmp_path)


class Anybody(FakeReceiver):
    """Who verifies no signature: those are dated, and the date is what is wrong here."""

    def answer(self, _request: Request) -> Reply:
        return Reply(204)


def test_a_clock_that_is_set_changes_no_verdict_and_no_duration(tmp_path: Path, clock: Clock) -> None:
    with Anybody() as anybody, Origin("primary") as primary, Origin("backup") as backup:
        hook = ("--webhook-url", anybody.url, "--webhook-format", "generic", "--webhook-secret", anybody.secret)
        flags = (
            "--primary",
            primary.url,
            "--backup",
            backup.url,
            *QUICK,
            *hook,
            "--state-dir",
            str(tmp_path / "state"),
        )
        with Program(*flags, env=clock.env) as program:
            with Load(program.ready().url, rate=100) as load:
                load.wait_for(answered=5)
                for offset in (FORWARD, BACK, 0.0):
                    clock.set(offset)
                    load.wait_for(answered=20)
                assert "suspected" not in program.log
                primary.stop()
                opened = anybody.wait_for(1).payload
                clock.set(FORWARD)
                load.wait_for(by={"backup": 20})
                assert program.log.count("switched to the backup") == 1
            assert not load.tally.failures
            mark = program.mark
            os.kill(program.controller(), signal.SIGKILL)
            program.wait_for(r"incident inc_\w+ is open", after=mark)
            moved = datetime.fromisoformat(program.lines[mark][:23]) - datetime.now()  # noqa: DTZ005 - as the log is
            assert abs(moved.total_seconds() - FORWARD) < HOUR  # or nothing here says anything
            clock.set(BACK)  # until the last word of the old ones
            for pid in (program.pid, *program.workers(), program.controller()):
                os.kill(pid, signal.SIGKILL)
            program.wait_for_silence()
        clock.set(0.0, later=OFF)
        with Program(*flags, env=clock.env) as program:
            program.wait_for("the verdict goes on where it was.*verdict=backup")
            program.wait_for(r"incident inc_\w+ is open")
            primary.start()
            resolved = anybody.wait_for(2).payload
            assert program.log.count("switched back to the primary") == 1
            assert "Traceback" not in program.log
    assert [one.payload["type"] for one in anybody.taken] == ["incident.opened", "incident.resolved"]
    assert resolved["data"]["id"] == opened["data"]["id"]
    durations = resolved["data"]["durations"]
    assert all(0 <= value < HOUR for value in durations.values() if value is not None), durations
    assert OFF <= durations["unknown"] < durations["outage"] < OFF + HOUR / 10, durations
