"""A request's body on its way up: framed for its target, and kept beside, so that it can be sent again.

What is more than a little goes to a temporary file, and only where the request may be repeated at all. The file is
written as nginx writes its own, into the system's cache; where there is no room for it, the body is proxied once.
"""

from __future__ import annotations

import tempfile
from typing import TYPE_CHECKING, BinaryIO

from failover.proxy.chunked import frame, last_chunk
from failover.proxy.fields import CHUNKED

if TYPE_CHECKING:
    from collections.abc import Callable

KEPT = 64 * 1024
"""Body bytes kept in memory. While no target is connected the client waits beyond them."""

_PIECE = 256 * 1024


class Upload:
    """The body of one request. `at_hand` says that all of it so far is kept: it can still go to another target.

    `may_repeat` is asked once, when memory is not enough. `behind` says that the present target has not been sent all
    that is kept: `more` gives the next piece. `lost` says that some of it cannot be given any more.
    """

    __slots__ = ("_chunked", "_done", "_file", "_kept", "_may_repeat", "_sent", "_size", "_trailers", "at_hand", "lost")

    def __init__(self, length: int, may_repeat: Callable[[], bool]) -> None:
        self._chunked = length == CHUNKED
        self._may_repeat = may_repeat
        self._done = False
        self._kept: list[bytes] = []
        self._file: BinaryIO | None = None
        self._size = 0
        self._sent = 0
        self._trailers = b""
        self.at_hand = True
        self.lost = False

    @property
    def in_memory(self) -> bool:
        """True while all of it is at hand without a file."""
        return self.at_hand and self._file is None

    @property
    def kept_bytes(self) -> int:
        """What is kept in memory."""
        return self._size if self.in_memory else 0

    @property
    def behind(self) -> bool:
        return self._file is not None and self._sent < self._size

    def keep(self, pieces: list[bytes]) -> bool:
        """Keep bytes for a target to come. False when that is enough for now."""
        self._size += sum(map(len, pieces))
        if self._file is None:
            self._kept += pieces
        else:
            self._spill(pieces)
        return self._size < KEPT

    def send(self, pieces: list[bytes]) -> bytes:
        """The bytes as they go to the target; kept beside as long as they may be wanted again.

        Nothing while the target is behind: these bytes have their turn after those before them.
        """
        if not self.at_hand:
            return self._frame(pieces)
        behind = self.behind
        if not self.keep(pieces) and self._file is None:
            self._begin_spill()
        if behind:
            return b""
        self._sent = self._size
        return self._frame(pieces)

    def end(self, trailers: bytes) -> bytes:
        """The body is complete: what is to be sent behind it."""
        self._done = True
        self._trailers = trailers
        return last_chunk(trailers) if self._chunked and not self.behind else b""

    def so_far(self) -> bytes:
        """All that has come yet, as it goes to a target that is asked now; of a large body the beginning."""
        if self._file is not None:
            self._sent = 0
            return self.more()
        self._sent = self._size
        data = self._frame(self._kept) if self._kept else b""
        return data + last_chunk(self._trailers) if self._done and self._chunked else data

    def more(self) -> bytes:
        """The next piece for a target that is behind."""
        if self._file is None:
            return b""
        self._file.seek(self._sent)
        piece = self._file.read(_PIECE)
        self._sent += len(piece)
        data = self._frame([piece]) if piece else b""
        return data + last_chunk(self._trailers) if self._done and self._chunked and not self.behind else data

    def close(self) -> None:
        """Nobody will want it again."""
        self.at_hand = False
        self._kept = []
        if self._file is not None:
            self._file.close()
            self._file = None

    def _begin_spill(self) -> None:
        if not self._may_repeat():
            self.close()
            return
        kept, self._kept = self._kept, []
        try:
            self._file = tempfile.TemporaryFile(buffering=0, prefix="failover-")  # noqa: SIM115 - closed with the exchange
        except OSError:
            self.close()
            return
        self._spill(kept)

    def _spill(self, pieces: list[bytes]) -> None:
        """Append to the file. What it did not take is known to be missing, and nothing of it is sent again."""
        file = self._file
        if file is None:
            return
        try:
            file.seek(0, 2)
            for piece in pieces:
                if file.write(piece) != len(piece):
                    raise OSError("no room")  # noqa: TRY301 - as the write itself would have said a moment later
        except OSError:
            self.lost = self.behind
            self.close()

    def _frame(self, pieces: list[bytes]) -> bytes:
        return frame(pieces) if self._chunked else b"".join(pieces)
