"""`kill -9` of the app under a steady load, and its return: what visitors saw, and what was written."""

from __future__ import annotations

from typing import TYPE_CHECKING

from support.load import Load
from support.origin_process import OriginProcess
from support.program import Program

if TYPE_CHECKING:
    from pathlib import Path


QUICK = ("--check-interval", "100ms", "--ramp-step", "200ms")


def test_killed_and_back(tmp_path: Path) -> None:
    visitors = 8
    with (
        OriginProcess("primary", tmp_path) as primary,
        OriginProcess("backup", tmp_path) as backup,
        Program("--primary", primary.url, "--backup", backup.url, *QUICK) as program,
    ):
        program.ready()
        with Load(program.url, visitors=visitors, posts=0.5) as load:
            load.wait_for(by={"primary": 500})
            primary.kill()
            program.wait_for("switched to the backup")
            load.wait_for(by={"backup": 500})
            in_its_hands = len(load.tally.failures)
            primary.start()
            program.wait_for("switched back to the primary")
            load.wait_for(by={"primary": 500})
            assert len(load.tally.failures) == in_its_hands, load.tally
        tally = load.tally
    assert {failure.method for failure in tally.failures} <= {"POST"}, "a page was lost"
    # A write that was on its way to the app when it died must not be sent again: one for each visitor, and perhaps one
    # more that went out on a connection which died in the same moment.
    assert in_its_hands <= 2 * visitors, tally
    written = primary.sent("X-Id", "POST") + backup.sent("X-Id", "POST")
    assert tally.answered_ids["POST"] <= set(written), "a write was lost"
    assert set(written.values()) == {1}, "a write was done twice"
    assert program.log.count("switched to the backup") == program.log.count("switched back to the primary") == 1
