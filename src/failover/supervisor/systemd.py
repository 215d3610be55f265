"""The service manager's small protocols: sd_notify(3), sd_watchdog_enabled(3), sd_listen_fds(3)."""

from __future__ import annotations

import os
import socket
import time

from failover.errors import StartError

_FIRST_FD = 3


def notify(*lines: str) -> None:
    """Tell the service manager, where there is one. A manager that does not listen changes nothing for us."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if address[:1] not in {"/", "@"}:
        return
    path = "\0" + address[1:] if address.startswith("@") else address
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as end:
        try:
            end.setblocking(False)
            end.sendto("\n".join(lines).encode(), path)
        except OSError:
            return


def reloading() -> None:
    """Say that a reload began; `Type=notify-reload` wants the moment with it, in microseconds."""
    notify("RELOADING=1", f"MONOTONIC_USEC={time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000}")


def watchdog() -> float:
    """How long the service manager waits for a sign of life, in seconds; 0.0 where it does not watch us."""
    period, pid = os.environ.pop("WATCHDOG_USEC", ""), os.environ.pop("WATCHDOG_PID", "")
    if not period.isdecimal() or pid not in {"", str(os.getpid())}:
        return 0.0
    return int(period) / 1e6


def activated() -> tuple[socket.socket, ...]:
    """The listening sockets that the service manager opened for us, or none.

    Raises StartError when what it passed cannot be served on.
    """
    pid, count = os.environ.pop("LISTEN_PID", ""), os.environ.pop("LISTEN_FDS", "")
    os.environ.pop("LISTEN_FDNAMES", None)
    if pid != str(os.getpid()) or not count.isdecimal():
        return ()
    return tuple(_adopt(fd) for fd in range(_FIRST_FD, _FIRST_FD + int(count)))


def _adopt(fd: int) -> socket.socket:
    try:
        passed = socket.socket(fileno=fd)
        listens = passed.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
    except OSError as error:
        raise StartError(f"socket activation passed descriptor {fd}, which is no socket: {error.strerror}") from None
    if not listens or passed.type != socket.SOCK_STREAM or passed.family not in {socket.AF_INET, socket.AF_INET6}:
        passed.close()
        raise StartError(
            f"socket activation passed descriptor {fd}, which is not a listening TCP socket; "
            "use ListenStream= with a port and Accept=no in the .socket unit"
        )
    passed.setblocking(False)
    passed.set_inheritable(False)
    return passed
