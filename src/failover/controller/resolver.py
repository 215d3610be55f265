"""Names to addresses, off everybody's path: asked anew every 15 s, and the last good answer is kept for as long as it
takes until there is another one.

Each lookup has a daemon thread of its own: `getaddrinfo` may hang for minutes and cannot be interrupted, and neither
another name nor our exit may wait for it. What comes back is handled on the loop.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import socket
import threading
from dataclasses import dataclass, field
from itertools import chain, zip_longest
from typing import TYPE_CHECKING

from failover.core.model import Address, ErrorType, Target
from failover.faults import OUR_OWN, Fault, translate
from failover.observe import log
from failover.observe.shortage import Shortage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

_EVERY = 15.0
_EVERY_UNTIL_KNOWN = 1.0
_OVERDUE = 5.0
_MOST_LOOKUPS = 3
_MOST_TOLD = 4
_BROADCAST = ipaddress.IPv4Address("255.255.255.255")


@dataclass(frozen=True, slots=True)
class News:
    """What became of a name. `fault` is set when it does not resolve; `addresses` are then the ones kept.

    `again` says that it resolves after a time in which it did not.
    """

    host: str
    aliases: tuple[str, ...]
    before: tuple[str, ...]
    addresses: tuple[str, ...]
    fault: Fault | None
    again: bool = False


@dataclass(slots=True, eq=False)
class _Name:
    host: str
    aliases: list[str]
    addresses: tuple[str, ...] = ()
    fault: Fault | None = None
    lookups: int = 0
    settled: asyncio.Event = field(default_factory=asyncio.Event)
    timers: dict[str, asyncio.TimerHandle] = field(default_factory=dict)


class Resolver:
    """`on_news` is told of each change: addresses that changed, a name that stopped or began to resolve."""

    def __init__(
        self, targets: Iterable[Target], loop: asyncio.AbstractEventLoop, on_news: Callable[[News], None]
    ) -> None:
        self._loop = loop
        self._on_news = on_news
        self._shortage = Shortage(log.get("controller"), "names cannot be looked up")
        self._names: dict[str, _Name] = {}
        for target in targets:
            self._names.setdefault(target.host, _Name(target.host, [])).aliases.append(target.alias)
        for name in self._names.values():
            name.addresses = without_asking(name.host)
            if name.addresses:
                name.settled.set()
        self._asked = [name for name in self._names.values() if not name.addresses]

    def start(self) -> None:
        """Ask for every name, and from then on again and again."""
        for name in self._asked:
            self._ask(name)

    def stop(self) -> None:
        """Ask no more. Lookups under way end by themselves, unheard."""
        for name in self._asked:
            for timer in name.timers.values():
                timer.cancel()

    def learn(self, target: Target, addresses: tuple[Address, ...]) -> None:
        """Take over what a predecessor knew, until the first answer of our own."""
        name = self._names[target.host]
        if not name.addresses and addresses:
            name.addresses = tuple(address for address, _port in addresses)
            name.settled.set()

    def addresses(self, target: Target) -> tuple[Address, ...]:
        """Where the target is; empty while its name has never resolved."""
        return tuple((address, target.port) for address in self._names[target.host].addresses)

    def fault(self, target: Target) -> Fault | None:
        """Why the name did not resolve when it was last asked for."""
        return self._names[target.host].fault

    async def first(self, target: Target) -> tuple[Address, ...]:
        """The target's addresses, once there is a first answer. Raises Fault when there is none."""
        name = self._names[target.host]
        await name.settled.wait()
        if not name.addresses:
            raise name.fault or Fault(ErrorType.DNS_ERROR, "no address")
        return self.addresses(target)

    async def settled(self) -> None:
        """Wait until every name has had its first answer, good or bad."""
        for name in self._names.values():
            await name.settled.wait()

    def refresh(self, target: Target) -> None:
        """Ask now instead of at the next turn: the target may have moved."""
        name = self._names[target.host]
        if name in self._asked and not name.lookups:
            self._ask(name)

    # -- one name

    def _ask(self, name: _Name) -> None:
        self._arm(name, "next", _EVERY if name.addresses else _EVERY_UNTIL_KNOWN, self._ask)
        if name.lookups >= _MOST_LOOKUPS:
            return
        if not name.lookups:
            self._arm(name, "overdue", _OVERDUE, self._overdue)
        name.lookups += 1
        try:
            threading.Thread(target=self._look_up, args=(name,), daemon=True, name=f"look up {name.host}").start()
        except RuntimeError:
            self._answered(name, Fault(ErrorType.PROXY_INTERNAL_ERROR, "this machine has no room for another thread"))

    def _arm(self, name: _Name, what: str, after: float, then: Callable[[_Name], None]) -> None:
        if what in name.timers:
            name.timers[what].cancel()
        name.timers[what] = self._loop.call_later(after, then, name)

    def _look_up(self, name: _Name) -> None:
        """Runs in a thread of its own."""
        answer: tuple[str, ...] | Fault
        try:
            found = socket.getaddrinfo(name.host, None, type=socket.SOCK_STREAM)
            all_of_them = in_turn(str(entry[4][0]) for entry in found)
            answer = tuple(filter(may_be_a_target, all_of_them))
            if not answer:
                nothing = f"it resolves to {', '.join(all_of_them[:_MOST_TOLD]) or 'nothing'}, where nobody can be"
                answer = Fault(ErrorType.DNS_ERROR, f"{name.host} ({nothing})")
        except OSError as error:
            if not isinstance(error, socket.gaierror):
                answer = translate(error, connecting=True)  # no descriptor to ask with, say
            else:
                answer = Fault(ErrorType.DNS_ERROR, f"{name.host} ({(error.strerror or str(error)).lower()})")
        except UnicodeError:
            answer = Fault(ErrorType.DNS_ERROR, f"{name.host} (the name cannot be asked for)")
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody wants to know any more
            self._loop.call_soon_threadsafe(self._answered, name, answer)

    def _answered(self, name: _Name, answer: tuple[str, ...] | Fault) -> None:
        name.lookups -= 1
        name.timers["overdue"].cancel()
        if isinstance(answer, Fault):
            self._failed(name, answer)
            return
        self._shortage.ends()
        before = name.addresses
        was_bad = name.fault is not None and name.fault.error not in OUR_OWN
        name.fault = None
        if set(answer) != set(before):  # in another order they are the same: name servers rotate them
            name.addresses = answer
        if not before:
            self._arm(name, "next", _EVERY, self._ask)
        name.settled.set()
        if was_bad or name.addresses is not before:
            self._tell(name, before, again=was_bad)

    def _overdue(self, name: _Name) -> None:
        self._failed(name, Fault(ErrorType.DNS_TIMEOUT, f"{name.host} (no name server answered)"))

    def _failed(self, name: _Name, fault: Fault) -> None:
        if fault.error in OUR_OWN:
            self._unable(name, fault)
            return
        news = name.fault is None or name.fault.error in OUR_OWN
        name.fault = fault
        name.settled.set()
        if news:
            self._tell(name, name.addresses)

    def _unable(self, name: _Name, fault: Fault) -> None:
        """We could not even ask, which is no news of the name."""
        self._shortage.begins(fault.detail)
        if not name.addresses:
            name.fault = name.fault or fault
            name.settled.set()

    def _tell(self, name: _Name, before: tuple[str, ...], *, again: bool = False) -> None:
        self._on_news(News(name.host, tuple(name.aliases), before, name.addresses, name.fault, again))


