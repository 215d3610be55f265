"""The supervisor with stand-ins for its children: each test is a real process tree."""

import contextlib
import json
import os
import re
import resource
import signal
import socket
import sys
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from support import standins
from support.program import Process, Program, alive, free_port, refused

PATIENCE = 20


class Standins(Program):
    def __init__(self, folder, **more):
        self.folder = folder
        (folder / "orders").mkdir(exist_ok=True)
        Process.__init__(self, [sys.executable, Path(standins.__file__), folder], **more)

    def settings(self, text=None, **told):
        (self.folder / "settings.json").write_text(json.dumps(told) if text is None else text)
        return self

    def order(self, what):
        (self.folder / "orders" / what).touch()
        return self

    def cancel(self, what):
        (self.folder / "orders" / what).unlink()

    def connect(self):
        return Client(urlsplit(self.url).port)

    def ask(self):
        with self.connect() as client:
            return client.ask()

    def reload(self):
        mark = self.mark
        self.signal(signal.SIGHUP)
        return mark


class Client:
    def __init__(self, port):
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)
        self._answers = self._socket.makefile("r")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._answers.close()
        self._socket.close()

    def send(self, line):
        self._socket.sendall(line.encode() + b"\n")

    def read(self):
        return self._answers.readline().strip()

    def ask(self):
        """Who answers: slot, process number, primary of its settings."""
        self.send("who")
        slot, pid, primary = self.read().split()
        return int(slot), int(pid), primary


@pytest.fixture
def supervisor(tmp_path):
    with contextlib.ExitStack() as at_end:
        yield lambda **told: at_end.enter_context(Standins(tmp_path).settings(**told))


# -- start and stop


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_clean_stop_exits_0_and_leaves_nobody(supervisor, number):
    program = supervisor(workers=3).ready()
    pids = [*program.workers(), program.controller()]
    assert len(set(pids)) == 4
    program.signal(number)
    assert program.wait() == 0
    program.wait_for_silence()
    assert not any(map(alive, pids))
    assert f": {number.name}" in program.log


def test_all_are_told_to_stop_at_once_as_a_service_manager_does(tmp_path):
    with Standins(tmp_path, own_group=True).settings() as program:
        program.ready()
        with program.connect() as client:
            client.send("hold")
            client.read()
            os.killpg(program.pid, signal.SIGTERM)
            program.wait_for("stopping, requests")
            client.send("go on")
            assert client.read().endswith("one")
        assert program.wait() == 0
        assert "died" not in program.log
        assert " is back" not in program.log


def test_a_request_in_hand_is_finished_before_the_end(supervisor):
    program = supervisor().ready()
    with program.connect() as client:
        client.send("hold")
        assert client.read() == "held"
        program.signal(signal.SIGTERM)
        program.wait_for("stopping, requests in hand may finish within 30 s")
        client.send("go on")
        assert client.read().endswith("one")
    assert program.wait() == 0


def test_a_second_signal_cuts_what_is_in_hand(supervisor):
    program = supervisor().ready()
    with program.connect() as client:
        client.send("hold")
        assert client.read() == "held"
        program.signal(signal.SIGINT)
        program.wait_for("stopping, requests")
        program.signal(signal.SIGINT)
        assert program.wait() == 130
        assert client.read() == ""
    program.wait_for_silence()


def test_children_that_do_not_listen_are_killed_when_their_time_is_up(supervisor):
    program = supervisor(drain=-1.9, workers=1).order("worker-deaf").ready()  # 0.1 s with the grace added
    program.signal(signal.SIGTERM)
    assert program.wait() == 1
    program.wait_for("worker 0 is killed: it was still busy")


def test_no_connection_is_accepted_once_it_stops(supervisor):
    program = supervisor().ready()
    with program.connect() as client:
        client.send("hold")
        client.read()
        # What has the address besides: a child that was forked when the controller was replaced.
        os.kill(program.controller(), signal.SIGKILL)
        program.wait_for("controller is back")
        program.signal(signal.SIGTERM)
        program.wait_for("stopping, requests")
        others = [pid for pid in program.workers() if pid != 0]
        assert others
        assert refused(urlsplit(program.url).port)
        client.send("go on")
    assert program.wait() == 0


