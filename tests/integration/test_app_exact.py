"""A real app behind the proxy, looked at closely: heads to the byte, WebSocket frames, events as they come."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
import websockets

from support.guestbook import Guestbook, plain
from support.load import Visitor
from support.origin import Origin
from support.program import Program

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_ADDED = {"via", "proxy-status", "x-request-id"}
_OF_ONE_CONNECTION = {"connection", "keep-alive", "transfer-encoding", "date"}


@pytest.fixture
def app(tmp_path: Path) -> Iterator[Guestbook]:
    with Guestbook(tmp_path) as running:
        yield running


@pytest.fixture
def program(app: Guestbook) -> Iterator[Program]:
    with Origin("backup") as backup, Program("--primary", app.url, "--backup", backup.url) as running:
        yield running.ready()


@pytest.mark.parametrize(
    ("method", "path", "headers"),
    [
        ("GET", "/", ()),
        ("GET", "/login?next=%2Fa%20b&x=%E2%82%AC", ()),
        ("GET", "/home", (("Cookie", "session=nobody; a=b"),)),
        ("HEAD", "/login", ()),
        ("GET", "/nowhere/..%2f/x;y=1", ()),
        ("GET", "/static/guestbook.js", (("Accept-Encoding", "gzip"),)),
        ("GET", "/files/noise.bin", ()),
        ("GET", "/files/noise.bin", (("Range", "bytes=10-19"),)),
        ("GET", "/files/noise.bin", (("Range", "bytes=10-19"), ("If-Range", '"other"'))),
        ("GET", "/files/noise.bin", (("If-Modified-Since", "Tue, 14 Nov 2023 22:13:20 GMT"),)),
        ("HEAD", "/files/noise.bin", ()),
        ("GET", "/drops", ()),
        ("GET", "/status/204", ()),
        ("GET", "/status/301", ()),
        ("GET", "/status/500", ()),
        ("OPTIONS", "/echo", (("Origin", "http://elsewhere.example"), ("Access-Control-Request-Method", "PUT"))),
        ("DELETE", "/echo?a=1", ()),
        ("PUT", "/echo", (("X-Empty", ""), ("X-Twice", "1"), ("X-Twice", "2"))),
    ],
)
async def test_heads_and_bodies_are_the_same(app, program, method, path, headers) -> None:
    body = b"x" * 1000 if method == "PUT" else None
    replies = []
    for url in (app.url, program.url):
        visitor = Visitor(url)
        replies.append(await visitor.ask(method, path, (("X-Id", "visit"), *headers), body))
        visitor.leave()
    direct, proxied = replies

    def same(reply) -> list[tuple[str, str]]:
        return [
            (name, plain(value)) for name, value in reply.headers if name.lower() not in _ADDED | _OF_ONE_CONNECTION
        ]

    assert (proxied.status, same(proxied), proxied.body) == (direct.status, same(direct), direct.body)
    one, other = (request for request in app.requests() if ["X-Id", "visit"] in request["headers"])
    assert [h for h in one["headers"] if h[0] in dict(headers)] == [
        h for h in other["headers"] if h[0] in dict(headers)
    ]
    assert one["target"] == other["target"] == path


async def test_a_websocket_passes_in_every_shape(app, program) -> None:
    address = program.url.replace("http:", "ws:") + "/chat"
    async with websockets.connect(address, subprotocols=["guestbook.v2"], max_size=None) as socket:
        assert socket.subprotocol == "guestbook.v2"
        assert await socket.recv() == "welcome "
        await (await socket.ping(b"are you there"))
        big = bytes(range(256)) * 8000
        await socket.send(big)
        assert await socket.recv() == big[::-1]
        await socket.send(["in ", "several ", "pieces"])
        assert await socket.recv() == "you said in several pieces"
        for number in range(200):
            await socket.send(f"{number}")
        assert [await socket.recv() for _ in range(200)] == [f"you said {number}" for number in range(200)]
        await socket.send("bye")
        with pytest.raises(websockets.ConnectionClosed) as closed:
            await socket.recv()
        assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (4001, "see you")


async def test_a_refused_upgrade_is_passed_on(program) -> None:
    with pytest.raises(websockets.InvalidStatus) as refused:
        await websockets.connect(program.url.replace("http:", "ws:") + "/status/403")
    assert refused.value.response.status_code == 403
    assert refused.value.response.body == b"status 403"


async def test_each_event_comes_before_the_next_is_made(app, program) -> None:
    """The app makes an event only when it is told that the last one was seen: anything kept back stops it for good."""
    reader, writer = await asyncio.open_connection("127.0.0.1", program.port)
    writer.write(b"GET /events HTTP/1.1\r\nHost: site.example\r\nLast-Event-ID: 3\r\n\r\n")
    async with asyncio.timeout(30):
        await reader.readuntil(b"retry: 20\n\n")
        visitor = Visitor(program.url)
        for number in (4, 5):
            event = await reader.readuntil("data: ünd more\n\n".encode())
            assert f"id: {number}\n".encode() in event
            assert (await visitor.ask("POST", "/events/next", body=b"")).status == 204
        assert (await reader.readuntil(b"0\r\n\r\n")).endswith(b"0\r\n\r\n")
    visitor.leave()
    writer.close()


async def test_the_end_of_the_app_ends_its_websockets(app, program) -> None:
    address = program.url.replace("http:", "ws:") + "/chat"
    async with websockets.connect(address) as socket:
        assert await socket.recv() == "welcome "
        app.kill()
        with pytest.raises(websockets.ConnectionClosed):
            await socket.recv()
