"""The workers as the controller hears them: who is ours, who comes and goes, and what they were told before.

Whoever connects is a stranger until his Hello proves that he belongs to the same supervisor and the same targets.
"""

from __future__ import annotations

import asyncio
import secrets
from typing import TYPE_CHECKING, Any

from failover.channel import Hello, Peer, Told
from failover.controller.tally import Tally

if TYPE_CHECKING:
    from collections.abc import Callable

    from failover.core.model import Routing
    from failover.launch import Launch


class Crew:
    """`heard(worker, message)` gets every message of a worker of ours, `gone(worker)` is called when one is lost; a
    worker is a number that no other has.
    """

    def __init__(
        self,
        launch: Launch,
        loop: asyncio.AbstractEventLoop,
        heard: Callable[[int, Any], None],
        gone: Callable[[int], None],
    ) -> None:
        self._launch = launch
        self._heard = heard
        self._gone = gone
        self._tallies: dict[Peer, Tally] = {}
        self._strangers: set[Peer] = set()
        self._told: Told | None = None
        self._predecessors: asyncio.Future[Routing] = loop.create_future()

    def came(self) -> Peer:
        peer = Peer("controller", self._message, self._lost)
        self._strangers.add(peer)
        return peer

    def tell(self, routing: Routing) -> None:
        """Everybody who is here, and whoever comes later."""
        self._told = Told(routing)
        for peer in self._tallies:
            peer.send(self._told)

    async def predecessors_routing(self, within: float) -> Routing | None:
        """What a worker was told last, by a controller that is dead."""
        try:
            return await asyncio.wait_for(self._predecessors, within)
        except TimeoutError:
            return None

    def tally(self, worker: int) -> Tally:
        return next(tally for peer, tally in self._tallies.items() if id(peer) == worker)

    def close(self) -> None:
        for peer in (*self._tallies, *self._strangers):
            peer.close()

    def _lost(self, peer: Peer) -> None:
        self._strangers.discard(peer)
        if self._tallies.pop(peer, None) is not None:
            self._gone(id(peer))

    def _message(self, peer: Peer, message: Any) -> None:
        if isinstance(message, Hello):
            self._hello(peer, message)
        elif peer in self._tallies:
            self._heard(id(peer), message)
        else:
            peer.close()

    def _hello(self, peer: Peer, hello: Hello) -> None:
        launch = self._launch
        if not secrets.compare_digest(hello.token.encode(), launch.token.encode()):
            if launch.ancestor and secrets.compare_digest(hello.token.encode(), launch.ancestor.encode()):
                self._inherit(hello)
            peer.close()
            return
        self._strangers.discard(peer)
        self._tallies[peer] = Tally()
        self._inherit(hello)
        if self._told is not None:
            peer.send(self._told)

    def _inherit(self, hello: Hello) -> None:
        if hello.routing is not None and not self._predecessors.done():
            self._predecessors.set_result(hello.routing)
