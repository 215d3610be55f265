"""Certificates for origins: good ones, and each kind of bad one. Every authority is new and known to nobody."""

from __future__ import annotations

import contextlib
import ssl
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import trustme

if TYPE_CHECKING:
    import socket
    from pathlib import Path


class Authority:
    """A certificate authority of the test's own; `pem` is what `--upstream-ca` reads."""

    def __init__(self, folder: Path, name: str = "ca") -> None:
        self._ca = trustme.CA()
        self.pem = folder / f"{name}.pem"
        self._ca.cert_pem.write_to_path(str(self.pem))

    def server(self, *names: str, expired: bool = False) -> ssl.SSLContext:
        """A server that shows a certificate for these names or addresses."""
        until = datetime.now(UTC) - timedelta(days=1) if expired else None
        since = datetime.now(UTC) - timedelta(days=10) if expired else None
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._ca.issue_cert(*names, not_after=until, not_before=since).configure_cert(context)
        return context


def self_signed(folder: Path, name: str) -> ssl.SSLContext:
    """A server whose certificate vouches for itself."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    who = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(who)
        .issuer_name(who)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(datetime.now(UTC) - timedelta(days=1))
        .not_valid_after(datetime.now(UTC) + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    file = folder / "self-signed.pem"
    file.write_bytes(
        certificate.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    return context


class Files:
    """A certificate and its key as files, as `--tls-cert` and `--tls-key` read them; `both` has all in one."""

    def __init__(self, folder: Path, name: str = "site", *, days: float = 90) -> None:
        self.folder = folder
        self.cert, self.key, self.both = (folder / f"{name}{end}.pem" for end in ("", "-key", "-both"))
        self.renew(days=days)

    def renew(self, *, days: float = 90) -> bytes:
        """Another certificate in the same files, of another authority, good for so long: its bytes."""
        now = datetime.now(UTC)
        issued = trustme.CA().issue_cert(
            "site.test", "127.0.0.1", not_before=now - timedelta(days=400), not_after=now + timedelta(days=days)
        )
        self.key.write_bytes(issued.private_key_pem.bytes())
        self.cert.write_bytes(b"".join(pem.bytes() for pem in issued.cert_chain_pems))
        self.both.write_bytes(issued.private_key_and_cert_chain_pem.bytes())
        self.der = ssl.PEM_cert_to_DER_cert(issued.cert_chain_pems[0].bytes().decode())
        return self.der


def trusting_all() -> ssl.SSLContext:
    """A client that takes whatever certificate it is shown, and looks at it afterwards."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_alpn_protocols(["h2", "http/1.1"])
    return context


class Secured:
    """TLS on a socket, each direction of which can be ended by itself. All that `Wire` asks of a socket, and more."""

    def __init__(self, sock: socket.socket, context: ssl.SSLContext, *, server_side: bool = False) -> None:
        self.sock = sock
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.ssl = context.wrap_bio(self.incoming, self.outgoing, server_side=server_side)
        while True:
            try:
                self.ssl.do_handshake()
            except ssl.SSLWantReadError:
                self.flush()
                self._more()
            else:
                break
        self.flush()

    def flush(self) -> None:
        self.sock.sendall(self.outgoing.read())

    def _more(self) -> bool:
        data = self.sock.recv(65536)
        self.incoming.write(data)
        return bool(data)

    def recv(self, size: int) -> bytes:
        while True:
            try:
                return self.ssl.read(size)
            except ssl.SSLWantReadError:
                if not self._more():
                    return b""
            except ssl.SSLZeroReturnError:
                return b""

    def record(self, data: bytes) -> bytes:
        """The bytes of a record, to be sent by hand."""
        self.ssl.write(data)
        return self.outgoing.read()

    def goodbye(self) -> bytes:
        """The bytes of a close_notify, to be sent by hand."""
        with contextlib.suppress(ssl.SSLWantReadError):
            self.ssl.unwrap()
        return self.outgoing.read()

    def sendall(self, data: bytes) -> None:
        self.sock.sendall(self.record(data))

    def half_close(self) -> None:
        self.sock.sendall(self.goodbye())

    def settimeout(self, seconds: float | None) -> None:
        self.sock.settimeout(seconds)

    def shutdown(self, how: int) -> None:
        self.sock.shutdown(how)

    def close(self) -> None:
        self.sock.close()
