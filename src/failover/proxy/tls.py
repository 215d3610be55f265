"""TLS on one connection, to a target or from a client: a protocol below, and a transport above, with OpenSSL between.

uvloop has its own; it asks OpenSSL once more than needed after each record, and the answer, an exception, costs a small
request more than the ciphers do (bench/experiments/tls.md). Closing differs as well: here each direction ends by
itself, as over TCP (RFC 8446 section 6.1), so that an answer is never cut off by a close behind it.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

_RECORD = 16 * 1024
"""Bytes that OpenSSL gives at a time: what a record holds at most."""

_PIECE = 64 * 1024
"""Bytes that it is given at a time: its buffers keep for good the size of the largest."""


class Tls(asyncio.Transport, asyncio.Protocol):
    """One connection. `app` is the protocol above: it is told of the connection when it is made, before the handshake,
    and must not write before it. `ready` is called once, with None or with what the handshake failed of. `plainly` is
    the answer to a client that speaks plain HTTP.
    """

    __slots__ = (
        "_app",
        "_ended",
        "_error",
        "_incoming",
        "_kept",
        "_outgoing",
        "_plainly",
        "_raw",
        "_ready",
        "_ssl",
        "_up",
    )

    _raw: asyncio.Transport

    def __init__(
        self,
        app: asyncio.Protocol,
        context: ssl.SSLContext,
        ready: Callable[[Exception | None], None],
        *,
        server_side: bool = False,
        server_hostname: str | None = None,
        plainly: bytes = b"",
    ) -> None:
        self._app = app
        self._ready = ready
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._ssl = context.wrap_bio(
            self._incoming, self._outgoing, server_side=server_side, server_hostname=server_hostname
        )
        self._plainly = plainly
        self._up = False
        self._ended = False  # we have said that no more comes from us
        self._kept: bool | None = None  # the other side has, and whether the connection is wanted all the same
        self._error: Exception | None = None

    # -- called by the event loop

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._raw = transport  # type: ignore[assignment]  # a stream socket gives a stream transport
        self._app.connection_made(self)
        self._shake()

    def data_received(self, data: bytes | memoryview) -> None:
        if len(data) > _PIECE:
            for piece in _pieces(data):
                if not self._raw.is_closing():
                    self.data_received(piece)
            return
        self._incoming.write(data)
        if not self._up and not (self._shake() and self._incoming.pending):
            return
        try:
            plain = self._ssl.read(_RECORD)
        except ssl.SSLWantReadError:
            plain = None  # a part of a record, or a message of the protocol's own
        except ssl.SSLZeroReturnError:
            plain = b""  # its end, after ours
        except ssl.SSLError as error:
            self._fail(error)
            return
        if self._outgoing.pending and not self._ended:
            self._flush()
        if not plain:
            if plain is not None:
                self._eof()
        elif self._incoming.pending or self._ssl.pending():
            self._read_on(plain)
        else:
            self._app.data_received(plain)

    def _read_on(self, first: bytes) -> None:
        """What came is more than one record."""
        pieces = [first]
        error = None
        over = False
        try:
            while not over and (self._incoming.pending or self._ssl.pending()):
                pieces.append(self._ssl.read(_RECORD))
                over = not pieces[-1]
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLZeroReturnError:
            over = True
        except ssl.SSLError as wrong:
            error = wrong
        self._app.data_received(b"".join(pieces))
        if error is not None:
            self._fail(error)
        elif over:
            self._eof()

    def eof_received(self) -> bool:
        return self._eof()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self._up:
            self._answer(self._error or exc or ConnectionResetError("closed in the handshake"))
        self._app.connection_lost(self._error or exc)
        # It and its app know each other, so it is freed when the collector comes by, which knows nothing of the 30 kB
        # that OpenSSL has for each connection: those go now.
        self._ended = True
        del self._ssl, self._incoming, self._outgoing

    def pause_writing(self) -> None:
        self._app.pause_writing()

    def resume_writing(self) -> None:
        self._app.resume_writing()

    # -- the handshake, and the ends

    def _shake(self) -> bool:
        """Get on with the handshake. True when it is done."""
        try:
            self._ssl.do_handshake()
        except ssl.SSLWantReadError:
            self._flush()
        except ssl.SSLError as error:
            alert = self._outgoing.read()
            self._raw.write(self._plainly if error.reason == "HTTP_REQUEST" else alert)
            self._fail(error)
        else:
            self._up = True
            self._flush()
            self._answer(None)
        return self._up

    def _answer(self, error: Exception | None) -> None:
        ready, self._ready = self._ready, _nobody
        ready(error)

    def _eof(self) -> bool:
        """The other side sends no more; said by TLS, by TCP, or by one after the other."""
        if self._kept is None:
            self._kept = self._up and bool(self._app.eof_received())
        if not self._kept:
            self.close()
        return self._kept

    def _fail(self, error: Exception) -> None:
        self._error = error
        self._ended = True
        self._raw.close()

    def _flush(self) -> None:
        if not self._raw.is_closing():
            self._raw.write(self._outgoing.read())

    # -- the transport

    def write(self, data: bytes | bytearray | memoryview) -> None:
        if not data or not self._up or self._ended:
            return
        if len(data) <= _PIECE:
            self._ssl.write(data)
            self._raw.write(self._outgoing.read())
            return
        records = []
        for piece in _pieces(data):
            self._ssl.write(piece)
            records.append(self._outgoing.read())
        self._raw.writelines(records)

    def writelines(self, list_of_data: Iterable[Any]) -> None:
        self.write(b"".join(list_of_data))

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        self._say_goodbye()
        self._raw.write_eof()

    def close(self) -> None:
        if not self._raw.is_closing():
            self._say_goodbye()
            self._raw.close()

    def abort(self) -> None:
        self._ended = True
        self._raw.abort()

    def _say_goodbye(self) -> None:
        if self._ended:
            return
        self._ended = True
        if self._up:
            with contextlib.suppress(ssl.SSLError):  # it wants to read the other side's goodbye; nobody waits for it
                self._ssl.unwrap()
            self._flush()

    def is_closing(self) -> bool:
        return self._raw.is_closing()

    def pause_reading(self) -> None:
        self._raw.pause_reading()

    def resume_reading(self) -> None:
        self._raw.resume_reading()

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        self._raw.set_write_buffer_limits(high, low)

    def get_write_buffer_size(self) -> int:
        return self._raw.get_write_buffer_size()

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        if name == "ssl_object":
            return getattr(self, "_ssl", default)
        return self._raw.get_extra_info(name, default)

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self._app = protocol  # type: ignore[assignment]  # a tunnel's end, which reads a stream

    def get_protocol(self) -> asyncio.BaseProtocol:
        return self._app


def _pieces(data: bytes | bytearray | memoryview) -> list[memoryview]:
    whole = memoryview(data)
    return [whole[start : start + _PIECE] for start in range(0, len(whole), _PIECE)]


def _nobody(_error: Exception | None) -> None:
    """It was told already."""
