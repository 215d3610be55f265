"""The deploy files carried out: the real program with what each of them says, as far as that goes without platforms."""

from __future__ import annotations

import ctypes.util
import http.client
import json
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from failover.settings.rows import SETTINGS
from support import image, platforms
from support.origin import Origin, hold_port
from support.platforms import PLATFORMS
from support.program import PATIENCE, Process, Program
from support.wizard import Wizard

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.skipif(not (ROOT / "Dockerfile").exists(), reason="an installed package has no deploy files")


@pytest.fixture(scope="module")
def primary():
    with Origin("primary") as origin:
        yield origin


@pytest.fixture(scope="module")
def backup():
    with Origin("backup") as origin:
        yield origin


def get(port: int, path: str) -> tuple[int, str]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        return response.status, response.read().decode()
    finally:
        connection.close()


def started(told: dict[str, str]) -> Program:
    """The program with these variables; a port of the system's stands for the platform's. To be busy is no outage."""
    patient = {"FAILOVER_CONNECT_TIMEOUT": "30s", "FAILOVER_CHECK_TIMEOUT": "30s"}
    return Program(listen=None, env={"FAILOVER_WORKERS": "1", **told, **patient, "PORT": "0"})


@pytest.fixture(scope="module")
def asked():
    """What the program answers with these variables to these paths. Several files say the same: it is started once."""
    known: dict[tuple[frozenset[tuple[str, str]], tuple[str, ...]], list[tuple[int, str]]] = {}

    def ask(told: dict[str, str], *paths: str) -> list[tuple[int, str]]:
        key = (frozenset(told.items()), paths)
        if key not in known:
            with started(told) as program:
                known[key] = [get(program.ready().port, path) for path in paths]
        return known[key]

    return ask


@pytest.mark.parametrize("platform", PLATFORMS)
def test_it_serves_with_what_the_file_of_a_platform_says(platform, primary, backup, asked):
    told = platforms.environment(platform, ROOT) | {"PRIMARY_URL": primary.url, "BACKUP_URL": backup.url}
    assert asked(told, "/", "/__failover/health") == [(200, "primary\n"), (200, "OK")]


@pytest.mark.parametrize("platform", PLATFORMS)
def test_it_serves_with_what_the_wizard_has_written(platform, primary, backup, asked, tmp_path):
    wizard = Wizard(tmp_path)
    path = '/it\'s/"a"/$HOME/a&b'
    done = wizard.write(platform, primary.url + path, backup.url, "--no-check", "--yes")
    assert done.returncode == 0, done.stderr
    told = platforms.environment(platform, wizard.written(platform)) | wizard.given(platform)
    assert asked(told, "/page", "/__failover/health") == [(200, "primary\n"), (200, "OK")]
    assert primary.wait_for(lambda seen: seen.path == "/it's/%22a%22/$HOME/a&b/page")


def test_the_wizard_asks_the_real_check_about_both_addresses(tmp_path, primary, backup):
    wizard = Wizard(tmp_path, check=None)
    (wizard.bin / "failover").write_text(f'#!/bin/sh\nexec "{sys.executable}" -m failover "$@"\n')
    (wizard.bin / "failover").chmod(0o755)
    wizard.env["PYTHONPATH"] = os.environ.get("PYTHONPATH", "")
    assert wizard.write("fly", primary.url, backup.url).returncode == 0
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    done = wizard.write("fly", f"http://127.0.0.1:{port}", backup.url)
    assert done.returncode == 1
    assert f"FAIL  primary: 127.0.0.1 port {port} refused connections" in done.stderr
    assert wizard.write("fly", primary.url, "http://a b/").returncode == 2


