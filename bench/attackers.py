"""Those who lay siege: each kind is a coroutine that goes on until it is cancelled. `siege.py` starts it as a process.

    .venv/bin/python bench/attackers.py KIND PORT COUNT [--tls]

COUNT is how many connections it holds, or begins in a second. They come from 127.0.1.1 to 127.0.1.8, so that no part of
them is greedy. What is said is on standard output: a line `ready` when all are there, and a JSON object at the end.
"""

from __future__ import annotations

import asyncio
import collections
import contextlib
import json
import os
import signal
import socket
import ssl
import struct
import sys
from typing import TYPE_CHECKING

import uvloop

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

_HEAD = b"GET / HTTP/1.1\r\nHost: site.example\r\n"
_BOMB = _HEAD + b"X: y\r\n" * 10_000
_SOURCES = 8
_TICK_S = 0.02
_AT_ONCE = 50


class Siege:
    """What all attackers share. `count` is how many there are, `tls` what they speak, `seen` what became of them."""

    def __init__(self, port: int, count: int, tls: ssl.SSLContext | None) -> None:
        self.port = port
        self.count = count
        self.tls = tls
        self.seen: collections.Counter[str] = collections.Counter()
        self._number = 0

    async def connect(
        self, *, plain: bool = False, window: int = 0
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        self._number += 1
        sock = socket.socket()
        sock.setblocking(False)
        if window:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, window)
        sock.bind((f"127.0.1.{self._number % _SOURCES + 1}", 0))
        try:
            await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", self.port))
            tls = None if plain else self.tls
            streams = await asyncio.open_connection(
                sock=sock, ssl=tls, server_hostname="site.test" if tls else None, limit=4096
            )
        except BaseException:
            sock.close()
            raise
        self.seen["connections"] += 1
        return streams

    async def hold(self, one: Callable[[Siege], Awaitable[None]]) -> None:
        """So many at a time: who is thrown out comes again."""
        here = asyncio.Semaphore(_AT_ONCE)
        begun = 0

        async def again() -> None:
            nonlocal begun
            first = True
            while True:
                if first:
                    async with here:
                        await asyncio.sleep(0)
                with contextlib.suppress(OSError, asyncio.IncompleteReadError):
                    task = asyncio.ensure_future(one(self))
                    if first:
                        first = False
                        begun += 1
                        if begun == self.count:
                            asyncio.get_running_loop().call_later(0.5, ready)
                    await task
                self.seen["thrown out"] += 1
                await asyncio.sleep(0.2)

        await asyncio.gather(*(again() for _ in range(self.count)))

    async def begin(self, one: Callable[[Siege], Awaitable[None]]) -> None:
        """So many a second, whatever became of the last ones."""
        ready()
        tasks: set[asyncio.Task[None]] = set()
        loop = asyncio.get_running_loop()
        start, number = loop.time(), 0
        while True:
            await asyncio.sleep(_TICK_S)
            while number < (loop.time() - start) * self.count:
                number += 1
                task = loop.create_task(self._quietly(one))
                tasks.add(task)
                task.add_done_callback(tasks.discard)

    async def _quietly(self, one: Callable[[Siege], Awaitable[None]]) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            await one(self)


def ready() -> None:
    print("ready", flush=True)


# -- each of them


async def slow_head(siege: Siege) -> None:
    """A byte of a head each two seconds."""
    reader, writer = await siege.connect()
    with contextlib.closing(writer):
        ending = asyncio.ensure_future(reader.read())
        for place in range(len(_HEAD)):
            writer.write(_HEAD[place : place + 1])
            if (await asyncio.wait([ending], timeout=2.0))[0]:
                return


async def slow_body(siege: Siege) -> None:
    """A byte of a body each two seconds."""
    reader, writer = await siege.connect()
    with contextlib.closing(writer):
        writer.write(b"POST /sink HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n")
        ending = asyncio.ensure_future(reader.read())
        while not (await asyncio.wait([ending], timeout=2.0))[0]:
            writer.write(b"x")


async def slow_reader(siege: Siege) -> None:
    """100 MB, and a little of it each second."""
    reader, writer = await siege.connect(window=4096)
    with contextlib.closing(writer):
        writer.write(b"GET /files/100m HTTP/1.1\r\nHost: a\r\n\r\n")
        while await reader.read(4096):  # noqa: ASYNC110 - it is slow on purpose
            await asyncio.sleep(1.0)


async def idle(siege: Siege) -> None:
    """One request, and then nothing."""
    reader, writer = await siege.connect()
    with contextlib.closing(writer):
        writer.write(_HEAD + b"\r\n")
        await reader.readuntil(b"\r\n\r\n")
        await reader.read()


async def bomb(siege: Siege) -> None:
    """A head of ten thousand fields."""
    reader, writer = await siege.connect()
    with contextlib.closing(writer):
        writer.write(_BOMB)
        siege.seen["status " + (await reader.readuntil(b"\r\n"))[9:12].decode()] += 1


async def come_and_go(siege: Siege) -> None:
    """A connection that is reset at once."""
    _, writer = await siege.connect(plain=True)
    sock = writer.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


async def half_shake(siege: Siege) -> None:
    """The first flight of TLS, and then nothing."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    hello = trusting().wrap_bio(incoming, outgoing)
    with contextlib.suppress(ssl.SSLWantReadError):
        hello.do_handshake()
    reader, writer = await siege.connect(plain=True)
    with contextlib.closing(writer):
        writer.write(outgoing.read())
        while await reader.read(4096):
            pass


async def dust(siege: Siege) -> None:
    """A body of chunks of one byte."""
    reader, writer = await siege.connect()
    with contextlib.closing(writer):
        writer.write(b"POST /sink HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
        ending = asyncio.ensure_future(reader.read())
        while not (await asyncio.wait([ending], timeout=0.1))[0]:
            writer.write(b"1\r\nx\r\n" * 1000)
            await writer.drain()


async def deaf(siege: Siege) -> None:
    """A hundred thousand requests, and no answer is read."""
    _, writer = await siege.connect(window=4096)
    with contextlib.closing(writer):
        writer.transport.set_write_buffer_limits(high=1 << 16)
        for _ in range(100):
            writer.write((_HEAD + b"\r\n") * 1000)
            await writer.drain()
        await asyncio.Event().wait()


async def own_pages(siege: Siege) -> None:
    """A page that the proxy answers itself."""
    reader, writer = await siege.connect()
    with contextlib.closing(writer):
        writer.write(b"GET /__failover/state HTTP/1.1\r\nHost: a\r\n\r\n")
        siege.seen["status " + (await reader.readuntil(b"\r\n"))[9:12].decode()] += 1


HELD = {one.__name__: one for one in (slow_head, slow_body, slow_reader, idle, half_shake, dust, deaf)}
BEGUN = {one.__name__: one for one in (bomb, come_and_go, own_pages)}


def trusting() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


async def attack(kind: str, siege: Siege) -> None:
    loop = asyncio.get_running_loop()
    task = asyncio.ensure_future(siege.hold(HELD[kind]) if kind in HELD else siege.begin(BEGUN[kind]))
    loop.add_signal_handler(signal.SIGTERM, task.cancel)
    with contextlib.suppress(asyncio.CancelledError):
        await task
    print(json.dumps(siege.seen), flush=True)
    os._exit(0)  # thousands of connections: the kernel ends them faster


if __name__ == "__main__":
    name, at, number = sys.argv[1:4]
    uvloop.run(attack(name, Siege(int(at), int(number), trusting() if "--tls" in sys.argv else None)))