def test_the_supervisor_dies_and_its_children_leave(supervisor):
    program = supervisor().ready()
    program.signal(signal.SIGKILL)
    program.wait()
    program.wait_for_silence()


def test_workers_that_cannot_start_end_it_with_a_sentence(tmp_path):
    with Standins(tmp_path).settings(workers=1).order("worker-fails") as program:
        assert program.wait() == 1
        program.wait_for("cannot start: worker 0 left with exit code 3, 5 times in a row; the log above says why")
        program.wait_for_silence()


def test_a_mistake_in_a_child_ends_the_child_only_and_is_told(tmp_path):
    with Standins(tmp_path).settings().order("worker-mute").order("controller-fails") as program:
        program.wait_for("RuntimeError: a mistake in the controller")
        program.wait_for('controller died: left with exit code 1 .*successor="in 0.1 s"')
        program.cancel("controller-fails")
        program.wait_for("controller is back")
        program.signal(signal.SIGTERM)
        assert program.wait() == 0


# What a terminal does: it is the controlling one of a session that the program leads.
IN_A_TERMINAL = """
import os, signal, sys
os.setsid()
os.open(sys.argv[1], os.O_RDWR)
if sys.argv[2] == "nohup":
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
os.execv(sys.executable, [sys.executable, *sys.argv[3:]])
"""


@pytest.mark.parametrize("how", ["plain", "nohup"])
def test_a_closed_terminal_ends_it_unless_it_was_told_to_live_on(tmp_path, how):
    window, terminal = os.openpty()
    program = Standins(tmp_path).settings()
    program._command[1:1] = ["-c", IN_A_TERMINAL, os.ttyname(terminal), how]
    with program:
        os.close(terminal)
        program.ready()
        program.wait_for("reloaded", after=program.reload())
        mark = program.mark
        os.close(window)
        if how == "plain":
            program.wait_for("stopping, .*: SIGHUP", after=mark)
            assert program.wait() == 0
        else:
            program.wait_for("reloaded", after=mark)
            assert program.ask()[2] == "one"


@pytest.mark.skipif(not hasattr(resource, "prlimit"), reason="only Linux changes the limits of another process")
def test_without_a_descriptor_to_look_at_the_terminal_a_hang_up_is_still_a_wish_to_reload(tmp_path):
    window, terminal = os.openpty()
    program = Standins(tmp_path).settings()
    program._command[1:1] = ["-c", IN_A_TERMINAL, os.ttyname(terminal), "plain"]
    with program:
        program.ready()
        limits = resource.prlimit(program.pid, resource.RLIMIT_NOFILE)
        resource.prlimit(program.pid, resource.RLIMIT_NOFILE, (3, limits[1]))
        program.wait_for("reload refused, nothing has changed.*Too many open files|Too many", after=program.reload())
        resource.prlimit(program.pid, resource.RLIMIT_NOFILE, limits)
        program.wait_for("reloaded", after=program.reload())
        assert "stopping" not in program.log
    os.close(terminal)
    os.close(window)


# -- deaths


def test_a_killed_worker_is_back_and_the_others_never_noticed(supervisor):
    program = supervisor(workers=2).ready()
    before = program.workers()
    with program.connect() as client:
        slot, pid, _ = client.ask()
        os.kill(before[1 - slot], signal.SIGKILL)
        program.wait_for(f'worker {1 - slot} died: killed by SIGKILL .*process={before[1 - slot]} successor="at once"')
        program.wait_for(f"worker {1 - slot} is back")
        assert client.ask()[1] == pid
    after = program.workers()
    assert after[slot] == pid
    assert after[1 - slot] != before[1 - slot]
    assert len(program.workers()) == 2


@pytest.mark.parametrize("who", ["worker", "controller"])
def test_a_child_that_gives_no_sign_of_life_is_killed_and_followed(supervisor, who):
    program = supervisor(workers=2, look=0.2).ready()
    others = [program.workers()[1], *([program.controller()] if who == "worker" else [program.workers()[0]])]
    hung = program.workers()[0] if who == "worker" else program.controller()
    os.kill(hung, signal.SIGSTOP)
    name = "worker 0" if who == "worker" else "controller"
    program.wait_for(f"{name} is killed: it gives no sign of life .*process={hung}")
    program.wait_for(f"{name} died: killed by SIGKILL")
    program.wait_for(f"{name} is back")
    assert all(map(alive, others))
    assert program.log.count("no sign of life") == 1


