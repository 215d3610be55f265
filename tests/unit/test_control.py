"""How a command finds the proxy that runs here."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from failover.admin import place
from failover.cli import control
from failover.errors import UnreachableError


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The only place where sockets are looked for."""
    monkeypatch.chdir(tmp_path)  # paths of sockets are short
    here = Path("run")
    monkeypatch.setattr(place, "folders", lambda _environ, _uid: iter((here,)))
    monkeypatch.setattr(place.os, "geteuid", lambda: os.getuid() or 4321)
    monkeypatch.setattr(place.os, "environ", {})
    for name in ("FAILOVER_LISTEN", "FAILOVER_CONFIG", "PORT"):
        monkeypatch.delenv(name, raising=False)
    here.mkdir(mode=0o700)
    os.chown(here, os.getuid() or 4321, -1)
    return here


def listen(folder, port):
    sock = socket.socket(socket.AF_UNIX)
    path = folder / f"{port}.sock"
    sock.bind(str(path))
    os.chown(path, os.getuid() or 4321, -1)
    sock.listen()
    return sock


def test_the_only_one_is_found_without_a_word(folder):
    with listen(folder, 9000):
        assert control._control_socket(None, None) == folder / "9000.sock"


def test_of_several_one_must_be_named(folder):
    with listen(folder, 9000), listen(folder, 9001):
        with pytest.raises(UnreachableError, match="say which one is meant: --listen 9000, --listen 9001"):
            control._control_socket(None, None)
        assert control._control_socket("9001", None) == folder / "9001.sock"


def test_the_usual_port_goes_first(folder):
    with listen(folder, 8080), listen(folder, 9001):
        assert control._control_socket(None, None) == folder / "8080.sock"


def test_another_one_is_never_taken_for_the_one_that_was_named(folder):
    with listen(folder, 9000):
        assert control._control_socket("9001", None) is None


def test_a_dead_socket_is_none_and_is_bound_again(folder, monkeypatch):
    listen(folder, 9000).close()
    assert place.find_control_sockets(9000) == []
    assert place.running_ports() == []
    monkeypatch.setattr(place.os, "geteuid", os.getuid)
    os.chown(folder, os.getuid(), -1)
    bound, path = place.control_socket((9000,))
    with bound:
        assert path == folder / "9000.sock"
        assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("trouble", ["writable by all", "a link", "a long path"])
def test_a_folder_that_others_may_write_to_is_not_used(folder, tmp_path, monkeypatch, trouble):
    monkeypatch.setattr(place.os, "geteuid", os.getuid)
    os.chown(folder, os.getuid(), -1)
    if trouble == "writable by all":
        folder.chmod(0o777)
    elif trouble == "a link":
        folder.rename("elsewhere")
        folder.symlink_to("elsewhere")
    else:
        monkeypatch.setattr(place, "folders", lambda _environ, _uid: iter((tmp_path / ("x" * 120),)))
    assert place.control_socket((9000,)) == (None, None)


def test_what_an_impostor_says_moves_no_cursor():
    assert control._harmless({"done": "\x1b[2Jgone\nnext", "n": [1, "\x07"]}) == {"done": "[2Jgone\nnext", "n": [1, ""]}
