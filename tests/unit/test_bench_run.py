"""The benchmark as a command: one short turn of one row, with real proxies."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

RUN = Path(__file__).parents[2] / "bench/run.py"
TOOLS = ("nginx", "haproxy", "wrk", "taskset")
PATH = os.environ.get("PATH", os.defpath) + ":/usr/sbin:/sbin"
MISSING = [tool for tool in TOOLS if not shutil.which(tool, path=PATH)]

pytestmark = [
    pytest.mark.skipif(not RUN.exists(), reason="an installed package has no benchmark"),
    pytest.mark.skipif(bool(MISSING), reason=f"needs {', '.join(MISSING)}"),
    pytest.mark.skipif(
        not hasattr(os, "sched_getaffinity") or len(os.sched_getaffinity(0)) < 2, reason="needs two cores of Linux"
    ),
]


def bench(*flags):
    return subprocess.run([sys.executable, str(RUN), *flags], capture_output=True, text=True, check=False)


def test_a_row_in_a_moment(tmp_path):
    file = tmp_path / "results.json"
    source = f"same={RUN.parents[1]}"
    flags = ["--rows", "small", "--only", "haproxy,failover", "--failover", source, "--seconds", "0.2"]
    told = bench("--quick", *flags, "--json", str(file))
    assert told.returncode == 0, told.stdout + told.stderr
    assert "small request, 64 connections, µs" in told.stdout
    result = json.loads(file.read_text())
    proxies = result["rows"]["small"]["lines"]["cost"]["proxies"]
    assert set(proxies) == set(result["versions"]) == {"haproxy", "failover", "same"}
    assert all(one["median"] > 0 for one in proxies.values())
    assert result["versions"]["same"] == result["versions"]["failover"]


def test_a_siege_in_a_moment():
    """Counts only: whether visitors had their answers, and nothing was left behind."""
    siege = [sys.executable, str(RUN.with_name("siege.py")), "--quick", "--attacks", "bombs", "--rounds", "1"]
    told = subprocess.run([*siege, "--seconds", "0.5"], capture_output=True, text=True, check=False)
    assert told.returncode == 0, told.stdout + told.stderr
    row = told.stdout.splitlines()[2]
    assert row.startswith("| the same, and 200 header bombs a second |")
    assert row.endswith("| 0 |"), "files are left open"
    assert "unanswered" not in told.stdout
    assert "not 200" not in told.stdout
    assert "status 431" in told.stderr


def test_an_unknown_row_is_told_with_those_there_are():
    told = bench("--rows", "smal")
    assert told.returncode == 2
    assert "smal is not known; there are small, varied, c1," in told.stderr
