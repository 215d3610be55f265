"""Least privilege: who the processes are when root starts them, what that takes from them, and what it must not.

Root is needed: a port below 1024 is bound, files are root's alone, and only root can become somebody else.
"""

from __future__ import annotations

import contextlib
import http.client
import os
import re
import resource
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import failover
from failover.errors import SettingsError
from failover.settings.sources import load
from support.origin import Origin
from support.pages import dashboard
from support.program import PATIENCE, Process, Program, clean_environment
from support.tls import Authority, Files, trusting_all
from support.weather import drop

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.skipif(
    os.geteuid() != 0 or sys.platform != "linux", reason="only root becomes somebody else, and /proc tells who: Linux"
)

NOBODY = 65534
HIM, HIS_GROUP, STRANGER = 4711, 4712, 4713  # numbers without a name, as in containers
TOKEN = "a-token-of-some-length"
SLOW_PROBES = ("--check-interval", "1h", "--backup-check-interval", "1h")
BODY = bytes(range(256)) * 4096  # 1 MiB: more than is kept in memory
BINARY = Path(sys.executable).resolve().name
PLACES = {
    "python": Path(sys.base_prefix),
    "src": Path(failover.__file__).parent.parent,
    "site": Path(pytest.__file__).parent.parent,
}


class Who:
    """What the system says of a process."""

    def __init__(self, pid: int) -> None:
        self._said = dict(line.split(":\t", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
        self.users, self.groups = set(self._numbers("Uid")), set(self._numbers("Gid")) | set(self._numbers("Groups"))
        self.rights = {int(self._said[name], 16) for name in ("CapEff", "CapPrm", "CapInh", "CapAmb")}
        self.gains_nothing = self._said["NoNewPrivs"] == "1"

    def _numbers(self, name: str) -> list[int]:
        return [int(word) for word in self._said[name].split()]

    def is_only(self, user: int, group: int) -> bool:
        return self.users == {user} and self.groups == {group} and self.rights == {0} and self.gains_nothing


class At(Program):
    """The program, whose `src` and `site` (the libraries) are found in a folder."""

    def __init__(self, python: list[str], folder: Path, *args: str, listen: str = "127.0.0.1:0", **env: str) -> None:
        env = {
            "FAILOVER_STATE_DIR": "memory",
            "FAILOVER_ADMIN_LISTEN": "off",
            "PYTHONPATH": f"{folder}/src:{folder}/site",
        } | env
        Process.__init__(self, [*python, "-S", "-m", "failover", *args, "--listen", listen], env=env)


def hidden(folder: Path, *args: str, **more: str) -> At:
    """Only root can enter the folder: what a worker loads late is not found there."""
    folder.chmod(0o700)
    for name, place in PLACES.items():
        with contextlib.suppress(FileExistsError):
            (folder / name).symlink_to(place)
    return At([f"{folder}/python/bin/{BINARY}"], folder, *args, **more)


class Open:
    """The same in a folder that everybody can enter, wherever it really lies: mounted there for one process alone."""

    def __init__(self, folder: Path) -> None:
        folder.chmod(0o755)
        for name in PLACES:
            (folder / name).mkdir()
        mounting = "; ".join(f'mount --bind "${n}" "$0/{name}"' for n, name in enumerate(PLACES, 1))
        self._folder = folder
        self._before = ["unshare", "--mount", "sh", "-ec", f'{mounting}; shift {len(PLACES)}; exec "$@"', str(folder)]
        self._before += map(str, PLACES.values())
        if (
            not shutil.which("setpriv")
            or subprocess.run([*self._before, "true"], capture_output=True, check=False).returncode
        ):
            pytest.skip("nothing can be mounted here, or there is no setpriv")

    def python(self, user: int = 0, group: int | None = None) -> list[str]:
        """The interpreter as that user."""
        group = user if group is None else group
        become = ["setpriv", f"--reuid={user}", f"--regid={group}", "--clear-groups"] if user else []
        its_own = ["env", f"LD_LIBRARY_PATH={self._folder}/python/lib"]  # it may name its library by the other place
        return [*self._before, *become, *its_own, f"{self._folder}/python/bin/{BINARY}"]

    def program(self, *args: str, user: int = 0, **more: str) -> At:
        return At(self.python(user), self._folder, *args, **more)

    def run(self, *words: str, user: int = 0, group: int | None = None) -> subprocess.CompletedProcess[str]:
        env = clean_environment({"PYTHONPATH": f"{self._folder}/src:{self._folder}/site"})
        command = [*self.python(user, group), "-S", *words]
        return subprocess.run(command, capture_output=True, text=True, check=False, env=env)


def free_low_port() -> int:
    bound = Path("/proc/sys/net/ipv4/ip_unprivileged_port_start")
    if int(bound.read_text()) < 1024:
        pytest.skip("ports below 1024 are everybody's here")
    for port in range(1023, 600, -1):
        with socket.socket() as tried, contextlib.suppress(OSError):
            tried.bind(("127.0.0.1", port))
            return port
    pytest.skip("no port below 1024 is free")


def https(port: int, method: str = "GET", body: bytes | None = None, **fields: str) -> tuple[int, bytes, bytes]:
    """Status, body, and the certificate that was shown."""
    client = http.client.HTTPSConnection("127.0.0.1", port, timeout=PATIENCE, context=trusting_all())
    with contextlib.closing(client):
        client.request(method, "/", body, {"Host": "site.test", **fields})
        shown = client.sock.getpeercert(binary_form=True)
        answer = client.getresponse()
        return answer.status, answer.read(), shown


# -- root, and nobody asked for anything


class House:
    """A proxy that root has started, with everything it needs where only root can read."""

    def __init__(self, program: Program, primary: Origin, backup: Origin, files: Files) -> None:
        self.program, self.primary, self.backup, self.files = program, primary, backup, files


def wants_cores() -> None:
    """As on a machine that keeps core dumps: what is started from here may leave one, if it likes."""
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_CORE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))


