"""Large bodies and slow clients: exact to the byte, at constant memory, at nobody else's cost."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import socket
import struct
import threading
from typing import TYPE_CHECKING

import pytest

from support import weather
from support.answer import Answer, Feed, Pattern
from support.load import Load
from support.memory import forget_peaks, linux_only, peaks, processor_seconds, sockets
from support.origin import Origin
from support.program import PATIENCE, Program

if TYPE_CHECKING:
    from collections.abc import Iterator

_MB = 1_000_000
_WHOLE = Pattern(100 * _MB)
# Buffers of 256 KiB a side, and what the allocator keeps; a body kept whole would be five times as much.
_CONSTANT = 20 * _MB

pytestmark = linux_only


@pytest.fixture
def primary() -> Iterator[Origin]:
    with Origin("primary") as origin:
        yield origin


@pytest.fixture
def program(primary: Origin) -> Iterator[Program]:
    with (
        Origin("backup") as backup,
        Program("--primary", primary.url, "--backup", backup.url, "--max-body", "200MB") as running,
    ):
        yield running.ready()


def connect(program: Program) -> socket.socket:
    return socket.create_connection(("127.0.0.1", program.port), timeout=PATIENCE)


def read_head(client: socket.socket) -> tuple[bytes, bytes]:
    """The head of an answer, and what of its body came along."""
    data = b""
    while b"\r\n\r\n" not in data:
        piece = client.recv(1 << 16)
        assert piece, f"closed after {data!r}"
        data += piece
    head, _, rest = data.partition(b"\r\n\r\n")
    return head, rest


def upload(client: socket.socket, *, chunked: bool) -> None:
    framing = "Transfer-Encoding: chunked" if chunked else f"Content-Length: {len(_WHOLE)}"
    client.sendall(f"POST /upload HTTP/1.1\r\nHost: site.example\r\n{framing}\r\n\r\n".encode())
    for piece in _WHOLE.pieces():
        client.sendall(b"%x\r\n%b\r\n" % (len(piece), piece) if chunked else piece)
    if chunked:
        client.sendall(b"0\r\n\r\n")


@pytest.mark.parametrize("chunked", [False, True])
def test_100_mb_up(primary: Origin, program: Program, chunked: bool) -> None:
    held = forget_peaks(program.workers())
    with connect(program) as client:
        upload(client, chunked=chunked)
        assert read_head(client)[0].startswith(b"HTTP/1.1 200 ")
    seen = primary.wait_for(lambda seen: seen.path == "/upload" and seen.complete)
    assert (seen.body_length, seen.body_sha256) == (len(_WHOLE), _WHOLE.sha256)
    assert peaks(program.workers()) - held < _CONSTANT


@pytest.mark.parametrize("chunked", [False, True])
def test_100_mb_down(primary: Origin, program: Program, chunked: bool) -> None:
    primary.routes["/large"] = Answer(body=_WHOLE, chunked=chunked)
    held = forget_peaks(program.workers())
    with connect(program) as client:
        client.sendall(b"GET /large HTTP/1.1\r\nHost: site.example\r\nConnection: close\r\n\r\n")
        head, body = read_head(client)
        assert head.startswith(b"HTTP/1.1 200 ")
        read = _unchunk if chunked else _plain
        length, sha = read(client, body)
    assert (length, sha) == (len(_WHOLE), _WHOLE.sha256)
    assert peaks(program.workers()) - held < _CONSTANT


def _plain(client: socket.socket, data: bytes) -> tuple[int, str]:
    length, sha = len(data), hashlib.sha256(data)
    while piece := client.recv(1 << 18):
        length += len(piece)
        sha.update(piece)
    return length, sha.hexdigest()


def _unchunk(client: socket.socket, data: bytes) -> tuple[int, str]:
    length, sha = 0, hashlib.sha256()
    with client.makefile("rb") as rest:
        line_start = bytearray(data)

        def take(size: int) -> bytes:
            piece = bytes(line_start[:size])
            del line_start[:size]
            return piece + (rest.read(size - len(piece)) if len(piece) < size else b"")

        def line() -> bytes:
            place = line_start.find(b"\n")
            if place >= 0:
                return take(place + 1)
            return take(len(line_start)) + rest.readline()

        while size := int(line(), 16):
            sha.update(take(size))
            length += size
            assert take(2) == b"\r\n"
        assert line() == b"\r\n"
    return length, sha.hexdigest()


def test_a_body_over_the_limit_is_refused_wherever_it_shows(primary: Origin) -> None:
    with Origin("backup") as backup, Program("--primary", primary.url, "--backup", backup.url) as program:
        program.ready()
        for framing in ("Content-Length: 10000001", "Transfer-Encoding: chunked"):
            with connect(program) as client:
                client.sendall(f"POST /upload HTTP/1.1\r\nHost: site.example\r\n{framing}\r\n\r\n".encode())
                with contextlib.suppress(ConnectionError):
                    for _ in range(12 if "chunked" in framing else 0):
                        client.sendall(b"f4240\r\n" + b"x" * _MB + b"\r\n")
                assert read_head(client)[0].startswith(b"HTTP/1.1 413 ")
    assert not any(seen.complete for seen in primary.requests if seen.path == "/upload")


def test_a_target_that_reads_slowly_makes_the_client_wait(primary: Origin, program: Program) -> None:
    """The upload stands still at a bounded number of bytes, and goes on when the target does."""
    primary.routes["/upload"] = Answer(fault="hang", reads=1000)
    held = forget_peaks(program.workers())
    sent = 0
    with connect(program) as client:
        client.sendall(f"PUT /upload HTTP/1.1\r\nHost: site.example\r\nContent-Length: {len(_WHOLE)}\r\n\r\n".encode())
        primary.wait_for(lambda seen: seen.path == "/upload")
        client.settimeout(2)
        with contextlib.suppress(TimeoutError):
            for piece in _WHOLE.pieces():
                sent += client.send(piece)
    assert sent < 40 * _MB, "somebody takes in what nobody reads"  # mostly the buffers of this system's sockets
    assert peaks(program.workers()) - held < _CONSTANT


def test_clients_that_read_one_kilobyte_a_second_cost_nobody_anything(primary: Origin, program: Program) -> None:
    primary.routes["/large"] = Answer(body=_WHOLE)
    workers = program.workers()
    slow = 50

    def cost_of(requests: int) -> float:
        """Processor seconds of the workers for that many requests, all of them answered."""
        before = processor_seconds(workers)
        with Load(program.url, visitors=4) as load:
            load.wait_for(answered=requests)
        assert not load.tally.failures, load.tally
        return (processor_seconds(workers) - before) / load.tally.answered

    cost_of(500)
    alone = cost_of(3000)
    held = forget_peaks(workers)
    with contextlib.ExitStack() as open_clients:
        clients = [open_clients.enter_context(weather.slow_reader(f"{program.url}/large")) for _ in range(slow)]
        for client in clients:
            client.settimeout(PATIENCE)
            assert client.recv(1000).startswith(b"HTTP/1.1 200 ")
        ended = threading.Event()
        reading = threading.Thread(target=_read_in_drops, args=(clients, ended))
        reading.start()
        try:
            beside = cost_of(3000)
        finally:
            ended.set()
            reading.join()
        waiting = [seen for seen in primary.requests if seen.path == "/large" and not seen.answered]
        assert len(waiting) == slow, "the target was read out for a client that does not read"
    assert peaks(workers) - held < slow * _MB, "slow clients cost memory"
    assert beside < alone * 2, f"slow clients cost others: {alone * 1e6:.0f} then {beside * 1e6:.0f} µs a request"
    for seen in waiting:
        primary.wait_for(lambda one, seen=seen: one is seen and one.left)


def _read_in_drops(clients: list[socket.socket], ended: threading.Event) -> None:
    while not ended.wait(1):
        for client in clients:
            client.recv(1024)


@pytest.mark.parametrize("how", ["reset", "closed"])
async def test_nothing_leaks_when_clients_leave_in_the_middle(primary: Origin, program: Program, how: str) -> None:
    """Uploads, answers, streams and tunnels left half-way: all sockets are closed, and it is nobody's fault."""
    workers = program.workers()
    feed = Feed()
    feed.event("one")
    primary.routes |= {
        "/large": Answer(body=_WHOLE),
        "/events": Answer(body=feed, headers=(("Content-Type", "text/event-stream"),)),
        "/tunnel": Answer(101, upgrade="echo"),
        "/hang": weather.hang(),
    }
    upgrade = "Connection: Upgrade\r\nUpgrade: echo\r\n"
    requests = {"/large": "", "/events": "", "/tunnel": upgrade, "/upload": "Content-Length: 1000000\r\n"}
    if how == "reset":
        requests["/hang"] = ""  # one that closes only its half may well be waiting for the answer
    before = sockets(workers)
    for path, more in requests.items():
        with connect(program) as client:
            method = "PUT" if path == "/upload" else "GET"
            client.sendall(f"{method} {path} HTTP/1.1\r\nHost: site.example\r\n{more}\r\n".encode())
            await primary.seen(lambda seen, path=path: seen.path == path)
            if path not in ("/upload", "/hang"):
                assert (await asyncio.to_thread(client.recv, 10)).startswith(b"HTTP/1.1 ")
            if how == "reset":
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    # The target's side tells when the proxy has let go.
    for path in requests.keys() - {"/tunnel"}:
        await primary.seen(lambda seen, path=path: seen.path == path and seen.left)
    await primary.seen(lambda seen: seen.path == "/tunnel" and (seen.left or seen.answered))
    for _ in range(500):
        if sockets(workers) <= before + len(workers):  # an idle connection to the target may stay
            break
        await asyncio.sleep(0.02)  # nothing tells of it
    assert sockets(workers) <= before + len(workers)
    assert "suspected" not in program.log