def test_the_demo_of_the_compose_file_survives_its_primary():
    services = platforms.compose(ROOT)["services"]
    held = {name: hold_port() for name in ("demo-primary", "demo-backup")}
    ports = {name: one.getsockname()[1] for name, one in held.items()}
    sites = {}
    told = {name: platforms.interpolate(value, {}) for name, value in services["demo"]["environment"].items()}
    for name, port in ports.items():
        command, site = services[name]["entrypoint"], services[name]["command"]
        assert command[0] == "failover"
        assert f"//{name}:8000" in told["PRIMARY_URL"] + told["BACKUP_URL"]
        words = [sys.executable, "-m", *command, *(word.replace("0.0.0.0:8000", f"127.0.0.1:{port}") for word in site)]
        sites[name] = Process(words, orders=services[name]["stdin_open"])
        told = {key: value.replace(f"//{name}:8000", f"//127.0.0.1:{port}") for key, value in told.items()}
    with held["demo-primary"], held["demo-backup"], sites["demo-primary"] as one, sites["demo-backup"] as other:
        one.wait_for("listening")
        other.wait_for("listening")
        with started(told) as program:
            assert "This is the <b>primary</b>" in get(program.ready().port, "/")[1]
            one.signal(signal.SIGKILL)
            assert "This is the <b>backup</b>" in get(program.port, "/")[1]


# -- systemd

UNIT = ROOT / "deploy/systemd/failover.service"


@pytest.fixture
def short():
    """A folder with a path as short as those under /run: that of a socket has room for a hundred bytes."""
    with tempfile.TemporaryDirectory(prefix="unit-") as folder:
        yield Path(folder)


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="needs systemd-analyze, which knows the system calls")
@pytest.mark.skipif(not ctypes.util.find_library("seccomp"), reason="needs libseccomp")
def test_the_unit_is_served_watched_reloaded_and_stopped(primary, backup, short):
    told = platforms.unit(UNIT.read_text())
    words = shlex.split(told["ExecStart"][0])
    assert words[0] == "/opt/failover/bin/failover"
    variables = platforms.environment("systemd", ROOT) | {"PRIMARY_URL": primary.url, "BACKUP_URL": backup.url}
    assert told["EnvironmentFile"] == ["/etc/failover/failover.env"]
    assert SETTINGS["drain_timeout"].facts.form.parse(told["WatchdogSec"][0]) == 30.0
    notify = os.fspath(short / "notify")
    env = variables | {"NOTIFY_SOCKET": notify, "SERVICE_WATCHDOG_USEC": "30000000", "FAILOVER_WORKERS": "2"}
    with (
        socket.create_server(("127.0.0.1", 0)) as opened,
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager,
    ):
        manager.bind(notify)
        manager.settimeout(PATIENCE)

        def hear(wanted: str) -> None:
            while wanted not in manager.recv(4096).decode().split("\n"):
                pass

        command = [sys.executable, "-m", "support.service", UNIT, str(opened.fileno()), short]
        command += [sys.executable, "-m", "failover", *words[1:]]
        env["PYTHONPATH"] = os.pathsep.join([os.fspath(ROOT / "tests"), os.environ.get("PYTHONPATH", "")])
        with Process(command, env=env, pass_fds=[opened.fileno()]) as program:
            program.wait_for(" ready ")
            hear("READY=1")
            port = opened.getsockname()[1]
            assert get(port, "/") == (200, "primary\n")
            hear("WATCHDOG=1")
            assert (short / "StateDirectory/failover/failover.db").exists()
            program.wait_for(rf"listening to commands on {short}/RuntimeDirectory/failover/{port}.sock")
            kill = shlex.split(told["ExecReload"][0])
            assert kill == ["/bin/kill", "-HUP", "$MAINPID"]
            program.signal(signal.SIGHUP)
            hear("RELOADING=1")
            hear("READY=1")
            assert get(port, "/") == (200, "primary\n")
            program.signal(signal.SIGTERM)
            hear("STOPPING=1")
            assert program.wait() == 0


def test_wrong_settings_end_it_with_the_code_that_the_unit_does_not_start_again(backup):
    assert platforms.unit(UNIT.read_text())["RestartPreventExitStatus"] == ["2"]
    with started({"PRIMARY_URL": "nonsense", "BACKUP_URL": backup.url}) as program:
        assert program.wait() == 2


# -- the image


ALONE = ["unshare", "--mount", "--propagation=private"]


