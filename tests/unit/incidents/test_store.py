"""The store: what was written is there again, whatever happened meanwhile."""

import os
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing, contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from failover.core.document import Happening, Severity, Status
from failover.errors import StoreError
from failover.incidents import queries
from failover.incidents.base import Totals
from failover.incidents.opening import open_beside, open_folder
from failover.incidents.schema import MIGRATIONS
from failover.incidents.store import SqliteStore
from support.incidents import at, opened, resolved, sparse

PATIENCE = 20


@contextmanager
def a_store(folder, reason="on purpose"):
    store = SqliteStore(folder, "" if folder else reason)
    try:
        yield store
    finally:
        store.close()


@pytest.fixture(params=["disk", "memory"])
def store(request, tmp_path):
    with a_store(tmp_path / "state" if request.param == "disk" else None) as store:
        yield store


def now(future):
    return future.result(PATIENCE)


def numbered(n, **more):
    """The n-th incident of a row, an hour after the one before."""
    whole = resolved()
    moments = replace(whole.moments, first_bad=at(n * 3600), recovered=at(n * 3600 + 900))
    return replace(whole, id=f"inc_{n:03}", moments=moments, **more)


# Incidents


def test_an_incident_is_kept_as_it_is(store):
    now(store.save(resolved(), b"state"))
    kept = now(store.newest())
    assert kept.document == resolved()
    assert kept.state == b"state"
    assert now(store.load(resolved().id)) == resolved()
    assert now(store.load("inc_nobody")) is None


def test_it_is_written_over_and_not_kept_twice(store):
    now(store.save(opened(), b"1"))
    now(store.save(resolved(), b"2"))
    kept = now(store.newest())
    assert (kept.document.status, kept.state) == (Status.RESOLVED, b"2")


def test_the_newest_is_the_one_that_began_last(store):
    for n in (3, 5, 4):
        now(store.save(numbered(n), b""))
    assert now(store.newest()).document.id == "inc_005"


def test_an_empty_store_knows_nothing(store):
    assert now(store.newest()) is None
    assert now(store.recall("x")) is None
    assert now(store.totals(0.0)) == Totals()
    assert now(store.outbox(("a",))) == []


def test_what_was_before(store):
    for n in range(1, 5):
        cause = resolved().cause if n != 2 else replace(resolved().cause, kind="other")
        now(store.save(numbered(n, cause=cause), b""))
    now(store.save(numbered(5, severity=Severity.DRILL), b""))
    found = now(store.recurrence(numbered(6)))
    assert (found.incidents, found.same_cause, found.mean_outage, found.last_id) == (4, 3, 892.0, "inc_004")
    assert now(store.recurrence(numbered(4))).incidents == 3
    assert now(store.recurrence(numbered(24 * 31))).incidents == 0
    elsewhere = replace(resolved().primary, url="https://other.example")
    assert now(store.recurrence(numbered(6, primary=elsewhere))).incidents == 0


def test_old_ones_that_are_over_are_forgotten(store):
    now(store.save(numbered(1), b"", ("a",)))
    now(store.save(numbered(2, status=Status.OPEN), b""))
    now(store.save(numbered(90), b""))
    now(store.add_to_ledger(at(3600).timestamp(), 5, 1, 0))
    now(store.add_to_ledger(at(90 * 3600).timestamp(), 7, 2, 0))
    assert now(store.prune(at(50 * 3600).timestamp())) == 1
    assert now(store.load("inc_001")) is None
    assert now(store.load("inc_002")) is not None
    assert now(store.totals(0.0)).requests == 7
    assert now(store.outbox(("a",))) == []


def test_memory_and_ledger(store):
    now(store.remember("k", b"1"))
    now(store.remember("k", b"2"))
    assert now(store.recall("k"))[0] == b"2"
    for second in (0, 10, 3600):
        now(store.add_to_ledger(at(second).timestamp(), 100, 1, 0))
    assert now(store.totals(0.0)).requests == 300
    later = now(store.totals(at(3600).timestamp()))
    assert (later.requests, later.failed) == (100, 1)


# Outbox


def test_the_outbox_holds_what_is_wanted_and_not_told(store):
    now(store.save(opened(), b"", ("a", "b")))
    rows = now(store.outbox(("a", "b", "c")))
    assert [(row.channel, row.wanted_episode, row.wanted_status, row.told_status) for row in rows] == [
        ("a", 1, Status.OPEN, None),
        ("b", 1, Status.OPEN, None),
    ]
    assert [row.channel for row in now(store.outbox(("b",)))] == ["b"]


def test_what_is_wanted_already_keeps_its_tries(store):
    now(store.save(opened(), b"", ("a",)))
    (row,) = now(store.outbox(("a",)))
    now(store.put(replace(row, tries=3, next_at=50.0, last_error="timeout")))
    now(store.save(opened(), b"", ("a",)))
    (row,) = now(store.outbox(("a",)))
    assert (row.tries, row.next_at, row.last_error) == (3, 50.0, "timeout")


