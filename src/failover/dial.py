"""How a target is reached, by traffic and by probes: TCP to one of its addresses, and TLS that is always verified.

The next address is tried when the last one has failed or has not answered for a moment; the first that connects wins
(happy eyeballs, RFC 8305). The more of them there are, the shorter is that moment, so that each has its turn in time.
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
_SHORTEST_STAGGER = 0.01  # RFC 8305 section 5
_MOST_AT_ONCE = 16
_USUAL_TIME = 1.0


async def dial(
    loop: asyncio.AbstractEventLoop, addresses: tuple[Address, ...], within: float = _USUAL_TIME
) -> socket.socket:
    """A connected, non-blocking socket. `within` are the seconds that the caller will wait: that is his to see to.

    Raises Fault with the most telling failure when no address connects.
    """
    if len(addresses) == 1:
        try:
            return await _connect(loop, addresses[0])
        except OSError as refusal:
            raise translate(refusal, connecting=True) from None
    waiting = list(addresses)
    running: list[asyncio.Task[socket.socket]] = []  # the oldest first
    faults: list[Fault] = []
    moment = max(min(_STAGGER, within / (len(waiting) + 1)), _SHORTEST_STAGGER)
    try:
        while waiting or running:
            if waiting:
                if len(running) == _MOST_AT_ONCE:
                    _give_up(running.pop(0))
                    faults.append(Fault(ErrorType.CONNECTION_TIMEOUT, "no connection in time"))
                running.append(loop.create_task(_connect(loop, waiting.pop(0))))
            stagger = moment if waiting else None
            done, _ = await asyncio.wait(running, timeout=stagger, return_when=asyncio.FIRST_COMPLETED)
            connected = next((task for task in running if task in done and task.exception() is None), None)
            if connected is not None:
                running.remove(connected)
                return connected.result()
            running = [task for task in running if task not in done]
            faults.extend(translate(error, connecting=True) for task in done if (error := task.exception()))
    finally:
        for task in running:
            _give_up(task)
    raise _most_telling(faults)


def client_tls(authorities: Path | None) -> ssl.SSLContext:
    """The context for connections to targets, against the system's store or a file of authorities."""
    context = ssl.create_default_context(cafile=authorities)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_RENEGOTIATION  # in the middle of one nothing can be written
    context.hostname_checks_common_name = False  # a name is one where it is said to be one (RFC 9525 section 2)
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


def _give_up(task: asyncio.Task[socket.socket]) -> None:
    task.cancel()
    task.add_done_callback(_discard)


def _discard(task: asyncio.Task[socket.socket]) -> None:
    """Connected after all, when nobody wanted it any more."""
    if not task.cancelled() and task.exception() is None:
        task.result().close()


def _most_telling(faults: list[Fault]) -> Fault:
    """What the target did comes before what our network lacks, a route for IPv6 say, and that before what we lack."""

    def rank(fault: Fault) -> int:
        return 2 if fault.error in OUR_OWN else 1 if fault.error is ErrorType.DESTINATION_IP_UNROUTABLE else 0

    return min(faults, key=rank)
