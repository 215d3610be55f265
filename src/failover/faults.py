"""From what the system and the TLS library say to the error types of RFC 9209: translated here and nowhere else."""

from __future__ import annotations

import errno
import os
import ssl

from failover.core.model import ErrorType

_BY_ERRNO = {
    errno.ECONNREFUSED: ErrorType.CONNECTION_REFUSED,
    errno.ECONNRESET: ErrorType.CONNECTION_TERMINATED,
    errno.ECONNABORTED: ErrorType.CONNECTION_TERMINATED,
    errno.EPIPE: ErrorType.CONNECTION_TERMINATED,
    errno.ETIMEDOUT: ErrorType.CONNECTION_TIMEOUT,
    errno.EHOSTUNREACH: ErrorType.DESTINATION_IP_UNROUTABLE,
    errno.ENETUNREACH: ErrorType.DESTINATION_IP_UNROUTABLE,
    errno.ENETDOWN: ErrorType.DESTINATION_IP_UNROUTABLE,
    errno.EHOSTDOWN: ErrorType.DESTINATION_IP_UNROUTABLE,
    errno.EPERM: ErrorType.DESTINATION_IP_UNROUTABLE,
    errno.EACCES: ErrorType.DESTINATION_IP_UNROUTABLE,  # a broadcast address, or one that a firewall forbids
    errno.EINVAL: ErrorType.DESTINATION_IP_UNROUTABLE,  # a link-local address without its link
    errno.EAFNOSUPPORT: ErrorType.DESTINATION_IP_UNROUTABLE,  # this machine has no IPv6
    errno.EADDRNOTAVAIL: ErrorType.CONNECTION_LIMIT_REACHED,
    errno.EMFILE: ErrorType.CONNECTION_LIMIT_REACHED,
    errno.ENFILE: ErrorType.CONNECTION_LIMIT_REACHED,
    errno.ENOBUFS: ErrorType.PROXY_INTERNAL_ERROR,
    errno.ENOMEM: ErrorType.PROXY_INTERNAL_ERROR,
}

OUR_OWN = frozenset({ErrorType.CONNECTION_LIMIT_REACHED, ErrorType.PROXY_INTERNAL_ERROR})
"""Errors that say nothing about the target: we ran out of something ourselves."""


class Fault(Exception):
    """A target failed: `error` is its RFC 9209 type, `detail` a few words for the log, without addresses or secrets."""

    def __init__(self, error: ErrorType, detail: str) -> None:
        super().__init__(f"{error}: {detail}")
        self.error = error
        self.detail = detail


def translate(error: BaseException, *, connecting: bool) -> Fault:
    """The fault behind a socket's or a TLS exception. `connecting`: the connection was not yet made."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return Fault(ErrorType.TLS_CERTIFICATE_ERROR, error.verify_message or "the certificate was not accepted")
    if isinstance(error, ssl.SSLError):
        return Fault(ErrorType.TLS_PROTOCOL_ERROR, (error.reason or "TLS failed").replace("_", " ").lower())
    if isinstance(error, TimeoutError) and error.errno is None:
        kind = ErrorType.CONNECTION_TIMEOUT if connecting else ErrorType.CONNECTION_READ_TIMEOUT
        return Fault(kind, "no connection in time" if connecting else "no answer in time")
    if isinstance(error, OSError):
        found = _BY_ERRNO.get(error.errno or 0, ErrorType.CONNECTION_TERMINATED)
        # The system's own words: asyncio's have the address in them.
        words = os.strerror(error.errno) if error.errno in _BY_ERRNO else error.strerror or str(error)
        return Fault(found, (words or "the connection broke").lower())
    return Fault(ErrorType.PROXY_INTERNAL_ERROR, type(error).__name__)
