"""The life of the real program, from the first line to the exit code, with requests going through it meanwhile."""

import contextlib
import http.client
import http.server
import json
import os
import shutil
import signal
import socket
import sys
import threading
from pathlib import Path

import pytest

from support.program import PATIENCE, Process, Program, alive, refused

# -- an origin whose answers can be kept waiting, and clients that count


class Origin:
    """Answers its name; `/slow` only once `release` is set, and `arrived` tells that such a request is there."""

    def __init__(self, name):
        self.arrived, self.release = threading.Event(), threading.Event()
        origin = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            timeout = PATIENCE

            def do_GET(self):
                if self.path == "/slow":
                    origin.arrived.set()
                    origin.release.wait(PATIENCE)
                body = name.encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 1024

            def handle_error(self, *_):
                pass  # a target's connections end as its clients like

        self._server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self._thread.start()

    def close(self):
        self.release.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def get(port, path="/", *, patience=PATIENCE):
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", port, timeout=patience)) as connection:
        connection.request("GET", path)
        response = connection.getresponse()
        return response.status, response.read().decode()


def state(port):
    return json.loads(get(port, "/__failover/state")[1])


class Load:
    """Some clients that ask all the time, each on a new connection; what went wrong stands in `failures`."""

    def __init__(self, port, clients=4, path="/"):
        self.answers, self.failures = 0, []
        self._port, self._path, self._over, self._turn = port, path, threading.Event(), threading.Condition()
        self._threads = [threading.Thread(target=self._ask, daemon=True) for _ in range(clients)]

    def _ask(self):
        while not self._over.is_set():
            try:
                status, body = get(self._port, self._path)
                problem = None if status == 200 else f"{status} {body}"
            except (OSError, http.client.HTTPException) as error:
                problem = repr(error)
            with self._turn:
                self.answers += 1
                if problem:
                    self.failures.append(problem)
                self._turn.notify_all()

    def more(self, count):
        """Wait for so many further answers."""
        with self._turn:
            wanted = self.answers + count
            assert self._turn.wait_for(lambda: self.answers >= wanted, PATIENCE), self.failures

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        self.more(20)
        return self

    def __exit__(self, *_):
        self._over.set()
        for thread in self._threads:
            thread.join()


class Slow(threading.Thread):
    """One request for `/slow`, asked in the background."""

    def __init__(self, port):
        super().__init__(daemon=True)
        self._port, self.answer = port, None
        self.start()

    def run(self):
        try:
            self.answer = get(self._port, "/slow")
        except (OSError, http.client.HTTPException) as error:
            self.answer = type(error)

    def outcome(self):
        self.join(PATIENCE)
        return self.answer


@pytest.fixture
def primary():
    with contextlib.closing(Origin("primary")) as origin:
        yield origin


@pytest.fixture
def backup():
    with contextlib.closing(Origin("backup")) as origin:
        yield origin


@pytest.fixture
def program(primary, backup):
    with Program("--primary", primary.url, "--backup", backup.url, "--workers", "2") as program:
        yield program.ready()


@pytest.fixture
def configured(primary, backup, tmp_path):
    """The program with a file, and a function that writes it anew."""
    file = tmp_path / "config.yaml"

    def write(**more):
        told = {"primary": primary.url, "backup": backup.url, "workers": 2} | more
        file.write_text("".join(f"{key}: {value}\n" for key, value in told.items()))

    write()
    with Program("--config", os.fspath(file)) as program:
        yield program.ready(), write


# -- start and stop


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_starts_answers_and_stops_with_exit_code_0(program, number):
    assert get(program.port) == (200, "primary")
    pids = [*program.workers(), program.controller()]
    program.signal(number)
    assert program.wait() == 0
    program.wait_for_silence()
    assert not any(map(alive, pids))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_slow_request_is_finished_before_it_stops(program, primary, number):
    slow = Slow(program.port)
    assert primary.arrived.wait(PATIENCE)
    program.signal(number)
    program.wait_for("stopping, requests in hand may finish within 30 s")
    assert refused(program.port)
    assert program.running
    primary.release.set()
    assert slow.outcome() == (200, "primary")
    assert program.wait() == 0


def test_the_second_ctrl_c_stops_at_once(program, primary):
    slow = Slow(program.port)
    assert primary.arrived.wait(PATIENCE)
    program.signal(signal.SIGINT)
    program.wait_for("stopping, requests")
    program.signal(signal.SIGINT)
    assert program.wait() == 130
    assert slow.outcome() in {ConnectionResetError, http.client.RemoteDisconnected}
    program.wait_for_silence()


