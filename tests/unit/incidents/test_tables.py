"""A disk that takes nothing any more: nothing is forgotten meanwhile, all of it is there again afterwards."""

import os
import resource
import shutil
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing, contextmanager
from dataclasses import replace

import pytest
import structlog.testing

from failover.incidents import opening, queries, tables
from failover.incidents.opening import open_beside
from failover.incidents.schema import MIGRATIONS
from failover.incidents.store import SqliteStore
from support.incidents import opened, resolved

PATIENCE = 20
BIG = b"x" * 300_000


@pytest.fixture
def look(monkeypatch):
    """It looks after the disk at each question, and waits for nobody."""
    monkeypatch.setattr(tables, "_LOOK_EVERY_S", 0.0)
    monkeypatch.setattr(opening, "_BUSY_S", 0.05)
    monkeypatch.setattr(opening, "_LOCKED_FOR_S", 0.05)


@pytest.fixture
def log():
    with structlog.testing.capture_logs() as lines:
        yield lines


def said(log, action):
    return sum(line.get("action") == action for line in log)


@contextmanager
def a_store(folder):
    store = SqliteStore(folder)
    try:
        assert now(store.opened()) == ""
        yield store
    finally:
        store.close()


@contextmanager
def no_room(size=150_000):
    """No file of this process grows beyond that: writes fail, as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def now(future):
    return future.result(PATIENCE)


def on_disk(folder):
    with closing(open_beside(folder, write=False)) as connection:
        return {document.id: document for document in queries.listed(connection, 100)}


def test_a_full_disk_loses_nothing_and_is_told_once_each_way(tmp_path, look, log):
    other = replace(opened(), id="inc_other")
    with a_store(tmp_path) as store:
        now(store.save(opened(), b"before", ("a",)))
        now(store.add_to_ledger(7200.0, 10, 1, 0))
        assert now(store.note(opened().id, "Ann", "was there before"))
        with no_room():
            for n in range(3):
                now(store.save(other, BIG + b"%d" % n, ("a", "b")))
            now(store.save(resolved(), b"meanwhile", ("a",)))
            now(store.add_to_ledger(7200.0, 5, 0, 0))
            assert now(store.note("inc_other", "Ann", "came meanwhile"))
            assert now(store.load(resolved().id)).resolved
            assert len(now(store.outbox(("a", "b")))) == 3
            now(store.put(replace(now(store.outbox(("b",)))[0], told_episode=1, told_status="open", told_at=1.0)))
            assert set(on_disk(tmp_path)) == {opened().id}
            assert (said(log, "store.away"), said(log, "store.home")) == (1, 0)
        assert now(store.totals(0.0)).requests == 15
        assert (said(log, "store.away"), said(log, "store.home")) == (1, 1)
        assert on_disk(tmp_path)[opened().id].resolved
        assert [entry.text for entry in on_disk(tmp_path)[opened().id].timeline if entry.who == "Ann"] == [
            "was there before"
        ]
        assert [entry.text for entry in on_disk(tmp_path)["inc_other"].timeline if entry.who == "Ann"] == [
            "came meanwhile"
        ]
    with a_store(tmp_path) as store:  # and the next one finds it
        assert now(store.totals(0.0)).requests == 15
        assert {row.incident for row in now(store.outbox(("a",)))} == {"inc_other", opened().id}
        assert now(store.outbox(("b",)))[0].told_at == 1.0


def test_a_disk_that_stays_full_to_the_end_is_told(tmp_path, look, log):
    with no_room(), a_store(tmp_path) as store:
        now(store.save(opened(), BIG))
    assert said(log, "store.lost") == 1
    with a_store(tmp_path) as store:
        assert now(store.newest()) is None


def test_the_disk_is_tried_once_more_at_the_end(tmp_path, monkeypatch, log):
    monkeypatch.setattr(tables, "_LOOK_EVERY_S", 3600.0)
    with a_store(tmp_path) as store:
        with no_room():
            now(store.save(opened(), BIG))
        assert not on_disk(tmp_path)
    assert set(on_disk(tmp_path)) == {opened().id}
    assert said(log, "store.lost") == 0


def test_a_folder_that_is_taken_away_is_made_again_with_all_that_was_in_it(tmp_path, look, log):
    folder = tmp_path / "state"
    with a_store(folder) as store:
        now(store.save(opened(), b"", ("a",)))
        shutil.rmtree(folder)
        now(store.remember("k", b"v"))
        assert set(on_disk(folder)) == {opened().id}
        assert said(log, "store.away") == said(log, "store.home") == 1
        second = SqliteStore(folder)
        assert f"(process {os.getpid()})" in now(second.opened())  # it is ours again
        second.close()
    with a_store(folder) as store:
        assert now(store.recall("k"))[0] == b"v"
        assert len(now(store.outbox(("a",)))) == 1


def test_a_folder_that_cannot_be_made_again_is_waited_for(tmp_path, look, log):
    folder = tmp_path / "state"
    with a_store(folder) as store:
        now(store.save(opened(), b""))
        shutil.rmtree(folder)
        folder.write_text("in the way")
        for _ in range(3):
            now(store.save(resolved(), b""))
        assert now(store.load(resolved().id)).resolved
        assert said(log, "store.away") == 1
        folder.unlink()
        now(store.save(resolved(), b""))
        assert on_disk(folder)[resolved().id].resolved


def test_a_file_that_breaks_under_way_is_set_aside_and_a_new_one_goes_on(tmp_path, look, log):
    with a_store(tmp_path) as store:
        now(store.save(opened(), BIG))
        now(store._do(lambda connection: connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()))
        with (tmp_path / "failover.db").open("r+b") as file:
            file.write(os.urandom(os.fstat(file.fileno()).st_size))
        now(store._do(lambda connection: connection.execute("PRAGMA shrink_memory")))
        now(store.save(resolved(), b"", ("a",)))
        now(store.remember("k", b"v"))
        assert on_disk(tmp_path)[resolved().id].resolved
    assert list(tmp_path.glob("failover.db.broken-*"))
    assert said(log, "store.broken") == 1


def test_somebody_who_holds_the_tables_for_long_stops_nothing(tmp_path, look, log):
    with a_store(tmp_path) as store:
        now(store.save(opened(), b""))
        with closing(sqlite3.connect(tmp_path / "failover.db", isolation_level=None)) as somebody:
            somebody.execute("BEGIN IMMEDIATE")
            somebody.execute(
                "INSERT INTO notes (incident, at, who, text) VALUES (?, 1, 'Bob', 'held it')", (opened().id,)
            )
            now(store.save(resolved(), b"", ("a",)))
            assert now(store.load(resolved().id)).resolved
            somebody.execute("COMMIT")
        now(store.remember("k", b"v"))
        assert on_disk(tmp_path)[resolved().id].resolved
        assert "held it" in {entry.text for entry in on_disk(tmp_path)[resolved().id].timeline}


def test_who_may_not_even_read_meanwhile_waits_for_nobody(tmp_path, look, log):
    """Where a file system has no shared memory there is no WAL, and who writes locks readers out."""
    with a_store(tmp_path) as store:
        now(store.save(opened(), b""))
        now(store._do(lambda connection: connection.execute("PRAGMA journal_mode = DELETE").fetchall()))
        with closing(sqlite3.connect(tmp_path / "failover.db", isolation_level=None)) as somebody:
            somebody.execute("BEGIN EXCLUSIVE")
            now(store.remember("k", b"v"))
            assert now(store.recall("k"))[0] == b"v"
            assert (said(log, "store.away"), said(log, "store.home")) == (1, 0)
            somebody.execute("ROLLBACK")
        assert now(store.recall("k"))[0] == b"v"
        assert now(store.newest()).document.id == opened().id
    assert said(log, "store.home") == 1


def test_a_mistake_in_a_question_is_no_fault_of_the_disk(tmp_path, look, log):
    with a_store(tmp_path) as store:
        with pytest.raises(Exception, match="no such table"):
            now(store._do(lambda connection: connection.execute("SELECT * FROM missing")))
        now(store.save(opened(), b""))
    assert said(log, "store.away") == 0


# Found like this at a start


def cut_in_half(file):
    os.truncate(file, file.stat().st_size // 2)


def emptied(file):
    os.truncate(file, 0)


def torn(file):
    """Its second half is of another time: zeros, as file systems leave them after the power failed."""
    size = file.stat().st_size
    os.truncate(file, size // 2)
    os.truncate(file, size)


def gone_without_its_wal(file):
    wal = file.with_name(f"{file.name}-wal")
    wal.write_bytes(os.urandom(50_000))
    file.unlink()


def torn_with_its_wal(file):
    """As `kill -9` leaves it: what was written last stands in the WAL alone, which fits no file but this one."""
    wal = file.with_name(f"{file.name}-wal")
    with closing(sqlite3.connect(file, isolation_level=None)) as last:
        last.execute("INSERT INTO memory VALUES ('last', zeroblob(50000), 1)")
        left = wal.read_bytes()
    with file.open("r+b") as torn:
        torn.write(os.urandom(os.fstat(torn.fileno()).st_size // 2))
    wal.write_bytes(left)


def with_a_foreign_wal(file):
    file.with_name(f"{file.name}-wal").write_bytes(os.urandom(50_000))


def of_another_program(file):
    file.unlink()
    with closing(sqlite3.connect(file)) as other:
        other.execute("CREATE TABLE outbox (something_else TEXT)")
        other.commit()


@pytest.mark.parametrize(
    "damage",
    [cut_in_half, emptied, torn, torn_with_its_wal, gone_without_its_wal, with_a_foreign_wal, of_another_program],
    ids=lambda damage: damage.__name__,
)
def test_whatever_has_become_of_the_file_it_begins_and_keeps(tmp_path, look, log, damage):
    with a_store(tmp_path) as store:
        for n in range(20):
            now(store.save(replace(resolved(), id=f"inc_{n:03}"), b"x" * 5000, ("a",)))
    file = tmp_path / "failover.db"
    damage(file)
    store = SqliteStore(tmp_path)
    try:
        reason = now(store.opened())
        now(store.save(opened(), b"s", ("a",)))
        assert now(store.newest()) is not None
        assert now(store.outbox(("a",)))
    finally:
        store.close()
    if damage is of_another_program:  # nobody's data is ours to touch
        assert "outbox already exists" in reason
        with closing(sqlite3.connect(file)) as other:
            assert [name for (name,) in other.execute("SELECT name FROM sqlite_master")] == ["outbox"]
    else:
        assert reason == ""
        assert opened().id in on_disk(tmp_path)


_MIGRATES = """
import os, signal, sqlite3, sys
from pathlib import Path
from failover.incidents import opening
class Dying(sqlite3.Connection):
    def executescript(self, script):
        if sys.argv[2] == "COMMIT":
            self.execute("PRAGMA cache_size = 1")
            script = script.replace("COMMIT;", "UPDATE ledger SET hidden = 7; COMMIT;")
        for statement in script.split(";"):
            if sys.argv[2] in statement:
                os.kill(os.getpid(), signal.SIGKILL)
            self.execute(statement)
