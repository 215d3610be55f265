"""`failover demo`, as a newcomer runs it."""

from __future__ import annotations

import re
import signal
import sys
import urllib.request
import uuid
from pathlib import Path

import pytest

from support.program import Process

_TIME = r"^ *[\d.]+ s  "


def demo(mark: str = "none") -> Process:
    # Settings of the person who runs it are none of its business.
    env = {"DEMO_MARK": mark, "PRIMARY_URL": "nonsense", "FAILOVER_FAIL_THRESHOLD": "nonsense", "PORT": "nonsense"}
    return Process([sys.executable, "-m", "failover", "demo"], env=env)


def left_behind(mark: str) -> list[str]:
    """Processes that still carry the mark of a demo."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if f"DEMO_MARK={mark}".encode() in (entry / "environ").read_bytes():
                found.append((entry / "cmdline").read_text())
        except OSError:
            continue  # ended meanwhile
    return found


def test_it_shows_a_failover_and_ends_by_itself() -> None:
    mark = uuid.uuid4().hex
    with demo(mark) as running:
        url = running.wait_for(r"The site: +(http://127\.0\.0\.1:\d+/)")[1]
        dashboard = running.wait_for(r"The dashboard: (http://127\.0\.0\.1:\d+/)")[1]
        assert b"The primary serves" in urllib.request.urlopen(dashboard).read()
        assert b"This is the <b>primary</b>" in urllib.request.urlopen(url).read()
        running.wait_for(_TIME + r"The backup answers\.")
        assert b"This is the <b>backup</b>" in urllib.request.urlopen(url).read()
        running.wait_for(_TIME + r"The primary is still down")
        assert b"The backup serves" in urllib.request.urlopen(dashboard).read()
        assert running.wait() == 0
        running.wait_for_silence()
    told = [
        r"Starting two small sites",
        r"All is well: \d+ answered \(\d+ by the primary\), failed: 0",
        r"Now the primary crashes: kill -9 \d+",
        r"The backup answers\. The visitor has noticed nothing",
        r"Failover is sure that the primary is down, \d+ ms after the crash",
        r"The primary is still down: \d+ answered \(\d+ by the primary, \d+ by the backup\), failed: 0",
        r"The primary is started again",
        r"It gets 5 % of the visitors first",
        r"The primary serves everybody again",
        r"This is what it tells Slack",
        r"That was it: \d+ answered \(\d+ by the primary, \d+ by the backup\), failed: 0",
    ]
    places = [next(i for i, line in enumerate(running.lines) if re.search(_TIME + what, line)) for what in told]
    assert places == sorted(places)
    assert "--primary" in running.lines[-1]
    report = [line for line in running.lines if line.startswith("        | ")]
    assert any("Downtime hidden from" in line for line in report)
    assert any("switched to the backup" in line for line in report)
    assert left_behind(mark) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("moment", ["Starting", "The dashboard", "The backup answers"])
def test_it_can_be_stopped_at_any_time(number: signal.Signals, moment: str) -> None:
    mark = uuid.uuid4().hex
    with demo(mark) as running:
        running.wait_for(moment)
        running.signal(number)
        assert running.wait() == 130
        running.wait_for_silence()
    assert "Stopped" in running.lines[-1]
    assert "Traceback" not in running.log
    assert left_behind(mark) == []