def test_a_request_that_outlasts_the_drain_time_is_cut(primary, backup):
    with Program("--primary", primary.url, "--backup", backup.url, "--drain-timeout", "100ms") as program:
        program.ready()
        slow = Slow(program.port)
        assert primary.arrived.wait(PATIENCE)
        program.signal(signal.SIGTERM)
        assert program.wait() in {0, 1}
        assert slow.outcome() in {ConnectionResetError, http.client.RemoteDisconnected}


# -- deaths


def test_a_killed_worker_takes_with_it_only_what_it_had_in_hand(program):
    clients = 4
    with Load(program.port, clients) as load:
        for kill in range(1, 4):
            mark = program.mark
            os.kill(program.workers()[kill % 2], signal.SIGKILL)
            program.wait_for(rf"worker {kill % 2} is back", after=mark)
            load.more(50)
            # Each client has one request in hand at a time, so a death costs each at most that one.
            assert len(load.failures) <= clients * kill
            assert not [failure for failure in load.failures if "Refused" in failure]
    assert get(program.port) == (200, "primary")


def test_a_request_of_another_worker_survives(program, primary):
    """With both workers killed one after the other, a request is lost with its own worker and not before."""
    slow = Slow(program.port)
    assert primary.arrived.wait(PATIENCE)
    lost = []
    for slot in (0, 1):
        mark = program.mark
        os.kill(program.workers()[slot], signal.SIGKILL)
        program.wait_for(rf"worker {slot} is back", after=mark)
        slow.join(0.5)
        lost.append(not slow.is_alive())
    assert lost in ([True, True], [False, True])


def test_a_killed_controller_loses_no_request(program):
    with Load(program.port) as load:
        for _ in range(3):
            mark = program.mark
            os.kill(program.controller(), signal.SIGKILL)
            load.more(50)
            program.wait_for("controller is back", after=mark)
            load.more(50)
    assert load.failures == []


def test_the_verdict_survives_the_controller(program, primary):
    primary.close()
    with Load(program.port):
        while not state(program.port)["on_backup"]:
            continue
    before = state(program.port)
    mark = program.mark
    os.kill(program.controller(), signal.SIGKILL)
    program.wait_for("controller is back", after=mark)
    after = state(program.port)
    assert after["on_backup"]
    assert after["since_unix"] == before["since_unix"]
    assert get(program.port) == (200, "backup")


@pytest.mark.parametrize("in_hand", [False, True])
def test_the_children_leave_when_the_supervisor_is_killed(program, primary, in_hand):
    port = program.port
    slow = Slow(port) if in_hand else None
    if slow:
        assert primary.arrived.wait(PATIENCE)
    program.signal(signal.SIGKILL)
    program.wait()
    if slow:
        assert refused(port)
        primary.release.set()
        assert slow.outcome() == (200, "primary")
    program.wait_for_silence()


# -- reload


def test_a_reload_under_load_refuses_and_loses_nothing(configured):
    program, write = configured
    with Load(program.port, clients=8) as load:
        for threshold in (4, 5, 6):
            write(fail_threshold=threshold)
            mark = program.mark
            program.signal(signal.SIGHUP)
            program.wait_for("reloaded", after=mark)
            load.more(100)
    assert load.failures == []


def test_a_reload_can_change_the_primary(configured):
    program, write = configured
    with contextlib.closing(Origin("another")) as another:
        write(primary=another.url)
        old = program.workers()
        program.signal(signal.SIGHUP)
        program.wait_for("reloaded")
        while any(map(alive, old)):
            assert get(program.port)[0] == 200
        assert get(program.port) == (200, "another")
        assert not state(program.port)["on_backup"]


def test_an_old_worker_finishes_its_request_after_a_reload(configured, primary):
    program, write = configured
    slow = Slow(program.port)
    assert primary.arrived.wait(PATIENCE)
    write(fail_threshold=7)
    program.signal(signal.SIGHUP)
    program.wait_for("reloaded")
    primary.release.set()
    assert slow.outcome() == (200, "primary")


def test_the_verdict_survives_a_reload(configured, primary):
    program, write = configured
    primary.close()
    with Load(program.port):
        while not state(program.port)["on_backup"]:
            continue
        before = state(program.port)
        write(max_body="1MB")
        mark = program.mark
        program.signal(signal.SIGHUP)
        program.wait_for("reloaded", after=mark)
    after = state(program.port)
    assert after["on_backup"]
    assert after["since_unix"] == before["since_unix"]