@pytest.fixture(scope="module")
def house() -> Iterator[House]:
    with tempfile.TemporaryDirectory(prefix="failover-house-") as named:
        folder = Path(named)
        authority, files = Authority(folder), Files(folder)
        for file in (authority.pem, files.key, files.cert):
            file.chmod(0o600)
        tls = ("--tls-cert", str(files.cert), "--tls-key", str(files.key), "--upstream-ca", str(authority.pem))
        wants_cores()
        with (
            Origin("primary", tls=authority.server("127.0.0.1")) as primary,
            Origin("backup", tls=authority.server("127.0.0.1")) as backup,
            hidden(
                folder,
                *("--primary", primary.url, "--backup", backup.url, "--workers", "2", *tls, *SLOW_PROBES),
                listen=f"127.0.0.1:{free_low_port()}",
                TMPDIR=named,
            ) as program,
        ):
            program.ready()
            yield House(program, primary, backup, files)


def test_workers_of_root_are_nobody_for_good(house):
    house.program.wait_for("workers run as nobody, the controller as root, the supervisor as root")
    for worker in house.program.workers():
        assert Who(worker).is_only(NOBODY, NOBODY)
    assert Who(house.program.pid).users == {0}
    assert Who(house.program.controller()).users == {0}


def test_a_port_below_1024_is_served_over_tls_on_both_sides(house):
    assert house.program.port < 1024
    assert https(house.program.port)[:2] == (200, b"primary\n")


def test_a_long_upload_is_kept_in_a_file_that_nobody_can_write(house):
    """TMPDIR is root's: another place is found, and the body is whole for the next target."""
    house.primary.script = lambda seen: drop() if seen.method == "POST" else None  # and no probe's
    status, body, _ = https(house.program.port, "POST", BODY, **{"Idempotency-Key": "1"})
    assert (status, body) == (200, b"backup\n")
    seen = house.backup.wait_for(lambda seen: seen.complete and seen.method == "POST")
    assert seen.body_length == len(BODY)
    house.primary.script = None


def test_a_killed_worker_comes_back_as_nobody_and_serves(house):
    for slot in (0, 1):
        mark = house.program.mark
        os.kill(house.program.workers()[slot], signal.SIGKILL)
        house.program.wait_for(rf"worker {slot} is back", after=mark)
    for worker in house.program.workers():
        assert Who(worker).is_only(NOBODY, NOBODY)
    assert https(house.program.port)[0] == 200  # by whom does not matter: one upload has failed


def test_a_reload_reads_a_key_that_workers_cannot(house):
    as_worker = {"user": NOBODY, "group": NOBODY, "extra_groups": ()}
    tried = subprocess.run(["cat", house.files.key], capture_output=True, check=False, **as_worker)
    assert b"Permission denied" in tried.stderr
    renewed, mark = house.files.renew(), house.program.mark
    house.files.key.chmod(0o600)
    house.program.signal(signal.SIGHUP)
    house.program.wait_for("reloaded", after=mark)
    while https(house.program.port)[2] != renewed:
        pass  # an old worker may have accepted it in its last moment
    for worker in house.program.workers():
        assert Who(worker).is_only(NOBODY, NOBODY)


