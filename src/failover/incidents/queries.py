"""What is asked of the tables: each function is one question or one change, over a connection that is given.

Documents are JSON, as they are exported. One that this version cannot read is skipped where many are asked for.
"""

from __future__ import annotations

import contextlib
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import msgspec

from failover.core.document import Document, Entry, Happening, Recurrence, Status
from failover.incidents.base import Day, Kept, Mailbox, Row, Totals

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator

_HOUR = 3600
_DAY = 86400.0

_WANTED = "INSERT INTO outbox (incident, channel, wanted_episode, wanted_status, wanted_at) VALUES (?, ?, ?, ?, ?)"

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Document).decode
_UNREADABLE = (ValueError, RecursionError)  # another version's, no JSON, no UTF-8, nested without end


@contextlib.contextmanager
def transaction(connection: sqlite3.Connection, *, durable: bool = False) -> Iterator[None]:
    """All or nothing. `durable`: on the disk when it is over, even if the power fails in the next moment."""
    connection.execute(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        if connection.in_transaction:  # a full disk has rolled back already
            connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")


# Incidents


def save(connection: sqlite3.Connection, told: Document, state: bytes, channels: tuple[str, ...] = ()) -> None:
    recovered = told.moments.recovered
    values = (
        told.id,
        told.status,
        told.severity,
        told.episode,
        told.moments.first_bad.timestamp(),
        recovered.timestamp() if recovered is not None else None,
        told.durations.outage,
        told.primary.url,
        told.cause.kind if told.cause is not None else "",
        told.title,
        _encode(told),
        state,
    )
    with transaction(connection, durable=bool(channels)):
        connection.execute(
            "INSERT INTO incidents (id, status, severity, episode, started, resolved, outage, primary_url, cause,"
            " title, document, state) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET"
            " status = excluded.status, severity = excluded.severity, episode = excluded.episode,"
            " started = excluded.started, resolved = excluded.resolved, outage = excluded.outage,"
            " primary_url = excluded.primary_url, cause = excluded.cause, title = excluded.title,"
            " document = excluded.document, state = excluded.state",
            values,
        )
        for channel in channels:
            # What is wanted there already stays as it is, with its tries.
            connection.execute(
                f"{_WANTED} ON CONFLICT (incident, channel) DO UPDATE SET wanted_episode = excluded.wanted_episode,"
                " wanted_status = excluded.wanted_status, wanted_at = excluded.wanted_at, next_at = 0, tries = 0,"
                " over = 0 WHERE wanted_episode <> excluded.wanted_episode OR wanted_status <> excluded.wanted_status",
                (told.id, channel, told.episode, told.status, told.updated.timestamp()),
            )


def newest(connection: sqlite3.Connection) -> Kept | None:
    for document, state in connection.execute("SELECT document, state FROM incidents ORDER BY started DESC, id DESC"):
        with contextlib.suppress(*_UNREADABLE):
            return Kept(_decode(document), state)
    return None


def load(connection: sqlite3.Connection, incident: str) -> Document | None:
    found = connection.execute("SELECT document FROM incidents WHERE id = ?", (incident,)).fetchone()
    if found is None:
        return None
    with contextlib.suppress(*_UNREADABLE):
        return _with_notes(connection, _decode(found[0]))
    return None


def _with_notes(connection: sqlite3.Connection, told: Document) -> Document:
    notes = [
        Entry(
            at=datetime.fromtimestamp(round(at, 3), UTC),
            after=round(at - told.moments.first_bad.timestamp(), 3),
            what=Happening.NOTE,
            text=text,
            who=who,
        )
        for at, who, text in connection.execute(
            "SELECT at, who, text FROM notes WHERE incident = ? ORDER BY at, n", (told.id,)
        )
    ]
    if not notes:
        return told
    return replace(told, timeline=tuple(sorted((*told.timeline, *notes), key=lambda entry: entry.at)))


def listed(connection: sqlite3.Connection, most: int) -> list[Document]:
    """The newest first, those that this version can read."""
    found = []
    for (raw,) in connection.execute("SELECT document FROM incidents ORDER BY started DESC, id DESC LIMIT ?", (most,)):
        with contextlib.suppress(*_UNREADABLE):
            found.append(_with_notes(connection, _decode(raw)))
    return found


def names(connection: sqlite3.Connection, beginning: str) -> list[str]:
    """The ids that begin like this, newest first."""
    literal = beginning.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    wanted = (f"{literal}%", f"inc\\_{literal}%")
    return [
        name
        for (name,) in connection.execute(
            "SELECT id FROM incidents WHERE id LIKE ? ESCAPE '\\' OR id LIKE ? ESCAPE '\\' ORDER BY started DESC",
            wanted,
        )
    ]


def note(connection: sqlite3.Connection, incident: str, at: float, who: str, text: str) -> None:
    with transaction(connection, durable=True):
        connection.execute("INSERT INTO notes (incident, at, who, text) VALUES (?, ?, ?, ?)", (incident, at, who, text))


def recurrence(connection: sqlite3.Connection, of: Document, days: int) -> Recurrence:
    began = of.moments.first_bad.timestamp()
    cause = of.cause.kind if of.cause is not None else ""
    found = connection.execute(
        "SELECT id, cause, outage FROM incidents WHERE started < ? AND started >= ? AND id <> ? AND severity <> 'drill'"
        " AND primary_url = ? ORDER BY started",
        (began, began - days * _DAY, of.id, of.primary.url),
    ).fetchall()
    if not found:
        return Recurrence(days=days)
    return Recurrence(
        days=days,
        incidents=len(found),
        same_cause=sum(1 for _, kind, _ in found if kind and kind == cause),
        mean_outage=round(sum(outage for *_, outage in found) / len(found), 3),
        last_id=found[-1][0],
    )


def prune(connection: sqlite3.Connection, before: float) -> int:
    """Incidents that are over and began before, and as old hours of the ledger."""
    with transaction(connection):
        gone = connection.execute("DELETE FROM incidents WHERE status = ? AND started < ?", (Status.RESOLVED, before))
        connection.execute("DELETE FROM ledger WHERE hour < ?", (int(before // _HOUR),))
    return gone.rowcount


# Memory and ledger


def remember(connection: sqlite3.Connection, key: str, value: bytes, at: float) -> None:
    with transaction(connection):
        connection.execute("INSERT OR REPLACE INTO memory (key, value, at) VALUES (?, ?, ?)", (key, value, at))


def recall(connection: sqlite3.Connection, key: str) -> tuple[bytes, float] | None:
    found = connection.execute("SELECT value, at FROM memory WHERE key = ?", (key,)).fetchone()
    return None if found is None else (found[0], found[1])


def add_to_ledger(connection: sqlite3.Connection, at: float, requests: int, failed: int, hidden: int) -> None:
    with transaction(connection):
        connection.execute(
            "INSERT INTO ledger (hour, requests, failed, hidden) VALUES (?, ?, ?, ?) ON CONFLICT (hour) DO UPDATE SET"
            " requests = requests + excluded.requests, failed = failed + excluded.failed,"
            " hidden = hidden + excluded.hidden",
            (int(at // _HOUR), requests, failed, hidden),
        )


def days(connection: sqlite3.Connection, since: float) -> list[Day]:
    found = connection.execute(
        "SELECT hour / 24, sum(requests), sum(failed), sum(hidden) FROM ledger WHERE hour >= ? GROUP BY 1 ORDER BY 1",
        (int(since // _HOUR),),
    )
    return [Day(day * _DAY, requests, failed, hidden) for day, requests, failed, hidden in found]


def totals(connection: sqlite3.Connection, since: float) -> Totals:
    first, requests, failed = connection.execute(
        "SELECT min(hour), coalesce(sum(requests), 0), coalesce(sum(failed), 0) FROM ledger WHERE hour >= ?",
        (int(since // _HOUR),),
    ).fetchone()
    return Totals() if first is None else Totals(float(first * _HOUR), requests, failed)


# Outbox

_COLUMNS = (
    "incident, channel, wanted_episode, wanted_status, wanted_at, told_episode, told_status, told_at, next_at, tries,"
    " sending, remote, last_error, over"
)


def _row(values: tuple[Any, ...]) -> Row:
    incident, channel, episode, status, wanted_at, told_episode, told_status, told_at, next_at, tries, *rest = values
    sending, remote, last_error, over = rest
    told = None if told_status is None else Status(told_status)
    return Row(
        incident, channel, episode, Status(status), wanted_at, told_episode, told, told_at, next_at, tries,
        bool(sending), remote, last_error, bool(over),
    )  # fmt: skip


def outbox(connection: sqlite3.Connection, channels: tuple[str, ...]) -> list[Row]:
    marks = ", ".join("?" * len(channels))
    found = connection.execute(
        f"SELECT {_COLUMNS} FROM outbox WHERE channel IN ({marks}) AND NOT over AND"  # noqa: S608 - marks are ours
        " (told_status IS NULL OR told_status <> wanted_status OR told_episode <> wanted_episode"
        " OR told_status = 'open')"
        " ORDER BY wanted_at, incident",
        channels,
    )
    return [_row(values) for values in found]


def mailboxes(connection: sqlite3.Connection, channels: tuple[str, ...]) -> list[Mailbox]:
    found = []
    for channel in channels:
        query = f"SELECT {_COLUMNS} FROM outbox WHERE channel = ? ORDER BY wanted_at, incident"  # noqa: S608 - ours
        rows = [_row(values) for values in connection.execute(query, (channel,))]
        waiting = [row for row in rows if not row.over and row.is_news]
        errors = [row.last_error for row in rows if row.last_error]
        told_at = max((row.told_at for row in rows), default=0.0)
        given_up = bool(rows) and rows[-1].over and rows[-1].is_news
        found.append(Mailbox(channel, len(waiting), told_at, errors[-1] if errors else "", given_up))
    return found


def put(connection: sqlite3.Connection, row: Row) -> None:
    """If there is something newer to tell by now, it is tried at once and anew, whatever the row says of the old."""
    same = (row.wanted_episode, row.wanted_status)
    with transaction(connection, durable=True):
        connection.execute(
            "UPDATE outbox SET told_episode = ?, told_status = ?, told_at = ?, sending = ?, remote = ?, last_error = ?,"
            " next_at = iif(wanted_episode = ? AND wanted_status = ?, ?, 0),"
            " tries = iif(wanted_episode = ? AND wanted_status = ?, ?, 0),"
            " over = iif(wanted_episode = ? AND wanted_status = ?, ?, 0) WHERE incident = ? AND channel = ?",
            (
                row.told_episode, row.told_status, row.told_at, int(row.sending), row.remote, row.last_error,
                *same, row.next_at, *same, row.tries, *same, int(row.over), row.incident, row.channel,
            ),
        )  # fmt: skip


def told_channels(connection: sqlite3.Connection, incident: str) -> list[str]:
    """Who was, or was to be, told of it."""
    return [name for (name,) in connection.execute("SELECT channel FROM outbox WHERE incident = ?", (incident,))]


def resend(connection: sqlite3.Connection, incident: str, channels: tuple[str, ...], at: float) -> None:
    """Forget that these channels were told of it, and want it told again."""
    found = connection.execute("SELECT episode, status FROM incidents WHERE id = ?", (incident,)).fetchone()
    with transaction(connection, durable=True):
        for channel in channels:
            connection.execute("DELETE FROM outbox WHERE incident = ? AND channel = ?", (incident, channel))
            connection.execute(
                _WANTED,
                (incident, channel, *found, at),
            )


# From one database to another


def bring(source: sqlite3.Connection, home: sqlite3.Connection) -> None:
    """Write all that `source` knows over what `home` has, where a part of it may stand already."""
    home.execute("PRAGMA foreign_keys = OFF")  # to replace an incident would drop its notes
    with transaction(home, durable=True):
        for table in ("incidents", "outbox", "memory", "ledger"):
            found = source.execute(f"SELECT * FROM {table}")  # noqa: S608 - ours
            columns = [name for name, *_ in found.description]
            marks = ", ".join("?" * len(columns))
            home.executemany(f"INSERT OR REPLACE INTO {table} ({', '.join(columns)}) VALUES ({marks})", found)  # noqa: S608
        home.executemany(
            "INSERT INTO notes (incident, at, who, text) SELECT ?1, ?2, ?3, ?4 WHERE NOT EXISTS"
            " (SELECT 1 FROM notes WHERE incident = ?1 AND at = ?2 AND who = ?3 AND text = ?4)",
            source.execute("SELECT incident, at, who, text FROM notes ORDER BY n"),
        )
    home.execute("PRAGMA foreign_keys = ON")
