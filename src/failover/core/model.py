"""The vocabulary: the words of the contract as types, shared by every room.

Pure: no clock, socket, log or random may enter here, nor anything else of ours.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

Address = tuple[str, int]
"""A numeric address and a port: what a socket connects to, never a name."""

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
"""Requests that ask and change nothing (RFC 9110 section 9.2.1); all others are writes."""


PRIMARY = "primary"
"""The primary's alias."""


class Verdict(StrEnum):
    """What the signals about the primary add up to."""

    PRIMARY = "primary"
    SUSPECT = "suspect"
    BACKUP = "backup"
    RAMP = "ramp"


class Kind(StrEnum):
    """What a backup is: a full second app, or a copy that can only be read."""

    REPLICA = "replica"
    STATIC = "static"


class ErrorType(StrEnum):
    """How a target failed: the proxy error types of RFC 9209 section 2.3, and four of our own."""

    DNS_TIMEOUT = "dns_timeout"
    DNS_ERROR = "dns_error"
    DESTINATION_UNAVAILABLE = "destination_unavailable"
    DESTINATION_IP_UNROUTABLE = "destination_ip_unroutable"
    CONNECTION_REFUSED = "connection_refused"
    CONNECTION_TERMINATED = "connection_terminated"
    CONNECTION_TIMEOUT = "connection_timeout"
    CONNECTION_READ_TIMEOUT = "connection_read_timeout"
    CONNECTION_LIMIT_REACHED = "connection_limit_reached"
    TLS_PROTOCOL_ERROR = "tls_protocol_error"
    TLS_CERTIFICATE_ERROR = "tls_certificate_error"
    HTTP_REQUEST_ERROR = "http_request_error"
    HTTP_RESPONSE_INCOMPLETE = "http_response_incomplete"
    HTTP_RESPONSE_TIMEOUT = "http_response_timeout"
    HTTP_PROTOCOL_ERROR = "http_protocol_error"
    HTTP_UPGRADE_FAILED = "http_upgrade_failed"
    PROXY_INTERNAL_ERROR = "proxy_internal_error"
    PROXY_LOOP_DETECTED = "proxy_loop_detected"
    HTTP_5XX = "http_5xx"
    HTTP_429 = "http_429"
    SLOW = "slow"
    BAD_BODY = "bad_body"


NETWORK_ERRORS = frozenset(
    {
        ErrorType.DNS_TIMEOUT,
        ErrorType.DNS_ERROR,
        ErrorType.CONNECTION_TIMEOUT,
        ErrorType.DESTINATION_IP_UNROUTABLE,
    }
)
"""Errors that our own network could have made just as well: nobody answered at all."""


@dataclass(frozen=True, slots=True)
class Target:
    """A place that can answer, as configured. What is known of it at this moment is its `TargetState`.

    `base_path` has no slash at its end and is empty for a bare address; `query` serves its probe alone;
    `authorization` is the value made of the address's user and password, or empty.
    """

    alias: str
    scheme: str
    host: str
    port: int
    base_path: str = ""
    query: str = ""
    authorization: str = field(default="", repr=False)
    kind: Kind = Kind.REPLICA
    kind_is_certain: bool = True

    @property
    def tls(self) -> bool:
        return self.scheme == "https"

    @property
    def authority(self) -> str:
        """Host and port as a Host header has them: the port only where it is not the scheme's own, and never the zone
        of an IPv6 address, which means something on this machine alone (RFC 6874 section 4).
        """
        return self._at(self.host.partition("%")[0])

    @property
    def url(self) -> str:
        """The address for people: no user, no password, no query."""
        return f"{self.scheme}://{self._at(self.host)}{self.base_path}"

    def _at(self, host: str) -> str:
        host = f"[{host}]" if ":" in host else host
        return host if self.port == (443 if self.tls else 80) else f"{host}:{self.port}"


@dataclass(frozen=True, slots=True)
class TargetState:
    """What the controller knows of a target; `addresses` is empty while its name has never resolved."""

    alias: str
    usable: bool
    addresses: tuple[Address, ...]
    kind: Kind
    error: ErrorType | None = None


@dataclass(frozen=True, slots=True)
class Routing:
    """All that a worker needs to know of the world; it holds the last one it was told.

    `since_unix` is when the present side began to serve; `targets` has the primary first, then the ladder of
    backups. `share` is the percentage of visitors that a RAMP gives to the primary. `memory` is the controller's own
    and goes back to a successor should it die. `drill` is the sort of a drill that runs, or empty.
    """

    verdict: Verdict
    since_unix: float
    fail_count: int
    recover_count: int
    targets: tuple[TargetState, ...]
    share: int = 100
    memory: bytes = b""
    drill: str = ""
