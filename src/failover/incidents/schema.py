"""The tables, as the steps that led to them. A step that was ever released is never changed: add another."""

from __future__ import annotations

from typing import TYPE_CHECKING

from failover.errors import StoreError

if TYPE_CHECKING:
    import sqlite3

MIGRATIONS: tuple[str, ...] = (
    """
    CREATE TABLE incidents (
        id TEXT PRIMARY KEY, status TEXT NOT NULL, severity TEXT NOT NULL, episode INTEGER NOT NULL,
        started REAL NOT NULL, resolved REAL, outage REAL NOT NULL, primary_url TEXT NOT NULL, cause TEXT NOT NULL,
        title TEXT NOT NULL, document BLOB NOT NULL, state BLOB NOT NULL
    );
    CREATE INDEX incidents_by_time ON incidents (started);
    CREATE TABLE notes (
        n INTEGER PRIMARY KEY, incident TEXT NOT NULL REFERENCES incidents (id) ON DELETE CASCADE,
        at REAL NOT NULL, who TEXT NOT NULL, text TEXT NOT NULL
    );
    CREATE TABLE outbox (
        incident TEXT NOT NULL REFERENCES incidents (id) ON DELETE CASCADE, channel TEXT NOT NULL,
        wanted_episode INTEGER NOT NULL, wanted_status TEXT NOT NULL, wanted_at REAL NOT NULL,
        told_episode INTEGER NOT NULL DEFAULT 0, told_status TEXT, told_at REAL NOT NULL DEFAULT 0,
        next_at REAL NOT NULL DEFAULT 0, tries INTEGER NOT NULL DEFAULT 0, sending INTEGER NOT NULL DEFAULT 0,
        remote TEXT NOT NULL DEFAULT '', last_error TEXT NOT NULL DEFAULT '', over INTEGER NOT NULL DEFAULT 0,
        PRIMARY KEY (incident, channel)
    );
    CREATE TABLE memory (key TEXT PRIMARY KEY, value BLOB NOT NULL, at REAL NOT NULL);
    CREATE TABLE ledger (hour INTEGER PRIMARY KEY, requests INTEGER NOT NULL, failed INTEGER NOT NULL);
    """,
    """
    ALTER TABLE ledger ADD COLUMN hidden INTEGER NOT NULL DEFAULT 0;
    """,
)


def migrate(connection: sqlite3.Connection) -> None:
    """Bring the tables to the present. Raises StoreError for those of a newer version, which are not touched."""
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version > len(MIGRATIONS):
        raise StoreError(f"it was written by a newer failover (its tables are version {version})")
    for step in range(version, len(MIGRATIONS)):
        connection.executescript(f"BEGIN IMMEDIATE; {MIGRATIONS[step]}; PRAGMA user_version = {step + 1}; COMMIT;")
