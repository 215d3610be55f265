"""What outlives a controller, and how old it is for whoever finds it."""

from time import monotonic

import msgspec
import pytest

from failover.controller import boot, memory
from failover.controller.memory import Lasting
from failover.core.memory import Memory
from failover.core.model import Verdict

URLS = ("http://app.example", "http://backup.example")
KNOWN = Memory(1.0, Verdict.BACKUP, 5.0, 0, None, {})
WROTE = Lasting(memory.encode(KNOWN), 7.0, URLS)
SET_BACK, SET_FORWARD = -172_800.0, 21_600.0


@pytest.fixture
def first_boot(monkeypatch):
    monkeypatch.setattr(boot, "present", lambda: "first")


@pytest.mark.parametrize("by_the_wall", [SET_BACK, 0.0, SET_FORWARD])
def test_on_the_same_boot_its_age_is_right_however_the_clock_was_set(first_boot, monkeypatch, by_the_wall):
    raw = memory.encode_lasting(WROTE)
    later = monotonic() + 90.0
    monkeypatch.setattr(boot, "monotonic", lambda: later)
    lasting, age = memory.decode_lasting(raw, by_the_wall)
    assert 90.0 <= age < 120.0
    assert memory.resumed((lasting, age), URLS, 3600.0) == (KNOWN, 7.0)


def test_after_a_boot_the_clock_on_the_wall_is_all_there_is(first_boot, monkeypatch):
    raw = memory.encode_lasting(WROTE)
    monkeypatch.setattr(boot, "present", lambda: "second")
    assert memory.decode_lasting(raw, 42.0)[1] == 42.0


def test_what_an_older_version_wrote_is_read(first_boot):
    raw = msgspec.msgpack.encode({"memory": WROTE.memory, "since_unix": 7.0, "targets": URLS})
    assert memory.resumed(memory.decode_lasting(raw, 42.0), URLS, 3600.0) == (KNOWN, 7.0)


@pytest.mark.parametrize("raw", [b"", b"\xc1", msgspec.msgpack.encode({"memory": 1})])
def test_what_cannot_be_read_is_not_there(raw):
    assert memory.decode_lasting(raw, 1.0) is None


@pytest.mark.parametrize(
    "kept",
    [
        None,
        TimeoutError(),
        (WROTE, 3601.0),
        (WROTE, -1.0),
        (Lasting(b"", 7.0, URLS), 1.0),
        (Lasting(WROTE.memory, 7.0, URLS[:1]), 1.0),
    ],
    ids=["nothing", "nobody knows", "too old", "of the future", "unreadable", "of other targets"],
)
def test_nothing_is_resumed_from(kept):
    assert memory.resumed(kept, URLS, 3600.0) is None
