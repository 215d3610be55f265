"""The folder of the store, from root to the user that the controller becomes: made for him, or given to him.

Root gives away only what is plainly a store of ours: a folder of root's that nobody else can write to, with nothing in
it but the files that we make. So neither a slip (`--state-dir /etc`) nor a link that somebody has laid gives away more.
"""

from __future__ import annotations

import os
import re
import stat
from contextlib import suppress
from typing import TYPE_CHECKING

from failover.errors import StoreError

if TYPE_CHECKING:
    from pathlib import Path

    from failover.settings.users import User

_ROOT = 0
_OURS = re.compile(r"failover\.db(-wal|-shm|-journal|\.broken-\d{8}-\d{6})?|lock")


def hand_over(folder: Path, user: User) -> None:
    """See to it that the folder is this user's. What is his already, or anybody's but root's, stays as it is.

    Raises StoreError with the reason why it cannot be.
    """
    try:
        folder.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        with suppress(FileExistsError):
            folder.mkdir(mode=0o700)
        end = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError as error:
        raise StoreError(f"{folder} cannot be given to {user}: {(error.strerror or str(error)).lower()}") from None
    try:
        why_not = _give(end, user)
    except OSError as error:
        why_not = (error.strerror or str(error)).lower()
    finally:
        os.close(end)
    if why_not:
        raise StoreError(f"{folder} is not given to {user}: {why_not}")


def _give(folder: int, user: User) -> str:
    """The reason why not, or nothing. The folder goes last: until then nobody but root can change what is in it."""
    about = os.fstat(folder)
    if about.st_uid == user.uid:
        return ""
    if about.st_uid != _ROOT:
        return "it belongs to somebody else"
    if about.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        return "others than root can write to it"
    names = os.listdir(folder)
    if strange := sorted(name for name in names if not _OURS.fullmatch(name)):
        return f"it holds what is not ours: {strange[0]!r}"
    for name in names:
        if why_not := _give_file(folder, name, user):
            return why_not
    os.fchown(folder, user.uid, user.gid)
    return ""


def _give_file(folder: int, name: str, user: User) -> str:
    file = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
    try:
        about = os.fstat(file)
        if not stat.S_ISREG(about.st_mode) or about.st_nlink != 1 or about.st_uid not in (_ROOT, user.uid):
            return f"{name} in it is no file of root's alone"
        os.fchown(file, user.uid, user.gid)
    finally:
        os.close(file)
    return ""
