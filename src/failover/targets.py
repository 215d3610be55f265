"""Who can answer: from an address as a person writes it to a `Target`. One kind today: origins that speak HTTP."""

from __future__ import annotations

import base64
import ipaddress
import re
from urllib.parse import quote, unquote, urlsplit

from failover.core.model import Kind, Target
from failover.settings.secret import mask_wrong

_DEFAULT_PORT = {"http": 80, "https": 443}
_NAME = re.compile(r"(?!-)[A-Za-z0-9_-]{1,63}(?<!-)(\.(?!-)[A-Za-z0-9_-]{1,63}(?<!-))*\.?")

_SHOWN = 200
_ZONE = re.compile(r"[A-Za-z0-9._~-]*")

# Hosts that serve files and nothing else. What is not listed is taken for a full second app.
_STATIC_HOSTS = re.compile(
    r"(^|\.)("
    r"s3([.-][a-z0-9-]+)*\.amazonaws\.com(\.cn)?|s3-website[.-][a-z0-9-]+\.amazonaws\.com"
    r"|storage\.googleapis\.com|[a-z0-9]+\.web\.core\.windows\.net|blob\.core\.windows\.net"
    r"|r2\.dev|r2\.cloudflarestorage\.com|backblazeb2\.com|digitaloceanspaces\.com|wasabisys\.com"
    r"|github\.io|gitlab\.io|pages\.dev|netlify\.app|surge\.sh|neocities\.org|b-cdn\.net"
    r")$",
    re.IGNORECASE,
)


def parse_target(url: str, alias: str, kind: str = "auto") -> Target:
    """Read one target's address. `kind` is `auto`, `replica` or `static`.

    Raises ValueError with a sentence that says what is wrong and what is allowed.
    """
    url = url.strip()
    text = mask_wrong(url)
    if not url:
        raise ValueError("is empty; expected an address such as https://myapp.com")
    text = text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"
    if re.search(r"[\x00-\x20\x7f-\x9f]", url):
        raise ValueError(f"{text!r} has a space or a control character in it")
    if re.search(r"[\ud800-\udfff]", url):
        raise ValueError(f"{text!r} has bytes in it that are no UTF-8")
    if "://" not in url:
        raise ValueError(f"{text!r} has no scheme; write http://{text} or https://{text}")
    try:
        parts = urlsplit(url)
    except ValueError:
        raise ValueError(f"{text!r} cannot be read as an address; expected one such as https://myapp.com") from None
    scheme = parts.scheme.lower()
    if scheme not in _DEFAULT_PORT:
        raise ValueError(f"{scheme}:// is not supported; a target starts with http:// or https://")
    try:
        port = parts.port
    except ValueError:
        raise ValueError(f"{text!r} has a port that is not a number from 1 to 65535") from None
    if port == 0:
        raise ValueError(f"{text!r} has port 0; a port is a number from 1 to 65535")
    host = _host(parts.hostname or "", text)
    if parts.fragment:
        raise ValueError(f"{text!r} has a #fragment, which no server ever sees; leave it out")
    return Target(
        alias=alias,
        scheme=scheme,
        host=host,
        port=port or _DEFAULT_PORT[scheme],
        base_path=quote(parts.path.rstrip("/"), safe="/%:@!$&'()*+,;=-._~"),
        query=quote(parts.query, safe="/%:@!$&'()*+,;=-._~?"),
        authorization=_basic(parts.username, parts.password),
        kind=Kind(kind) if kind != "auto" else (Kind.STATIC if _STATIC_HOSTS.search(host) else Kind.REPLICA),
        kind_is_certain=kind != "auto" or _STATIC_HOSTS.search(host) is not None,
    )


def _host(host: str, text: str) -> str:
    if not host:
        raise ValueError(f"{text!r} has no host; expected an address such as https://myapp.com")
    if ":" in host:
        if not _ZONE.fullmatch(host.partition("%")[2]):
            raise ValueError(f"{text!r} has an IPv6 zone with characters that no interface may have")
        try:
            return str(ipaddress.IPv6Address(host))
        except ValueError:
            raise ValueError(f"{text!r} has an IPv6 address that cannot be read") from None
    try:
        host = host.encode("ascii").decode()
    except UnicodeEncodeError:
        try:
            host = host.encode("idna").decode("ascii")
        except UnicodeError:
            raise ValueError(f"{text!r} has a host name that cannot be written in ASCII") from None
    if not _NAME.fullmatch(host):
        raise ValueError(f"{text!r} has a host name with characters that no name may have")
    return host.rstrip(".").lower()


def _basic(user: str | None, password: str | None) -> str:
    if user is None:
        return ""
    pair = f"{unquote(user)}:{unquote(password or '')}".encode()
    return "Basic " + base64.b64encode(pair).decode()
