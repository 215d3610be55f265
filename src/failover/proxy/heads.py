"""Heads as they leave us: what a target is told of a request, and a client of an answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from failover.core.headers import rewrite_cookie, rewrite_refresh
from failover.proxy.fields import CHUNKED, RequestHead, ResponseHead
from failover.proxy.wire import without_fields

if TYPE_CHECKING:
    from failover.proxy.client import Client
    from failover.proxy.pool import Pool

_PRIVATE = frozenset((b"cookie", b"authorization"))
_CACHING = frozenset((b"cache-control", b"expires"))
_MISSES = frozenset((403, 404))
_RENAMED = frozenset((b"set-cookie", b"location", b"content-location", b"refresh"))


def for_target(head: RequestHead, pool: Pool, client: Client) -> bytes:
    """The request head as this target gets it. A static backup gets nobody's secrets."""
    lines = head.lines
    if pool.marks is not None:
        lines = pool.marks.off_request(lines)
    if pool.static:
        lines = without_fields(lines, _PRIVATE)
    if pool.authorization and (pool.static or not head.field(b"authorization")):
        lines = [*lines, b"Authorization: " + pool.authorization]
    if head.length == CHUNKED:
        lines = [*lines, b"Transfer-Encoding: chunked"]
    if head.upgrade:
        lines = [*lines, b"Connection: upgrade", b"Upgrade: " + head.upgrade]
    return b"".join(
        (
            head.method,
            b" ",
            b"" if head.target == b"*" else pool.base_path,
            head.target,
            b" HTTP/1.1\r\nHost: ",
            pool.host or head.host or pool.authority,
            b"\r\n",
            b"\r\n".join(lines),
            b"\r\n" if lines else b"",
            client.forwarding(head),
            b"\r\n\r\n",
        )
    )


def for_client(
    head: ResponseHead,
    pool: Pool,
    request: RequestHead,
    client: Client,
    *,
    rescued: bytes,
    closing: bool,
) -> bytes:
    """The response head as the client gets it; `rescued` completes our member of Proxy-Status (RFC 9209)."""
    lines = head.lines
    if head.may_name_target or pool.hides:
        scheme, host = client.scheme(request), client.host(request)
        lines = [_renamed(line, pool, scheme, host) for line in lines]
    if pool.marks is not None:
        lines = pool.marks.on_answer(lines)
    if pool.static:
        lines = [line for line in lines if line[:11].lower() != b"set-cookie:"]
        if head.status in _MISSES or _is_page(lines):
            # A stand-in page, or its absence, must not outlive the outage in anybody's cache.
            lines = [*without_fields(lines, _CACHING), b"Cache-Control: no-store"]
    if closing:
        end = b"\r\nConnection: close\r\n\r\n"
    elif request.http10:
        end = b"\r\nConnection: keep-alive\r\n\r\n"
    else:
        end = b"\r\n\r\n"
    return b"".join((b"\r\n".join(lines), b"\r\n", pool.answer_lines, rescued, end))


def _is_page(lines: list[bytes]) -> bool:
    for line in lines:
        name, _, value = line.partition(b":")
        if name.lower() == b"content-type":
            return value.strip().lower().startswith(b"text/html")
    return False


def _renamed(line: bytes, pool: Pool, scheme: bytes, host: bytes) -> bytes:
    """A line whose field may name the target, told in the public site's terms."""
    name, _, value = line.partition(b":")
    kind = name.lower()
    if kind not in _RENAMED:
        return line
    value = value.strip(b" \t")
    if kind == b"set-cookie":
        value = rewrite_cookie(value, pool.target, host)
    elif kind == b"refresh":
        value = rewrite_refresh(value, lambda url: pool.rewrite(url, scheme, host))
    else:
        value = pool.rewrite(value, scheme, host)
    return name + b": " + value