connect = sqlite3.connect
sqlite3.connect = lambda *told, **more: connect(*told, **more, factory=Dying)
opening.open_folder(Path(sys.argv[1]))
"""


@pytest.mark.parametrize("before", ["user_version =", "COMMIT"])
def test_killed_in_the_middle_of_a_step_of_the_tables_the_step_is_taken_again(tmp_path, before):
    file = tmp_path / "failover.db"
    with closing(sqlite3.connect(file)) as old:
        old.execute("PRAGMA journal_mode = WAL")
        old.executescript(f"BEGIN; {MIGRATIONS[0]}; PRAGMA user_version = 1; COMMIT;")
        old.executemany("INSERT INTO ledger VALUES (?, 10, 1)", [(hour,) for hour in range(2000)])
        old.commit()
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    killed = subprocess.run([sys.executable, "-c", _MIGRATES, str(tmp_path), before], env=environ, check=False)
    assert killed.returncode == -signal.SIGKILL
    with a_store(tmp_path) as store:
        assert now(store.totals(0.0)).requests == 20_000
        assert now(store._do(lambda connection: connection.execute("PRAGMA user_version").fetchone())) == (2,)
        assert now(store._do(lambda connection: connection.execute("SELECT max(hidden) FROM ledger").fetchone())) == (
            0,
        )
