"""What can go wrong between a proxy and its target, by the names of weather.

`origin.answer = weather.delay(8)`: answers that come late, cut, in drops, or not at all.
`weather.refuses()`, `weather.swallows()`: addresses where nobody answers.
`weather.slow_reader(url, ...)`: a client that reads in drops.
"""

from __future__ import annotations

import contextlib
import socket
from dataclasses import replace
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from support.answer import Answer, Pattern, text

if TYPE_CHECKING:
    from collections.abc import Iterator

CLEAR = text("clear\n")


def delay(seconds: float, answer: Answer = CLEAR) -> Answer:
    """The head comes that late."""
    return replace(answer, delay=seconds)


def hang() -> Answer:
    """The request is read; nothing ever comes."""
    return Answer(fault="hang")


def close() -> Answer:
    """The request is read; the connection ends cleanly with no byte."""
    return Answer(fault="close")


def drop() -> Answer:
    """The request is read; the connection is reset with no byte."""
    return Answer(fault="reset")


def cut(at: int, of: int = 1000, *, chunked: bool = False, by: str = "reset") -> Answer:
    """An answer of `of` bytes that ends after `at` of them."""
    return Answer(body=Pattern(of), chunked=chunked, cut_at=at, cut_by=by)


def half_close(at: int, of: int = 1000, *, chunked: bool = False) -> Answer:
    """As `cut`, but only the sending side of the origin is closed."""
    return cut(at, of, chunked=chunked, by="half_close")


def trickle(bytes_a_second: float, answer: Answer = CLEAR) -> Answer:
    """The body comes in drops."""
    return replace(answer, trickle=bytes_a_second)


@contextlib.contextmanager
def refuses() -> Iterator[str]:
    """An address that refuses every connection, and that nobody else gets meanwhile."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))  # bound and never listening
        yield f"http://127.0.0.1:{held.getsockname()[1]}"


@contextlib.contextmanager
def swallows() -> Iterator[str]:
    """An address where connecting gets no answer at all: its queue is full, and Linux then drops what knocks."""
    with contextlib.ExitStack() as open_sockets:
        listening = open_sockets.enter_context(socket.socket())
        listening.bind(("127.0.0.1", 0))
        listening.listen(0)
        address = listening.getsockname()
        for _ in range(8):
            filling = open_sockets.enter_context(socket.socket())
            filling.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                filling.connect(address)
        yield f"http://127.0.0.1:{address[1]}"


@contextlib.contextmanager
def slow_reader(url: str, buffer: int = 4096) -> Iterator[socket.socket]:
    """A client that has asked for `url` and whose system keeps next to nothing for it: read the socket as slowly as
    you like."""
    parts = urlsplit(url)
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
        client.connect((parts.hostname, parts.port))
        client.sendall(f"GET {parts.path or '/'} HTTP/1.1\r\nHost: {parts.netloc}\r\n\r\n".encode())
        yield client
