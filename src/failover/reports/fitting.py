"""Messages have limits, and foreign texts have none: they are shortened, all of them alike, until the whole fits."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

Message = TypeVar("Message")

WIDTHS = (300, 200, 120, 80, 50, 30, 20)


def fitting(write: Callable[[int], Message], fits: Callable[[Message], bool]) -> Message:
    """What `write` makes of the longest foreign texts with which it fits; the shortest of all if none does."""
    message = write(WIDTHS[0])
    for width in WIDTHS[1:]:
        if fits(message):
            break
        message = write(width)
    return message


def size(message: object) -> int:
    """Bytes of the JSON, whoever writes it: no encoder makes more of it than one that escapes all beyond ASCII."""
    return len(json.dumps(message))


def units(text: str) -> int:
    """UTF-16 code units. Never less than code points: who counts either of them counts no more than this."""
    return len(text.encode("utf-16-le", "surrogatepass")) // 2
