"""What certificates say: of a connection that was verified, and, by one look that only describes, of one that was not.

Nothing is ever sent over a connection that is made here: it is shaken hands on, and dropped.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import ipaddress
import re
import ssl
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from failover.core.document import Certificate
from failover.dial import dial
from failover.faults import Fault

if TYPE_CHECKING:
    from collections.abc import Mapping

    from failover.core.model import Address

_NO_CHECK_TIME = 0x200000  # X509_V_FLAG_NO_CHECK_TIME of OpenSSL, which the ssl module has no name for
_OF_WHO_ISSUED_IT = re.compile("issuer|unable to verify|self[- ]signed|unknown|not trusted")
_MOST_NAMES = 20
_LONGEST = 120
_MOST_KNOWN = 16


class Reader:
    """Reads the certificates of verified connections, each of them once."""

    def __init__(self) -> None:
        self._known: dict[bytes, Certificate] = {}

    def read(self, transport: asyncio.BaseTransport | None) -> Certificate | None:
        """What the peer's certificate says; None without TLS."""
        shown: Any = transport.get_extra_info("ssl_object") if transport is not None else None
        der = shown.getpeercert(binary_form=True) if shown is not None else None
        if not der:
            return None
        if der not in self._known:
            if len(self._known) >= _MOST_KNOWN:
                self._known.clear()
            self._known[der] = facts(der, shown.getpeercert())
        return self._known[der]


async def describe(
    loop: asyncio.AbstractEventLoop,
    addresses: tuple[Address, ...],
    server_hostname: str,
    within: float,
    words: str = "",
) -> Certificate | None:
    """What is wrong with a certificate that was not accepted, looked at within so many seconds. `words` are those of
    TLS: they say it where the certificate itself does not, such as what is wrong with an authority above it.

    None when no certificate was to be seen. What cannot be decoded has its fingerprint alone.
    """
    der = b""
    details: Mapping[str, Any] = {}
    with contextlib.suppress(Fault, OSError, TimeoutError):  # ssl.SSLError is an OSError
        async with asyncio.timeout(within):
            der, _, peer = await _look(loop, addresses, server_hostname, _accepting_all())
            # The standard library decodes verified certificates only: so let this one vouch for itself.
            _, details, _ = await _look(loop, peer, server_hostname, _accepting(der))
    if not der:
        return None
    return facts(der, details, host=server_hostname, now=datetime.now(UTC), words=words)


async def _look(
    loop: asyncio.AbstractEventLoop, addresses: tuple[Address, ...], server_hostname: str, context: ssl.SSLContext
) -> tuple[bytes, Mapping[str, Any], tuple[Address, ...]]:
    """The certificate as it was sent and as it was decoded, and the address that showed it."""
    sock = await dial(loop, addresses)
    peer: Address = sock.getpeername()[:2]
    try:
        transport, _ = await loop.create_connection(
            asyncio.Protocol, sock=sock, ssl=context, server_hostname=server_hostname
        )
    except BaseException:
        sock.close()
        raise
    try:
        shown = transport.get_extra_info("ssl_object")
        return shown.getpeercert(binary_form=True) or b"", shown.getpeercert() or {}, (peer,)
    finally:
        transport.abort()


def _accepting_all() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _accepting(der: bytes) -> ssl.SSLContext:
    """A context that accepts this one certificate, whatever its dates and names and whoever issued it."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_flags = ssl.VerifyFlags(ssl.VERIFY_X509_PARTIAL_CHAIN | _NO_CHECK_TIME)
    context.load_verify_locations(cadata=der)
    return context


def facts(
    der: bytes, details: Mapping[str, Any], *, host: str = "", now: datetime | None = None, words: str = ""
) -> Certificate:
    """A certificate from its bytes and from what the ssl module decoded of them; the rest is to say its issue."""
    subject, issuer = _names_of(details.get("subject", ())), _names_of(details.get("issuer", ()))
    names = tuple(_text(name) for _, name in details.get("subjectAltName", ())[:_MOST_NAMES])
    found = Certificate(
        subject=subject.get("commonName") or subject.get("organizationName") or next(iter(names), ""),
        issuer=", ".join(filter(None, (issuer.get("commonName"), issuer.get("organizationName")))),
        names=names,
        not_before=_moment(details.get("notBefore")),
        not_after=_moment(details.get("notAfter")),
        sha256=hashlib.sha256(der).hexdigest(),
    )
    if now is None:
        return found
    words = words.lower()
    if not details:
        return replace(found, issue="" if _OF_WHO_ISSUED_IT.search(words) else words[:_LONGEST])
    itself = details.get("subject") == details.get("issuer")
    return replace(found, issue=_issue(found, host, now, words, itself=itself))


def _issue(certificate: Certificate, host: str, now: datetime, words: str, *, itself: bool) -> str:
    if certificate.not_after is not None and certificate.not_after < now:
        return "expired"
    if certificate.not_before is not None and certificate.not_before > now:
        return "not yet valid"
    if not any(covers(name, host) for name in certificate.names):
        return "wrong name"
    if words and not _OF_WHO_ISSUED_IT.search(words):
        return "an authority above it has expired" if "expired" in words else words[:_LONGEST]
    return "self-signed" if itself else "unknown authority"


def covers(name: str, host: str) -> bool:
    """Whether a certificate for `name` is one for `host`: itself, or a wildcard for its first label (RFC 6125 6.4)."""
    with contextlib.suppress(ValueError):
        return ipaddress.ip_address(host) == ipaddress.ip_address(name)
    name, host = name.lower().rstrip("."), host.lower().rstrip(".")
    if name.startswith("*."):
        return host.partition(".")[2] == name[2:]
    return name == host


def _names_of(distinguished: Any) -> dict[str, str]:
    return {key: _text(value) for part in distinguished for key, value in part}


def _text(value: str) -> str:
    return "".join(one for one in value if one.isprintable())[:_LONGEST]


def _moment(written: str | None) -> datetime | None:
    if written is None:
        return None
    try:
        return datetime.fromtimestamp(ssl.cert_time_to_seconds(written), UTC)
    except (ValueError, OverflowError, OSError):
        return None
