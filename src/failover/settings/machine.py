"""What this machine gives: the two settings whose default depends on it."""

from __future__ import annotations

import os
import resource
from contextlib import suppress
from pathlib import Path

_MOST_WORKERS = 4
_MOST_CONNECTIONS = 100_000
_LEAST_CONNECTIONS = 16
_OWN_FILES = 64
_FILES_PER_CONNECTION = 2
_MOST_FILES = 1_048_576
_UNSAID_FILES = 10_240  # macOS says no limit and refuses more than this
_CGROUP_LIMIT = Path("/sys/fs/cgroup/cpu.max")


def usable_cores() -> int:
    """Processors that this process may use, the share of its container counted, at least 1."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    with suppress(OSError, ValueError):  # no cgroup v2 here, or no limit in it ("max 100000")
        quota, period = map(int, _CGROUP_LIMIT.read_text(encoding="ascii").split())
        cores = min(cores, -(-quota // period))
    return max(1, cores)


def default_workers() -> int:
    """A worker for each usable core, at most 4: beyond that the targets are busy, not the proxy."""
    return min(_MOST_WORKERS, usable_cores())


def default_connections(workers: int) -> int:
    """Client connections that the files of so many workers suffice for: each needs one more to its target."""
    suffice = workers * ((_file_limits()[0] - _OWN_FILES) // _FILES_PER_CONNECTION)
    return max(_LEAST_CONNECTIONS, min(_MOST_CONNECTIONS, suffice))


def raise_file_limit() -> None:
    """Allow as many open files as the system lets us: the usual 1024 is a habit, not a limit."""
    wanted, soft, hard = _file_limits()
    if soft < wanted:
        with suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def no_core_dumps() -> None:
    """No core dump of ours or of our children: it would hold keys, passwords and visitors' requests."""
    with suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))


def _file_limits() -> tuple[int, int, int]:
    """How many open files we can have, how many we may have now, and the system's word for the most."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = _UNSAID_FILES if hard == resource.RLIM_INFINITY else hard
    soft_files = _MOST_FILES if soft == resource.RLIM_INFINITY else soft
    return max(soft_files, min(most, _MOST_FILES)), soft_files, hard
