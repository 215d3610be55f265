"""One child: how it is born, how its end is told, and how soon a successor follows.

Between fork and `run` the child is still a copy of the supervisor. Signals stay blocked until it has handlers of its
own: one that came sooner would be written into the supervisor's wakeup pipe and taken for the supervisor's own.
Seeds need no care: Python re-seeds `random` after a fork, and `secrets` and OpenSSL ask the kernel.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, NoReturn

from failover.observe import log

if TYPE_CHECKING:
    from failover.launch import Launch

_log = log.get("supervisor")

Run = Callable[["Launch"], int]
HANDLED = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1, signal.SIGCHLD)

_SHORT_LIFE = 1.0
_LONG_LIFE = 10.0
_FIRST_WAIT = 0.1
_LONGEST_WAIT = 5.0


@dataclass(slots=True)
class Pace:
    """How long a successor waits: not at all, but longer and longer when child after child dies young.

    All times are seconds. `young` counts deaths within 1 s of birth; a life of 10 s forgives them.
    """

    young: int = 0

    def wait_after(self, lived: float) -> float:
        if lived >= _LONG_LIFE:
            self.young = 0
        if lived >= _SHORT_LIFE:
            return 0.0
        self.young += 1
        return 0.0 if self.young == 1 else min(_FIRST_WAIT * 2.0 ** min(self.young - 2, 16), _LONGEST_WAIT)


def fork(run: Run, launch: Launch, leave_behind: Callable[[], None]) -> int:
    """Give birth and return the child's process number. `leave_behind()` closes, in the child, what is not its own.

    Raises OSError when the machine has no room for another process.
    """
    for stream in filter(None, (sys.stdout, sys.stderr)):
        stream.flush()  # what is still in a buffer now would be written twice
    before = signal.pthread_sigmask(signal.SIG_BLOCK, HANDLED)
    try:
        pid = os.fork()
        if pid == 0:
            _live(run, launch, leave_behind, before)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    return pid


def _live(run: Run, launch: Launch, leave_behind: Callable[[], None], mask: set[signal.Signals | int]) -> NoReturn:
    code = 1
    try:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        # Ctrl-C and a lost terminal reach the whole process group; what they mean is the supervisor's to say.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        signal.signal(signal.SIGUSR1, signal.SIG_IGN)
        leave_behind()
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        code = run(launch)
    except SystemExit as leaving:
        code = leaving.code if isinstance(leaving.code, int) else 1
    except BaseException:  # noqa: BLE001 - nothing may climb out of a child into the supervisor's code
        _log.exception("a child ended by a mistake in the program", action="failover.child_failed", slot=launch.slot)
    finally:
        for stream in filter(None, (sys.stdout, sys.stderr)):
            try:
                stream.flush()
            except OSError:
                continue
        os._exit(code)


def how_it_ended(status: int) -> str:
    """A wait status in words."""
    code = os.waitstatus_to_exitcode(status)
    if code >= 0:
        return f"left with exit code {code}"
    try:
        return f"killed by {signal.Signals(-code).name}"
    except ValueError:
        return f"killed by signal {-code}"
