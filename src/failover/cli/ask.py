"""Asking the proxy that runs on this machine, by its own listen address. Imports little: a health check runs often."""

from __future__ import annotations

import math
import os
import socket
import time
from contextlib import suppress

import click

from failover.errors import UnreachableError
from failover.settings.places import parse_listen
from failover.settings.types import Listen

DEFAULT_LISTEN = "0.0.0.0:8080"  # the model's, without the cost of the model; a test compares them
_LARGEST = 8 * 1024 * 1024
HERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}


def _a_number(_ctx: click.Context, _param: click.Parameter, seconds: float) -> float:
    if math.isnan(seconds):
        raise click.BadParameter("nan is not a number of seconds.")
    return seconds


PLACE_FLAGS: list[click.Parameter] = [
    click.Option(["--listen"], metavar="ADDRESS", help="Where the proxy listens; as it was given to the proxy."),
    click.Option(["--config"], metavar="FILE", help="The file that the proxy reads."),
    click.Option(
        ["--timeout"],
        metavar="SECONDS",
        type=click.FloatRange(0.001, 3600),
        callback=_a_number,
        default=3.0,
        help="Longest wait.",
        show_default=True,
    ),
]


def find_listen(listen: str | None, config: str | None) -> Listen:
    """Where the running proxy listens, found as the proxy itself finds it. Raises SettingsError."""
    if not config and not os.environ.get("FAILOVER_CONFIG"):
        text = listen or os.environ.get("FAILOVER_LISTEN") or os.environ.get("PORT") or DEFAULT_LISTEN
        with suppress(ValueError):  # what is wrong with it is told below
            return parse_listen(text)
    from failover.settings.sources import load_listen  # noqa: PLC0415 - 100 ms that the usual case does not need

    return load_listen({key: value for key, value in (("listen", listen), ("config", config)) if value}, os.environ)


def ask(listen: Listen, path: str, timeout: float) -> tuple[int, bytes]:
    """Status and body of `GET path`, over TLS where that is spoken. Raises UnreachableError with a sentence."""
    if listen.port == 0:
        raise UnreachableError("the proxy listens on a port that the system chose; name it with --listen")
    place = Listen(HERE.get(listen.host, listen.host), listen.port)
    tls = bool(os.environ.get("FAILOVER_TLS_CERT"))
    answer = _ask(place, path, timeout, tls=tls)
    if answer[0] == 400 and not tls:  # what a port that speaks TLS says to plain HTTP
        with suppress(UnreachableError):
            return _ask(place, path, timeout, tls=True)
    return answer


def _ask(place: Listen, path: str, timeout: float, *, tls: bool) -> tuple[int, bytes]:
    request = f"GET {path} HTTP/1.0\r\nHost: {place}\r\nConnection: close\r\n\r\n".encode()
    try:
        with socket.create_connection((place.host, place.port), timeout) as connection:
            if tls:
                with _secured(connection) as secured:
                    return exchange(secured, request, timeout, str(place))
            return exchange(connection, request, timeout, str(place))
    except TimeoutError:
        raise UnreachableError(f"nothing answered on {place} within {timeout:g} seconds") from None
    except OSError as error:
        raise UnreachableError(
            f"nothing answers on {place}: {error.strerror or error}; is the proxy running, and is it there? (--listen)"
        ) from None


def _secured(connection: socket.socket) -> socket.socket:
    """Over TLS that verifies nothing: the certificate is for other names than this machine's own address."""
    import ssl  # noqa: PLC0415 - costs each health check 10 ms

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context.wrap_socket(connection)


def exchange(connection: socket.socket, request: bytes, timeout: float, name: str) -> tuple[int, bytes]:
    """Send a request of HTTP/1.0, whose answer ends where the connection does: status and body.

    Raises OSError, and UnreachableError for what is no HTTP.
    """
    deadline = time.monotonic() + timeout
    connection.sendall(request)
    raw = bytearray()
    while len(raw) < _LARGEST and (data := connection.recv(65536)):
        raw += data
        connection.settimeout(max(0.001, deadline - time.monotonic()))
    head, _, body = bytes(raw).partition(b"\r\n\r\n")
    words = head.split(b"\r\n", 1)[0].split(b" ", 2)
    if len(words) < 2 or not words[0].startswith(b"HTTP/") or not words[1].isdigit() or len(words[1]) != 3:
        raise UnreachableError(f"what answers on {name} does not speak HTTP")
    return int(words[1]), body
