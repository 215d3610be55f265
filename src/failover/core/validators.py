"""ETags and dates across targets: a validator from one target is never judged by another (spec section 6).

What a backup names is marked as its own: `"abc"` leaves as `"backup~abc"`, and comes back to that backup alone
as `"abc"`. The primary takes a marked one for what it is, an ETag that it never gave, and answers in full. Dates carry
no mark: a backup's are not passed on, and those of others are not shown to it. Pure; fields are lines as on the wire.
"""

from __future__ import annotations

import re

_ETAG = re.compile(rb'(W/)?"([^"]*)"')


class Marks:
    """The marks of one backup, known by its alias."""

    def __init__(self, alias: str) -> None:
        self._mark = alias.encode() + b"~"

    def on_answer(self, lines: list[bytes]) -> list[bytes]:
        """The lines of an answer of this backup as a client gets them."""
        out = []
        for line in lines:
            name = line.partition(b":")[0].lower()
            if name == b"etag":
                out.append(_ETAG.sub(lambda tag: (tag[1] or b"") + b'"' + self._mark + tag[2] + b'"', line))
            elif name != b"last-modified":
                out.append(line)
        return out

    def off_request(self, lines: list[bytes]) -> list[bytes]:
        """The lines of a request as this backup gets them.

        Without an If-Range of its own it is asked for the whole, never for a part of what others began (RFC 9110
        section 13.1.5). If-Match and If-Unmodified-Since of others stay: a write that they guard must not lose them.
        """
        out = []
        whole = False
        for line in lines:
            name, _, value = line.partition(b":")
            match name.lower():
                case b"if-none-match":
                    own = self._own(value)
                    if own or value.strip() == b"*":
                        out.append(name + b": " + b", ".join(own or [b"*"]))
                case b"if-range":
                    own = self._own(value)
                    whole = not own
                    if own:
                        out.append(name + b": " + own[0])
                case b"if-match":
                    out.append(line.replace(b'"' + self._mark, b'"'))
                case b"if-modified-since":
                    pass
                case _:
                    out.append(line)
        return [line for line in out if line[:6].lower() != b"range:"] if whole else out

    def _own(self, value: bytes) -> list[bytes]:
        """The ETags in a field's value that this backup has given, as it knows them."""
        return [
            (tag[1] or b"") + b'"' + tag[2].removeprefix(self._mark) + b'"'
            for tag in _ETAG.finditer(value)
            if tag[2].startswith(self._mark)
        ]
