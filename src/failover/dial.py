"""How a target is reached, by traffic and by probes: TCP to one of its addresses, and TLS that is always verified.

The next address is tried when the last one has failed or has not answered for a moment; the first that connects wins
(happy eyeballs, RFC 8305).
"""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
from typing import TYPE_CHECKING

from failover.core.model import ErrorType
from failover.faults import OUR_OWN, Fault, translate

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from failover.core.model import Address, Target

_STAGGER = 0.25


async def dial(loop: asyncio.AbstractEventLoop, addresses: tuple[Address, ...]) -> socket.socket:
    """A connected, non-blocking socket. Raises Fault with the most telling failure when no address connects."""
    if len(addresses) == 1:
        try:
            return await _connect(loop, addresses[0])
        except OSError as refusal:
            raise translate(refusal, connecting=True) from None
    waiting = list(addresses)
    running: set[asyncio.Task[socket.socket]] = set()
    faults: list[Fault] = []
    try:
        while waiting or running:
            if waiting:
                running.add(loop.create_task(_connect(loop, waiting.pop(0))))
            stagger = _STAGGER if waiting else None
            done, running = await asyncio.wait(running, timeout=stagger, return_when=asyncio.FIRST_COMPLETED)
            connected = [task for task in done if task.exception() is None]
            if connected:
                running.update(connected[1:])
                return connected[0].result()
            faults.extend(translate(error, connecting=True) for task in done if (error := task.exception()))
    finally:
        for task in running:
            task.cancel()
            task.add_done_callback(_discard)
    raise _most_telling(faults)


def client_tls(authorities: Path | None) -> ssl.SSLContext:
    """The context for connections to targets, against the system's store or a file of authorities."""
    context = ssl.create_default_context(cafile=authorities)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_RENEGOTIATION  # in the middle of one nothing can be written
    return context


def upstream_tls(targets: Iterable[Target], authorities: Path | None) -> ssl.SSLContext | None:
    """The same, made once for all these targets; None where none of them speaks TLS."""
    return client_tls(authorities) if any(target.tls for target in targets) else None


async def _connect(loop: asyncio.AbstractEventLoop, address: Address) -> socket.socket:
    """Not `loop.sock_connect`: uvloop asks `getaddrinfo` even for an address that is a number, in a thread, and aborts
    the process where this machine has no room for that thread.
    """
    sock = socket.socket(socket.AF_INET6 if ":" in address[0] else socket.AF_INET, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            sock.connect(address)
        except BlockingIOError:
            await _writable(loop, sock)
            if error := sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
                raise OSError(error, os.strerror(error)) from None
    except BaseException:
        sock.close()
        raise
    return sock


async def _writable(loop: asyncio.AbstractEventLoop, sock: socket.socket) -> None:
    """Wait until the socket is connected, or will not be."""
    decided: asyncio.Future[None] = loop.create_future()
    loop.add_writer(sock, _decide, decided)
    try:
        await decided
    finally:
        loop.remove_writer(sock)


def _decide(decided: asyncio.Future[None]) -> None:
    if not decided.done():
        decided.set_result(None)


def _discard(task: asyncio.Task[socket.socket]) -> None:
    """Connected after all, when nobody wanted it any more."""
    if not task.cancelled() and task.exception() is None:
        task.result().close()


def _most_telling(faults: list[Fault]) -> Fault:
    """What the target did comes before what our network lacks, a route for IPv6 say, and that before what we lack."""

    def rank(fault: Fault) -> int:
        return 2 if fault.error in OUR_OWN else 1 if fault.error is ErrorType.DESTINATION_IP_UNROUTABLE else 0

    return min(faults, key=rank)
