"""The load that wrk cannot make: a fixed rate, WebSocket, many open streams, uploads. What it costs is not counted."""

from __future__ import annotations

import asyncio
import base64
import collections
import contextlib
import ctypes
import http.client
import math
import os
import threading
import time
from typing import TYPE_CHECKING

import origins
from stage import BenchError, Meter

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator, Callable, Sequence

_AT_ONCE = 50
_PATIENCE = 15.0
_GROUP_S = 0.00025  # a request each, alone, would cost the load as much as the proxy
_LATE_S = 0.001
_LAST_S = 0.5  # for those still under way at the end
_MESSAGE = 64  # bytes of a WebSocket message


def head(method: str, path: str, headers: dict[str, str]) -> bytes:
    lines = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1", *(f"{name}: {value}" for name, value in headers.items())]
    return "\r\n".join([*lines, "", ""]).encode()


class Client(asyncio.Protocol):
    """One connection. `took` is called with it and whatever arrives."""

    transport: asyncio.Transport

    def __init__(self, took: Callable[[Client, bytes], None]) -> None:
        self.took = took
        self.lost = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.took(self, data)

    def connection_lost(self, _error: Exception | None) -> None:
        self.lost = True


@contextlib.asynccontextmanager
async def connected(
    port: int, count: int, first: bytes, begun: bytes, body: int = 0, tls: ssl.SSLContext | None = None
) -> AsyncIterator[list[Client]]:
    """So many connections, on each of which `first` was said and an answer that begins with `begun` has come, whole."""
    loop = asyncio.get_running_loop()
    clients: list[Client] = []

    async def one() -> None:
        answered = loop.create_future()

        came = bytearray()

        def took(_client: Client, data: bytes) -> None:
            came.extend(data)
            end = came.find(b"\r\n\r\n")
            if end >= 0 and len(came) >= end + 4 + body and not answered.done():
                answered.set_result(bytes(came))

        _, client = await loop.create_connection(lambda: Client(took), "127.0.0.1", port, ssl=tls)
        clients.append(client)
        client.transport.write(first)
        if not (answer := await answered).startswith(begun):
            raise BenchError(f"instead of {begun!r} it said {answer[:200]!r}")

    try:
        async with asyncio.timeout(_PATIENCE):
            for done in range(0, count, _AT_ONCE):
                await asyncio.gather(*(one() for _ in range(min(_AT_ONCE, count - done))))
        yield clients
    except TimeoutError:
        raise BenchError(f"only {len(clients)} of {count} connections in {_PATIENCE:g} s") from None
    finally:
        for client in clients:
            client.transport.abort()


def lost(clients: Sequence[Client]) -> str:
    """What to say of connections that did not last."""
    count = sum(client.lost for client in clients)
    return f"{count} connections were lost" if count else ""


# -- WebSocket: each connection has one message under way


async def echo(port: int, connections: int, meter: Meter, seconds: float) -> tuple[int, str]:
    """How many messages came back; the meter runs while it counts."""
    key = base64.b64encode(os.urandom(16)).decode()
    upgrade = {"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Key": key, "Sec-WebSocket-Version": "13"}
    mask = os.urandom(4)
    message = bytes((0x81, 0x80 | _MESSAGE)) + mask + os.urandom(_MESSAGE)
    count = 0
    came: collections.Counter[Client] = collections.Counter()

    def took(client: Client, data: bytes) -> None:
        nonlocal count
        came[client] += len(data)
        if came[client] >= 2 + _MESSAGE:
            came[client] -= 2 + _MESSAGE
            count += 1
            client.transport.write(message)

    async with connected(port, connections, head("GET", "/echo", upgrade), b"HTTP/1.1 101") as clients:
        with meter:
            for client in clients:
                client.took = took
                client.transport.write(message)
            await asyncio.sleep(seconds)
        return count, lost(clients)


# -- events: many streams, of which nothing is asked


async def listen(port: int, connections: int, meter: Meter, seconds: float) -> tuple[int, str]:
    """How many events arrived while it listened on all streams; the meter runs while it counts."""
    count = 0

    def took(_client: Client, data: bytes) -> None:
        nonlocal count
        count += data.count(b"data: ")

    async with connected(port, connections, head("GET", "/events", {}), b"HTTP/1.1 200") as clients:
        for client in clients:
            client.took = took
        with meter:
            await asyncio.sleep(seconds)
        return count, lost(clients)


