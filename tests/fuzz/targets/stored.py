"""What is read back from the store (`incidents/queries`, `controller/memory`, the recorder's record): disks lie.

1. A document that cannot be read is passed over; the others are read, and nothing is raised.
2. A memory that cannot be read is none.
"""

from __future__ import annotations

import sqlite3

from failover.controller import memory
from failover.incidents import queries
from fuzz.parts import taken_apart

DICTIONARY = "json"
_ids = ("inc_1", "inc_2")
_connection = sqlite3.connect(":memory:")
_connection.execute("CREATE TABLE incidents (id TEXT, started REAL, document BLOB, state BLOB)")
_connection.execute("CREATE TABLE notes (n INTEGER PRIMARY KEY, incident TEXT, at REAL, who TEXT, text TEXT)")


def one(data):
    data, _ = taken_apart(data)
    good = _good()
    _connection.execute("DELETE FROM incidents")
    _connection.executemany(
        "INSERT INTO incidents VALUES (?, ?, ?, ?)", [(_ids[0], 1.0, good, b""), (_ids[1], 2.0, data, data)]
    )
    found = queries.listed(_connection, 10)
    assert found[-1].id == queries.load(_connection, _ids[0]).id
    queries.load(_connection, _ids[1])
    assert queries.newest(_connection) is not None
    memory.decode(data)
    memory.resumed(memory.decode_lasting(data, 1.0), ("http://a",), 100.0)
    memory.decode_record(data)


_documents = []


def _good():
    if not _documents:
        import msgspec

        from support.incidents import resolved

        _documents.append(msgspec.json.encode(resolved()))
    return _documents[0]
