"""Where the store is: found by the proxy and by its commands in the same way."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from failover.settings.places import MEMORY

if TYPE_CHECKING:
    from collections.abc import Mapping

FILE = "failover.db"
_OF_ROOT = Path("/var/lib/failover")
ON_PURPOSE = f"--state-dir is {MEMORY}"
"""The one reason for having no folder that its owner need not be warned of."""


def find_folder(
    state_dir: Path | None, port: int, environ: Mapping[str, str], *, root: bool | None = None
) -> tuple[Path | None, str]:
    """The folder of the store, or None and the reason why there can be none.

    Without a word from anybody each port has a folder of its own, so that two proxies of one machine do not meet.
    """
    if state_dir is not None:
        return (None, ON_PURPOSE) if str(state_dir) == MEMORY else (state_dir, "")
    given = environ.get("STATE_DIRECTORY", "").split(":")[0]  # systemd's StateDirectory=, a list
    if given:
        return Path(given), ""
    if port == 0:
        return None, "it listens on a port that the system chose, so nobody would find it again; name a --state-dir"
    of_root = _OF_ROOT / str(port)
    if (os.geteuid() == 0 if root is None else root) or _was_given(of_root):
        return of_root, ""
    home = environ.get("XDG_STATE_HOME") or (f"{environ['HOME']}/.local/state" if environ.get("HOME") else "")
    if not home:
        return None, "there is no home directory; name a --state-dir"
    return Path(home) / "failover" / str(port), ""


def _was_given(folder: Path) -> bool:
    """Whether root has given this user the folder (`--user`): then it is his, and that of his commands."""
    try:
        return folder.lstat().st_uid == os.geteuid() != 0
    except OSError:
        return False
