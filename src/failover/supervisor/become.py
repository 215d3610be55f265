"""Becoming another user, for good: what strangers speak with does not need what root has.

The supervisor stays who it was: it binds sockets, reads configuration and key again at a reload, and speaks with no
stranger. A child becomes somebody else between its birth and its first line of work, or it does not live.
"""

from __future__ import annotations

import ctypes
import os
import sys
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from failover.errors import StartError
from failover.settings.users import nobody

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from failover.settings.users import User

_ROOT = 0
_PR_SET_NO_NEW_PRIVS = 38  # prctl(2)
_LONGEST_REASON = 1000
_OF_ROOT = ("XDG_RUNTIME_DIR", "XDG_STATE_HOME", "XDG_CONFIG_HOME", "XDG_CACHE_HOME", "XDG_DATA_HOME")


@dataclass(frozen=True, slots=True)
class Users:
    """Who the children become; None: whoever the supervisor is. `why_not`: why nobody changes who was to."""

    worker: User | None = None
    controller: User | None = None
    why_not: str = ""

    @property
    def numbers(self) -> frozenset[int]:
        """The user numbers of all processes of this proxy."""
        changed = (one.uid for one in (self.worker, self.controller) if one is not None)
        return frozenset((os.geteuid(), *changed))


def choose(wanted: User | None, needed: Sequence[Path]) -> Users:
    """Who becomes whom. `needed` is what a controller must be able to read: it loads its pages when somebody knocks.

    Raises StartError where `wanted` cannot be had. Nobody was asked about the workers of root: they stay root where
    the system has no other user for them, as in some containers.
    """
    if os.geteuid() != _ROOT or (wanted is not None and wanted.uid == _ROOT):
        return Users()
    if wanted is None:
        worker = nobody()
        refused = _rehearse(worker, ())
        return Users(why_not=refused) if refused else Users(worker)
    if refused := _rehearse(wanted, needed):
        raise StartError(f"cannot run as {wanted}: {refused}")
    return Users(wanted, wanted)


def become(user: User) -> None:
    """Be this user, with no way back. Raises OSError where the system refuses, or where root can still be had."""
    os.setgroups(user.groups)  # while we may: the order of setuid(2) and of every daemon
    if hasattr(os, "setresuid"):
        os.setresgid(user.gid, user.gid, user.gid)
        os.setresuid(user.uid, user.uid, user.uid)
    else:  # macOS: as root, these set all three as well
        os.setgid(user.gid)
        os.setuid(user.uid)
    _no_way_back(user)
    tempfile.tempdir = None  # what root can write to, he perhaps cannot
    if user.home:
        os.environ.update(HOME=user.home, USER=user.name.partition(":")[0], LOGNAME=user.name.partition(":")[0])
    for name in _OF_ROOT:
        os.environ.pop(name, None)


def no_new_rights() -> None:
    """From now on no program that is executed gives rights that we have not: no set-user-ID bits, no capabilities.

    Linux alone has it, and some sandboxes do without: it is a second lock, behind a door that is shut.
    """
    if sys.platform == "linux":
        with suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)


def _no_way_back(user: User) -> None:
    ways = [partial(os.setuid, _ROOT), partial(os.setgroups, [_ROOT])]
    if user.gid != _ROOT:
        ways.append(partial(os.setgid, _ROOT))
    for regain in ways:
        try:
            regain()
        except OSError:
            continue
        raise OSError("root can still be had")


def _rehearse(user: User, needed: Sequence[Path]) -> str:
    """Try it in a child that does nothing else: why it cannot be, or nothing."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.write(writing, _try(user, needed).encode()[:_LONGEST_REASON])
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as end:
        said = end.read().decode("utf-8", "replace")
    os.waitpid(pid, 0)
    return said.removesuffix(".") if said else "the child that tried it died"


def _try(user: User, needed: Sequence[Path]) -> str:
    try:
        become(user)
    except OSError as error:
        return (error.strerror or str(error)).lower()
    for path in needed:
        if not os.access(path, os.R_OK):
            return f"this user cannot read the program, which is at {path}; install it where everybody can"
    return "."
