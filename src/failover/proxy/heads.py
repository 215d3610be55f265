"""Heads as they leave us: what a target is told of a request, and a client of an answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from failover.core.headers import rewrite_cookie, rewrite_refresh
from failover.proxy.fields import CHUNKED, RequestHead, ResponseHead
from failover.proxy.wire import without_fields

if TYPE_CHECKING:
    from failover.proxy.client import Client
    from failover.proxy.pool import Pool

CLOSING = b"\r\nConnection: close\r\n\r\n"
"""The end of a head after which the connection ends."""
_KEPT = 4096
"""Bytes of a request's fields that are kept for the next one; a client may be idle with them for long."""

_PRIVATE = frozenset((b"cookie", b"authorization"))
_CACHING = frozenset((b"cache-control", b"expires"))
_MISSES = frozenset((403, 404))
_RENAMED = frozenset((b"set-cookie", b"location", b"content-location", b"refresh"))


def for_target(head: RequestHead, pool: Pool, client: Client) -> bytes:
    """The request head as this target gets it. A static backup gets nobody's secrets."""
    kin = head.kin
    if kin is None or pool.marks is not None:
        told = _carried(head, pool) + client.forwarding(head)
    elif kin is client.kin:
        told = client.told
    else:
        if not kin.carried:
            kin.carried = _carried(head, pool)
        told = kin.carried + client.forwarding(head)
        if len(told) <= _KEPT:
            client.kin, client.told = kin, told
    if not head.request_id:
        head.request_id = client.new_request_id()
    path = pool.base_path + head.target if pool.base_path and head.target != b"*" else head.target
    return b"".join((head.method, b" ", path, told, head.request_id, b"\r\n\r\n"))


def _carried(head: RequestHead, pool: Pool) -> bytes:
    """What is the same for all requests with these fields: from the version on, up to what is told of the client."""
    lines = head.lines
    if pool.marks is not None:
        lines = pool.marks.off_request(lines, safe=head.safe)
    if pool.static:
        lines = without_fields(lines, _PRIVATE)
    if pool.authorization and (pool.static or not head.field(b"authorization")):
        lines = [*lines, b"Authorization: " + pool.authorization]
    if head.length == CHUNKED:
        lines = [*lines, b"Transfer-Encoding: chunked"]
    if head.upgrade:
        lines = [*lines, b"Connection: upgrade", b"Upgrade: " + head.upgrade]
    host = pool.host or head.host or pool.authority
    return b"\r\n".join((b" HTTP/1.1", b"Host: " + host, *lines, b""))


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
    if closing:
        end = CLOSING
    elif request.http10:
        end = b"\r\nConnection: keep-alive\r\n\r\n"
    else:
        end = b"\r\n\r\n"
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
    told = b"\r\n".join([*lines, pool.answer_lines])
    if pool.marks is None and lines is head.lines:
        head.carried = told
    return told + rescued + end


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