def _why_no_image() -> str:
    if sys.platform != "linux" or os.geteuid() != 0:
        return "needs root on Linux, to make file systems as an engine does"
    if not all(map(shutil.which, ("unshare", "nsenter", "setpriv", "chroot", "mount"))):
        return "needs unshare, nsenter, setpriv, chroot and mount"
    done = subprocess.run([*ALONE, "mount", "-t", "tmpfs", "tmpfs", "/mnt"], capture_output=True, check=False)
    return "" if done.returncode == 0 else "this root may not mount"


def test_the_image_runs_as_nobody_on_a_file_system_that_cannot_be_written_to(primary, backup):
    if why := _why_no_image():
        pytest.skip(why)
    written = platforms.compose(ROOT)["services"]["failover"]
    sealed = {name: written[name] for name in ("read_only", "cap_drop", "tmpfs", "volumes")}
    state = "/var/lib/failover"
    assert sealed == {
        "read_only": True,
        "cap_drop": ["ALL"],
        "tmpfs": ["/tmp:size=256m"],
        "volumes": [f"state:{state}"],
    }
    given = {"PRIMARY_URL": primary.url, "BACKUP_URL": backup.url}
    told = {name: platforms.interpolate(value, given) for name, value in written["environment"].items()}
    told |= {"FAILOVER_LISTEN": "127.0.0.1:0", "FAILOVER_ADMIN_LISTEN": "off", "FAILOVER_WORKERS": "1"}
    folder = Path(tempfile.mkdtemp(prefix="failover-image-"))
    folder.chmod(0o755)
    try:
        command = [*ALONE, sys.executable, "-m", "support.image", folder]
        env = {"IMAGE_ENV": json.dumps(told), "PYTHONPATH": os.fspath(ROOT / "tests")}
        with Process(command, env=env) as program:
            port = program.wait_for(r"listening on http://127.0.0.1:(\d+)", patience=60.0)[1]
            program.wait_for(r" ready ")
            assert get(int(port), "/") == (200, "primary\n")
            status = Path(f"/proc/{program.pid}/status").read_text()
            assert re.search(r"^Uid:\s+10001\s+10001", status, re.MULTILINE)
            assert len(re.findall(r"^Cap(?:Prm|Eff|Bnd|Amb):\s+0+$", status, re.MULTILINE)) == 4
            assert (folder / f"final{state}/failover.db").stat().st_uid == 10001

            def said(more: dict[str, str], *words: str) -> subprocess.CompletedProcess[str]:
                inside = image.beside(program.pid, folder, more, [*words] or None)
                return subprocess.run(inside, capture_output=True, text=True, check=False)

            assert said({"PORT": port}).returncode == 0
            assert said({"PORT": "1"}).returncode == 1, "the health check of a proxy that does not answer"
            assert "The primary serves" in said({"PORT": port}, "state").stdout
            flags = [f"--primary={primary.url}", f"--backup={backup.url}", "--listen=127.0.0.1:0"]
            more = {"FAILOVER_STATE_DIR": "memory", "FAILOVER_ADMIN_LISTEN": "off", "FAILOVER_WORKERS": "1"}
            with Process(image.beside(program.pid, folder, more, flags)) as second:
                at = second.wait_for(r"listening on http://127.0.0.1:(\d+)")[1]
                second.wait_for(r" ready ")
                assert get(int(at), "/") == (200, "primary\n")
            # As a platform mounts it: root's, with what a file system has of its own.
            roots = Path("/proc", str(program.pid), "root", "tmp/volume")
            (roots / "lost+found").mkdir(parents=True)
            more |= {"FAILOVER_USER": "10001", "FAILOVER_STATE_DIR": "/tmp/volume/state"}
            with Process(image.beside(program.pid, folder, more, flags, user="0:0")) as third:
                third.wait_for(r" ready ")
                assert (roots / "state/failover.db").stat().st_uid == 10001
                assert roots.stat().st_uid == 0
            program.signal(signal.SIGTERM)
            assert program.wait() == 0
        mine = [path for path in (folder / "final").rglob("*") if path.lstat().st_uid == 10001]
        assert mine
        assert all(path.is_relative_to(folder / f"final{state}") for path in mine)
    finally:
        shutil.rmtree(folder)
