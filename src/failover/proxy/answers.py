"""Answers of our own, and what we add to others': errors as problem+json or a page, and Proxy-Status."""

from __future__ import annotations

import functools
import html
import json
from http import HTTPStatus
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from failover.core.model import ErrorType
    from failover.faults import Fault

RETRY_AFTER_S = 5
"""What a client is told to wait before it comes back after a 503 or 429."""

_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{title}</title>
<style>body{{font:1.1rem/1.5 system-ui,sans-serif;max-width:34rem;margin:20vh auto;padding:0 1rem;color:#222}}
small{{color:#666}}@media(prefers-color-scheme:dark){{body{{background:#161616;color:#ddd}}small{{color:#999}}}}</style>
</head><body><h1>{title}</h1><p>{text}</p><p><small>{status}{reference}</small></p></body></html>
"""
_FRIENDLY = {502: "Bad answer", 503: "Back in a moment", 504: "No answer in time"}


def error(
    status: int,
    text: str,
    *,
    accept: bytes,
    request_id: bytes,
    proxy_status: bytes,
    closing: bool,
    body: bool,
    extra: list[bytes],
) -> bytes:
    """A whole error answer: a page for who accepts one, problem+json (RFC 9457) for everybody else; never cached."""
    phrase = HTTPStatus(status).phrase
    reference = request_id.decode("latin-1")
    if b"text/html" in accept.lower():
        kind = b"text/html; charset=utf-8"
        content = _PAGE.format(
            title=html.escape(_FRIENDLY.get(status, phrase)),
            text=html.escape(text),
            status=status,
            reference=html.escape(f" · {reference}" if reference else ""),
        ).encode()
    else:
        kind = b"application/problem+json"
        problem = {"type": "about:blank", "title": phrase, "status": status, "detail": text}
        if reference:
            problem["instance"] = f"urn:request:{reference}"
        content = json.dumps(problem).encode()
    lines = [
        b"HTTP/1.1 %d %b" % (status, phrase.encode()),
        b"Content-Type: " + kind,
        b"Content-Length: %d" % len(content),
        b"Cache-Control: no-store",
    ]
    if proxy_status:
        lines.append(b"Proxy-Status: " + proxy_status)
    if status in (429, 503):
        lines.append(b"Retry-After: %d" % RETRY_AFTER_S)
    if status == 405:
        lines.append(b"Allow: GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS")
    lines += extra
    if closing:
        lines.append(b"Connection: close")
    return b"\r\n".join([*lines, b"", content if body else b""])


@functools.lru_cache(maxsize=64)
def refusal(status: int, text: str) -> bytes:
    """The answer to what is no request. A flood of those must cost little."""
    return error(status, text, accept=b"", request_id=b"", proxy_status=b"", closing=True, body=True, extra=[])


def simple(
    status: int, content: bytes, kind: bytes, *, closing: bool, body: bool, extra: tuple[bytes, ...] = ()
) -> bytes:
    """A whole answer with the given content; never cached."""
    lines = [
        b"HTTP/1.1 %d %b" % (status, HTTPStatus(status).phrase.encode()),
        b"Content-Type: " + kind,
        b"Content-Length: %d" % len(content),
        b"Cache-Control: no-store",
        *extra,
    ]
    if closing:
        lines.append(b"Connection: close")
    return b"\r\n".join([*lines, b"", content if body else b""])


def bare(status: int, lines: list[bytes], *, closing: bool) -> bytes:
    """A whole answer without a body."""
    first = b"HTTP/1.1 %d %b" % (status, HTTPStatus(status).phrase.encode())
    return b"\r\n".join([first, *lines, *([b"Connection: close"] if closing else []), b"", b""])


def proxy_status(error_type: ErrorType | None, alias: str | None) -> bytes:
    """Our member of Proxy-Status (RFC 9209) on an answer of our own: what failed, by alias, never by address."""
    out = "failover"
    if error_type is not None:
        out += f"; error={error_type}"
    if alias is not None:
        out += f"; next-hop={alias}"
    return out.encode()


def rescued_from(failed: tuple[str, Fault] | None) -> bytes:
    """What completes our member of Proxy-Status when another target than the first one answered."""
    if failed is None:
        return b""
    alias, fault = failed
    return f'; details="rescued from {alias}: {fault.error}"'.encode()
