"""Where the tables are at the moment: on the disk, or in memory while the disk takes nothing.

A disk that is full, broken, locked or gone is no reason to forget what happens and whom to tell of it. The tables go on
as a copy in memory, and come home as soon as the disk can be written to again. Told once each way.
"""

from __future__ import annotations

import os
import sqlite3
from contextlib import suppress
from time import monotonic
from typing import TYPE_CHECKING

from failover.errors import StoreError
from failover.incidents import queries
from failover.incidents.opening import open_file, open_folder, open_memory
from failover.incidents.place import FILE, ON_PURPOSE
from failover.observe import log

if TYPE_CHECKING:
    from pathlib import Path

_LOOK_EVERY_S = 5.0

# Primary result codes of SQLite (sqlite.org/rescode.html) that tell of the file or the disk, not of what was asked.
_OF_THE_DISK = frozenset(
    {
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_PROTOCOL,
        sqlite3.SQLITE_READONLY,
    }
)
_BROKEN = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})

_log = log.get("incidents")


class Tables:
    """`connection` is whom to ask now. `reason` says why nothing will ever be on disk; empty where it should be."""

    def __init__(self, folder: Path | None, reason: str) -> None:
        # for its life
        self.reason = reason
        self._folder = folder
        # while it is there
        self._lock = -1
        self._file = (0, 0)
        self._away = False
        self._look_at = monotonic() + _LOOK_EVERY_S
        self.connection = self._open()

    def _open(self) -> sqlite3.Connection:
        if self._folder is not None:
            try:
                connection, self._lock = open_folder(self._folder)
                self._file = _identity(self._folder / FILE)
            except StoreError as error:
                self.reason = str(error)
            else:
                return connection
        what = "incidents and deliveries are kept in memory, and gone when the proxy stops"
        say = _log.info if self.reason == ON_PURPOSE else _log.warning
        say(what, action="store.ephemeral", reason=self.reason)
        return open_memory()

    def close(self) -> None:
        """The last one out leaves no WAL behind."""
        if self._away and not self._come_home():
            _log.error("what was kept in memory is lost", action="store.lost", reason="the disk still takes nothing")
        self.connection.close()
        if self._lock >= 0:
            os.close(self._lock)

    def give_way(self, error: sqlite3.Error) -> bool:
        """Go on in memory, where that helps. True: ask again."""
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        broken = code in _BROKEN
        if self.reason or not (broken or (code in _OF_THE_DISK and not self._away)):
            return False
        self._leave(str(error), broken=broken)
        return True

    def look(self) -> None:
        """Now and then: whether the file is still the one that we have open, and whether we can come home."""
        now = monotonic()
        if self.reason or self._folder is None or now < self._look_at:
            return
        self._look_at = now + _LOOK_EVERY_S
        if not self._away and _identity(self._folder / FILE) != self._file:
            self._leave("its file is gone")
        if self._away:
            self._come_home()

    def _leave(self, reason: str, *, broken: bool = False) -> None:
        """What is broken is not copied; it is set aside when we come home."""
        what = "the store cannot be written, incidents and deliveries are kept in memory meanwhile"
        _log.error(what, action="store.away", reason=reason, folder=str(self._folder))
        memory = open_memory()
        if not broken:
            try:
                self.connection.backup(memory, progress=_never_wait)
            except sqlite3.Error:
                memory = open_memory()  # it cannot be read either
        with suppress(sqlite3.Error):
            self.connection.close()
        self.connection, self._away = memory, True

    def _come_home(self) -> bool:
        """False where that is not possible yet."""
        folder = self._folder
        if folder is None:
            return False
        try:
            if os.fstat(self._lock).st_nlink:
                connection = open_file(folder)
            else:
                connection, lock = open_folder(folder)
                os.close(self._lock)
                self._lock = lock
        except StoreError:
            return False
        try:
            queries.bring(self.connection, connection)
        except sqlite3.Error:
            connection.close()
            return False
        self.connection.close()
        self.connection, self._away, self._file = connection, False, _identity(folder / FILE)
        _log.info("incidents and deliveries are on disk again", action="store.home", folder=str(folder))
        return True


def _identity(file: Path) -> tuple[int, int]:
    """What tells a file from its successor of the same name; zeros where there is none."""
    try:
        found = file.stat()
    except OSError:
        return 0, 0
    return found.st_dev, found.st_ino


def _never_wait(status: int, _remaining: int, _total: int) -> None:
    """A copy that has to wait for somebody is not made: `backup` would wait without end."""
    if status in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}:
        raise sqlite3.OperationalError("it is locked")
