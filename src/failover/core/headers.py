"""Header rules of a proxy: what stays on one hop, and what names a target and must name the public site instead.

Pure. Values are bytes as they stood on the wire, already known to be well-formed.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from failover.core.model import Target

_INTERNAL_NAME = re.compile(r"(^|\.)(local|localhost|internal|intranet|lan|home|corp|svc|cluster\.local|test)$")
_ADDRESS = re.compile(r"[0-9.]+|.*:.*")
_COOKIE_DOMAIN = re.compile(rb";[ \t]*domain[ \t]*=[ \t]*\.?([^;\s]*)[ \t]*", re.IGNORECASE)
_COOKIE_PATH = re.compile(rb"(;[ \t]*path[ \t]*=[ \t]*)([^;\s]*)", re.IGNORECASE)
_REFRESH = re.compile(rb"(?i)[ \t]*(?:[0-9.]+[ \t]*)?[;,][ \t]*url[ \t]*=[ \t]*[\"']?")


def host_to_send(target: Target, mode: str) -> str | None:
    """The Host header that a target gets, or None for the client's own (spec section 6, `--host`).

    With `auto`, a public name is told itself, because platforms and buckets route by it; an address, `localhost` and
    an internal name are told the client's, because the app behind them makes its links from it.
    """
    if mode == "client":
        return None
    if mode == "target":
        return target.authority
    if mode != "auto":
        return mode
    return None if is_internal(target.host) else target.authority


def is_internal(host: str) -> bool:
    """True for what no public name server knows: an address, a bare name, a name under a private suffix."""
    return bool(_ADDRESS.fullmatch(host)) or "." not in host or bool(_INTERNAL_NAME.search(host))


def location_rewriter(target: Target) -> Callable[[bytes, bytes, bytes], bytes]:
    """A function `(value, public scheme, public host) -> value` for Location and Content-Location of this target.

    An absolute address of the target becomes the public one; the target's base path, which clients never see, is
    taken off. Everything else stays as it is.
    """
    host = target.host if ":" not in target.host else f"[{target.host}]"
    own = re.compile(
        rb"(?i)^(?:https?:)?//" + re.escape(host.encode()) + rb"(?::(\d+))?(?=[/?#]|$)(.*)$",
    )
    port = str(target.port).encode()
    base = target.base_path.encode()

    def strip_base(path: bytes) -> bytes:
        if base and (path == base or path.startswith((base + b"/", base + b"?", base + b"#"))):
            path = path[len(base) :]
            return path if path.startswith(b"/") else b"/" + path
        return path

    def rewrite(value: bytes, scheme: bytes, public_host: bytes) -> bytes:
        if value.startswith(b"/") and not value.startswith(b"//"):
            return strip_base(value)
        match = own.match(value)
        # A name without a port is this target's whichever of the two schemes it is written with.
        if match is None or not public_host or (match[1] is not None and match[1] != port):
            return value
        return scheme + b"://" + public_host + strip_base(match[2])

    return rewrite


def rewrite_refresh(value: bytes, rewrite: Callable[[bytes], bytes]) -> bytes:
    """`Refresh: 5; url=…` with its address rewritten."""
    match = _REFRESH.match(value)
    if match is None:
        return value
    url = value[match.end() :].rstrip(b" \t")
    url = url[:-1] if url.endswith((b'"', b"'")) else url
    return match[0] + rewrite(url) + value[match.end() + len(url) :]


def rewrite_cookie(value: bytes, target: Target, public_host: bytes) -> bytes:
    """A Set-Cookie value whose Domain or Path names the target, in the public site's terms (RFC 6265 section 5.2.3)."""
    match = _COOKIE_DOMAIN.search(value)
    if match is not None:
        domain = match[1].lower()
        host = target.host.encode()
        public = public_host.lower().rsplit(b":", 1)[0] if not public_host.endswith(b"]") else public_host
        names_target = domain == host or host.endswith(b"." + domain)
        fits_public = public == domain or public.endswith(b"." + domain)
        if names_target and not fits_public:
            # A bare name or an address as Domain is refused by browsers: without one the cookie is this host's own.
            usable = b"." in public and not _ADDRESS.fullmatch(public.decode("latin-1"))
            value = value[: match.start()] + (b"; Domain=" + public if usable else b"") + value[match.end() :]
    base = target.base_path.encode()
    if base:
        path = _COOKIE_PATH.search(value)
        if path is not None and (path[2] == base or path[2].startswith(base + b"/")):
            value = value[: path.start(2)] + (path[2][len(base) :] or b"/") + value[path.end() :]
    return value
