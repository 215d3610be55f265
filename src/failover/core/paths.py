"""Paths as reports tell of them: many requests of one kind are one path, and nobody's id, token or address is in it."""

from __future__ import annotations

import re
from urllib.parse import quote, unquote

_SEGMENTS = 4
_LONGEST = 80
_MORE = "…"

_ORIGIN = re.compile(r"^[A-Za-z][A-Za-z0-9+.-]*://[^/?#]*")
_UNSAFE = re.compile(rf"[^!-~{_MORE}]|[\"'<>`{{}}|\\^]")

_ID = re.compile(
    r"[-+]?\d[\d.,:_+-]*"  # numbers, versions, dates, coordinates: each day and each place would be a path of its own
    r"|.*@.*"  # somebody's address
    r"|\{?[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\}?"  # UUID
    r"|(?=.*\d)[0-9a-fA-F]{8,}"
    r"|(?=.*\d)[0-9A-HJKMNP-TV-Za-hjkmnp-tv-z]{26}"  # ULID
    r"|(?=.*\d)[A-Za-z]{1,8}_[A-Za-z0-9_]{8,}"  # cus_9s6XKzkNRiz8i3
    r"|(?=.*\d)(?=.*[A-Z])(?=.*[a-z])[\w.~=-]{16,}"
    r"|(?=.*\d)[A-Za-z0-9]{20,}"
    r"|[\w.~=]{40,}",
    re.ASCII | re.DOTALL,
)
_FILE = re.compile(r"(.+)\.([A-Za-z][A-Za-z0-9]{0,5})", re.DOTALL)
_HASH = re.compile(  # in the name of a file: app.3f2a9c1b.js, index-BfX3k29a.js
    r"(?<![A-Za-z0-9%])(?=[A-Za-z]*\d)"
    r"(?:[0-9a-f]{8,}|(?=[a-z0-9]*[A-Z])(?=[A-Z0-9]*[a-z])[A-Za-z0-9]{8,})"
    r"(?![A-Za-z0-9])"
)


def folded(path: str) -> str:
    """The path without its query, ids folded to `:id`, four segments and 80 characters at most.

    Plain ASCII comes back, but for the mark of what was left out; what was folded stays as it is.
    """
    path = _ORIGIN.sub("", path).partition("?")[0].partition("#")[0]
    if path == "*":
        return path
    segments = [segment for segment in (part.partition(";")[0] for part in path.split("/")) if segment]
    kept = [_folded(segment) for segment in segments[:_SEGMENTS]]
    if len(segments) > _SEGMENTS:
        kept.append(_MORE)
    whole = "/" + "/".join(kept)
    return whole if len(whole) <= _LONGEST else whole[: _LONGEST - 1] + _MORE


def _folded(segment: str) -> str:
    plain = unquote(segment, errors="replace")
    name = None if "@" in plain else _FILE.fullmatch(segment)
    if name is None:
        return ":id" if _ID.fullmatch(plain) else _harmless(segment)
    stem = ":id" if _ID.fullmatch(unquote(name[1], errors="replace")) else _HASH.sub(":id", name[1])
    return _harmless(f"{stem}.{name[2]}")


def _harmless(text: str) -> str:
    return _UNSAFE.sub(lambda found: quote(found[0], safe="", errors="replace"), text)