def test_a_child_that_hangs_before_it_serves_is_killed_as_well(supervisor, tmp_path):
    (tmp_path / "orders").mkdir()
    (tmp_path / "orders" / "worker-hangs").touch()
    program = supervisor(workers=1, look=0.2)
    program.wait_for("worker 0 is killed: it gives no sign of life")
    program.cancel("worker-hangs")
    program.ready()


def test_all_stopped_together_and_going_on_nobody_was_silent(tmp_path):
    """A machine that is suspended, a container that is paused."""
    with Standins(tmp_path, own_group=True).settings(workers=2, look=0.2) as program:
        program.ready()
        os.killpg(program.pid, signal.SIGSTOP)
        with pytest.raises(AssertionError, match="passed"):
            program.wait_for("anything at all", after=program.mark, patience=1.5)
        os.killpg(program.pid, signal.SIGCONT)
        mark = program.mark
        program.wait_for("reloaded", after=program.reload())
        assert "no sign of life" not in program.log
        assert not [line for line in program.lines[:mark] if "died" in line]


def test_a_new_controller_knows_that_it_had_a_predecessor(supervisor):
    program = supervisor().ready()
    program.wait_for("controller told reborn=False")
    os.kill(program.controller(), signal.SIGKILL)
    program.wait_for("controller told reborn=True")
    program.wait_for("controller is back")


def test_children_hold_no_descriptors_of_others(supervisor):
    """stdin, stdout, stderr, the channel, the pages, the lifeline, the end for signs of life; nothing else, ever."""
    program = supervisor(workers=3).ready()
    first = int(program.wait_for(r"controller told .*fds=(\d+)")[1])
    for _ in range(3):
        mark = program.mark
        os.kill(program.workers()[0], signal.SIGKILL)
        program.wait_for("worker 0 is back", after=mark)
    program.wait_for("reloaded", after=program.reload())
    mark = program.mark
    os.kill(program.controller(), signal.SIGKILL)
    assert int(program.wait_for(r"controller told .*fds=(\d+)", after=mark)[1]) == first
    if first:
        assert first == 7


def test_signals_for_the_whole_group_change_nothing_for_children(tmp_path):
    with Standins(tmp_path, own_group=True).settings() as program:
        program.ready()
        before = program.workers()
        mark = program.mark
        os.killpg(program.pid, signal.SIGHUP)
        program.wait_for("reloaded", after=mark)
        assert "died" not in program.log
        assert not set(before) & set(program.workers())
        os.killpg(program.pid, signal.SIGINT)
        assert program.wait() == 0
        assert "died" not in program.log


# -- reload


def test_a_reload_brings_new_workers_with_the_new_settings(supervisor):
    program = supervisor(workers=2, primary="one").ready()
    old = [*program.workers(), program.controller()]
    program.settings(workers=3, primary="two")
    program.wait_for("reloaded", after=program.reload())
    assert len(program.workers()) == 3
    assert not set(old) & {*program.workers(), program.controller()}
    with program.connect() as client:
        while client.ask()[2] != "two":  # an old worker may still have had its turn at accepting
            client.__exit__()
            client.__init__(urlsplit(program.url).port)
    for pid in old:
        while alive(pid):
            program.ask()


def test_no_connection_is_refused_in_a_reload(supervisor):
    program = supervisor(workers=2).ready()
    for generation in ("two", "three", "four"):
        program.settings(workers=2, primary=generation)
        mark = program.reload()
        answers = 0
        while not any("reloaded" in line for line in program.lines[mark:]) or answers < 100:
            program.ask()
            answers += 1
    assert "died" not in program.log


def test_an_old_worker_finishes_what_it_has_in_hand(supervisor):
    program = supervisor(workers=1).ready()
    with program.connect() as client:
        client.send("hold")
        client.read()
        program.settings(workers=1, primary="two")
        program.wait_for("reloaded", after=program.reload())
        client.send("go on")
        assert client.read().endswith("one")


