"""A real app behind the proxy, used with a real browser: nothing differs from using it directly."""

from __future__ import annotations

import json
import re
import subprocess
from collections import Counter
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from support.browser import browser, needs_browser
from support.guestbook import Guestbook, Visit
from support.load import Load
from support.origin import Origin
from support.program import Program

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.browser, needs_browser]


QUICK = ("--check-interval", "200ms", "--ramp-step", "200ms")


def state_of(program: Program) -> dict[str, Any]:
    return json.loads(curl(f"{program.url}/__failover/state"))


def curl(url: str) -> str:
    done = subprocess.run(
        ["curl", "-sS", "--fail", "--max-time", "30", url], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_nothing_differs_from_using_it_directly(tmp_path: Path) -> None:
    direct = tmp_path / "direct"
    direct.mkdir()
    with Guestbook(direct) as app, browser() as driver:
        alone = Visit(driver, app.url, direct)
        alone.whole()
    proxied = tmp_path / "proxied"
    proxied.mkdir()
    with (
        Guestbook(proxied) as behind,
        Origin("backup") as backup,
        Program("--primary", behind.url, "--backup", backup.url) as program,
        browser() as driver,
    ):
        visit = Visit(driver, program.ready().url, proxied)
        visit.whole()
        state = state_of(program)
    for seen_directly, seen in zip(alone.sights, visit.sights, strict=True):
        assert seen == seen_directly
    assert behind.essence() == app.essence()
    assert len(app.essence()) > 60, "the visit did not do what it is for"
    assert {request.path for request in backup.requests} <= {"/"}, "a visitor got to the backup"
    assert not state["on_backup"]
    assert "suspected" not in program.log


def test_it_is_killed_under_load_and_comes_back(tmp_path: Path) -> None:
    """`kill -9` with visitors, a browser and curl there meanwhile; then its return."""
    visitors = 8
    with (
        Guestbook(tmp_path) as app,
        Guestbook(tmp_path, "backup") as replica,
        Program("--primary", app.url, "--backup", replica.url, *QUICK) as program,
        browser() as driver,
    ):
        url = program.ready().url
        driver.get(f"{url}/login")
        visit = Visit(driver, url, tmp_path)
        visit.log_in("löve & <lace>")
        began = state_of(program)
        with Load(url, visitors=visitors, posts=0.5, path=lambda _n: "/echo") as load:
            load.wait_for(by={"primary": 200})
            app.kill()
            load.wait_for(by={"backup": 200})
            for _ in range(5):
                assert curl(f"{url}/status/200") == "status 200"
            driver.get(f"{url}/home")
            assert driver.title == "Hello ada"
            visit.use_script()
            program.wait_for("switched to the backup")
            away = state_of(program)

            app.start()
            program.wait_for("switched back to the primary")
            load.wait_for(by={"primary": 200})
            back = state_of(program)
            assert curl(f"{url}/status/200") == "status 200"
            driver.get(f"{url}/home")
            assert driver.title == "Hello ada"
        tally = load.tally
        log = program.lines.copy()

    # What was on its way to the app when it died cannot be saved yet, and nothing else may fail.
    assert len(tally.failures) <= visitors, tally
    noted = Counter(
        value
        for request in app.requests() + replica.requests()
        if request["method"] == "POST"
        for name, value in request["headers"]
        if name == "X-Id"
    )
    assert tally.answered_ids["POST"] <= set(noted), "a write was lost"
    assert set(noted.values()) == {1}, "a write was done twice"

    assert not began["on_backup"]
    assert away["on_backup"]
    assert not back["on_backup"]
    assert began["since_unix"] <= away["since_unix"] <= back["since_unix"] <= datetime.now(UTC).timestamp()

    # The log tells the same story, once, and when.
    [switched] = [line for line in log if "switched to the backup" in line]
    [recovered] = [line for line in log if "switched back to the primary" in line]
    assert re.search(r"refused|reset|closed", switched)
    for line, state in ((switched, away), (recovered, back)):
        assert abs(datetime.fromisoformat(line[:23]).astimezone().timestamp() - state["since_unix"]) <= 2
