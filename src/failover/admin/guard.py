"""Who may see the pages and who may change something. Pure, but for the clock that is handed in.

There are three ways to the pages. `SOCKET`: a Unix socket that only this user and root can open; whoever can, may do
all. `LOCAL`: the admin listener; a page of another site must not reach through a browser what listens on this machine,
so the Host is checked there, and the origin of every change. `PUBLIC`: behind the public port, where nobody is trusted
for his address. With a token set, both of the latter want it for everything; `PUBLIC` does not exist without one.
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import re
from collections import OrderedDict, deque
from contextlib import suppress
from dataclasses import dataclass, field
from enum import StrEnum
from urllib.parse import urlsplit

COOKIE = "failover_session"
SESSION_S = 12 * 3600.0
TRIES = 10
TRIES_WITHIN_S = 60.0

_MOST_CLIENTS = 10_000
_LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})
_HOST = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^\s@:/?#,\[\]\\]+)(:\d{0,5})?")
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})


class Way(StrEnum):
    SOCKET = "socket"
    LOCAL = "local"
    PUBLIC = "public"


@dataclass(frozen=True, slots=True)
class Door:
    """One way in. `hosts` are the names that a request may be for, None for any; `prefix` is where the pages begin.

    `peers` are the users whose processes may ask there, None for any: behind the public port only workers do.
    """

    way: Way
    prefix: str = ""
    token: str = field(default="", repr=False)
    hosts: frozenset[str] | None = None
    peers: frozenset[int] | None = None


@dataclass(frozen=True, slots=True)
class Request:
    """What matters of a request here. `client` is an address, as far as we believe it; `https`: it came over TLS."""

    method: str
    host: str
    client: str = ""
    origin: str = ""
    fetch_site: str = ""
    authorization: str = ""
    cookie: str = ""
    https: bool = False


@dataclass(frozen=True, slots=True)
class Denied:
    status: int
    reason: str
    retry_after: int = 0


def local_door(listen_host: str, token: str, public_url: str | None) -> Door:
    """The admin listener. What is reached from beyond this machine has names that nobody knows, and always a token."""
    if listen_host not in _LOOPBACK_NAMES and not _is_loopback(listen_host):
        return Door(Way.LOCAL, token=token)
    public = urlsplit(public_url).hostname if public_url else None
    return Door(Way.LOCAL, token=token, hosts=_LOOPBACK_NAMES | {listen_host} | ({public} if public else set()))


def _is_loopback(host: str) -> bool:
    with suppress(ValueError):
        return ipaddress.ip_address(host).is_loopback
    return False


class Guard:
    """Says whether a request may pass a door. `now` is Unix seconds: sessions outlive a restart."""

    def __init__(self) -> None:
        self._wrong: OrderedDict[str, deque[float]] = OrderedDict()

    def check(self, door: Door, request: Request, now: float) -> Denied | None:
        """None when it may pass; what anybody may see (the login form and its style) does not come here."""
        denied = self.check_place(door, request)
        if denied is None and door.token and door.way is not Way.SOCKET:
            denied = self._check_token(door, request, now)
        return denied

    def check_place(self, door: Door, request: Request) -> Denied | None:
        """Whether it is meant for us at all, and not sent by a page of somebody else."""
        if door.way is Way.SOCKET:
            return None
        if door.hosts is not None and _name_of(request.host) not in door.hosts:
            return Denied(403, f"the Host is not one of this listener: {', '.join(sorted(door.hosts))}")
        if request.method not in _SAFE and not _same_origin(request):
            return Denied(403, "a page of another site cannot change anything here")
        return None

    def try_token(self, door: Door, client: str, token: str, now: float) -> Denied | None:
        """A token that somebody gives: right, wrong, or one too many in this minute."""
        if wait := self._wait(client, now):
            return Denied(429, f"too many wrong tokens; try again in {wait} s", wait)
        if door.token and _same(token, door.token):
            return None
        self._note(client, now)
        return Denied(401, "this token is not the right one")

    def _check_token(self, door: Door, request: Request, now: float) -> Denied | None:
        if request.cookie and session_is_valid(door.token, request.cookie, now):
            return None
        scheme, _, given = request.authorization.partition(" ")
        if scheme.lower() == "bearer" and given.strip():
            return self.try_token(door, request.client, given.strip(), now)
        return Denied(401, "a token is needed: Authorization: Bearer …, or the login form")

    def _wait(self, client: str, now: float) -> int:
        """Seconds until this client may try again, 0 when it may now."""
        wrong = self._wrong.get(_network_of(client))
        while wrong and wrong[0] <= now - TRIES_WITHIN_S:
            wrong.popleft()
        return max(1, round(wrong[0] + TRIES_WITHIN_S - now)) if wrong and len(wrong) >= TRIES else 0

    def _note(self, client: str, now: float) -> None:
        wrong = self._wrong.setdefault(_network_of(client), deque(maxlen=TRIES))
        wrong.append(now)
        self._wrong.move_to_end(_network_of(client))
        while len(self._wrong) > _MOST_CLIENTS:
            self._wrong.popitem(last=False)


def new_session(token: str, now: float) -> str:
    """A cookie that proves that its bearer knew the token; it ends by itself, and with another token."""
    until = f"{now + SESSION_S:.0f}"
    return f"{until}.{_signed(token, until)}"


def session_is_valid(token: str, cookie: str, now: float) -> bool:
    until, _, signature = cookie.partition(".")
    if not until.isascii() or not until.isdigit() or len(until) > 12 or float(until) <= now:
        return False
    return _same(signature, _signed(token, until))


def _same(given: str, right: str) -> bool:
    """In the same time for every wrong one. What is given may be no UTF-8: a header's bytes, as surrogates."""
    return hmac.compare_digest(given.encode(errors="surrogatepass"), right.encode(errors="surrogatepass"))


def _signed(token: str, until: str) -> str:
    proven = f"failover session until {until}".encode()
    return hmac.new(token.encode(errors="surrogatepass"), proven, hashlib.sha256).hexdigest()


def _name_of(host: str) -> str:
    """The name in a Host header, without the port: a tunnel may end on another one."""
    found = _HOST.fullmatch(host)
    return found[1].strip("[]").rstrip(".").lower() if found is not None else ""


def _same_origin(request: Request) -> bool:
    """Browsers say where a change comes from; who says nothing is none."""
    if request.fetch_site and request.fetch_site not in {"same-origin", "none"}:
        return False
    if not request.origin:
        return True
    with suppress(ValueError):
        origin = urlsplit(request.origin)
        if request.https and origin.scheme != "https":
            return False  # a page that anybody on the way could have written
        return (origin.netloc.lower() or None) == request.host.lower()  # `null` has none
    return False


def _network_of(client: str) -> str:
    """Who tries: an address, of IPv6 the network that one household has."""
    with suppress(ValueError):
        address = ipaddress.ip_address(client)
        if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
            return str(address.ipv4_mapped)  # IPv4 on a socket that takes both: no household of its own
        if isinstance(address, ipaddress.IPv6Address):
            return str(ipaddress.ip_network((address, 64), strict=False))
    return client
