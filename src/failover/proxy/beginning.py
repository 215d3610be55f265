"""A request's head that comes in pieces: each of its bytes is looked at once, however small the pieces are. Pure."""

from __future__ import annotations

import re

from failover.proxy.fields import Malformed
from failover.proxy.wire import MAX_FIELDS, MAX_HEAD, check_beginning, too_large, too_many

_BARE_NEWLINE = re.compile(rb"(?<!\r)\n|\r(?!\n|\Z)")
_MOST_LINES = MAX_FIELDS + 2  # the request line, and the empty one at the end


class Beginning:
    """What has come of a head, whose end has not."""

    __slots__ = ("_in_line", "_lines", "data")

    def __init__(self) -> None:
        self.data = bytearray()
        self._lines = 0
        self._in_line = True

    def add(self, piece: bytes) -> bool:
        """True when the end of the head is here. Raises Malformed as soon as nothing that follows could mend it."""
        data = self.data
        before = len(data)
        data += piece
        if self._in_line:
            start = data.find(b"\r\n", max(before - 1, 0))
            check_beginning(bytes(data[: max(start, 1)]), start)
            self._in_line = start < 0
        if data.find(b"\r\n\r\n", max(before - 3, 0)) >= 0:
            return True
        if len(data) > MAX_HEAD:
            raise too_large()
        self._lines += piece.count(b"\n")
        if self._lines >= _MOST_LINES:
            raise too_many()
        if _BARE_NEWLINE.search(data, max(before - 1, 0)):
            raise Malformed(400, "Lines end in CR LF.")
        return False
