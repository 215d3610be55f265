"""This machine runs out of something: the proxy goes on, says so once, takes it for nobody's failure, and recovers.

The limits of one running process are lowered and given back (`prlimit`), so each lack is a real one.
"""

from __future__ import annotations

import json
import os
import re
import resource
import shutil
import signal
import sys
import time
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from support.fakes import FakeReceiver
from support.origin import Origin
from support.program import PATIENCE, Process, Program, alive, free_port
from support.raw import RawOrigin, Wire, dial, ok

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.skipif(
    not hasattr(resource, "prlimit"), reason="only Linux changes the limits of another process"
)

# Limits are changed by who the process belongs to: root in a container has no right to those of others. And pytest's
# folders are root's alone.
OURS = ("--user", "root") if os.geteuid() == 0 else ()
GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
LARGE = 6_000_000


def answer(wire, head):
    if head.startswith(b"POST"):
        length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
        wire.send(ok(b"%d" % len(wire.read_exactly(length))))
    elif head.startswith(b"GET /large"):
        wire.send(ok(b"x" * LARGE))
    else:
        wire.send(ok())


@pytest.fixture(scope="module")
def primary() -> Iterator[RawOrigin]:
    with RawOrigin(answer) as origin:
        yield origin


@pytest.fixture(scope="module")
def program(primary: RawOrigin) -> Iterator[Program]:
    with RawOrigin(answer) as backup:
        quick = ("--check-interval", "200ms", "--workers", "1", *OURS)
        with Program("--primary", primary.url, "--backup", backup.url, *quick) as running:
            yield running.ready()


@pytest.fixture(autouse=True)
def _no_verdict(program: Program) -> Iterator[None]:
    """What we lack is nobody's failure: no case here may leave a suspicion behind."""
    mark = program.mark
    yield
    wrong = [line for line in program.lines[mark:] if re.search(r"is suspected|switched|Traceback", line)]
    # The origin lives in this process, and may really be slow on a busy machine.
    assert not [line for line in wrong if "in time" not in line]


@contextmanager
def limited(pid: int, what: int, soft: int) -> Iterator[None]:
    before = resource.prlimit(pid, what)
    resource.prlimit(pid, what, (soft, before[1]))
    try:
        yield
    finally:
        resource.prlimit(pid, what, before)


def open_files(pid: int) -> int:
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


def processor_ticks(pid: int) -> int:
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rsplit(")", 1)[1].split()
    return int(fields[11]) + int(fields[12])


QUIET = {"FAILOVER_STATE_DIR": "memory", "FAILOVER_ADMIN_LISTEN": "off"}


def once(program: Program, words: str, mark: int) -> bool:
    return sum(words in line and "no longer" not in line for line in program.lines[mark:]) == 1


# -- descriptors


def test_without_a_descriptor_for_the_target_a_client_gets_503_and_the_next_one_is_served(program, primary):
    with dial(program.port) as client, dial(program.port) as reader:
        reader.send(b"GET /large HTTP/1.1\r\nHost: a\r\n\r\n")  # keeps the one connection there may be
        reader.read_head()
        client.send(b"GET /__failover/health HTTP/1.1\r\nHost: a\r\n\r\n")  # it is in, then
        assert client.read_answer()[1] == b"OK"
        before = len(primary.heads)
        with limited(program.workers()[0], resource.RLIMIT_NOFILE, 3):
            client.send(GET)
            assert b" 503 " in client.read_answer()[0]
        client.send(GET)
        assert client.read_answer()[1] == b"ok"
        assert len(primary.heads) == before + 1
        assert reader.read_exactly(LARGE)


