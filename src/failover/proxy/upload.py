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

_MOST_PIECES = 64
_MOST_SPILLED = 1 << 30


class Room:
    """What is set aside of it for one body."""

    __slots__ = ("_size", "_spills")

    def __init__(self, spills: Spills, size: int) -> None:
        self._spills = spills
        self._size = size

    def give_back(self) -> None:
        self._spills.left += self._size


class Spills:
    """The room for the files of all bodies that one worker keeps: its part of 1 GiB, or one body of `max_body` bytes
    where that is more.
    """

    def __init__(self, max_body: int, workers: int) -> None:
        self._max_body = max_body
        self.left = max(_MOST_SPILLED // workers, max_body)

    def take(self, length: int) -> Room | None:
        """Room for a body of this length, if there is any."""
        wanted = self._max_body if length == CHUNKED else length
        if wanted > self.left:
            return None
        self.left -= wanted
        return Room(self, wanted)


class Upload:
    """The body of one request. `at_hand` says that all of it so far is kept: it can still go to another target.

    `take` is asked once, when memory is not enough: for room on the disk, or None where there is none, or where the
    request may not be repeated anyway. `behind` says that the present target has not been sent all that is kept: `more`
    gives the next piece. `lost` says that some of it cannot be given any more.
    """

    __slots__ = (
        "_chunked",
        "_done",
        "_file",
        "_kept",
        "_room",
        "_sent",
        "_size",
        "_take",
        "_trailers",
        "at_hand",
        "lost",
    )

    _room: Room  # of the file

    def __init__(self, length: int, take: Callable[[], Room | None]) -> None:
        self._chunked = length == CHUNKED
        self._take = take
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
        self.lost = not self._keep(pieces)
        return self._size < KEPT

    def _keep(self, pieces: list[bytes]) -> bool:
        """False where they could not be kept."""
        self._size += sum(map(len, pieces))
        if self._file is None:
            self._kept += pieces
            if len(self._kept) > _MOST_PIECES:
                self._kept = [b"".join(self._kept)]  # small ones would hold many times their size
            return self.at_hand
        return self._spill(pieces)

    def send(self, pieces: list[bytes]) -> bytes:
        """The bytes as they go to the target; kept beside as long as they may be wanted again.

        Nothing while the target is behind: these bytes have their turn after those before them.
        """
        if not self.at_hand:
            return self._frame(pieces)
        behind = self.behind
        kept = self._keep(pieces)
        if kept and self._size >= KEPT and self._file is None:
            self._begin_spill()
        if behind:
            self.lost = not kept  # they were to be sent from there
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
        try:
            self._file.seek(self._sent)
            piece = self._file.read(_PIECE)
        except OSError:
            piece = b""
        if not piece and self.behind:
            self.lost = True
            self.close()
            return b""
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
            self._room.give_back()

    def _begin_spill(self) -> None:
        room = self._take()
        if room is None:
            self.close()
            return
        kept, self._kept = self._kept, []
        try:
            self._file = tempfile.TemporaryFile(buffering=0, prefix="failover-")  # noqa: SIM115 - closed with the exchange
        except OSError:
            room.give_back()
            self.close()
            return
        self._room = room
        self._spill(kept)

    def _spill(self, pieces: list[bytes]) -> bool:
        """Append to the file. Where it does not take all, nothing of it is sent again."""
        file = self._file
        if file is None:
            return False
        try:
            file.seek(0, 2)
            for piece in pieces:
                if file.write(piece) != len(piece):
                    raise OSError("no room")  # noqa: TRY301 - as the write itself would have said a moment later
        except OSError:
            self.close()
            return False
        return True

    def _frame(self, pieces: list[bytes]) -> bytes:
        return frame(pieces) if self._chunked else b"".join(pieces)
