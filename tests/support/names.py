"""Names of a test's own: files that only one program sees, and a name server that says what it is told to."""

from __future__ import annotations

import shutil
import socket
import struct
import subprocess
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Self

import pytest

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_A = 1
_SERVFAIL, _NXDOMAIN = 2, 3


def own_files(files: Mapping[str, Path]) -> list[str]:
    """A command before a command that shows it these files in place of the system's, where this system allows it."""
    script = "".join(f'mount --bind "{path}" {place} && ' for place, path in files.items()) + 'exec "$@"'
    command = ["unshare", "--mount", "sh", "-c", script, "sh"]
    if (
        shutil.which("unshare") is None
        or subprocess.run([*command, "true"], capture_output=True, check=False).returncode
    ):
        pytest.skip("needs a mount namespace of its own: run as root on Linux")
    return command


class NameServer:
    """Listens on port 53 of an address of this machine. `answer` is a tuple of IPv4 addresses; or `nxdomain`,
    `servfail`, `garbage` or `silence`. `asked` counts.
    """

    def __init__(self, address: str = "127.0.0.77") -> None:
        self.answer: tuple[str, ...] | str = "servfail"
        self.address = address
        self.asked = 0
        self._closed = False
        self._sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            self._sock.bind((address, 53))
        except OSError as error:
            self._sock.close()
            pytest.skip(f"needs port 53 of {address}: {error}")
        threading.Thread(target=self._serve, daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._closed = True
        with suppress(OSError):
            self._sock.shutdown(socket.SHUT_RDWR)
        self._sock.close()

    def _serve(self) -> None:
        with suppress(OSError):  # it is closed
            while not self._closed:
                query, client = self._sock.recvfrom(4096)
                if len(query) < 17:
                    continue
                self.asked += 1
                if self.answer != "silence":
                    self._sock.sendto(self._reply(query), client)

    def _reply(self, query: bytes) -> bytes:
        end = query.index(b"\0", 12) + 5
        question = query[12:end]
        kind = struct.unpack("!H", question[-4:-2])[0]
        answer, code = self.answer, 0
        if answer == "garbage":
            return query[:2] + b"\x81\x80" + bytes(range(1, 200))
        if isinstance(answer, str):
            answer, code = (), _NXDOMAIN if answer == "nxdomain" else _SERVFAIL
        records = [
            b"\xc0\x0c" + struct.pack("!HHIH", _A, 1, 0, 4) + socket.inet_aton(one) for one in answer if kind == _A
        ]
        head = query[:2] + struct.pack("!HHHHH", 0x8180 | code, 1, len(records), 0, 0)
        return head + question + b"".join(records)
