"""Bytes on real sockets: an origin that is scripted to the byte, and a client that says exactly what a test says."""

from __future__ import annotations

import contextlib
import socket
import threading
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Callable

PATIENCE = 20.0


class Wire:
    """One connection; `read_*` fail after PATIENCE instead of hanging a test."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.sock.settimeout(PATIENCE)
        self.buffer = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def send(self, *parts: bytes) -> None:
        for part in parts:
            self.sock.sendall(part)

    def _more(self) -> bool:
        data = self.sock.recv(65536)
        self.buffer += data
        return bool(data)

    def read_until(self, mark: bytes) -> bytes:
        while mark not in self.buffer:
            if not self._more():
                raise EOFError(f"closed before {mark!r}; got {self.buffer!r}")
        head, _, self.buffer = self.buffer.partition(mark)
        return head + mark

    def read_exactly(self, size: int) -> bytes:
        while len(self.buffer) < size:
            if not self._more():
                raise EOFError(f"closed after {len(self.buffer)} of {size} bytes")
        out, self.buffer = self.buffer[:size], self.buffer[size:]
        return out

    def read_head(self) -> bytes:
        return self.read_until(b"\r\n\r\n")

    def read_answer(self) -> tuple[bytes, bytes]:
        """A head and its body by Content-Length or chunks (raw)."""
        head = self.read_head()
        lower = head.lower()
        if b"content-length:" in lower:
            size = int(lower.split(b"content-length:")[1].split(b"\r\n")[0])
            return head, self.read_exactly(size)
        if b"transfer-encoding: chunked" in lower:
            return head, self.read_until(b"0\r\n\r\n")
        return head, b""

    def read_all(self) -> bytes:
        """Everything up to the end of the connection; raises ConnectionResetError when it is reset."""
        while self._more():
            pass
        out, self.buffer = self.buffer, b""
        return out

    def is_closed(self) -> bool:
        """Waits for the other end to close; False when it sends more instead."""
        try:
            return not self._more()
        except ConnectionResetError:
            return True

    def reset(self) -> None:
        """Close with a reset instead of a goodbye."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
        self.sock.close()

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self.sock.close()


def dial(port: int) -> Wire:
    return Wire(socket.create_connection(("127.0.0.1", port), PATIENCE))


def ok(body: bytes = b"ok", extra: bytes = b"") -> bytes:
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n%b\r\n%b" % (len(body), extra, body)


class RawOrigin:
    """An origin whose `script(wire, head)` is called for each request head, in a thread for each connection.

    Probes are answered 200 and not given to the script. `heads` keeps what the script was asked, `probed`
    is set by each probe. `tls` makes a secured socket of a plain one.
    """

    def __init__(
        self, script: Callable[[Wire, bytes], None] | None = None, tls: Callable[[socket.socket], Any] | None = None
    ) -> None:
        self.script = script or (lambda wire, _head: wire.send(ok()))
        self._tls = tls
        self.heads: list[bytes] = []
        self.connections = 0
        self.probed = threading.Event()
        self.sock = socket.create_server(("127.0.0.1", 0), backlog=512)
        self._wires: list[Wire] = []
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def port(self) -> int:
        return self.sock.getsockname()[1]

    @property
    def url(self) -> str:
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                sock, _ = self.sock.accept()
                wire = Wire(sock)
                self._wires.append(wire)
                threading.Thread(target=self._serve, args=(wire,), daemon=True).start()

    def _serve(self, wire: Wire) -> None:
        wire.sock.settimeout(None)
        with wire, contextlib.suppress(OSError, EOFError):
            if self._tls is not None:
                wire.sock = self._tls(wire.sock)
            while True:
                head = wire.read_head()
                if b"(health check)" in head:
                    wire.send(ok())
                    self.probed.set()
                    continue
                self.connections += 1
                self.heads.append(head)
                self.script(wire, head)

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self.sock.shutdown(socket.SHUT_RDWR)
        self.sock.close()
        for wire in self._wires:
            with contextlib.suppress(OSError):
                wire.sock.shutdown(socket.SHUT_RDWR)
            wire.close()


def push(wire: Wire, data: bytes = bytes(65536)) -> None:
    """Send until the other end has had enough."""
    with contextlib.suppress(OSError):
        while True:
            wire.send(data)


def answer_while_pushing(port: int, length: int) -> bytes:
    """The head that answers an upload of this announced length, which does not stop by itself."""
    with dial(port) as client:
        client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % length)
        sender = threading.Thread(target=push, args=(client,), daemon=True)
        sender.start()
        head, _ = client.read_answer()
        with contextlib.suppress(OSError):
            client.sock.shutdown(socket.SHUT_RDWR)
        sender.join(PATIENCE)
        return head
