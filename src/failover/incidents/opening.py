"""How the database is opened: alone, brought to the present, and set aside when it is broken.

Whatever is wrong with a folder is a sentence, never an end: the caller goes on in memory and says why.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import sqlite3
import time
from typing import TYPE_CHECKING

from failover.errors import StoreError
from failover.incidents.place import FILE
from failover.incidents.schema import migrate
from failover.observe import log

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_LOCK = "lock"
_LOCKED_FOR_S = 5.0
_LOOK_AGAIN_S = 0.02
_BUSY_S = 5.0

_log = log.get("incidents")


def open_folder(folder: Path) -> tuple[sqlite3.Connection, int]:
    """The connection, and the descriptor that holds the lock. Raises StoreError with the reason why not."""
    with _sentences(folder):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = _lock(folder)
        try:
            return _open(folder / FILE), lock
        except BaseException:
            os.close(lock)
            raise


def open_file(folder: Path) -> sqlite3.Connection:
    """The connection alone, for who holds the lock. Raises StoreError as above."""
    with _sentences(folder):
        return _open(folder / FILE)


def open_memory() -> sqlite3.Connection:
    connection = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
    connection.execute("PRAGMA foreign_keys = ON")
    migrate(connection)
    return connection


def open_beside(folder: Path, *, write: bool) -> sqlite3.Connection:
    """For a command: beside the proxy, or without one. Raises StoreError."""
    file = folder / FILE
    with _sentences(folder):
        if not file.exists():
            raise StoreError(f"there are no incidents in {folder}: no proxy has kept any there")
        mode = "rw" if write else "ro"
        connection = sqlite3.connect(
            f"{file.absolute().as_uri()}?mode={mode}", uri=True, timeout=_BUSY_S, isolation_level=None
        )
        connection.execute("PRAGMA foreign_keys = ON")
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if not version:
            raise StoreError(f"there are no incidents in {folder} yet")
    return connection


def _open(file: Path) -> sqlite3.Connection:
    try:
        return _connect(file)
    except sqlite3.DatabaseError as error:
        if isinstance(error, sqlite3.OperationalError):  # the disk or the rights, not the file itself
            raise
        aside = file.with_name(f"{file.name}.broken-{time.strftime('%Y%m%d-%H%M%S')}")
        file.rename(aside)
        for ending in ("-wal", "-shm"):
            with contextlib.suppress(OSError):
                file.with_name(file.name + ending).unlink()
        _log.error("the store is broken and was set aside", action="store.broken", reason=f"{error}", file=str(aside))
        return _connect(file)


def _connect(file: Path) -> sqlite3.Connection:
    # Never through a link: in a folder of somebody else's, root would open, make or empty whatever it leads to.
    os.close(os.open(file, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600))
    connection = sqlite3.connect(file, timeout=_BUSY_S, isolation_level=None, check_same_thread=False)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA foreign_keys = ON")
        _check(connection)
        migrate(connection)
    except BaseException:
        connection.close()
        raise
    return connection


def _check(connection: sqlite3.Connection) -> None:
    (sound,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    if sound != "ok":
        raise sqlite3.DatabaseError(sound)


def _lock(folder: Path) -> int:
    """The folder is ours alone. A reload's new controller waits here until the old one has left."""
    lock = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    if os.fstat(lock).st_nlink != 1:
        os.close(lock)
        raise StoreError(f"{folder / _LOCK} has another name elsewhere: whose file it is nobody can say")
    until = time.monotonic() + _LOCKED_FOR_S
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno not in (errno.EAGAIN, errno.EACCES) or time.monotonic() >= until:
                owner = os.pread(lock, 20, 0).decode("ascii", "replace").strip()
                os.close(lock)
                raise StoreError(f"{folder} is in use by another failover (process {owner or 'unknown'})") from None
            time.sleep(_LOOK_AGAIN_S)
        else:
            with contextlib.suppress(OSError):  # a full disk: the name is for people, the lock holds without it
                os.ftruncate(lock, 0)
                os.pwrite(lock, f"{os.getpid()}\n".encode(), 0)
            return lock


@contextlib.contextmanager
def _sentences(folder: Path) -> Iterator[None]:
    try:
        yield
    except StoreError:
        raise
    except OSError as error:
        raise StoreError(f"{folder} cannot be used: {(error.strerror or str(error)).lower()}") from None
    except (sqlite3.Error, ValueError) as error:
        raise StoreError(f"{folder} cannot be used: {error}") from None
