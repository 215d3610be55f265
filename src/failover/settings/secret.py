"""Keeping secrets out of what people and machines read: masks for addresses and for whatever holds them.

A secret is a user and password in an address, the value of a query, and the whole path of a webhook.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, unquote, urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterable

MASK = "***"
_KEPT_TAIL = 4
_SHORTEST_SECRET = 8
_NO_SECRETS = frozenset({"services", "triggers", "webhooks", "workflows"})

_ADDRESS = re.compile(r"\b([A-Za-z][A-Za-z0-9+.-]{0,30}://)([^\s\"'<>]+)")
_USERINFO = re.compile(r"^[^/?#]*@")
_QUERY_VALUE = re.compile(r"=[^&#]*")
_WRONG_USER = re.compile(r"^([^:/?#]*://)?.*@", re.DOTALL)  # up to the last @: a password may have anything in it
_WRONG_QUERY = re.compile(r"\?.+", re.DOTALL)
_PATH_WITH_QUERY = re.compile(r"^(/[^\s?]*)\?(\S*)$")

# Addresses that let whoever knows them write into somebody's channel.
_WEBHOOK = re.compile(
    r"^(hooks\.slack(-gov)?\.com/(services|workflows|triggers)"
    r"|((ptb|canary)\.)?discord(app)?\.com/api(/v\d+)?/webhooks"
    r"|[a-z0-9.-]+\.webhook\.office\.com/|[a-z0-9.-]+\.logic\.azure\.com(:\d+)?/|[a-z0-9.-]+\.api\.powerplatform\.com(:\d+)?/"
    r"|api\.telegram\.org/bot)",
    re.IGNORECASE,
)


def mask_webhook(url: str) -> str:
    """The host and the last four characters: enough to know which one it is, too little to use it."""
    scheme, mark, rest = url.partition("://")
    if not mark:
        return MASK
    if scheme.lower() not in {"http", "https"}:  # the credentials of other schemes may stand anywhere
        return f"{scheme}://{MASK}"
    authority, slash, path = _USERINFO.sub("", rest).partition("/")
    tail = path[-_KEPT_TAIL:] if len(path) > 3 * _KEPT_TAIL else ""
    return (
        f"{scheme}://{authority.partition('?')[0]}{slash}…{tail}"
        if path
        else f"{scheme}://{authority.partition('?')[0]}"
    )


def mask_text(text: str) -> str:
    """The text with the secrets of every address in it masked."""
    if "://" in text:
        text = _ADDRESS.sub(_mask_address, text)
    found = _PATH_WITH_QUERY.match(text)
    return f"{found[1]}?{_mask_query(found[2])}" if found else text


def _mask_address(found: re.Match[str]) -> str:
    scheme, rest = found[1], found[2]
    bare = _USERINFO.sub("", rest)
    if _WEBHOOK.match(bare):
        return mask_webhook(scheme + bare)
    place, mark, query = bare.partition("?")
    user = f"{MASK}@" if bare != rest else ""
    return f"{scheme}{user}{place}{mark}{_mask_query(query)}"


def _mask_query(query: str) -> str:
    masked = _QUERY_VALUE.sub(f"={MASK}", query)
    return masked if "=" in masked or not query else MASK


def mask_wrong(text: str) -> str:
    """What was meant for an address, or a path, and is none: without what may be a password or a key in it."""
    return _WRONG_QUERY.sub("?***", _WRONG_USER.sub(r"\g<1>***@", text))


def secrets_in(url: str) -> list[str]:
    """Every part of a webhook's address that somebody could use."""
    parts = urlsplit(url)
    found = [url, parts.path, parts.query, parts.username or "", parts.password or ""]
    found += re.split(r"[/:@?&=]", url.partition("://")[2] if parts.scheme not in {"http", "https"} else parts.path)
    return [*found, *(value for _, value in parse_qsl(parts.query))]


def maskable(secrets: Iterable[str]) -> list[str]:
    """Those that can be masked in any text without spoiling it, the longest first; written with and without %."""
    both = {way for one in secrets for way in (one, unquote(one))}
    return sorted(
        (one for one in both if len(one) >= _SHORTEST_SECRET and one not in _NO_SECRETS), key=len, reverse=True
    )