def test_something_new_to_tell_begins_anew_even_on_a_broken_channel(store):
    now(store.save(opened(), b"", ("a",)))
    (row,) = now(store.outbox(("a",)))
    now(store.put(replace(row, tries=9, over=True, next_at=1e12, last_error="404 no_service")))
    assert now(store.outbox(("a",))) == []
    now(store.save(resolved(), b"", ("a",)))
    (row,) = now(store.outbox(("a",)))
    assert (row.wanted_status, row.tries, row.next_at, row.over) == (Status.RESOLVED, 0, 0.0, False)


def test_an_old_result_does_not_silence_something_new(store):
    now(store.save(opened(), b"", ("a",)))
    (old,) = now(store.outbox(("a",)))
    now(store.save(resolved(), b"", ("a",)))
    told = replace(old, told_episode=1, told_status=Status.OPEN, remote="42", over=True, tries=7, next_at=1e12)
    now(store.put(told))
    (row,) = now(store.outbox(("a",)))
    assert (row.told_status, row.remote) == (Status.OPEN, "42")
    assert (row.wanted_status, row.over, row.tries, row.next_at) == (Status.RESOLVED, False, 0, 0.0)


def test_what_was_told_to_its_end_is_gone_from_the_outbox(store):
    now(store.save(opened(), b"", ("a",)))
    (row,) = now(store.outbox(("a",)))
    now(store.put(replace(row, told_episode=1, told_status=Status.OPEN)))
    assert len(now(store.outbox(("a",)))) == 1  # it may be edited
    now(store.save(resolved(), b"", ("a",)))
    (row,) = now(store.outbox(("a",)))
    now(store.put(replace(row, told_episode=1, told_status=Status.RESOLVED)))
    assert now(store.outbox(("a",))) == []


# Life and death


def test_all_is_there_again_for_the_next_one(tmp_path):
    with a_store(tmp_path) as store:
        now(store.save(opened(), b"s", ("a",)))
        now(store.remember("k", b"v"))
    with a_store(tmp_path) as store:
        assert now(store.opened()) == ""
        assert now(store.newest()).state == b"s"
        assert now(store.recall("k"))[0] == b"v"
        assert len(now(store.outbox(("a",)))) == 1


def test_what_was_asked_is_done_before_it_closes(tmp_path):
    store = SqliteStore(tmp_path)
    for n in range(200):
        store.save(numbered(n), b"")
    store.close()
    with closing(open_beside(tmp_path, write=False)) as connection:
        assert len(queries.listed(connection, 1000)) == 200


_WRITER = """
import sys
from pathlib import Path
from failover.incidents.store import SqliteStore
from support.incidents import opened
store = SqliteStore(Path(sys.argv[1]))
n = 0
while True:
    n += 1
    store.save(opened(), str(n).encode(), ("a",)).result()
    print(n, flush=True)
"""


