"""The bytes of the scripted origin: requests read, answers written, connections ended in every way there is."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import hashlib
import socket
import struct
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from support.answer import Answer, Feed, Pattern

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

_KEPT = 1 << 16
NO_BODY = {204, 304}


@dataclass(slots=True)
class Seen:
    """One request as it came. `complete` once its body is there, `left` once the sender went away before the answer."""

    connection: int
    nth: int  # on this connection, from 1
    head: bytes
    method: str
    target: str
    version: str
    headers: tuple[tuple[str, str], ...]
    body: bytes = b""  # its first 64 KiB
    body_length: int = 0
    body_sha256: str = ""
    trailers: tuple[tuple[str, str], ...] = ()
    complete: bool = False
    left: bool = False
    answered: bool = False
    _hash: hashlib._Hash = field(default_factory=hashlib.sha256, repr=False)

    def all(self, name: str) -> list[str]:
        return [value for one, value in self.headers if one.lower() == name.lower()]

    def header(self, name: str) -> str | None:
        values = self.all(name)
        return ", ".join(values) if values else None

    @property
    def path(self) -> str:
        return self.target.partition("?")[0]

    def take(self, piece: bytes) -> None:
        self._hash.update(piece)
        self.body_length += len(piece)
        if len(self.body) < _KEPT:
            self.body += piece[: _KEPT - len(self.body)]


def reset(writer: asyncio.StreamWriter) -> None:
    """End a connection with RST."""
    reset_transport(writer.transport)


def reset_transport(transport: asyncio.Transport) -> None:
    raw = transport.get_extra_info("socket")
    with contextlib.suppress(OSError):
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()


async def reset_after_sending(writer: asyncio.StreamWriter) -> None:
    """RST throws away what the other side has not read yet, so first let it be taken."""
    writer.transport.set_write_buffer_limits(high=0)
    await writer.drain()
    raw = writer.get_extra_info("socket")
    for _ in range(1000):
        if not _unacknowledged(raw):
            break
        await asyncio.sleep(0.001)  # no event tells of it
    reset(writer)


def _unacknowledged(raw: socket.socket) -> int:
    outq = 0x5411  # SIOCOUTQ: bytes that the other system has not acknowledged; Linux
    try:
        return struct.unpack("i", fcntl.ioctl(raw.fileno(), outq, b"\0\0\0\0"))[0]
    except OSError:
        return 0


def read_head(head: bytes, connection: int, nth: int) -> Seen:
    first, *lines = head.decode("latin-1")[:-4].split("\r\n")
    method, target, version = first.split(" ", 2)
    return Seen(connection, nth, head, method, target, version.removeprefix("HTTP/"), tuple(map(_field, lines)))


def _field(line: str) -> tuple[str, str]:
    name, _, value = line.partition(":")
    return name, value.strip()


async def read_body(reader: asyncio.StreamReader, seen: Seen, most: int | None) -> bool:
    """Take the body, or `most` bytes of it; True when it is whole."""
    if "chunked" in (seen.header("Transfer-Encoding") or "").lower():
        while size := int((await reader.readline()).split(b";")[0], 16):
            seen.take(await reader.readexactly(size))
            await reader.readexactly(2)
            if most is not None and seen.body_length >= most:
                return False
        trailers = []
        while (line := await reader.readline()) not in (b"\r\n", b""):
            trailers.append(_field(line.decode("latin-1").rstrip()))
        seen.trailers = tuple(trailers)
        return True
    length = int(seen.header("Content-Length") or 0)
    wanted = length if most is None else min(length, most)
    while seen.body_length < wanted:
        piece = await reader.read(min(1 << 18, wanted - seen.body_length))
        if not piece:
            raise asyncio.IncompleteReadError(b"", wanted - seen.body_length)
        seen.take(piece)
    return wanted == length


def framing(seen: Seen, answer: Answer) -> tuple[bool, bool]:
    """Whether the connection is kept, and whether the body is chunked."""
    asked = (seen.header("Connection") or "").lower()
    keep = ("close" not in asked) if seen.version == "1.1" else "keep-alive" in asked
    chunked = answer.version == seen.version == "1.1" and (
        answer.chunked or bool(answer.trailers) or isinstance(answer.body, Feed)
    )
    sized = chunked or (answer.version == "1.1" and not isinstance(answer.body, Feed))
    return keep and not answer.close and sized, chunked


def write_head(status: int, reason: str, version: str, headers: tuple[tuple[str, str], ...]) -> bytes:
    lines = [f"HTTP/{version} {status} {reason}", *(f"{name}: {value}" for name, value in headers), "", ""]
    return "\r\n".join(lines).encode("latin-1")


async def _pieces(answer: Answer) -> AsyncIterator[bytes | memoryview]:
    left = answer.cut_at if answer.cut_at is not None else float("inf")
    if isinstance(answer.body, Feed):
        async for piece in answer.body.pieces():
            yield piece
        return
    step = max(1, int(answer.trickle / 10)) if answer.trickle else 1 << 16
    whole = answer.body.pieces() if isinstance(answer.body, Pattern) else [answer.body]
    for piece in whole:
        for place in range(0, len(piece), step):
            if left <= 0:
                return
            part = piece[place : place + int(min(step, left))]
            left -= len(part)
            yield part
            if answer.trickle:
                await asyncio.sleep(len(part) / answer.trickle)


async def send_body(writer: asyncio.StreamWriter, answer: Answer, chunked: bool) -> None:
    async for piece in _pieces(answer):
        if chunked:
            writer.write(b"%x\r\n%b\r\n" % (len(piece), piece))
        else:
            writer.write(piece)
        await writer.drain()
    if chunked and answer.cut_at is None:
        trailers = "".join(f"{name}: {value}\r\n" for name, value in answer.trailers)
        writer.write(f"0\r\n{trailers}\r\n".encode("latin-1"))
    await writer.drain()


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, seen: Seen) -> bool:
    while piece := await reader.read(1 << 16):
        seen.take(piece)
        writer.write(piece)
        await writer.drain()
    seen.answered = True
    return False


async def left_within(reader: asyncio.StreamReader, doing: object) -> bool:
    """Do it while the other side is there; True when it left before the end. Bytes that come meanwhile are dropped."""

    async def leaves() -> None:
        with contextlib.suppress(ConnectionError):
            while await reader.read(1 << 16):
                pass

    loop = asyncio.get_running_loop()
    work, leaving = loop.create_task(doing), loop.create_task(leaves())
    try:
        done, _ = await asyncio.wait({work, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if work in done:
            work.result()
            return False
        return True
    finally:
        for task in (work, leaving):
            task.cancel()
        await asyncio.gather(work, leaving, return_exceptions=True)