# -- a fixed rate


class _Ticks:
    """A timer of the kernel that ticks each `interval` seconds; asyncio's own know whole milliseconds only."""

    def __init__(self, interval: float) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)
        self.fd = self._libc.timerfd_create(time.CLOCK_MONOTONIC, os.O_NONBLOCK | os.O_CLOEXEC)
        ns = round(interval * 1e9)
        self.interval = ns / 1e9
        self.began = time.monotonic()
        self._libc.timerfd_settime(self.fd, 0, (ctypes.c_long * 4)(0, ns, 0, ns), None)

    def passed(self) -> int:
        """How many ticks since this was last asked."""
        return int.from_bytes(os.read(self.fd, 8), "little")


async def open_loop(
    port: int,
    rate: float,
    seconds: float,
    meter: Meter,
    connections: int = 64,
    tls: ssl.SSLContext | None = None,
) -> tuple[list[float], float, str]:
    """The latencies, in seconds, of requests that are due at a fixed rate, whether the last ones were answered or not.

    They are due in groups, one each 250 µs at most. Each is measured from the moment it was due: one that waits because
    all connections wait is as late as its visitor would say ("coordinated omission" hides nothing). The meter runs
    meanwhile: the load must have time to spare. Second comes the part of the groups that the load itself began late.
    """
    loop = asyncio.get_running_loop()
    group = math.ceil(rate * _GROUP_S)
    request = head("GET", origins.SMALL, origins.REQUEST)
    latencies: list[float] = []
    waiting: collections.deque[float] = collections.deque()
    due_of: dict[Client, float] = {}
    rest: dict[Client, bytes] = {}
    wrong = 0

    def took(client: Client, data: bytes) -> None:
        nonlocal wrong
        data = rest.pop(client, b"") + data
        end = data.find(b"\r\n\r\n")
        if end < 0 or len(data) < end + 4 + origins.SMALL_LENGTH:
            rest[client] = data
            return
        latencies.append(time.monotonic() - due_of.pop(client))
        wrong += not data.startswith(b"HTTP/1.1 200")
        if waiting:
            send(client, waiting.popleft())
        else:
            idle.append(client)

    def send(client: Client, due: float) -> None:
        due_of[client] = due
        client.transport.write(request)

    def tick() -> None:
        nonlocal number, late
        for _ in range(ticks.passed()):
            number += 1
            due = ticks.began + number * ticks.interval
            late += time.monotonic() - due > _LATE_S
            for _ in range(group):
                if idle:
                    send(idle.pop(), due)
                else:
                    waiting.append(due)

    async with connected(port, connections, request, b"HTTP/1.1 200", origins.SMALL_LENGTH, tls) as clients:
        for client in clients:
            client.took = took
        idle, number, late = list(clients), 0, 0
        ticks = _Ticks(group / rate)
        loop.add_reader(ticks.fd, tick)
        with meter:
            await asyncio.sleep(seconds)
        loop.remove_reader(ticks.fd)
        os.close(ticks.fd)
        await asyncio.sleep(_LAST_S)
        unanswered = len(waiting) + len(due_of)
        said = [f"{unanswered} unanswered"] * bool(unanswered) + [f"{wrong} not 200"] * bool(wrong)
        return latencies, late / max(number, 1), "; ".join([*said, *([lost(clients)] * bool(lost(clients)))])


# -- uploads


def upload(port: int, size: int, connections: int, seconds: float) -> tuple[int, str]:
    """How many bodies of that size were taken, all of them whole: the last begin before `seconds` are over."""
    until = time.monotonic() + seconds
    body = bytes(size)
    statuses: list[int | str] = []

    def sender() -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        with contextlib.closing(connection):
            while not statuses or time.monotonic() < until:
                try:
                    connection.request("POST", "/sink", body=body, headers={"Content-Type": "application/octet-stream"})
                    answer = connection.getresponse()
                    answer.read()
                    statuses.append(answer.status)
                except (OSError, http.client.HTTPException) as error:
                    statuses.append(repr(error))
                    return

    senders = [threading.Thread(target=sender) for _ in range(connections)]
    for thread in senders:
        thread.start()
    for thread in senders:
        thread.join()
    taken = statuses.count(200)
    return taken, "" if taken == len(statuses) else f"uploads failed: {[one for one in statuses if one != 200][:3]}"
