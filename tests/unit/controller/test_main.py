"""The controller as a process of its own."""

import os
import signal
import subprocess
import sys

import pytest

from failover.launch import ALIVE, READY

PATIENCE = 20
CHILD = """
import socket, sys
from types import SimpleNamespace
from failover.controller.main import run
from failover.incidents.store import open_store
from failover.notify import courier
from failover.launch import Launch
from failover.settings.model import Settings

folder, lifeline, ready = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
channel = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
channel.bind(folder + "/channel")
channel.listen()
settings = Settings(state_dir="memory", primary="http://127.0.0.1:9", backup=("http://127.0.0.1:19",))
launch = Launch(settings, folder + "/channel", "token", -1, (channel,), lifeline, False, ready)
pages = SimpleNamespace(publish=print, tell=print, close=print)
sys.exit(run(open_store, lambda settings, store: courier.start(store, ()), lambda *_: pages, launch))
"""


@pytest.mark.parametrize("end", ["sigterm", "lifeline"])
def test_it_serves_and_ends_when_told(tmp_path, end):
    lifeline, lifeline_kept = os.pipe()
    ready_end, ready = os.pipe()
    arguments = [sys.executable, "-c", CHILD, str(tmp_path), str(lifeline), str(ready)]
    with subprocess.Popen(arguments, pass_fds=(lifeline, ready)) as child:
        os.close(lifeline)
        os.close(ready)
        try:
            said = b""
            while not said.endswith(READY + ALIVE):
                said += os.read(ready_end, 16)
            assert set(said) <= set(READY + ALIVE)
            if end == "sigterm":
                child.send_signal(signal.SIGTERM)
            else:
                os.close(lifeline_kept)
            assert child.wait(PATIENCE) == 0
        finally:
            child.kill()
            os.close(ready_end)
            if end == "sigterm":
                os.close(lifeline_kept)
