"""A request's body on its way up: framed for its target, and kept beside, so that it can be sent again."""

from __future__ import annotations

from failover.proxy.chunked import frame, last_chunk
from failover.proxy.fields import CHUNKED

KEPT = 64 * 1024
"""Body bytes kept beside. While no target is connected the client waits beyond them; later they are let go."""


class Upload:
    """The body of one request. `at_hand` says that all of it so far is kept: it can still go to another target."""

    __slots__ = ("_chunked", "_done", "_kept", "_size", "_trailers", "at_hand")

    def __init__(self, length: int) -> None:
        self._chunked = length == CHUNKED
        self._done = False
        self._kept: list[bytes] = []
        self._size = 0
        self._trailers = b""
        self.at_hand = True

    @property
    def kept_bytes(self) -> int:
        return self._size if self.at_hand else 0

    def keep(self, pieces: list[bytes]) -> bool:
        """Keep bytes for a target to come. False when that is enough for now."""
        self._kept += pieces
        self._size += sum(map(len, pieces))
        return self._size < KEPT

    def send(self, pieces: list[bytes]) -> bytes:
        """The bytes as they go to the target; kept as long as there is room."""
        if self.at_hand and not self.keep(pieces):
            self.at_hand = False
            self._kept = []
        return self._frame(pieces)

    def end(self, trailers: bytes) -> bytes:
        """The body is complete: what is to be sent behind it."""
        self._done = True
        self._trailers = trailers
        return last_chunk(trailers) if self._chunked else b""

    def so_far(self) -> bytes:
        """All that has come yet, as it goes to a target that is asked now."""
        data = self._frame(self._kept) if self._kept else b""
        return data + last_chunk(self._trailers) if self._done and self._chunked else data

    def _frame(self, pieces: list[bytes]) -> bytes:
        return frame(pieces) if self._chunked else b"".join(pieces)
