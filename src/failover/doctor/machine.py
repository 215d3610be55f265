"""This machine: files, disk, and the port to listen on."""

from __future__ import annotations

import asyncio
import errno
import shutil
import socket
import ssl
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import aiohttp

from failover.core.words import count
from failover.doctor.base import MACHINE, Finding, fail, ok, warn
from failover.settings.certificate import details, server_tls
from failover.settings.machine import default_connections

if TYPE_CHECKING:
    from collections.abc import Iterator

    from failover.doctor.base import Means
    from failover.settings.model import Settings
    from failover.settings.types import Listen

_FEW = 1024
_MANY = 100_000  # what the default never goes beyond
_LITTLE = 100 * 1000 * 1000
_NOTHING = 10 * 1000 * 1000
_DAY = 86400
_SOON = 14 * _DAY
_SHOWN = 3
_HERE = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}
_NO_SUCH = {errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT}


async def machine(settings: Settings, means: Means, within: float) -> list[Finding]:
    tls = settings.tls_cert is not None
    return [*files(settings), *disk(means), *certificate(settings), await port(settings.listen, within, tls=tls)]


def files(settings: Settings) -> Iterator[Finding]:
    """Each client needs two open files: its own connection and one to the target."""
    possible = default_connections(settings.workers)
    wanted = settings.max_connections
    remedy = "raise the limit of open files: ulimit -n 65536, in a systemd unit LimitNOFILE=65536"
    if possible < _FEW:
        yield warn("files", MACHINE, f"open files suffice for {possible:,} clients at a time", remedy)
    elif possible < min(wanted, _MANY):
        text = f"open files suffice for {possible:,} clients at a time, and --max-connections is {wanted:,}"
        yield warn("files", MACHINE, text, remedy)
    else:
        yield ok("files", MACHINE, f"open files suffice for {min(possible, wanted):,} clients at a time")


def disk(means: Means) -> Iterator[Finding]:
    """The folder of incidents: there or to be made, writable, with room in it."""
    folder = means.folder
    if folder is None and means.on_purpose:
        yield ok("state", MACHINE, f"{means.why_none}: incidents are forgotten when the proxy ends")
        return
    if folder is None:
        text = f"incidents are kept in memory alone: {means.why_none}"
        yield warn("state", MACHINE, text, "--state-dir with a folder that outlives the proxy")
        return
    remedy = "--state-dir with a folder that the user of the proxy may write to"
    place = _nearest(folder)
    try:
        if place == folder:
            with tempfile.TemporaryFile(dir=place):
                pass
        else:
            with tempfile.TemporaryDirectory(prefix=".failover-check-", dir=place):
                pass
        free = shutil.disk_usage(place).free
    except OSError as error:
        what = "written to" if place == folder else "made"
        why = (error.strerror or str(error)).lower()
        yield fail("state", MACHINE, f"the state folder {folder} cannot be {what}: {why}", remedy)
        return
    room = f"{free // 1_000_000:,} MB free"
    is_there = "is writable" if place == folder else "can be made"
    text = f"the state folder {folder} {is_there}, {room}"
    more = "make room there, or name another place with --state-dir"
    if free < _NOTHING:
        yield fail("disk", MACHINE, f"{text}: too little for incidents and deliveries", more)
    elif free < _LITTLE:
        yield warn("disk", MACHINE, f"{text}, which is little", more)
    else:
        yield ok("disk", MACHINE, text)


def _nearest(folder: Path) -> Path:
    """The folder itself, or that of its parents which is there."""
    folder = folder.absolute()
    return next((one for one in (folder, *folder.parents) if one.exists()), Path("/"))


def certificate(settings: Settings) -> Iterator[Finding]:
    """How long the certificate is good that clients are shown; what is worse ends the start already."""
    if settings.tls_cert is None:
        return
    shown = details(settings.tls_cert, server_tls(settings.tls_cert, settings.tls_key))
    if "notAfter" not in shown:
        yield ok("certificate", MACHINE, "clients speak TLS")
        return
    left = ssl.cert_time_to_seconds(shown["notAfter"]) - time.time()  # noqa: TID251 - it ends in the time of people
    names = ", ".join(name for _, name in shown.get("subjectAltName", ())[:_SHOWN]) or "no name"
    text = f"clients are shown a certificate for {names}, good for {count(max(0, int(left // _DAY)), 'day')} more"
    remedy = "renew it, and send the proxy SIGHUP when that is done: docs/tls.md has the hook"
    if left <= 0:
        yield fail("certificate", MACHINE, f"clients are shown a certificate for {names} that has expired", remedy)
    else:
        yield warn("certificate", MACHINE, text, remedy) if left < _SOON else ok("certificate", MACHINE, text)


async def port(listen: Listen, within: float, *, tls: bool = False) -> Finding:
    """Free, or our own already."""
    if listen.port == 0:
        return ok("port", MACHINE, "the system chooses the port to listen on")
    refused = await asyncio.to_thread(_refusal, listen)
    if refused is None:
        return ok("port", MACHINE, f"{listen} is free to listen on")
    if refused.errno == errno.EADDRINUSE:
        if await _is_ours(listen, within, tls=tls):
            return ok("port", MACHINE, f"a failover listens on {listen} already")
        text = f"another program listens on {listen}"
        return fail("port", MACHINE, text, "stop it, or choose another address with --listen")
    if refused.errno in {errno.EACCES, errno.EPERM}:
        text = f"this user may not listen on {listen}"
        return fail("port", MACHINE, text, "a --listen port from 1024 up, or CAP_NET_BIND_SERVICE for the process")
    text = f"cannot listen on {listen}: {(refused.strerror or str(refused)).lower()}"
    return fail("port", MACHINE, text, "an address of this machine, such as --listen 0.0.0.0:8080")


def _refusal(listen: Listen) -> OSError | None:
    """Why the port cannot be had, tried as the proxy will."""
    try:
        found = socket.getaddrinfo(listen.host, listen.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError):
        return OSError(errno.EADDRNOTAVAIL, f"the name {listen.host} does not resolve")
    lacking: OSError | None = None
    has_one = False
    for family, address in dict.fromkeys((entry[0], entry[4]) for entry in found):
        with socket.socket(family, socket.SOCK_STREAM) as tried:
            tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                tried.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, address[0] != "::")
            try:
                tried.bind(address)
                tried.listen(1)
                has_one = True
            except OSError as error:
                if error.errno not in _NO_SUCH:
                    return error
                lacking = error
    return None if has_one else lacking


async def _is_ours(listen: Listen, within: float, *, tls: bool) -> bool:
    host = _HERE.get(listen.host, f"[{listen.host}]" if ":" in listen.host else listen.host)
    url = f"{'https' if tls else 'http'}://{host}:{listen.port}/__failover/health"
    try:
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=within)) as http,
            # The certificate is for other names than this machine's own address.
            http.get(url, allow_redirects=False, ssl=False) as answer,
        ):
            return answer.status == 200 and (await answer.content.read(16)).strip() == b"OK"
    except (aiohttp.ClientError, TimeoutError, OSError):
        return False
