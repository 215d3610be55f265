"""Who asks: a client's address, whether it is believed, and what the target is told of it."""

from __future__ import annotations

import ipaddress
import zlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from failover.proxy.fields import RequestHead
    from failover.proxy.worker import Worker

_OURS = frozenset((b"x-forwarded-for", b"x-forwarded-proto", b"x-forwarded-host"))


class Clients:
    """Who was here, by address: a client's next connection finds what was composed for the last one."""

    MOST = 1024

    def __init__(self, worker: Worker) -> None:
        self._worker = worker
        self._known: dict[str, Client] = {}

    def at(self, address: str) -> Client:
        """The client at this address."""
        client = self._known.get(address)
        if client is None:
            if len(self._known) >= self.MOST:
                self._known.clear()
            client = self._known[address] = Client(self._worker, address)
        return client


class Client:
    """The client at one address. Only a trusted proxy's X-Forwarded-… fields are believed and kept.

    `network` is by what its connections are counted; empty for a trusted proxy, who brings other people's.
    """

    __slots__ = (
        "_host",
        "_lines",
        "_scheme",
        "_trusted",
        "_worker",
        "address",
        "kin",
        "network",
        "new_request_id",
        "told",
    )

    def __init__(self, worker: Worker, address: str) -> None:
        self._worker = worker
        self._trusted = worker.is_trusted(address)
        self.address = address
        self.network = "" if self._trusted else network_of(address)
        self._scheme = b"http" if worker.launch.tls is None else b"https"
        self.new_request_id = worker.request_id
        # The same for every request that names the same Host.
        self._host: bytes | None = None
        self._lines = b""
        # What the primary was told last, the same for every request with the same fields.
        self.kin: RequestHead | None = None
        self.told = b""

    def number(self, head: RequestHead) -> int:
        """A hash of the address that asks, the same in all workers: it decides who belongs to the share of a ramp."""
        given = head.forwarded.get(b"x-forwarded-for", b"") if self._trusted and head.forwarded else b""
        return zlib.crc32(given.partition(b",")[0].strip() or self.address.encode())

    def nearest(self, head: RequestHead) -> bytes:
        """The address that nobody but a trusted proxy or the kernel can have said."""
        given = head.forwarded.get(b"x-forwarded-for", b"") if self._trusted and head.forwarded else b""
        return given.rpartition(b",")[2].strip() or self.address.encode()

    def scheme(self, head: RequestHead) -> bytes:
        """The scheme of the public site, as far as we know it."""
        given = head.forwarded.get(b"x-forwarded-proto", b"") if self._trusted and head.forwarded else b""
        return given if given in (b"http", b"https") else self._scheme

    def host(self, head: RequestHead) -> bytes:
        """The name of the public site."""
        given = head.forwarded.get(b"x-forwarded-host", b"") if self._trusted and head.forwarded else b""
        return given or head.host

    def forwarding(self, head: RequestHead) -> bytes:
        """The fields that tell a target who asked and how, up to the value of X-Request-ID."""
        given = head.forwarded if self._trusted else None
        if given is not None or head.via or head.http10:
            return self._compose(head, given or {})
        if head.host != self._host:
            self._host = head.host
            self._lines = self._compose(head, {})
        return self._lines

    def _compose(self, head: RequestHead, given: dict[bytes, bytes]) -> bytes:
        earlier = given.get(b"x-forwarded-for")
        host = given.get(b"x-forwarded-host") or head.host
        address = self.address.encode()
        hop = b"%b %b" % (b"1.0" if head.http10 else b"1.1", self._worker.via)
        lines = [
            b"Via: " + (head.via + b", " + hop if head.via else hop),
            b"X-Forwarded-For: " + (earlier + b", " + address if earlier else address),
            b"X-Forwarded-Proto: " + (given.get(b"x-forwarded-proto") or self._scheme),
        ]
        if host:
            lines.append(b"X-Forwarded-Host: " + host)
        lines += [name.title() + b": " + value for name, value in given.items() if name not in _OURS]
        return b"\r\n".join([*lines, b"X-Request-ID: "])


def network_of(address: str) -> str:
    """What one visitor has of the internet: an IPv4 address, or the /64 that each link of IPv6 is given (RFC 6177)."""
    if ":" not in address:
        return address
    full = ipaddress.IPv6Address(address.partition("%")[0])
    if full.ipv4_mapped is not None:
        return str(full.ipv4_mapped)
    return full.exploded[:19]