def test_nobody_leaves_a_core_dump(house):
    for pid in (house.program.pid, house.program.controller(), *house.program.workers()):
        limits = Path(f"/proc/{pid}/limits").read_text()
        assert re.search(r"^Max core file size +0 ", limits, re.MULTILINE)


def test_where_root_can_be_nobody_else_the_workers_stay_and_that_is_told_once(house):
    mapped = ["unshare", "--user", "--map-root-user"]
    if not shutil.which("unshare") or subprocess.run([*mapped, "true"], capture_output=True, check=False).returncode:
        pytest.skip("user namespaces are closed here")
    targets = ("--primary", "http://127.0.0.1:9", "--backup", "http://127.0.0.1:9/b")
    with Program(*targets, before=mapped) as program:
        program.ready()
        with urllib.request.urlopen(f"{program.url}/__failover/health", timeout=PATIENCE) as answer:
            assert answer.read() == b"OK"
        told = [line for line in program.lines if "workers run as root: they cannot become nobody here" in line]
        assert len(told) == 1


# -- --user


TARGETS = ("--primary", "http://127.0.0.1:9", "--backup", "http://127.0.0.1:9/b", *SLOW_PROBES)


@pytest.fixture(scope="module")
def opened() -> Iterator[Open]:
    with tempfile.TemporaryDirectory(prefix="failover-open-") as named:
        yield Open(Path(named))


class Given:
    def __init__(self, program: Program, state: Path) -> None:
        self.program, self.state = program, state


@pytest.fixture(scope="module")
def given(opened) -> Iterator[Given]:
    """A proxy that gives itself to somebody, with no umask at all."""
    with (
        tempfile.TemporaryDirectory(prefix="failover-given-") as named,
        Origin("primary") as primary,
        Origin("backup") as backup,
    ):
        Path(named).chmod(0o755)
        state = Path(named) / "state"
        before = os.umask(0)
        try:
            program = opened.program(
                *("--primary", primary.url, "--backup", backup.url, "--workers", "1", "--user", f"{HIM}:{HIS_GROUP}"),
                *("--state-dir", str(state), "--admin-listen", "127.0.0.1:0", "--check-interval", "100ms"),
                FAILOVER_ADMIN_TOKEN=TOKEN,
            ).start()
        finally:
            os.umask(before)
        with contextlib.ExitStack() as ending:
            ending.callback(program.end)
            program.ready()
            primary.stop()
            program.wait_for(r"switched to the backup")
            program.wait_for(r"inc_\w+")
            yield Given(program, state)


def listed(opened: Open, state: Path, user: int = 0, group: int | None = None) -> subprocess.CompletedProcess[str]:
    return opened.run("-m", "failover", "incidents", "list", "--state-dir", str(state), user=user, group=group)


def test_controller_and_workers_are_who_was_wanted(given):
    for child in (given.program.controller(), *given.program.workers()):
        assert Who(child).is_only(HIM, HIS_GROUP)
    assert Who(given.program.pid).users == {0}


def test_what_it_keeps_is_his_and_nobody_elses_whatever_the_umask(given):
    found = [given.state, *given.state.iterdir()]
    assert {"failover.db", "failover.db-wal", "failover.db-shm", "lock"} <= {path.name for path in found}
    for path in found:
        about = path.lstat()
        assert (about.st_uid, about.st_gid) == (HIM, HIS_GROUP), path
        assert stat.S_IMODE(about.st_mode) == (0o700 if path.is_dir() else 0o600), path
    sockets = Path(given.program.wait_for(r"listening to commands on (\S+)")[1])
    assert stat.S_IMODE(sockets.lstat().st_mode) == 0o600
    assert stat.S_IMODE(sockets.parent.lstat().st_mode) == 0o700
    assert sockets.lstat().st_uid == HIM


def test_root_and_he_read_the_incidents_and_nobody_else_does(opened, given):
    as_root = listed(opened, given.state)
    assert "inc_" in as_root.stdout, as_root.stderr
    assert "inc_" in listed(opened, given.state, HIM, HIS_GROUP).stdout
    stranger = listed(opened, given.state, STRANGER)
    assert stranger.returncode == 1
    assert "inc_" not in stranger.stdout
    assert {path.lstat().st_uid for path in given.state.iterdir()} == {HIM}  # what root has looked at stays his