def without_asking(host: str) -> tuple[str, ...]:
    """The addresses of what needs no name server: an address, and localhost (RFC 6761 section 6.3)."""
    try:
        return (str(ipaddress.ip_address(host)),)
    except ValueError:
        pass
    if host == "localhost" or host.endswith(".localhost"):
        return ("127.0.0.1", "::1") if _has_ipv6_loopback() else ("127.0.0.1",)
    return ()


def may_be_a_target(address: str) -> bool:
    """Whether a connection can lead there at all. What name servers answer to block a name leads to ourselves, and a
    multicast or broadcast address to nobody.
    """
    one = ipaddress.ip_address(address.partition("%")[0])
    one = getattr(one, "ipv4_mapped", None) or one
    return not (one.is_unspecified or one.is_multicast or one == _BROADCAST)


def _has_ipv6_loopback() -> bool:
    if not socket.has_ipv6:
        return False
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


def in_turn(addresses: Iterable[str]) -> tuple[str, ...]:
    """Each address once, the families in turn, so that a family that is broken here costs one try (RFC 8305, 4)."""
    unique = list(dict.fromkeys(addresses))
    if not unique:
        return ()
    first_is_6 = ":" in unique[0]
    first = [address for address in unique if (":" in address) is first_is_6]
    second = [address for address in unique if (":" in address) is not first_is_6]
    return tuple(address for address in chain.from_iterable(zip_longest(first, second)) if address is not None)
