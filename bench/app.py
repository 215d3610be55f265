"""The origin that nginx cannot be: it takes uploads, echoes WebSocket messages, sends events. Run by `origins.py`.

POST anything: 200 when the body is there. GET /echo with an upgrade: each message comes back. GET /events: a stream
with an event each 200 ms. GET anything else: the small answer. It answers on all ports that it is given.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import sys

import httptools
import uvloop
from origins import SMALL_LENGTH

EVENT_EVERY_S = 0.2
_TURNS = 20  # the streams are told in so many groups, one after the other, so that the load is even
_EVENT = b'id: 1\ndata: {"price": 1234567, "at": "2026-11-25T12:00:00.000Z", "of": "something that is watched"}\n\n'
_CHUNK = b"%x\r\n%s\r\n" % (len(_EVENT), _EVENT)
_ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: %d\r\n\r\n%s" % (
    SMALL_LENGTH,
    b"x" * SMALL_LENGTH,
)
_STREAM = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: no-cache\r\nX-Accel-Buffering: no\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n"
)
_UPGRADE = (
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n\r\n"
)
_streams: list[set[asyncio.Transport]] = [set() for _ in range(_TURNS)]


class Visitor(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self._parser = httptools.HttpRequestParser(self)
        self._url = self._key = b""
        self._echoing = False
        self._rest = b""

    def connection_lost(self, _error: Exception | None) -> None:
        for group in _streams:
            group.discard(self._transport)

    def data_received(self, data: bytes) -> None:
        if self._echoing:
            self._echo(data)
            return
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            accept = hashlib.sha1(self._key + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest()
            self._transport.write(_UPGRADE % base64.b64encode(accept))
            self._echoing = True

    def on_url(self, url: bytes) -> None:
        self._url = url

    def on_header(self, name: bytes, value: bytes) -> None:
        if name.lower() == b"sec-websocket-key":
            self._key = value

    def on_message_complete(self) -> None:
        if self._url == b"/events":
            self._transport.write(_STREAM)
            min(_streams, key=len).add(self._transport)
        elif self._url != b"/echo":
            self._transport.write(_ANSWER)

    def _echo(self, data: bytes) -> None:
        """Masked frames of less than 126 bytes come back without the mask (RFC 6455, section 5.2)."""
        data = self._rest + data
        while len(data) >= 6 and len(data) >= (end := 6 + (data[1] & 127)):
            length = end - 6
            mask = int.from_bytes((data[2:6] * 32)[:length], "big")
            body = int.from_bytes(data[6:end], "big") ^ mask
            self._transport.write(bytes((data[0], length)) + body.to_bytes(length, "big"))
            data = data[end:]
        self._rest = data


async def serve(ports: list[int]) -> None:
    loop = asyncio.get_running_loop()
    for port in ports:
        await loop.create_server(Visitor, "127.0.0.1", port, backlog=1024)
    while True:
        for group in _streams:
            for transport in group:
                transport.write(_CHUNK)
            await asyncio.sleep(EVENT_EVERY_S / _TURNS)


if __name__ == "__main__":
    uvloop.run(serve([int(port) for port in sys.argv[1:]]))
