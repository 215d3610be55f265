"""Each row of the table against the real program, by counts: what failed, was lost or doubled; how often it switched.

What takes how long is the command's to judge (docs/chaos.md): here a machine may be as slow as it likes. The fault is
cured once the program has switched and the backup has served for a while, so no visitor who had to wait for the cure
goes unnoticed: his answer comes from the wrong side, or after the program's own time-out.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from chaos.load import Load
from chaos.origin import FAULTS, FaultyOrigin
from chaos.outcome import outcome
from chaos.rows import ROWS, Row
from support.program import Program

if TYPE_CHECKING:
    from pathlib import Path

FIRST_BYTE_TIMEOUT = 15.0
FLAGS = (
    "--first-byte-timeout",
    f"{FIRST_BYTE_TIMEOUT:g}s",
    "--ramp-step",
    "500ms",
)  # a short way back, in all its steps
A_SECOND = 150  # answers


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_what_visitors_notice(row: Row, tmp_path: Path) -> None:
    fault = FAULTS[row.fault]
    with (
        FaultyOrigin("primary", tmp_path) as primary,
        FaultyOrigin("backup", tmp_path) as backup,
        Program("--primary", primary.url, "--backup", backup.url, *FLAGS) as program,
    ):
        program.ready()
        with Load(program.port, methods=[row.method], most=4000) as load:
            load.wait_for_answers(A_SECOND, by="primary")
            fault_from = time.monotonic()
            fault.begin(primary)
            fault_until = time.monotonic()
            program.wait_for("switched to the backup")
            load.wait_for_answers(A_SECOND, by="backup")
            if row.fault == "flap":
                flaps(primary, 3)
            fault.end(primary)
            if row.fault != "flap":  # which has its hold-down to wait for
                program.wait_for("switched back to the primary")
                load.wait_for_answers(A_SECOND, by="primary")
        performed = [origin.performed() for origin in (primary, backup)]
        seen = outcome(load.records, performed, fault_from=fault_from, fault_until=fault_until)
        assert not seen.count_misses(row), seen
        if not row.writes:  # who had to wait for the time-out waited for nobody's good
            assert seen.slowest_ms < 1000 * FIRST_BYTE_TIMEOUT / 3, seen
        there, back = (program.log.count(f"switched {way}") for way in ("to the backup", "back to the primary"))
    if row.fault == "flap":  # the first way back is open at once, the second one after a hold-down
        assert there <= 2, program.log
        assert back in {there - 1, there}, program.log
    else:
        assert there == back == 1, program.log


def flaps(origin: FaultyOrigin, times: int) -> None:
    """Wait until it has become bad again that often."""
    for _ in range(times):
        origin.process.wait_for("flapped: unavailable", after=origin.process.mark)