def test_the_pages_are_there_after_the_controller_has_died(given):
    mark = given.program.mark
    os.kill(given.program.controller(), signal.SIGKILL)
    given.program.wait_for("controller is back", after=mark)
    assert Who(given.program.controller()).is_only(HIM, HIS_GROUP)
    for url in (f"{dashboard(given.program)}/", f"{given.program.url}/__failover/"):
        ask = urllib.request.Request(url, headers={"Authorization": f"Bearer {TOKEN}"})
        with urllib.request.urlopen(ask, timeout=PATIENCE) as answer:
            assert b"<title>" in answer.read()


# What another user of the machine tries at the sockets without a file: at each a request with the right token, from an
# address that he makes up; and to stay, in silence, where that is no HTTP.
KNOCK = r"""
import socket, sys
token, stays, *names = sys.argv[1:]
ask = f"GET /__failover/api/v1/state HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: 192.0.2.1\r\nConnection: close\r\n"
def say(name, words):
    said = b""
    with socket.socket(socket.AF_UNIX) as end:
        end.settimeout(30)
        end.connect("\0" + name)
        try:
            end.sendall(words)
            while more := end.recv(65536):
                said += more
        except ConnectionError:
            pass
    return said.split(b"\r\n")[0].decode()
for name in names:
    answer = say(name, (ask + f"Authorization: Bearer {token}\r\n\r\n").encode())
    print(answer or ("not heard" if stays else say(name, b"") or "closed"))
"""


def knock(opened: Open, names: set[str], user: int, *, stays: bool) -> list[str]:
    done = opened.run("-c", KNOCK, TOKEN, "yes" if stays else "", *sorted(names), user=user)
    return sorted(done.stdout.splitlines())


def test_another_user_of_the_machine_is_heard_on_no_socket_of_the_processes(opened, given):
    links = [str(entry.readlink()) for entry in Path(f"/proc/{given.program.pid}/fd").iterdir()]
    inodes = {link[8:-1] for link in links if link.startswith("socket:[")}
    rows = [line.split() for line in Path("/proc/net/unix").read_text().splitlines()]
    names = {row[7][1:] for row in rows if len(row) > 7 and row[6] in inodes and row[7].startswith("@failover-")}
    assert len(names) == 2  # the channel, and the pages of the public port
    assert knock(opened, names, HIM, stays=True) == ["HTTP/1.1 200 OK", "not heard"]
    assert knock(opened, names, STRANGER, stays=False) == ["HTTP/1.1 403 Forbidden", "closed"]


def test_another_user_comes_by_a_reload_in_no_way(opened, tmp_path):
    file = tmp_path / "config.yaml"
    targets = "primary: http://127.0.0.1:9\nbackup: http://127.0.0.1:9/b\ncheck_interval: 1h\n"
    file.write_text(f"{targets}user: {HIM}\n")
    with opened.program("--config", str(file)) as program:
        program.ready()
        file.write_text(f"{targets}user: root\n")
        program.signal(signal.SIGHUP)
        program.wait_for("reload refused, nothing has changed: --user cannot change .*restart for that")


def test_a_user_who_cannot_read_the_program_is_told_before_anything_serves(tmp_path):
    with hidden(tmp_path, *TARGETS, "--user", str(HIM)) as program:
        assert program.wait() == 1
        program.wait_for(f"cannot run as {HIM}: this user cannot read the program, which is at .*install it")


@pytest.mark.parametrize(
    ("user", "said"),
    [
        ("nobdy", r'--user: "nobdy" is no user of this machine; did you mean nobody\?'),
        ("nobody:nogrup", r'--user: "nogrup" is no group of this machine'),
        ("4294967295", "--user: .* is too large for the number of a user"),
        (":", '--user: ":" is not a user; write it as'),
        ("a\0b", "--user: .* is no user of this machine"),
        ("0:\ud800", "--user: has bytes in it that are no UTF-8"),
    ],
)
def test_a_user_that_is_none_is_a_mistake(user, said):
    with pytest.raises(SettingsError, match=said):
        load({"primary": "http://a.test", "backup": ("http://b.test",), "user": user}, {})


def test_who_is_not_root_becomes_nobody_else_but_may_name_himself(opened):
    with opened.program(*TARGETS, "--user", "root", user=HIM) as program:
        assert program.wait() == 2
        program.wait_for('--user: "root" is somebody else, which only root can become; start it as root, or as root')
    with opened.program(*TARGETS, "--user", str(HIM), user=HIM) as program:
        assert Who(program.ready().workers()[0]).is_only(HIM, HIM)


def test_root_stays_root_where_it_is_wanted():
    with Program(*TARGETS, "--user", "root") as program:
        program.ready()
        assert all(Who(worker).users == {0} for worker in program.workers())
