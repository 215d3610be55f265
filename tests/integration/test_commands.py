"""Commands that find the running proxy by themselves, and what they do to it."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from support.load import ask
from support.program import Program, clean_environment

if TYPE_CHECKING:
    from support.origin import Origin

TOKEN = "a-token-of-some-length"


def program(primary: Origin, backup: Origin, *more: str, **how: object) -> Program:
    return Program(
        "--primary",
        primary.url,
        "--backup",
        backup.url,
        "--check-interval",
        "100ms",
        "--ramp-step",
        "100ms",
        *more,
        **how,
    )


def command(*words: str, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "failover", *words],
        env=clean_environment(env or {}),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def said(*words: str, **how: object) -> str:
    done = command(*words, **how)
    assert done.returncode == 0, done.stderr
    return done.stdout


def commanded(proxy: Program) -> tuple[str, str]:
    """The flags by which a command finds it; waits until it listens to them."""
    proxy.wait_for("listening to commands on ")
    return "--listen", str(proxy.ready().port)


async def who_serves(proxy: Program) -> str:
    return (await ask(proxy.url)).header("X-Origin")


async def test_state_switch_and_hold_through_the_control_socket(primary: Origin, backup: Origin) -> None:
    with program(primary, backup) as proxy:
        place = commanded(proxy)
        assert "The primary serves" in said("state", *place)
        told = json.loads(said("state", "--json", *place))
        assert (told["on_backup"], told["serving"], told["primary"]) == (False, "primary", primary.url)

        assert said("switch", "backup", "--for", "10m", "--who", "Ann", *place).startswith(
            "the backup serves for 10 min"
        )
        await proxy.seen("switched to the backup: Ann wants the backup to serve")
        assert await who_serves(proxy) == "backup"
        told = said("state", *place)
        assert "The backup serves" in told
        assert "Ann wants backup until" in told

        said("switch", "auto", *place)
        await proxy.seen("switched back to the primary")
        assert await who_serves(proxy) == "primary"

        assert "whatever happens, for 5 min" in said("hold", "--for", "5m", *place)
        primary.stop()
        await proxy.seen("the backup would serve now if nobody had said to hold")
        assert await who_serves(proxy) == "backup"  # rescued
        assert json.loads(said("state", "--json", *place))["serving"] == "primary"


async def test_a_person_gives_the_primary_back(primary: Origin, backup: Origin) -> None:
    with program(primary, backup, "--failback", "manual") as proxy:
        place = commanded(proxy)
        primary.stop()
        await proxy.seen("switched to the backup")
        assert "as soon as it has answered 2 probes" in said("switch", "primary", *place)
        primary.start()
        await proxy.seen("switched back to the primary")


async def test_observe_decides_and_switches_nothing_until_somebody_says_so(primary: Origin, backup: Origin) -> None:
    with program(primary, backup, "--observe") as proxy:
        place = commanded(proxy)
        await proxy.seen("--observe wants nothing to be switched")
        primary.stop()
        await proxy.seen("the backup would serve now")
        assert await who_serves(proxy) == "backup"
        assert json.loads(said("state", "--json", *place))["verdict"] == "suspect"
        said("switch", "auto", *place)
        await proxy.seen("switched to the backup")


async def test_a_drill_tells_how_it_went_and_its_exit_code_says_so(primary: Origin, backup: Origin) -> None:
    with program(primary, backup) as proxy:
        place = commanded(proxy)
        done = command("drill", "--shadow", "--for", "5s", "--who", "Ann", *place)
        assert done.returncode == 0, done.stdout + done.stderr
        assert "Shadow drill: passed." in done.stdout
        assert "The next step: failover drill --percent 5." in done.stdout
        name = re.search(r"failover incidents show (inc_\w+)", done.stdout)[1]
        report = said("incidents", "show", name, *place)
        assert "Shadow drill: passed" in report
        assert "Ann: began a shadow drill" in report
        backup.stop()
        await proxy.seen("backup is down")
        refused = command("drill", "--full", *place)
        assert (refused.returncode, refused.stderr) == (
            1,
            "failover: no backup is usable: a drill would be an outage\n",
        )


def test_ctrl_c_ends_a_drill(primary: Origin, backup: Origin) -> None:
    with program(primary, backup) as proxy:
        place = commanded(proxy)
        words = [sys.executable, "-m", "failover", "drill", "--full", "--for", "10m", *place]
        with subprocess.Popen(words, env=clean_environment(), stdout=subprocess.PIPE, text=True) as drill:
            proxy.wait_for("switched to the backup")
            assert "has begun" in drill.stdout.readline()
            drill.send_signal(signal.SIGINT)
            assert drill.wait(30) == 130
        proxy.wait_for("switched back to the primary")


async def test_incidents_of_a_proxy_that_keeps_them_in_memory(primary: Origin, backup: Origin) -> None:
    with program(primary, backup) as proxy:
        place = commanded(proxy)
        primary.stop()
        await proxy.seen("incident inc_.* is open")
        name = said("incidents", "list", *place).splitlines()[1].split()[0]
        said("incidents", "note", name, "the cable was pulled", "--who", "Ann", *place)
        assert "Ann: the cable was pulled" in said("incidents", "show", *place)
        assert json.loads(said("incidents", "export", "--format", "json", *place))["id"] == name


@pytest.mark.parametrize("token", ["", TOKEN], ids=["open", "token"])
def test_without_a_control_socket_the_admin_listener_is_asked(primary: Origin, backup: Origin, token: str) -> None:
    more = ("--admin-token", token) if token else ()
    with program(primary, backup, "--admin-listen", "127.0.0.1:0", *more) as proxy:
        port = proxy.wait_for(r"dashboard on http://127\.0\.0\.1:(\d+)/")[1]
        proxy.ready()
        place = ("--admin-listen", f"127.0.0.1:{port}")
        if token:
            denied = command("switch", "backup", *place)
            assert (denied.returncode, "wants a token" in denied.stderr) == (1, True)
            assert token not in denied.stderr
        env = {"FAILOVER_ADMIN_TOKEN": token} if token else {}
        assert "the backup serves" in said("switch", "backup", *place, env=env)
        assert "The backup serves" in said("state", *place, env=env)


def test_the_admin_listener_of_another_proxy_is_never_steered(primary: Origin, backup: Origin) -> None:
    with program(primary, backup, "--admin-listen", "127.0.0.1:0") as proxy:
        port = proxy.wait_for(r"dashboard on http://127\.0\.0\.1:(\d+)/")[1]
        commanded(proxy)
        env = {"FAILOVER_ADMIN_LISTEN": f"127.0.0.1:{port}"}
        done = command("switch", "backup", "--listen", "127.0.0.1:1", env=env)
        assert (done.returncode, "no proxy was found on port 1" in done.stderr) == (1, True)
        assert json.loads(said("state", "--json", "--listen", str(proxy.port)))["serving"] == "primary"


def test_what_is_not_there_is_a_sentence(primary: Origin, backup: Origin) -> None:
    with program(primary, backup) as proxy:
        gone = commanded(proxy)
        assert command("switch", "backup", "--for", "x", *gone).stderr.startswith(
            'failover: for: "x" is not a duration'
        )
        assert "is not one of backup, primary, auto; did you mean backup?" in command("switch", "bakup", *gone).stderr
        assert command("switch", "bakup", *gone).returncode == 2
        assert "say one of --shadow" in command("drill", *gone).stderr
    done = command("switch", "backup", "--admin-listen", "127.0.0.1:1")
    assert (done.returncode, "is the proxy running?" in done.stderr) == (1, True)
    assert command("state", *gone).returncode == 1


async def test_the_control_socket_is_for_its_user_alone_and_goes_with_the_proxy(
    primary: Origin, backup: Origin, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("run")
    with program(primary, backup, env={"RUNTIME_DIRECTORY": str(folder)}) as proxy:
        commanded(proxy)
        path = folder / f"{proxy.port}.sock"
        said("state", "--listen", str(proxy.port), env={"RUNTIME_DIRECTORY": str(folder)})
        assert path.stat().st_mode & 0o777 == 0o600
        mark = proxy.mark
        os.kill(proxy.controller(), signal.SIGKILL)
        await proxy.seen("listening to commands on ", after=mark)
        assert "serves" in said("state", "--listen", str(proxy.port), env={"RUNTIME_DIRECTORY": str(folder)})
    assert not path.exists()