def test_a_bad_file_changes_nothing_and_all_its_mistakes_are_told(configured):
    program, write = configured
    before = [*program.workers(), program.controller()]
    write(fail_threshold="many", checks="3")
    program.signal(signal.SIGHUP)
    program.wait_for(r"reload refused, nothing has changed: .*config\.yaml:\d+:\d+: .*many")
    program.wait_for(r"reload refused, nothing has changed: .*config\.yaml:\d+:\d+: .*checks")
    assert get(program.port) == (200, "primary")
    assert [*program.workers(), program.controller()] == before
    assert all(map(alive, before))
    write()
    program.signal(signal.SIGHUP)
    program.wait_for("reloaded")


# -- addresses


def test_a_taken_port_is_told_with_exit_code_1(primary, backup):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        where = f"127.0.0.1:{taken.getsockname()[1]}"
        with Program("--primary", primary.url, "--backup", backup.url, listen=where) as program:
            assert program.wait() == 1
            program.wait_for_silence()
            program.wait_for(f"cannot listen on {where}: another process listens there; .*--listen")
            assert "Traceback" not in program.log


def test_an_address_of_another_machine_is_told_with_exit_code_1(primary, backup):
    with Program("--primary", primary.url, "--backup", backup.url, listen="192.0.2.7:8080") as program:
        assert program.wait() == 1
        program.wait_for_silence()
        program.wait_for(r"cannot listen on 192\.0\.2\.7:8080: 192\.0\.2\.7 is not an address of this machine")


def test_a_privileged_port_is_told_with_exit_code_1(primary, backup):
    privileged = Path("/proc/sys/net/ipv4/ip_unprivileged_port_start")
    if privileged.exists() and int(privileged.read_text()) <= 1:
        pytest.skip("every port is everybody's here")
    drop = ["setpriv", "--bounding-set=-net_bind_service"] if os.geteuid() == 0 else []
    if drop and not shutil.which("setpriv"):
        pytest.skip("root may use every port, and setpriv is not here")
    with Program("--primary", primary.url, "--backup", backup.url, listen="127.0.0.1:1", before=drop) as program:
        assert program.wait() == 1
        program.wait_for_silence()
        program.wait_for("may not use port 1; .*CAP_NET_BIND_SERVICE")


# -- the service manager


# What a service manager does: put the socket at descriptor 3 and say for whom it is, then become the program.
ACTIVATE = """
import os, sys
os.dup2(int(sys.argv[1]), 3)
os.environ |= {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "1"}
os.execv(sys.executable, [sys.executable, "-m", "failover", *sys.argv[2:]])
"""


def test_a_socket_of_the_service_manager_is_served(primary, backup):
    with socket.create_server(("127.0.0.1", 0)) as opened:
        port, fd = opened.getsockname()[1], opened.fileno()
        command = [sys.executable, "-c", ACTIVATE, str(fd), "--primary", primary.url, "--backup", backup.url]
        with Process(command, pass_fds=[fd]) as program:
            program.wait_for(f"listening on http://127.0.0.1:{port}")
            assert get(port) == (200, "primary")
            program.signal(signal.SIGHUP)
            program.wait_for("reloaded")
            assert get(port) == (200, "primary")
            program.signal(signal.SIGTERM)
            assert program.wait() == 0
        # The socket is the service manager's: whoever comes now waits for the next start.
        socket.create_connection(("127.0.0.1", port), timeout=PATIENCE).close()


def test_the_service_manager_is_told(primary, backup, tmp_path):
    address = os.fspath(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(address)
        manager.settimeout(PATIENCE)
        with Program("--primary", primary.url, "--backup", backup.url, env={"NOTIFY_SOCKET": address}) as program:
            assert manager.recv(4096).decode().split("\n")[0] == "READY=1"
            assert get(program.port) == (200, "primary")
            program.signal(signal.SIGTERM)
            assert manager.recv(4096) == b"STOPPING=1"
            assert program.wait() == 0


@pytest.mark.parametrize("logs", [(), ("--json-logs",)])
def test_the_log_tells_who_the_children_are(primary, backup, logs):
    with Program("--primary", primary.url, "--backup", backup.url, "--workers", "2", *logs) as program:
        first = [*program.ready().workers(), program.controller()]
        assert all(map(alive, first))
        for victim in (first[1], first[2]):
            mark = program.mark
            os.kill(victim, signal.SIGKILL)
            program.wait_for("is back", after=mark)
        second = [*program.workers(), program.controller()]
        assert second[0] == first[0]
        assert all(map(alive, second))
        assert len({*first, *second}) == 5
