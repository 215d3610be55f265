"""Certificates for HOST with one flaw each, and the authority that would vouch for them without it.

`FLAWS` says of each what a client makes of it: a piece of what it must be told as.
"""

from __future__ import annotations

import ipaddress
import itertools
import ssl
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID as Purpose

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

HOST = "foo.bar.localhost"
NOW = datetime.now(UTC).replace(microsecond=0)
DAY = timedelta(days=1)

FLAWS = {
    "expired": "expired",
    "not yet valid": "not yet valid",
    "wrong name": "wrong name",
    "its authority has expired": "an authority above it has expired",
    "self-signed": "self-signed",
    "unknown authority": "unknown authority",
    "no intermediate": "unknown authority",
    "an intermediate that is none": "invalid ca certificate",
    "a name that its authority may not vouch for": "subtree violation",
    "for clients": "certificate purpose",
    "for signing certificates": "certificate purpose",
    "a short key": "too weak",
    "a name in its subject alone": "wrong name",
    "two wildcards": "wrong name",
    "a wildcard in a label": "wrong name",
    "a wildcard for a label too many": "wrong name",
    "a name with a null in it": "wrong name",
    "an address alone": "wrong name",
}


class Signer:
    """Somebody who signs: an authority, or whoever takes himself for one."""

    serials = itertools.count(1000)

    def __init__(self, name: str, above: Signer | None = None, **how: Any) -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
        self.above = above
        self.certificate = (above or self).sign(self.name, self.key.public_key(), authority=True, **how)

    def sign(
        self,
        subject: x509.Name,
        key: Any,
        *,
        names: Sequence[x509.GeneralName] = (),
        authority: bool = False,
        is_one: bool = True,
        since: datetime = NOW - 9 * DAY,
        until: datetime = NOW + 9 * DAY,
        purpose: x509.ObjectIdentifier = Purpose.SERVER_AUTH,
        certifies: bool = False,
        constraint: str = "",
    ) -> x509.Certificate:
        usage = dict.fromkeys(
            ("content_commitment", "data_encipherment", "encipher_only", "decipher_only", "key_agreement"), False
        )
        signs = authority or certifies
        more: list[tuple[x509.ExtensionType, bool]] = [
            (x509.BasicConstraints(ca=authority and is_one, path_length=None), True),
            (x509.SubjectKeyIdentifier.from_public_key(key), False),
            (x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()), False),
            (
                x509.KeyUsage(
                    digital_signature=not signs,
                    key_encipherment=not signs,
                    key_cert_sign=signs,
                    crl_sign=signs,
                    **usage,
                ),
                True,
            ),
        ]
        if names:
            more.append((x509.SubjectAlternativeName(names), False))
        if not authority:
            more.append((x509.ExtendedKeyUsage([purpose]), False))
        if constraint:
            more.append((x509.NameConstraints([x509.DNSName(constraint)], None), True))
        made = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self.name)
            .public_key(key)
            .serial_number(next(self.serials))
            .not_valid_before(since)
            .not_valid_after(until)
        )
        for extension, critical in more:
            made = made.add_extension(extension, critical=critical)
        return made.sign(self.key, hashes.SHA256())


def dns(*names: str) -> list[x509.GeneralName]:
    return [x509.DNSName(name) for name in names]


def server(folder: Path, signer: Signer, *, chain: bool = True, key: Any = None, **how: Any) -> ssl.SSLContext:
    """A server that shows a certificate of this signer, and those above it but the topmost."""
    key = key or ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, HOST)])
    shown = [signer.sign(subject, key.public_key(), **{"names": dns(HOST), **how})]
    while chain and signer.above is not None:
        shown.append(signer.certificate)
        signer = signer.above
    return _showing(folder, shown, key)


def _showing(folder: Path, shown: list[x509.Certificate], key: Any) -> ssl.SSLContext:
    file = folder / "server.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    file.write_bytes(b"".join(one.public_bytes(serialization.Encoding.PEM) for one in shown) + private)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_ciphers("DEFAULT:@SECLEVEL=0")
    context.load_cert_chain(file)
    return context


class Flawed:
    """`pem` has the one authority that is to be trusted; `server(flaw)` is a server with that flaw, or with none."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.root = Signer("Root")
        self.pem = folder / "root.pem"
        self.pem.write_bytes(self.root.certificate.public_bytes(serialization.Encoding.PEM))

    def server(self, flaw: str = "") -> ssl.SSLContext:
        root, middle = self.root, Signer("Middle", self.root)
        how: dict[str, Any] = {}
        match flaw:
            case "expired":
                how = {"until": NOW - DAY}
            case "not yet valid":
                how = {"since": NOW + DAY}
            case "wrong name":
                how = {"names": dns("other.localhost")}
            case "its authority has expired":
                middle = Signer("Middle", root, until=NOW - DAY)
            case "self-signed":
                return self._self_signed()
            case "unknown authority":
                middle = Signer("Middle", Signer("Another Root"))
            case "no intermediate":
                how = {"chain": False}
            case "an intermediate that is none":
                middle = Signer("Middle", root, is_one=False)
            case "a name that its authority may not vouch for":
                middle = Signer("Middle", root, constraint="shop.example")
            case "for clients":
                how = {"purpose": Purpose.CLIENT_AUTH}
            case "for signing certificates":
                how = {"certifies": True}
            case "a short key":
                how = {"key": rsa.generate_private_key(65537, 1024)}
            case _:
                how = {"names": self._names(flaw)}
        return server(self.folder, middle, **how)

    def chain(self, certificates: int) -> ssl.SSLContext:
        """A good certificate below very many authorities."""
        above = self.root
        for number in range(certificates):
            above = Signer(f"{number} " + "x" * 60, above)
        return server(self.folder, above)

    def _names(self, flaw: str) -> list[x509.GeneralName]:
        return {
            "": dns("*.bar.localhost"),
            "a name in its subject alone": [],
            "two wildcards": dns("*.*.localhost"),
            "a wildcard in a label": dns("f*.bar.localhost"),
            "a wildcard for a label too many": dns("*.localhost"),
            "a name with a null in it": dns(f"{HOST}\0.other.example"),
            "an address alone": [x509.IPAddress(ipaddress.ip_address("127.0.0.1"))],
        }[flaw]

    def _self_signed(self) -> ssl.SSLContext:
        itself = Signer(HOST)
        return _showing(self.folder, [itself.sign(itself.name, itself.key.public_key(), names=dns(HOST))], itself.key)
