"""The lab measures truly: visitors with no proxy between see each fault as it is, and the counts add up."""

from __future__ import annotations

import time
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from chaos.faulty import MODES
from chaos.load import Load, Record
from chaos.origin import FAULTS, FaultyOrigin
from chaos.outcome import outcome
from chaos.rows import BY_NAME, ROWS
from chaos.table import Cell, table

if TYPE_CHECKING:
    from pathlib import Path

_SEEN = {"unavailable": "whole 503", "reset": "none 0", "slam": "none 0", "reset-when-done": "none 0", "cut": "cut 200"}


@pytest.mark.parametrize("mode", _SEEN)
def test_a_fault_is_seen_as_it_is(mode: str, tmp_path: Path) -> None:
    with FaultyOrigin("primary", tmp_path) as origin:
        with Load(origin.port, methods=["POST"]) as load:
            load.wait_for_answers(20)
            origin.be(mode)
            load.wait_until(lambda: sum(one.failed for one in load.records) >= 20, load.story)
            origin.be("well")
            load.wait_for_answers(20)
        performed = origin.performed()
    failures = [one for one in load.records if one.failed]
    assert {f"{one.outcome} {one.status}" for one in failures} == {_SEEN[mode]}
    assert {one.id for one in load.records if not one.failed} <= performed.keys()
    done = mode in {"reset-when-done", "cut"}
    assert all((one.id in performed) == done for one in failures)


def test_what_was_performed_survives_a_kill(tmp_path: Path) -> None:
    with FaultyOrigin("primary", tmp_path) as origin, Load(origin.port, methods=["POST"]) as load:
        load.wait_for_answers(20)
        origin.kill()
        load.wait_until(lambda: any(one.failed for one in load.records), load.story)
        good = {one.id for one in load.records if not one.failed}
        assert good <= origin.performed().keys()
        origin.start()
        load.wait_for_answers(20)
        assert origin.performed().total() > len(good)


def test_who_waits_is_not_forgotten(tmp_path: Path) -> None:
    """Two visitors and a stopped origin: the others are due all the same, and their wait is in their latency."""
    with (
        FaultyOrigin("primary", tmp_path) as origin,
        FaultyOrigin("backup", tmp_path) as other,
        Load(origin.port, visitors=2, most=2) as load,
    ):
        load.wait_for_answers(20)
        origin.hang()
        with Load(other.port) as clock:
            clock.wait_for_answers(30)
        continued = time.monotonic()
        origin.go_on()
        load.wait_for_answers(50)
    records = sorted(load.records, key=lambda one: one.due)
    assert [one.id for one in records] == [str(number) for number in range(len(records))]
    assert all(one.due <= one.tick <= one.began <= one.done for one in records)
    waited = [one for one in records if one.due < continued < one.done]
    assert len(waited) >= 30
    assert sum(one.began < continued for one in waited) == 2


def record(number: int, *, method: str = "POST", status: int = 200, outcome: str = "whole", began: float = 0) -> Record:
    return Record(str(number), method, began, began, began, began + 0.01, 1, status, "primary", outcome)


def test_counts() -> None:
    records = [
        record(1),
        record(2),  # answered, and done by nobody
        record(3, status=502, began=5.0),
        record(4, status=504, began=9.0),
        record(5, outcome="cut"),
        record(6, method="GET"),
    ]
    performed = [Counter({"1": 1, "3": 1, "5": 2}), Counter({"3": 1})]
    seen = outcome(records, performed, fault_from=5.0, fault_until=5.1)
    assert (seen.sent, seen.failed, seen.lost, seen.doubled, seen.in_hands) == (6, 3, 1, 2, 1)
    assert seen.count_misses(BY_NAME["kill-post"]) == ["2 failed and not 0", "1 lost and not 0", "2 doubled and not 0"]


def test_a_miss_is_marked() -> None:
    row = BY_NAME["kill-get"]
    slow = outcome(
        [Record("1", "GET", 0, 0, 0, 0.5, 1, 200, "backup", "whole")], [Counter()], fault_from=0, fault_until=0
    )
    lines = table([row], {(row.name, "failover"): Cell(row, (slow,))}, {"failover": "Failover"}).splitlines()
    assert lines[2].split("|")[1:4] == [" `kill -9`, GET ", " 0 / 500 ms ✗ ", " 0 / ≤ 20 ms    "]


def test_every_fault_has_a_row_and_every_row_a_fault() -> None:
    assert {row.fault for row in ROWS} == set(FAULTS)
    assert set(FAULTS) - {"kill", "stop"} == set(MODES) - {"well"}