def test_the_token_stays_while_the_targets_do(supervisor):
    program = supervisor().ready()
    first = program.wait_for(r"controller told reborn=False token=(\w+)")[1]
    program.settings(workers=1)
    assert program.wait_for(r"controller told reborn=True token=(\w+)", after=program.reload())[1] == first
    program.wait_for("reloaded")
    program.settings(primary="two")
    assert program.wait_for(r"controller told reborn=False token=(\w+)", after=program.reload())[1] != first


def test_a_bad_file_changes_nothing_and_every_mistake_is_told(supervisor):
    program = supervisor().ready()
    before = [*program.workers(), program.controller()]
    program.settings(text="{")
    mark = program.reload()
    program.wait_for("reload refused, nothing has changed: settings.json: Expecting", after=mark)
    program.wait_for("reload refused, nothing has changed: settings.json: twice wrong", after=mark)
    assert program.ask()[1] in before
    assert all(map(alive, before))
    program.settings(primary="two")
    program.wait_for("reloaded", after=program.reload())


def test_the_listen_address_can_change(supervisor):
    old, new = free_port(), free_port()
    program = supervisor(port=old).ready()
    program.settings(port=new, primary="two")
    program.wait_for("reloaded", after=program.reload())
    with Client(new) as client:
        assert client.ask()[2] == "two"
    refused = False
    for _ in range(1000):
        try:
            socket.create_connection(("127.0.0.1", old), timeout=PATIENCE).close()
        except OSError:
            refused = True
            break
    assert refused


def test_a_taken_new_address_changes_nothing(supervisor):
    program = supervisor(port=free_port()).ready()
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = other.getsockname()[1]
        program.settings(port=taken)
        program.wait_for(f"nothing has changed: cannot listen on 127.0.0.1:{taken}", after=program.reload())
    assert program.ask()[2] == "one"


def test_new_workers_that_cannot_serve_are_given_up(supervisor):
    program = supervisor(workers=2, primary="one").order("worker-fails-on-two").ready()
    before = program.workers()
    program.settings(workers=2, primary="two")
    mark = program.reload()
    program.wait_for("reload given up, the settings from before stay: worker . left with exit code 3", after=mark)
    program.wait_for("controller told reborn=True", after=mark)
    assert program.ask()[1] in before
    program.settings(workers=2, primary="three")
    program.wait_for("reloaded", after=program.reload())
    program.signal(signal.SIGTERM)
    assert program.wait() == 0


def test_a_reload_that_comes_too_early_is_done_once_all_serve(supervisor, tmp_path):
    program = Standins(tmp_path).settings(workers=1).order("worker-mute")
    with program:
        program.wait_for("controller told")
        program.reload()
        program.cancel("worker-mute")
        program.wait_for("reloaded")


def test_two_reloads_at_once_come_one_after_the_other(supervisor):
    program = supervisor().ready()
    program.reload()
    program.wait_for("reloading")
    program.reload()
    program.wait_for("reloaded")
    count = len(re.findall("reloaded", program.log))
    program.wait_for("reloaded", after=next(i for i, line in enumerate(program.lines) if "reloaded" in line) + 1)
    assert count in {1, 2}
    program.signal(signal.SIGTERM)
    assert program.wait() == 0


def test_a_stop_in_the_middle_of_a_reload(supervisor):
    program = supervisor().ready()
    program.order("worker-mute")
    program.reload()
    program.wait_for("reloading")
    program.signal(signal.SIGTERM)
    assert program.wait() == 0
    program.wait_for_silence()


# -- the service manager


def test_the_service_manager_is_told(tmp_path):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(os.fspath(tmp_path / "notify"))
        manager.settimeout(PATIENCE)
        with Standins(tmp_path, env={"NOTIFY_SOCKET": os.fspath(tmp_path / "notify")}).settings() as program:
            assert manager.recv(4096).startswith(b"READY=1\nSTATUS=Serving on http://127.0.0.1:")
            program.reload()
            assert manager.recv(4096).startswith(b"RELOADING=1\nMONOTONIC_USEC=")
            assert manager.recv(4096).startswith(b"READY=1")
            program.settings(text="no")
            program.reload()
            assert manager.recv(4096).startswith(b"RELOADING=1")
            assert manager.recv(4096).startswith(b"READY=1")
            program.signal(signal.SIGTERM)
            assert manager.recv(4096) == b"STOPPING=1"
            assert program.wait() == 0
