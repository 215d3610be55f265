"""Just enough HTTP for both ends of the lab, heads as our own sides and the proxies between them write them.

It is kept apart from Failover's own parsers, so that a mistake in those cannot hide here as well.
"""

from __future__ import annotations

import os
import re
import sys
import traceback
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import asyncio

HEAD_END = b"\r\n\r\n"
_FIELDS: dict[str, re.Pattern[bytes]] = {}


def field(head: bytes, name: str) -> str | None:
    """The value of a field of that head, the first one."""
    pattern = _FIELDS.get(name)
    if pattern is None:
        pattern = _FIELDS[name] = re.compile(rb"(?i)\r\n%b:[ \t]*([^\r\n]*)" % name.encode())
    found = pattern.search(head)
    return found[1].decode("latin-1").strip() if found else None


def length(head: bytes) -> int | None:
    """The Content-Length; None where the head has none."""
    value = field(head, "Content-Length")
    return None if value is None else int(value)


def end_of_the_lab(_loop: asyncio.AbstractEventLoop, context: dict[str, object]) -> None:
    """A mistake in one of our own processes: nothing that it measures from here on is true, so it ends."""
    error = context.get("exception")
    if isinstance(error, BaseException):
        traceback.print_exception(error)
    print(context.get("message"), file=sys.stderr, flush=True)
    os._exit(3)


def closes(head: bytes) -> bool:
    """Whether the connection ends with this message."""
    said = (field(head, "Connection") or "").lower()
    first_line = head[: head.index(b"\r\n")]
    return "close" in said or (b"HTTP/1.0" in first_line and "keep-alive" not in said)
