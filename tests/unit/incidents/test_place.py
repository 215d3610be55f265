"""Where the store is, as the proxy and its commands find it."""

import os
from pathlib import Path

import pytest

from failover.incidents import place
from failover.incidents.place import find_folder


@pytest.mark.parametrize(
    ("state_dir", "port", "environ", "root", "folder"),
    [
        (Path("/data"), 8080, {"STATE_DIRECTORY": "/x", "HOME": "/home/a"}, True, "/data"),
        (None, 8080, {"STATE_DIRECTORY": "/var/lib/failover:/other"}, False, "/var/lib/failover"),
        (None, 0, {"STATE_DIRECTORY": "/var/lib/failover"}, False, "/var/lib/failover"),
        (None, 8080, {"HOME": "/root"}, True, "/var/lib/failover/8080"),
        (None, 9000, {"HOME": "/home/a"}, False, "/home/a/.local/state/failover/9000"),
        (None, 9000, {"HOME": "/home/a", "XDG_STATE_HOME": "/s"}, False, "/s/failover/9000"),
    ],
)
def test_the_folder(state_dir, port, environ, root, folder):
    assert find_folder(state_dir, port, environ, root=root) == (Path(folder), "")


@pytest.mark.parametrize(
    ("state_dir", "port", "environ", "why"),
    [
        (Path("memory"), 8080, {"HOME": "/home/a"}, "--state-dir is memory"),
        (None, 0, {"HOME": "/home/a"}, "a port that the system chose"),
        (None, 8080, {}, "no home directory"),
    ],
)
def test_no_folder(state_dir, port, environ, why):
    folder, reason = find_folder(state_dir, port, environ, root=False)
    assert folder is None
    assert why in reason


def test_a_folder_that_root_has_given_is_found_by_who_has_it(monkeypatch, tmp_path):
    """Of the proxy with `--user`, and of his commands; nobody else's is taken for it."""
    monkeypatch.setattr(place, "_OF_ROOT", tmp_path)
    folder = tmp_path / "8080"
    folder.mkdir()
    owner = os.geteuid() or 4711
    if os.geteuid() == 0:
        os.chown(folder, owner, owner)
    monkeypatch.setattr(os, "geteuid", lambda: owner)
    assert find_folder(None, 8080, {"HOME": "/home/a"}) == (folder, "")
    monkeypatch.setattr(os, "geteuid", lambda: owner + 1)
    assert find_folder(None, 8080, {"HOME": "/home/a"})[0] == Path("/home/a/.local/state/failover/8080")
