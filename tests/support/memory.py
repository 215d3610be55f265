"""What processes hold, as Linux counts it: bytes, seconds, open sockets."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

linux_only = pytest.mark.skipif(not Path("/proc/self/smaps_rollup").exists(), reason="reads /proc: Linux only")


def _kilobytes(pid: int, file: str, field: str) -> int:
    found = re.search(rf"^{field}:\s+(\d+) kB", Path(f"/proc/{pid}/{file}").read_text(), re.MULTILINE)
    assert found, f"no {field} in /proc/{pid}/{file}"
    return int(found[1]) * 1024


def share(pids: list[int]) -> int:
    """Their memory, shared pages divided by those who share them (PSS)."""
    return sum(_kilobytes(pid, "smaps_rollup", "Pss") for pid in pids)


def forget_peaks(pids: list[int]) -> int:
    """Let `peaks` begin anew; what they hold now."""
    for pid in pids:
        Path(f"/proc/{pid}/clear_refs").write_text("5")
    return peaks(pids)


def peaks(pids: list[int]) -> int:
    """The most that each has held since (VmHWM), summed."""
    return sum(_kilobytes(pid, "status", "VmHWM") for pid in pids)


def processor_seconds(pids: list[int]) -> float:
    """User and system time so far."""
    ticks = 0
    for pid in pids:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def sockets(pids: list[int]) -> int:
    """How many sockets they hold open."""
    links = (entry for pid in pids for entry in Path(f"/proc/{pid}/fd").iterdir())
    count = 0
    for link in links:
        try:
            count += str(link.readlink()).startswith("socket:")
        except FileNotFoundError:
            continue  # closed since
    return count
