"""The sockets that outlive every child: the public ones, and the listening end of the channel."""

from __future__ import annotations

import errno
import os
import secrets
import socket
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from failover.errors import StartError
from failover.observe import log
from failover.settings.places import DEFAULT_ADMIN, OFF

if TYPE_CHECKING:
    from failover.settings.types import Listen
    from failover.settings.users import User

_log = log.get("supervisor")

_BACKLOG = 4096  # the kernel lowers it to its own limit, somaxconn
_NO_SUCH_FAMILY = {errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT}


def open_public(listen: Listen, flag: str = "--listen") -> tuple[socket.socket, ...]:
    """Bind an address: one socket, or one for each address of a name such as `localhost`.

    Raises StartError with a sentence that names the address and what to do.
    """
    try:
        found = socket.getaddrinfo(listen.host, listen.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError):
        raise StartError(
            f"cannot listen on {listen}: the name {listen.host} does not resolve; "
            f"give an address of this machine, such as {flag} 127.0.0.1:{listen.port}"
        ) from None
    opened: list[socket.socket] = []
    refused: OSError | None = None
    for family, address in dict.fromkeys((entry[0], entry[4]) for entry in found):
        port = opened[0].getsockname()[1] if opened else listen.port
        try:
            opened.append(_bind(family, (str(address[0]), port, *address[2:])))
        except OSError as error:
            refused = error
            if error.errno not in _NO_SUCH_FAMILY:
                break
    if refused is not None and (not opened or refused.errno not in _NO_SUCH_FAMILY):
        for one in opened:
            one.close()
        raise StartError(f"cannot listen on {listen}: {_advice(refused, listen, flag)}")
    return tuple(opened)


def open_admin(listen: Listen | None) -> tuple[socket.socket, ...]:
    """Bind the address of the pages: none for `off`; without a wish the usual one, if it is free.

    Raises StartError where an address was asked for and cannot be had.
    """
    if listen == OFF:
        return ()
    try:
        opened = open_public(listen or DEFAULT_ADMIN, "--admin-listen")
    except StartError as error:
        if listen is not None:
            raise
        what = "dashboard, API and metrics have no address of their own"
        _log.warning(what, action="admin.unbound", reason=str(error))
        return ()
    for one in opened:
        _log.info(f"dashboard on {url_of(one)}/", action="admin.listening")
    return opened


def _bind(family: socket.AddressFamily, address: tuple[str | int, ...]) -> socket.socket:
    opened = socket.socket(family, socket.SOCK_STREAM)
    try:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            # [::] is asked for to serve both families; any other IPv6 address has only one.
            opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, address[0] != "::")
        opened.bind(address)
        opened.listen(_BACKLOG)
        opened.setblocking(False)
    except OSError:
        opened.close()
        raise
    return opened


def _advice(error: OSError, listen: Listen, flag: str) -> str:
    if error.errno == errno.EADDRINUSE:
        other = f"{listen.host}:{listen.port + 1 if listen.port < 65535 else 8080}"
        return f"another process listens there; stop it, or choose another address: {flag} {other}"
    if error.errno in {errno.EACCES, errno.EPERM}:
        return (
            f"this user may not use port {listen.port}; choose a port from 1024 up with {flag}, "
            "or give the process CAP_NET_BIND_SERVICE (in a systemd unit: AmbientCapabilities=CAP_NET_BIND_SERVICE)"
        )
    if error.errno in _NO_SUCH_FAMILY:
        return (
            f"{listen.host} is not an address of this machine; "
            f"use {flag} 0.0.0.0:{listen.port} for all its addresses, 127.0.0.1:{listen.port} for itself only"
        )
    return f"{error.strerror or error}; choose another address with {flag}"


def url_of(public: socket.socket, *, tls: bool = False) -> str:
    """The address that a browser on this machine takes, with the real port."""
    host, port = public.getsockname()[:2]
    scheme = "https" if tls else "http"
    return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"


@dataclass(frozen=True, slots=True)
class ChannelEnd:
    """The channel's listening end. `address` is what workers connect to."""

    socket: socket.socket
    address: str
    directory: Path | None = None

    def remove(self) -> None:
        """Close it and take away what it left in the file system, where it left anything."""
        self.socket.close()
        if self.directory is not None:
            Path(self.address).unlink(missing_ok=True)
            self.directory.rmdir()


def open_channel(owner: User | None = None) -> ChannelEnd:
    """Linux has names that vanish with the socket; elsewhere it is a file that only this user, or `owner`, can reach.

    Who connects to such a name is looked at when he does: `channel.is_of`.
    """
    directory: Path | None = None
    if sys.platform == "linux":
        address = f"\0failover-{secrets.token_hex(8)}"
    else:
        directory = Path(tempfile.mkdtemp(prefix="failover-"))
        address = os.fspath(directory / "channel")
    end = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    end.bind(address)
    if directory is not None and owner is not None:
        os.chown(address, owner.uid, owner.gid)
        os.chown(directory, owner.uid, owner.gid)
    end.listen(128)
    end.setblocking(False)
    return ChannelEnd(end, address, directory)
