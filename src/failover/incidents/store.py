"""The store over SQLite: one thread owns the connection and does what is asked, in the order in which it was asked."""

from __future__ import annotations

import os
import queue
import sqlite3
import threading
import time
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, TypeVar

from failover.errors import StoreError
from failover.incidents import queries
from failover.incidents.place import find_folder
from failover.incidents.tables import Tables

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from failover.core.document import Document, Recurrence
    from failover.incidents.base import Day, Kept, Mailbox, Row, Totals
    from failover.settings.model import Settings

_CLOSES_WITHIN_S = 3.0

T = TypeVar("T")
Job = tuple["Future[Any]", "Callable[[sqlite3.Connection], Any]"]


def open_store(settings: Settings) -> SqliteStore:
    """The store of a proxy with these settings. Returns at once: whether it is on disk is known a moment later."""
    return SqliteStore(*find_folder(settings.state_dir, settings.listen.port, os.environ))


class SqliteStore:
    """See `base.Store`. Without a folder everything is in memory, for this `reason`."""

    def __init__(self, folder: Path | None, reason: str = "") -> None:
        self._folder = folder
        self._reason = reason
        self._jobs: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._opened: Future[str] = Future()
        self._version = 0
        self._thread = threading.Thread(target=self._run, name="incidents", daemon=True)
        self._thread.start()

    # -- the thread

    def _run(self) -> None:
        tables = Tables(self._folder, self._reason)
        self._opened.set_result(tables.reason)
        while (job := self._jobs.get()) is not None:
            future, work = job
            if not future.set_running_or_notify_cancel():
                continue
            try:
                tables.look()
                result = _ask(tables, work)
            except sqlite3.Error as error:
                future.set_exception(StoreError(f"the store of incidents failed: {error}"))
            except Exception as error:  # noqa: BLE001 - whoever asked must hear of it, and the next one be served
                future.set_exception(error)
            else:
                future.set_result(result)
        tables.close()

    def _do(self, work: Callable[[sqlite3.Connection], T]) -> Future[T]:
        future: Future[T] = Future()
        self._jobs.put((future, work))
        return future

    def close(self) -> None:
        self._jobs.put(None)
        self._thread.join(_CLOSES_WITHIN_S)

    # -- what is asked

    def opened(self) -> Future[str]:
        return self._opened

    def save(self, document: Document, state: bytes, channels: tuple[str, ...] = ()) -> Future[None]:
        return self._do(lambda connection: queries.save(connection, document, state, channels))

    def newest(self) -> Future[Kept | None]:
        return self._do(queries.newest)

    def load(self, incident: str) -> Future[Document | None]:
        return self._do(lambda connection: queries.load(connection, incident))

    def recurrence(self, of: Document, days: int = 30) -> Future[Recurrence]:
        return self._do(lambda connection: queries.recurrence(connection, of, days))

    def remember(self, key: str, value: bytes) -> Future[None]:
        at = time.time()  # noqa: TID251 - how old it is must be known to another process
        return self._do(lambda connection: queries.remember(connection, key, value, at))

    def recall(self, key: str) -> Future[tuple[bytes, float] | None]:
        return self._do(lambda connection: queries.recall(connection, key))

    def add_to_ledger(self, at: float, requests: int, failed: int, hidden: int) -> Future[None]:
        return self._do(lambda connection: queries.add_to_ledger(connection, at, requests, failed, hidden))

    def days(self, since: float) -> Future[list[Day]]:
        return self._do(lambda connection: queries.days(connection, since))

    def mailboxes(self, channels: tuple[str, ...]) -> Future[list[Mailbox]]:
        return self._do(lambda connection: queries.mailboxes(connection, channels))

    def listed(self, most: int) -> Future[list[Document]]:
        return self._do(lambda connection: queries.listed(connection, most))

    def note(self, incident: str, who: str, text: str) -> Future[bool]:
        at = time.time()  # noqa: TID251 - people read it in their own time

        def write(connection: sqlite3.Connection) -> bool:
            if queries.load(connection, incident) is None:
                return False
            queries.note(connection, incident, at, who, text)
            return True

        return self._do(write)

    def totals(self, since: float) -> Future[Totals]:
        return self._do(lambda connection: queries.totals(connection, since))

    def outbox(self, channels: tuple[str, ...]) -> Future[list[Row]]:
        return self._do(lambda connection: queries.outbox(connection, channels))

    def put(self, row: Row) -> Future[None]:
        return self._do(lambda connection: queries.put(connection, row))

    def changed_by_others(self) -> Future[bool]:
        return self._do(self._changed)

    def _changed(self, connection: sqlite3.Connection) -> bool:
        (version,) = connection.execute("PRAGMA data_version").fetchone()
        before, self._version = self._version, version
        return before not in (0, version)

    def prune(self, before: float) -> Future[int]:
        return self._do(lambda connection: queries.prune(connection, before))


def _ask(tables: Tables, work: Callable[[sqlite3.Connection], T]) -> T:
    """Ask once more where the disk was at fault, and not the question."""
    try:
        return work(tables.connection)
    except sqlite3.Error as error:
        if not tables.give_way(error):
            raise
    return work(tables.connection)
