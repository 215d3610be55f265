"""The clients that are connected to a worker: how many there may be, who is turned away, and who makes room.

The law: an exchange is never broken off for a newcomer. When places get scarce, connections that bring no request make
room, those of an address that holds too many places before all others; the last places are for addresses that hold few.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Protocol, TypeVar

from failover.proxy.flow import NEVER

if TYPE_CHECKING:
    from collections.abc import Iterable

    from failover.proxy.client import Client
    from failover.proxy.downstream import Downstream
    from failover.proxy.headcount import Headcount
    from failover.proxy.stats import Stats
    from failover.proxy.tunnel import Tunnel

_SCARCE = 8
"""Places are scarce from the last of so many parts on; whoever holds more than one such part is greedy."""

_AT_ONCE = 64
"""Of so many places one is freed at a time: to look at all connections for each newcomer would be the next attack."""

_YOUNG_S = 1.0
"""What has come on a younger connection may not have been read yet."""

_LOOK_AGAIN_S = 0.5
_LEAST_REFUSED = 16
_MOST_EXPIRED = 100
_SCAN_TICKS = 10


@dataclass(frozen=True, slots=True)
class Refusal:
    """What a client that is turned away is told."""

    status: int
    text: str


FULL = Refusal(503, "Too many connections. Please try again shortly.")
TOO_MANY = Refusal(429, "Too many connections from your address. Please close some, or try again shortly.")


class Waiting(Protocol):
    """What is asked of a connection that may have to make room."""

    client: Client

    def owes_head_since(self) -> float:
        """NEVER while it is not to be closed."""


W = TypeVar("W", bound=Waiting)


class Crowd:
    """`most` is this worker's part of all places. `limit` is how many connections a client may have at all workers
    together; `headcount` knows how many it has, and is None where there is no limit.
    """

    def __init__(self, most: int, stats: Stats, headcount: Headcount | None, limit: int) -> None:
        self.downstreams: set[Downstream] = set()
        self.tunnels: set[Tunnel] = set()
        self.refused: dict[Downstream, Refusal] = {}
        self._most = most
        self._scarce_from = most - most // _SCARCE
        self._fair = max(most // _SCARCE, 1)
        self._stats = stats
        self._headcount = headcount
        self._limit = limit
        self._held: dict[str, int] = {}  # places, by network
        self._going: set[Downstream] = set()
        self._looked_at = -NEVER
        self._ticks = 0
        self._overdue: list[Downstream | Tunnel] = []

    def join(self, downstream: Downstream) -> None:
        """A connection was accepted. It may have to go again at once."""
        network = downstream.client.network
        held = self._held[network] = self._held.get(network, 0) + 1
        self._stats.connections += 1
        self.downstreams.add(downstream)
        count = len(self.downstreams) + len(self.tunnels) - len(self._going)
        if self._headcount is not None and network and self._headcount.add(network) > self._limit:
            self._stats.over_client_limit += 1
            self._refuse(downstream, TOO_MANY)
        elif count > self._scarce_from and not self._made_room(downstream.worker.now):
            greedy = network and held > self._fair
            if greedy or count - len(self.refused) > self._most:
                self._stats.over_connections += 1
                self._refuse(downstream, FULL)

    def _refuse(self, downstream: Downstream, refusal: Refusal) -> None:
        """It is told so when its request has come; of too many, nobody waits for that."""
        if len(self.refused) < max(_LEAST_REFUSED, self._most // _SCARCE):
            self.refused[downstream] = refusal
        else:
            downstream.turn_away()

    def _made_room(self, now: float) -> bool:
        """Whether somebody has made room, now or a moment ago."""
        if now < self._looked_at + _LOOK_AGAIN_S:
            return False
        going = to_go(self.downstreams, self._held, self._fair, now, max(self._most // _AT_ONCE, 1))
        if not going:
            self._looked_at = now
        for one in going:
            self._stats.made_room += 1
            self._going.add(one)
            one.make_room()
        return bool(going)

    def leave(self, downstream: Downstream) -> None:
        """A connection is gone."""
        if downstream in self.downstreams:
            self.downstreams.discard(downstream)
            self._going.discard(downstream)
            self.refused.pop(downstream, None)
            self._give_back(downstream.client.network)

    def becomes(self, downstream: Downstream, tunnel: Tunnel) -> None:
        """A connection is one of a tunnel from here on, and keeps its place."""
        self.downstreams.discard(downstream)
        self.tunnels.add(tunnel)

    def over(self, tunnel: Tunnel) -> None:
        """A tunnel is gone."""
        if tunnel in self.tunnels:
            self.tunnels.discard(tunnel)
            self._give_back(tunnel.client.network)

    def _give_back(self, network: str) -> None:
        left = self._held[network] - 1
        if left:
            self._held[network] = left
        else:
            del self._held[network]
        if self._headcount is not None and network:
            self._headcount.take(network)

    def tick(self, now: float) -> None:
        """Look after deadlines. What ends at one moment came at one moment, perhaps to keep us busy when it ends: only
        some of it is ended at a time.
        """
        self._ticks += 1
        if self._ticks % _SCAN_TICKS == 0:
            self._overdue = [one for one in self.downstreams if one.deadline < now]
            self._overdue += [one for one in self.tunnels if one.deadline < now]
        if self._overdue:
            for one in islice(self._overdue, _MOST_EXPIRED):
                if one.deadline < now:
                    one.expire()
            del self._overdue[:_MOST_EXPIRED]


def to_go(waiting: Iterable[W], held: dict[str, int], fair: int, now: float, count: int) -> list[W]:
    """Who makes room: so many of those that owe a head, first of networks that hold more than is fair, the longest
    first.
    """
    owing = []
    for number, one in enumerate(waiting):
        since = one.owes_head_since()
        if since <= now - _YOUNG_S:
            network = one.client.network
            owing.append((not network or held.get(network, 0) <= fair, since, number, one))
    return [one for *_, one in sorted(owing)[:count]]
