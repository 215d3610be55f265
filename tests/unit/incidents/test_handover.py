"""Root gives the folder of the store to somebody, and nothing else that could lie there."""

import os
import stat

import pytest

from failover.errors import StoreError
from failover.incidents.handover import hand_over
from failover.incidents.opening import open_folder
from failover.settings.users import User

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give anything away")

HIM = User("him", 4711, 4712, (4712,))


@pytest.fixture
def folder(tmp_path):
    """One that a proxy of root's has left behind."""
    state = tmp_path / "state"
    connection, lock = open_folder(state)
    connection.close()
    os.close(lock)
    (state / "failover.db.broken-20260102-030405").touch()
    return state


def owners(folder):
    return {path.name: (path.lstat().st_uid, path.lstat().st_gid) for path in (folder, *folder.iterdir())}


def test_a_folder_that_is_not_there_is_made_for_him(tmp_path):
    hand_over(tmp_path / "var" / "8080", HIM)
    about = (tmp_path / "var" / "8080").lstat()
    assert (about.st_uid, about.st_gid, stat.S_IMODE(about.st_mode)) == (4711, 4712, 0o700)
    assert (tmp_path / "var").lstat().st_uid == 0


def test_what_root_has_kept_becomes_his_with_all_that_is_in_it(folder):
    hand_over(folder, HIM)
    assert set(owners(folder).values()) == {(4711, 4712)}
    hand_over(folder, HIM)  # a second start


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (lambda state: (state / "passwd").touch(), "it holds what is not ours: 'passwd'"),
        (lambda state: (state / "lock").unlink() or (state / "lock").symlink_to("../precious"), "symbolic link"),
        (lambda state: os.link(state / "lock", state.parent / "other"), "lock in it is no file of root's alone"),
        (lambda state: (state / "lock").unlink() or os.mkfifo(state / "lock"), "lock in it is no file of root's alone"),
        (lambda state: os.chown(state / "lock", 99, 99), "lock in it is no file of root's alone"),
        (lambda state: state.chmod(0o770), "others than root can write to it"),
        (lambda state: os.chown(state, 99, 99), "it belongs to somebody else"),
    ],
    ids=["strange", "link", "two names", "pipe", "another's file", "writable", "another's folder"],
)
def test_what_is_not_plainly_a_store_of_roots_is_given_to_nobody(folder, spoil, why):
    precious = folder.parent / "precious"
    precious.touch()
    spoil(folder)
    before = owners(folder)
    with pytest.raises(StoreError, match=why):
        hand_over(folder, HIM)
    assert owners(folder)["state"] == before["state"]
    assert precious.lstat().st_uid == 0


def test_a_link_to_a_folder_is_not_followed(folder):
    link = folder.parent / "link"
    link.symlink_to(folder)
    with pytest.raises(StoreError):
        hand_over(link, HIM)
    assert set(owners(folder).values()) == {(0, 0)}
