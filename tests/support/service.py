"""A unit of systemd carried out without systemd: `python -m support.service UNIT FD FOLDER WORDS...`.

What a service manager does before it becomes the program, as far as a process can do it to itself: the socket of the
unit at descriptor 3, WatchdogSec=, StateDirectory=, RuntimeDirectory=, LimitNOFILE=, UMask=, NoNewPrivileges=,
MemoryDenyWriteExecute=, SystemCallFilter=. NOTIFY_SOCKET is given by the caller.
"""

from __future__ import annotations

import ctypes
import ctypes.util
import os
import resource
import subprocess
import sys
from functools import cache
from pathlib import Path

from support.platforms import unit

_PR_SET_NO_NEW_PRIVS, _PR_SET_MDWE, _EPERM = 38, 65, 1
_SCMP_ACT_ALLOW, _SCMP_ACT_ERRNO = 0x7FFF0000, 0x00050000


@cache
def _groups() -> dict[str, list[str]]:
    """The groups of system calls that systemd here knows, each with its names and the groups that it holds."""
    command = ["systemd-analyze", "syscall-filter", "--no-pager"]
    groups: dict[str, list[str]] = {}
    name = ""
    for line in subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines():
        word = line.strip()
        if line.startswith("@"):
            name = word
            groups[name] = []
        elif word and name and not word.startswith("#"):
            groups[name].append(word)
    return groups


def syscalls(group: str) -> set[str]:
    """The names in a group such as @system-service."""
    found: set[str] = set()
    for word in _groups()[group]:
        found |= syscalls(word) if word.startswith("@") else {word}
    return found


def allowed(filters: list[str]) -> set[str]:
    """What SystemCallFilter= leaves: the first line allows, one that begins with ~ takes away again."""
    left = syscalls("@default")
    for line in filters:
        named = set[str]().union(*(syscalls(group) for group in line.removeprefix("~").split()))
        left = left - named if line.startswith("~") else left | named
    return left


def obey(names: set[str]) -> None:
    """From now on any other system call fails with EPERM, here and in all children. Raises OSError."""
    library = ctypes.CDLL(ctypes.util.find_library("seccomp"))
    library.seccomp_init.restype = ctypes.c_void_p
    library.seccomp_rule_add_array.argtypes = [
        ctypes.c_void_p, ctypes.c_uint32, ctypes.c_int, ctypes.c_uint, ctypes.c_void_p
    ]  # fmt: skip
    library.seccomp_load.argtypes = [ctypes.c_void_p]
    context = library.seccomp_init(_SCMP_ACT_ERRNO | _EPERM)
    for name in sorted(names):
        number = library.seccomp_syscall_resolve_name(name.encode())
        if number >= 0:
            library.seccomp_rule_add_array(context, _SCMP_ACT_ALLOW, number, 0, None)
    if failed := library.seccomp_load(context):
        raise OSError(-failed, "the filter is not taken")


def become(text: str, listening: int, folder: Path, words: list[str]) -> None:
    told = unit(text)
    environ = dict(os.environ)
    for key, variable in (("StateDirectory", "STATE_DIRECTORY"), ("RuntimeDirectory", "RUNTIME_DIRECTORY")):
        made = folder / key / told[key][0]
        made.mkdir(parents=True, mode=int(told[f"{key}Mode"][0], 8))
        environ[variable] = os.fspath(made)
    if listening != 3:
        os.dup2(listening, 3)
    os.set_inheritable(3, True)
    environ |= {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "1"}
    environ |= {"WATCHDOG_PID": str(os.getpid()), "WATCHDOG_USEC": environ["SERVICE_WATCHDOG_USEC"]}
    files = int(told["LimitNOFILE"][0])
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = files if hard == resource.RLIM_INFINITY else min(files, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    os.umask(int(told["UMask"][0], 8))
    names = allowed(told["SystemCallFilter"])
    libc = ctypes.CDLL(None)
    libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    libc.prctl(_PR_SET_MDWE, 1, 0, 0, 0)  # an old kernel does not know it
    obey(names)
    os.execve(words[0], words, environ)


if __name__ == "__main__":
    become(Path(sys.argv[1]).read_text(), int(sys.argv[2]), Path(sys.argv[3]), sys.argv[4:])