def test_without_descriptors_clients_are_turned_away_and_it_does_not_spin(program):
    worker = program.workers()[0]
    mark = program.mark
    with ExitStack() as clients:
        with limited(worker, resource.RLIMIT_NOFILE, open_files(worker) + 6):
            for _ in range(60):
                with suppress(OSError):
                    clients.enter_context(dial(program.port)).send(GET)
            program.wait_for("there is no room for more clients, they are turned away: too many open files", after=mark)
            quiet = processor_ticks(worker)
            with pytest.raises(AssertionError, match="passed"):
                program.wait_for("another word", after=program.mark, patience=0.5)
            assert processor_ticks(worker) - quiet < os.sysconf("SC_CLK_TCK") / 4
        program.wait_for("no longer: there is no room for more clients", after=mark)
    assert once(program, "there is no room for more clients", mark)
    with dial(program.port) as client:
        client.send(GET)
        assert client.read_answer()[1] == b"ok"
    assert program.workers() == [worker]


def test_a_controller_without_descriptors_says_that_it_cannot_probe_and_judges_nobody(program, primary):
    controller = program.controller()
    mark = program.mark
    with limited(controller, resource.RLIMIT_NOFILE, 3):
        program.wait_for("targets cannot be probed, their verdicts stay as they are: too many open files", after=mark)
        with dial(program.port) as client:
            client.send(GET)
            assert client.read_answer()[1] == b"ok"
    program.wait_for("no longer: targets cannot be probed", after=mark)
    primary.probed.clear()
    assert primary.probed.wait(PATIENCE)
    assert once(program, "targets cannot be probed", mark)
    assert alive(controller)


# -- disk


@pytest.mark.parametrize("room", [0, 1_000_000])
def test_an_upload_that_cannot_be_kept_beside_is_proxied_once(program, primary, room):
    """No file of the worker may grow beyond that, which stands for a full disk under the temporary folder."""
    primary.heads.clear()
    with limited(program.workers()[0], resource.RLIMIT_FSIZE, room), dial(program.port) as client:
        client.send(
            b"POST /a HTTP/1.1\r\nHost: a\r\nIdempotency-Key: 1\r\nContent-Length: 3000000\r\n\r\n", b"y" * 3_000_000
        )
        assert client.read_answer()[1] == b"3000000"
    assert sum(head.startswith(b"POST /a") for head in primary.heads) == 1


