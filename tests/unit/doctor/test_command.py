"""`failover check` as a shell calls it: what it prints, and its exit codes."""

import asyncio
import json
import re
import subprocess
import sys
from types import SimpleNamespace

import pytest

from failover.doctor import main as doctor_main
from failover.doctor.base import Grade, fail, warn
from support.answer import Answer
from support.origin import hold_port
from support.program import PATIENCE, clean_environment
from support.site import FILES, html

TIME = {"FAILOVER_CONNECT_TIMEOUT": "30s", "FAILOVER_CHECK_TIMEOUT": "30s"}  # a busy machine is no finding


def check(*words):
    environment = clean_environment({"FAILOVER_STATE_DIR": "memory", "FAILOVER_LISTEN": "127.0.0.1:0", **TIME})
    done = subprocess.run(
        [sys.executable, "-m", "failover", "check", *words],
        env=environment, capture_output=True, text=True, check=False, timeout=4 * PATIENCE,
    )  # fmt: skip
    return done.returncode, done.stdout, done.stderr


def test_a_healthy_pair(primary, backup):
    code, out, err = check("--primary", primary.url, "--backup", backup.url)
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert all(re.match(r"(OK  |WARN|      →)  ?\S", line) for line in lines[:-1]), out
    assert re.fullmatch(r"\d+ OK, 1 WARN, 0 FAIL", lines[-1])


def test_what_fails_is_told_with_a_remedy_and_an_exit_code(primary):
    with hold_port() as dead:
        code, out, _ = check("--primary", primary.url, "--backup", f"http://127.0.0.1:{dead.getsockname()[1]}")
    assert code == 1
    told = re.search(r"^FAIL  backup: .*refused connections\n      → Is the process running.*$", out, re.MULTILINE)
    assert told, out
    assert out.endswith("1 FAIL\n")


def test_json_is_one_object(primary, backup):
    backup.routes["/"] = html("Error", FILES)
    code, out, _ = check("--json", "--primary", primary.url, "--backup", backup.url)
    told = json.loads(out)
    assert (code, told["ok"]) == (0, True)
    assert all(list(one) == ["check", "target", "grade", "text", "remedy"] for one in told["findings"])
    assert all(one["remedy"] for one in told["findings"] if one["grade"] != "OK")
    (alike,) = [one for one in told["findings"] if one["check"] == "alike"]
    assert (alike["target"], alike["grade"]) == ("backup", "WARN")


def test_json_says_that_something_fails(primary, backup):
    primary.answer = Answer(503)
    primary.routes.clear()
    code, out, _ = check("--json", "--primary", primary.url, "--backup", backup.url)
    assert (code, json.loads(out)["ok"]) == (1, False)


def test_mistakes_in_settings_come_first():
    code, out, err = check("--primary", "http://app.example", "--no-such-flag")
    assert (code, out) == (2, "")
    assert "--no-such-flag: is not a flag" in err
    assert "--backup: is missing" in err


def test_help_tells_the_flags_of_run():
    code, out, _ = check("--help")
    assert code == 0
    assert "--json" in out
    assert "--check-path" in out


# The whole, from inside


async def test_a_check_that_breaks_hides_no_other(examined, monkeypatch, primary, backup):
    async def broken(*_args):
        raise ZeroDivisionError

    monkeypatch.setattr(doctor_main, "host_mode", broken)
    found = await examined(primary.url, backup.url)
    assert found.bad(Grade.FAIL) == {"host primary", "host backup"}
    assert found.only("alike", "backup").grade is Grade.OK


async def test_what_was_found_in_time_is_told(examined, monkeypatch, primary, backup):
    reached = asyncio.Event()

    hanging = []

    async def hang(target, *_args):
        hanging.append(target.alias)
        if len(hanging) == 2:
            reached.set()
        await asyncio.Event().wait()

    async def until_it_hangs(tasks, **_how):
        await reached.wait()
        return set(), {task for task in tasks if not task.done()}

    monkeypatch.setattr(doctor_main, "health_check", hang)
    monkeypatch.setattr(doctor_main, "asyncio", SimpleNamespace(**vars(asyncio) | {"wait": until_it_hangs}))
    found = await examined(primary.url, backup.url)
    assert found.only("page", "primary").grade is Grade.OK
    assert "not all checks of targets ended" in found.of("time")[0].text


@pytest.mark.parametrize("make", [warn, fail])
def test_a_finding_is_plain_text_without_secrets(make):
    found = make("x", "primary", "a\x1b[2J\nb https://me:pw@app.example/?key=secret", "c\u202ed")
    assert found.text == "a[2J b https://***@app.example/?key=***"
    assert found.remedy == "cd"
