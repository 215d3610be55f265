"""The control socket: how the commands of this machine find the proxy that runs on it, whatever it was told.

It is a Unix socket in a folder that only this user and root can open, named after the port that the proxy listens on.
"""

from __future__ import annotations

import os
import socket
import stat
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from failover.observe import log

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_OLD_S = 3600.0
_LONGEST = 100  # bytes of a path: systems allow 104 to 108
_log = log.get("admin")


def folders(environ: Mapping[str, str], uid: int) -> Iterator[Path]:
    """Where it may be, the best first: found by the proxy and by its commands in the same way."""
    if given := environ.get("RUNTIME_DIRECTORY", "").split(":")[0]:  # systemd's RuntimeDirectory=, a list
        yield Path(given)
    if uid == 0:
        yield Path("/run/failover")
    if given := environ.get("XDG_RUNTIME_DIR", ""):
        yield Path(given) / "failover"
    yield Path("/tmp") / f"failover-{uid}"  # noqa: S108 - its owner and mode are looked at before it is used


def control_socket(ports: tuple[int, ...]) -> tuple[socket.socket | None, Path | None]:
    """Listen there; None and a line in the log where that cannot be: the admin listener does without."""
    if not ports:
        return None, None
    reasons = []
    for folder in folders(os.environ, os.geteuid()):
        path = folder / f"{ports[0]}.sock"
        try:
            listening = _listen(path)
            _log.info(f"listening to commands on {path}", action="admin.listening")
            return listening, path
        except OSError as error:
            reasons.append(f"{folder}: {(error.strerror or str(error)).lower()}")
    what = "commands find this proxy by its admin listener only"
    _log.info(what, action="admin.socketless", reason="; ".join(reasons))
    return None, None


def find_control_sockets(port: int) -> list[Path]:
    """Sockets at which a proxy on this port answers, as far as we may open them."""
    mine = [folder / f"{port}.sock" for folder in folders(os.environ, os.geteuid())]
    if os.geteuid() == 0:  # root may ask everybody's
        mine += sorted(Path("/run/user").glob(f"*/failover/{port}.sock"))
        mine += sorted(Path("/tmp").glob(f"failover-*/{port}.sock"))  # noqa: S108 - only looked at
    found = []
    for path in dict.fromkeys(mine):
        with suppress(OSError):
            found_there = path.lstat()
            is_ours = stat.S_ISSOCK(found_there.st_mode) and (os.geteuid() == 0 or found_there.st_uid == os.geteuid())
            if is_ours and not _is_dead(path):
                found.append(path)
    return found


def running_ports() -> list[int]:
    """The ports of all proxies of this machine that answer, as far as we may ask them."""
    places = list(folders(os.environ, os.geteuid()))
    if os.geteuid() == 0:
        places += [*Path("/run/user").glob("*/failover"), *Path("/tmp").glob("failover-*")]  # noqa: S108 - as above
    sockets = [path for folder in places for path in folder.glob("*.sock") if path.stem.isdecimal()]
    return sorted({int(path.stem) for path in sockets if not _is_dead(path)})


def _listen(path: Path) -> socket.socket:
    if len(os.fsencode(path)) > _LONGEST:
        raise OSError("its path is too long for a socket")
    folder = path.parent
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    owner = folder.lstat()
    if not stat.S_ISDIR(owner.st_mode) or owner.st_uid != os.geteuid() or stat.S_IMODE(owner.st_mode) & 0o022:
        raise OSError("it belongs to somebody else")
    _sweep(folder)
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        if _is_dead(path):
            path.unlink(missing_ok=True)
        listening.bind(os.fspath(path))
        path.chmod(0o600)
        listening.listen(16)
        listening.setblocking(False)
    except OSError:
        listening.close()
        raise
    return listening


def _sweep(folder: Path) -> None:
    """Take away what killed proxies have left; one that is just being made is younger."""
    for path in folder.glob("*.sock"):
        with suppress(OSError):
            if time.time() - path.stat().st_mtime > _OLD_S and _is_dead(path):  # noqa: TID251 - a file's own time
                path.unlink()


def _is_dead(path: Path) -> bool:
    """Whether nobody answers there any more: what a killed controller has left."""
    probe = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        probe.settimeout(0.2)
        probe.connect(os.fspath(path))
    except OSError:
        return True
    else:
        return False
    finally:
        probe.close()