class Disk:
    """A disk of the program's own, where we may make one: 2 MB that nobody else sees. Else files that may not grow."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.real = os.geteuid() == 0 and shutil.which("unshare") is not None
        mount = f'mount -t tmpfs -o size=2m,mode=1777 none {folder} && exec "$@"'
        self.before = ["unshare", "--mount", "sh", "-c", mount, "sh"] if self.real else []

    @contextmanager
    def full(self, program: Program) -> Iterator[None]:
        if not self.real:
            with limited(program.controller(), resource.RLIMIT_FSIZE, 1):
                yield
            return
        filler = Path(f"/proc/{program.pid}/root{self.folder}/filler")  # as the program sees it
        with filler.open("wb", buffering=0) as file, suppress(OSError):
            while file.write(b"x" * 4096):
                continue
        try:
            yield
        finally:
            filler.unlink()

    def kept(self, program: Program) -> list[dict[str, object]]:
        """What a command finds there."""
        where = ["nsenter", "--target", str(program.pid), "--mount"] if self.real else []
        listed = ["-m", "failover", "incidents", "list", "--json", "--state-dir", str(self.folder)]
        with Process([*where, sys.executable, *listed]) as process:
            process.wait()
            process.wait_for_silence()
        return json.loads(process.log)


def upload_goes_through(program: Program) -> None:
    with dial(program.port) as client:
        client.send(b"POST /b HTTP/1.1\r\nHost: a\r\nIdempotency-Key: 1\r\nContent-Length: 300000\r\n\r\n")
        client.send(b"y" * 300_000)
        assert b" 200 " in client.read_answer()[0]
        client.send(b"GET /__failover/health HTTP/1.1\r\nHost: a\r\n\r\n")
        assert client.read_answer()[1] == b"OK"  # so the exchange before is over, and its file is gone


def test_an_outage_on_a_full_disk_is_told_as_usual_and_is_on_the_disk_afterwards(tmp_path):
    disk = Disk(tmp_path)
    quick = ("--check-interval", "100ms", "--ramp-step", "50ms", "--workers", "1", "--state-dir", str(tmp_path))
    with FakeReceiver() as anybody, Origin("primary") as primary, Origin("backup") as backup, ExitStack() as stack:
        hook = ("--webhook-url", anybody.url, "--webhook-format", "generic", "--webhook-secret", anybody.secret)
        flags = ("--primary", primary.url, "--backup", backup.url, *quick, *hook, *OURS)
        program = stack.enter_context(Program(*flags, before=disk.before, env={"TMPDIR": str(tmp_path)})).ready()
        controller = program.controller()
        upload_goes_through(program)  # from now on it knows where its temporary files lie
        with disk.full(program):
            upload_goes_through(program)
            primary.stop()
            assert anybody.wait_for(1).payload["type"] == "incident.opened"
            program.wait_for("the store cannot be written, incidents and deliveries are kept in memory meanwhile")
            primary.start()
            whole = anybody.wait_for(2).payload
            assert whole["type"] == "incident.resolved"
        program.wait_for("incidents and deliveries are on disk again")
        upload_goes_through(program)
        assert [seen.body_length for seen in primary.requests if seen.method == "POST"] == [300_000] * 3
        assert once(program, "the store cannot be written", 0)
        assert "unwritten" not in program.log
        assert program.controller() == controller
        (incident,) = disk.kept(program)
        assert incident["id"] == whole["data"]["id"]
        assert incident["status"] == "resolved"
    assert len(anybody.taken) == 2


@pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("unshare"), reason="only root mounts what cannot be written")
def test_a_state_folder_that_cannot_be_written_at_the_start_is_told_and_it_serves(primary, tmp_path):
    mount = f'mount -t tmpfs -o ro none {tmp_path} && exec "$@"'
    flags = ("--primary", primary.url, "--backup", "http://127.0.0.1:1", "--state-dir", str(tmp_path / "state"))
    with Program(*flags, "--workers", "1", before=["unshare", "--mount", "sh", "-c", mount, "sh"]) as program:
        program.wait_for("kept in memory, and gone when the proxy stops: .*read-only file system")
        with dial(program.ready().port) as client:
            client.send(GET)
            assert client.read_answer()[1] == b"ok"
    assert program.exit_code == 0
    assert "Traceback" not in program.log


def test_a_log_that_is_closed_or_full_stops_nothing(primary, tmp_path):
    flags = ["--primary", primary.url, "--backup", "http://127.0.0.1:1", "--workers", "1", "--access-log"]
    command = [sys.executable, "-m", "failover", *flags, "--listen", f"127.0.0.1:{free_port()}"]
    port = int(command[-1].rpartition(":")[2])
    for redirection in ('"$@" 2>&1 | head -n 1', 'exec "$@" 2>/dev/full'):
        with Process(["sh", "-c", redirection, "sh", *command], env=QUIET, own_group=True) as program:
            for _ in range(3):
                with reached(port) as client:
                    client.send(GET)
                    assert client.read_answer()[1] == b"ok"
            os.killpg(program.pid, signal.SIGTERM)
            program.wait_for_silence()


# -- memory


def test_without_memory_what_needed_it_is_cut_visibly_and_the_rest_is_right(program):
    worker = program.workers()[0]
    mark = program.mark
    size = next(
        int(line.split()[1])
        for line in Path(f"/proc/{worker}/status").read_text(encoding="utf-8").splitlines()
        if line.startswith("VmSize:")
    )
    outcomes = []
    with ExitStack() as clients:
        uploads = [clients.enter_context(dial(program.port)) for _ in range(8)]
        readers = [clients.enter_context(dial(program.port)) for _ in range(16)]
        with limited(worker, resource.RLIMIT_AS, (size + 1000) * 1024):
            for reader in readers:
                with suppress(OSError):
                    reader.send(b"GET /large HTTP/1.1\r\nHost: a\r\n\r\n")  # and nobody reads yet
            for upload in uploads:
                with suppress(OSError):
                    upload.send(b"POST /m HTTP/1.1\r\nHost: a\r\nContent-Length: 2000000\r\n\r\n", b"y" * 2_000_000)
            outcomes = [outcome(client) for client in (*uploads, *readers)]
    good = {("2000000",), ("large",)}
    assert {one for one in outcomes if one != ("cut",) and one not in good} <= {("503",), ("502",)}
    with dial(program.port) as client:
        client.send(GET)
        assert client.read_answer()[1] == b"ok"
    assert sum("there is not enough memory" in line for line in program.lines[mark:]) <= 2
    assert program.workers() == [worker]


def outcome(client) -> tuple[str, ...]:
    try:
        head, body = client.read_answer()
    except (OSError, EOFError):
        return ("cut",)
    if b" 200 " not in head.split(b"\r\n")[0] + b" ":
        return (head.split()[1].decode(),)
    return ("large",) if len(body) == LARGE and not body.strip(b"x") else (body.decode("latin-1")[:40],)


# -- processes


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may make a control group")
def test_where_no_process_can_be_born_it_is_told_once_and_the_rest_serves(primary):
    group = Path("/sys/fs/cgroup/pids") / f"failover-test-{os.getpid()}"
    if not group.parent.is_dir():
        pytest.skip("no control group for the number of processes here")
    group.mkdir()
    try:
        with Program("--primary", primary.url, "--backup", "http://127.0.0.1:1", "--workers", "2") as program:
            program.ready()
            first, second = program.workers()
            for pid in (program.pid, first, second, program.controller()):
                (group / "cgroup.procs").write_text(str(pid))
            (group / "pids.max").write_text("1")
            os.kill(first, signal.SIGKILL)
            program.wait_for("cannot start worker 0: Resource temporarily unavailable .*next_try=")
            mark = program.mark
            with pytest.raises(AssertionError, match="passed"):
                program.wait_for("cannot start", after=mark, patience=1.2)
            with dial(program.port) as client:
                client.send(GET)
                assert client.read_answer()[1] == b"ok"
            (group / "pids.max").write_text("max")
            program.wait_for("worker 0 is back")
            assert alive(second)
    finally:
        group.rmdir()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may make a control group")
def test_a_worker_that_the_system_kills_for_its_memory_is_followed_and_the_rest_serves(primary):
    group = Path("/sys/fs/cgroup/memory") / f"failover-test-{os.getpid()}"
    if not group.parent.is_dir():
        pytest.skip("no control group of the first version for memory here")
    group.mkdir()
    try:
        flags = ("--primary", primary.url, "--backup", "http://127.0.0.1:1", "--workers", "2", "--access-log")
        with Program(*flags) as program, ExitStack() as clients:
            program.ready()
            victim, other = program.workers()
            (group / "cgroup.procs").write_text(str(victim))
            (group / "memory.limit_in_bytes").write_text("200000")
            for _ in range(400):
                if f"process={victim}" in program.log:
                    break
                with suppress(OSError, EOFError):
                    client = clients.enter_context(dial(program.port))
                    client.send(b"GET /large HTTP/1.1\r\nHost: a\r\n\r\n")
                    client.read_exactly(1)
            program.wait_for(f"worker 0 died: killed by SIGKILL .*process={victim}")
            program.wait_for("worker 0 is back")
            assert once(program, "died", 0)
            assert program.workers()[1] == other
            for _ in range(20):
                with dial(program.port) as client:
                    client.send(GET)
                    assert client.read_answer()[1] == b"ok"
    finally:
        group.rmdir()


@contextmanager
def reached(port: int) -> Iterator[Wire]:
    """A connection to a program that says nothing of when it listens."""
    until = time.monotonic() + PATIENCE
    while True:
        try:
            wire = dial(port)
        except ConnectionRefusedError:
            assert time.monotonic() < until, "it never listened"
        else:
            with wire:
                yield wire
            return
