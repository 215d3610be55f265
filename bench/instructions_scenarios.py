"""The scenarios of `instructions.py`: what client and origin say to the worker, one after the other."""

from __future__ import annotations

import itertools
import socket
from typing import TYPE_CHECKING, Self

from origins import REQUEST, RESPONSE, SMALL_LENGTH

if TYPE_CHECKING:
    from collections.abc import Callable

PATIENCE = 60.0
_ORIGIN = {
    "Server": "nginx",
    "Date": "Thu, 01 Jan 2026 00:00:00 GMT",
    "Content-Type": "text/html",
    "Content-Length": "",
    "Connection": "keep-alive",
}


class CountError(Exception):
    """It cannot be counted: why, for people."""


class Conversation:
    """Client and origin of one scenario, each with one kept connection to the worker."""

    def __init__(self, public: int, origin: socket.socket) -> None:
        self._origin = origin
        self._client = socket.create_connection(("127.0.0.1", public), PATIENCE)
        self._client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._target: socket.socket | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()
        if self._target is not None:
            self._target.close()

    def ask(self, request: bytes, ends: bytes) -> None:
        """Client to origin, until the origin has read what ends so."""
        self._client.sendall(request)
        if self._target is None:
            self._target, _ = self._origin.accept()
            self._target.settimeout(PATIENCE)
            self._target.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        read_until(self._target, ends)

    def answer(self, part: bytes, ends: bytes) -> None:
        """Origin to client, until the client has read what ends so."""
        if self._target is None:
            raise CountError("an answer before any request")
        self._target.sendall(part)
        read_until(self._client, ends)


def read_until(sock: socket.socket, ends: bytes) -> None:
    read = b""
    while not read.endswith(ends):
        try:
            more = sock.recv(1 << 20)
        except TimeoutError:
            raise CountError(f"waited for {ends!r}; what came ends in {read[-200:]!r}") from None
        if not more:
            raise CountError(f"the worker closed the connection after {read[-200:]!r}")
        read += more


def head(first: str, fields: dict[str, str]) -> bytes:
    return "".join([first, "\r\n", *(f"{name}: {value}\r\n" for name, value in fields.items()), "\r\n"]).encode()


def request(method: str = "GET", **more: str) -> bytes:
    fields = {"Host": "example.com", **REQUEST} | {name.replace("_", "-"): value for name, value in more.items()}
    return head(f"{method} /articles/hello?utm=1 HTTP/1.1", fields)


def response(**more: str) -> bytes:
    fields = _ORIGIN | {name: value.replace("\\", "") for name, value in RESPONSE.items()}
    fields |= {name.replace("_", "-"): value for name, value in more.items()}
    return head("HTTP/1.1 200 OK", {name: value for name, value in fields.items() if value})


def small(talk: Conversation) -> Callable[[], None]:
    """A GET with 12 header fields; 12 fields and 111 bytes come back."""
    return exchange(talk, request(), SMALL_LENGTH)


def varied(talk: Conversation) -> Callable[[], None]:
    """As `small`, but no request has the path and the fields, and no answer has the ETag of one before."""
    numbers = itertools.count()
    asked, answered = request(Referer="https://example.com/0"), response(Content_Length=str(SMALL_LENGTH), ETag='"e-0"')
    body = b"x" * (SMALL_LENGTH - 1) + b"."

    def once() -> None:
        number = b"%06d" % next(numbers)
        talk.ask(asked.replace(b"com/0", b"com/" + number).replace(b"hello", b"hello" + number), b"\r\n\r\n")
        talk.answer(answered.replace(b"e-0", b"e-" + number) + body, b"x.")

    return once


def post(talk: Conversation) -> Callable[[], None]:
    """A POST of 1 KB, answered as `small` is."""
    body = b"q" * 1023 + b"."
    return exchange(talk, request("POST", Content_Type="text/plain", Content_Length="1024") + body, SMALL_LENGTH, b".")


def large(talk: Conversation) -> Callable[[], None]:
    """A GET; 10 KB come back."""
    return exchange(talk, request(), 10240)


def exchange(talk: Conversation, asked: bytes, length: int, ends: bytes = b"\r\n\r\n") -> Callable[[], None]:
    answered = response(Content_Length=str(length)) + b"x" * (length - 1) + b"."

    def once() -> None:
        talk.ask(asked, ends)
        talk.answer(answered, b"x.")

    return once


def stream(talk: Conversation) -> Callable[[], None]:
    """A GET; head and four chunks come back, each when the one before it has arrived."""
    asked, begun = request(), response(Transfer_Encoding="chunked")
    chunk = b"400\r\n" + b"x" * 1023 + b".\r\n"

    def once() -> None:
        talk.ask(asked, b"\r\n\r\n")
        talk.answer(begun + chunk, b".\r\n")
        for _ in range(3):
            talk.answer(chunk, b".\r\n")
        talk.answer(b"0\r\n\r\n", b"0\r\n\r\n")

    return once


def websocket(talk: Conversation) -> Callable[[], None]:
    """A message of 100 bytes through an open WebSocket, and its echo."""
    upgrade = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec_WebSocket_Version": "13"}
    talk.ask(request(**upgrade, Sec_WebSocket_Key="dGhlIHNhbXBsZSBub25jZQ=="), b"\r\n\r\n")
    accepted = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Accept": "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="}
    talk.answer(head("HTTP/1.1 101 Switching Protocols", accepted), b"\r\n\r\n")
    asked = b"\x81\xe4\x00\x00\x00\x00" + b"x" * 99 + b"."
    echoed = b"\x81\x64" + b"x" * 99 + b"."

    def once() -> None:
        talk.ask(asked, b"x.")
        talk.answer(echoed, b"x.")

    return once


SCENARIOS = {one.__name__: one for one in (small, varied, post, large, stream, websocket)}


def listen() -> socket.socket:
    sock = socket.create_server(("127.0.0.1", 0))
    sock.settimeout(PATIENCE)
    return sock
