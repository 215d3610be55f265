"""The certificate that clients are shown: its files, judged before anybody is served, and the TLS made of them.

Whatever is wrong raises ValueError with a sentence that says what and what to do. The `ssl` module is loaded only here
where it is needed: it costs each start and health check 10 ms.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from failover.settings.places import read_pem
from failover.settings.types import Form, quoted

if TYPE_CHECKING:
    import ssl
    from collections.abc import Mapping
    from pathlib import Path
    from typing import Any

_KEY = "PRIVATE KEY-----"

# Those of Mozilla's "intermediate" configuration that are in wide use: forward secrecy and authenticated encryption.
# What TLS 1.3 has is chosen apart from them, and all good.
_CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20"

_NO_CHECK_TIME = 0x200000  # X509_V_FLAG_NO_CHECK_TIME of OpenSSL, which the ssl module has no name for


def parse_key(text: str) -> Path:
    path, pem = read_pem(text)
    if _KEY not in pem:
        raise ValueError(f"{quoted(str(path))} holds no PEM key (-----BEGIN {_KEY})")
    return path


KEY_FILE = Form("FILE", parse_key)


class _EncryptedError(Exception):
    """OpenSSL asked for a password."""


def server_tls(certificate: Path, key: Path | None) -> ssl.SSLContext:
    """TLS 1.2 and 1.3 with this certificate, its chain behind it; without `key`, the key stands in the same file.

    To be made before children are forked: then all of them know each other's session tickets. Raises ValueError.
    """
    import ssl  # noqa: PLC0415 - as above

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(_CIPHERS)
    context.options |= ssl.OP_NO_RENEGOTIATION
    context.set_alpn_protocols(["http/1.1"])
    try:
        context.load_cert_chain(certificate, key, _refuse_password)
    except _EncryptedError:
        where = quoted(str(key or certificate))
        raise ValueError(
            f"the key in {where} is encrypted, and nobody is there to give its password; write it without one: "
            f"openssl pkey -in {key or certificate} -out key.pem"
        ) from None
    except ssl.SSLError as error:
        raise ValueError(_why(error.reason or "", certificate, key)) from None
    except OSError as error:
        raise ValueError(f"{quoted(str(certificate))} cannot be read: {error.strerror or error}") from None
    return context


def _refuse_password() -> str:
    raise _EncryptedError


def _why(reason: str, certificate: Path, key: Path | None) -> str:
    where = quoted(str(certificate))
    if reason in {"KEY_VALUES_MISMATCH", "KEY_TYPE_MISMATCH", "NO_CERTIFICATE_ASSIGNED"}:
        return (
            f"the key in {quoted(str(key or certificate))} does not belong to the first certificate in {where}; "
            "the server's own certificate comes first, those of its issuers after it"
        )
    if reason in {"EE_KEY_TOO_SMALL", "CA_KEY_TOO_SMALL", "CA_MD_TOO_WEAK"}:
        weak = "too small a key" if "KEY" in reason else "too weak a signature"
        return f"{where} holds a certificate with {weak}, which no client of today accepts"
    if key is None and _KEY not in certificate.read_text(encoding="ascii", errors="replace"):
        return f"{where} holds no key; name its file with --tls-key"
    return f"{quoted(str(key or certificate))} holds a key that cannot be read"


def details(certificate: Path, context: ssl.SSLContext) -> Mapping[str, Any]:
    """What the certificate says, in the words of `SSLSocket.getpeercert`; nothing where that cannot be found out.

    The standard library decodes verified certificates only: so it is shown to a client in memory that takes it.
    """
    import ssl  # noqa: PLC0415 - as above

    taking = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    taking.check_hostname = False
    taking.verify_flags = ssl.VerifyFlags(ssl.VERIFY_X509_PARTIAL_CHAIN | _NO_CHECK_TIME)
    up, down = ssl.MemoryBIO(), ssl.MemoryBIO()
    try:
        taking.load_verify_locations(certificate)
        server = context.wrap_bio(up, down, server_side=True)
        client = taking.wrap_bio(down, up)
        for end in (client, server, client):
            try:
                end.do_handshake()
            except ssl.SSLWantReadError:
                continue
        return client.getpeercert() or {}
    except (OSError, ValueError):  # ssl.SSLError is the first, a handshake that did not end the second
        return {}


def ends(certificate: Path, context: ssl.SSLContext) -> float | None:
    """Until when the certificate is good, in Unix seconds, as far as that can be found out."""
    import ssl  # noqa: PLC0415 - as above

    until = details(certificate, context).get("notAfter")
    return None if until is None else float(ssl.cert_time_to_seconds(until))