def test_killed_in_the_middle_of_writing_it_has_all_that_it_said_it_has(tmp_path):
    with subprocess.Popen(
        [sys.executable, "-c", _WRITER, str(tmp_path)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    ) as child:
        for line in child.stdout:
            if int(line) == 50:
                break
        child.send_signal(signal.SIGKILL)
        acknowledged = int((child.stdout.read().split() or ["50"])[-1])
    assert (tmp_path / "failover.db-wal").exists()
    with closing(open_beside(tmp_path, write=False)) as connection:  # a command finds it as it was left
        assert queries.newest(connection).document == opened()
    with a_store(tmp_path) as store:
        assert now(store.opened()) == ""
        assert int(now(store.newest()).state) >= acknowledged


def test_two_proxies_do_not_share_a_folder(tmp_path, monkeypatch):
    monkeypatch.setattr("failover.incidents.opening._LOCKED_FOR_S", 0.05)
    with a_store(tmp_path) as first:
        now(first.opened())
        with a_store(tmp_path) as second:
            assert f"in use by another failover (process {os.getpid()})" in now(second.opened())
            now(second.save(opened(), b""))
        assert now(first.newest()) is None


def test_a_disk_too_full_for_a_name_in_the_lock_leaves_no_lock_behind(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("failover.incidents.opening.os.pwrite", full)
    with a_store(tmp_path) as store:
        now(store.opened())
    monkeypatch.undo()
    monkeypatch.setattr("failover.incidents.opening._LOCKED_FOR_S", 0.05)
    with a_store(tmp_path) as store:
        assert now(store.opened()) == ""


def test_a_successor_waits_until_the_folder_is_free(tmp_path):
    first = SqliteStore(tmp_path)
    now(first.opened())
    with a_store(tmp_path) as second:
        assert not second.opened().done()
        first.close()
        assert now(second.opened()) == ""


def test_a_folder_that_cannot_be_made_is_a_reason(tmp_path):
    (tmp_path / "file").touch()
    with a_store(tmp_path / "file" / "state") as store:
        assert "cannot be used: not a directory" in now(store.opened())
        now(store.save(opened(), b""))
        assert now(store.newest()) is not None


def test_a_broken_file_is_set_aside(tmp_path):
    (tmp_path / "failover.db").write_bytes(b"this is no database" * 100)
    with a_store(tmp_path) as store:
        assert now(store.opened()) == ""
        now(store.save(opened(), b""))
        assert now(store.newest()) is not None
    (aside,) = tmp_path.glob("failover.db.broken-*")
    assert aside.read_bytes().startswith(b"this is no database")


def test_tables_of_a_newer_version_are_not_touched(tmp_path):
    with closing(sqlite3.connect(tmp_path / "failover.db")) as connection:
        connection.execute("PRAGMA user_version = 99")
    with a_store(tmp_path) as store:
        assert "written by a newer failover" in now(store.opened())
    with closing(sqlite3.connect(tmp_path / "failover.db")) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (99,)


def test_each_step_of_the_tables_is_taken_once(tmp_path):
    with a_store(tmp_path):
        pass
    with a_store(tmp_path) as store:
        assert now(store.opened()) == ""
    with closing(sqlite3.connect(tmp_path / "failover.db")) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (len(MIGRATIONS),)


def test_a_document_that_cannot_be_read_is_no_end(tmp_path):
    with a_store(tmp_path) as store:
        now(store.save(numbered(1), b"1"))
        now(store.save(numbered(2), b"2"))
    with closing(sqlite3.connect(tmp_path / "failover.db")) as connection:
        connection.execute("UPDATE incidents SET document = ? WHERE id = 'inc_002'", (b'{"schema":"v9"}',))
        connection.commit()
    with a_store(tmp_path) as store:
        assert now(store.newest()).state == b"1"
        assert now(store.load("inc_002")) is None


def test_nobody_else_may_read_it(tmp_path):
    with a_store(tmp_path / "new") as store:
        now(store.opened())
    assert (tmp_path / "new").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "new" / "failover.db").stat().st_mode & 0o777 == 0o600


# Beside the proxy


def test_a_note_of_another_process_is_in_the_story_and_noticed(tmp_path):
    with a_store(tmp_path) as store:
        now(store.save(resolved(), b""))
        assert not now(store.changed_by_others())
        with closing(open_beside(tmp_path, write=True)) as connection:
            queries.note(connection, resolved().id, at(100).timestamp(), "ada", "rolled back")
        assert now(store.changed_by_others())
        assert not now(store.changed_by_others())
        told = now(store.load(resolved().id))
        (entry,) = [entry for entry in told.timeline if entry.text == "rolled back"]
        assert (entry.what, entry.who, entry.after) == (Happening.NOTE, "ada", 100.0)
        assert [one.at for one in told.timeline] == sorted(one.at for one in told.timeline)
        now(store.save(resolved(), b""))
        assert any(entry.text == "rolled back" for entry in now(store.load(resolved().id)).timeline)


def test_what_shall_be_sent_again_is_in_the_outbox_again(tmp_path):
    with a_store(tmp_path) as store:
        now(store.save(resolved(), b"", ("a",)))
        (row,) = now(store.outbox(("a",)))
        now(store.put(replace(row, told_episode=1, told_status=Status.RESOLVED)))
        with closing(open_beside(tmp_path, write=True)) as connection:
            queries.resend(connection, resolved().id, ("a", "new"), 1.0)
        assert [(row.channel, row.told_status) for row in now(store.outbox(("a", "new")))] == [
            ("a", None),
            ("new", None),
        ]


def test_ids_are_found_by_their_beginning(tmp_path):
    with a_store(tmp_path) as store:
        for name in ("inc_20261101_1", "inc_20261102_1", "inc_2%"):
            now(store.save(replace(sparse(), id=name), b""))
        with closing(open_beside(tmp_path, write=False)) as connection:
            assert queries.names(connection, "inc_20261101") == ["inc_20261101_1"]
            assert queries.names(connection, "20261102") == ["inc_20261102_1"]
            assert queries.names(connection, "inc_2%") == ["inc_2%"]
            assert queries.names(connection, "x") == []


def test_a_folder_without_a_store_is_a_sentence(tmp_path):
    with pytest.raises(StoreError, match="no proxy has kept any there"):
        open_beside(tmp_path, write=False)


def test_the_document_on_disk_is_plain_json(tmp_path):
    with a_store(tmp_path) as store:
        now(store.save(resolved(), b""))
    with closing(sqlite3.connect(tmp_path / "failover.db")) as connection:
        (raw,) = connection.execute("SELECT document FROM incidents").fetchone()
    assert msgspec.json.decode(raw)["schema"] == "failover.incident/v1"


@pytest.mark.parametrize("name", ["lock", "failover.db"])
@pytest.mark.parametrize("lay", [Path.symlink_to, Path.hardlink_to], ids=["symbolic", "hard"])
def test_a_file_elsewhere_is_not_emptied_through_a_link_in_the_folder(tmp_path, lay, name):
    """A root's proxy in a folder of another user: whatever he laid there, root's files stay whole."""
    precious, folder = tmp_path / "precious", tmp_path / "state"
    precious.write_text("root:x:0:0")
    folder.mkdir()
    lay(folder / name, precious)
    with suppress(StoreError):
        connection, lock = open_folder(folder)
        connection.close()
        os.close(lock)
    assert precious.read_text() == "root:x:0:0"
