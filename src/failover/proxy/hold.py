"""Writes that nobody can take now, kept for the primary to come back: a restart of a few seconds loses none of them.

Held means: not sent anywhere, in the order of their coming, bounded in number, bytes and time, and dropped when the
client leaves (spec section 10). Of a body no more is kept than of any other; the client waits with the rest.
"""

from __future__ import annotations

from bisect import insort
from typing import TYPE_CHECKING

from failover.core.model import Verdict
from failover.proxy.flow import has_ended

if TYPE_CHECKING:
    from failover.proxy.exchange import Exchange
    from failover.proxy.worker import Worker

_MOST = 200
_MOST_BYTES = 64 * 1024 * 1024
_DELIVERED_A_TICK = 20
"""An app that has just started does not get all of them in one moment, unless more come than go."""

_TRY_EVERY_S = 0.5


class Hold:
    """The writes that wait in one worker, the oldest first."""

    def __init__(self, worker: Worker, workers: int) -> None:
        self.waiting: list[Exchange] = []
        self._worker = worker
        self._most = -(-_MOST // workers)
        self._most_bytes = _MOST_BYTES // workers
        self._tried_at = 0.0

    def take(self, exchange: Exchange) -> bool:
        """Keep a write. False when there is no room, or when it has waited for long enough."""
        now, longest = self._worker.now, self._worker.settings.hold_writes
        if not exchange.held_until:
            exchange.held_until = now + longest
        if not longest or now >= exchange.held_until or len(self.waiting) >= self._most:
            return False
        if sum(one.kept_bytes for one in self.waiting) + exchange.kept_bytes > self._most_bytes:
            return False
        insort(self.waiting, exchange, key=_until)  # one that failed to be delivered keeps its place
        return True

    def leave(self, exchange: Exchange) -> None:
        """The client of a held write has gone."""
        if exchange in self.waiting:
            self.waiting.remove(exchange)

    def tick(self) -> None:
        """Deliver what can be delivered, and give up what has waited for too long."""
        waiting, worker = self.waiting, self._worker
        for _ in range(max(_DELIVERED_A_TICK, len(waiting) // 4)):
            if not waiting:
                return
            if _has_gone(waiting[0]):
                waiting[0].downstream.cut()
            elif worker.takes_writes():
                waiting.pop(0).deliver()
            elif worker.on_its_own and self._found_out():
                waiting.pop(0).deliver(to=worker.primary)
            elif worker.now < waiting[0].held_until:
                return
            elif worker.routing.verdict is Verdict.RAMP:
                # A primary on its way back is a better end of the wait than an error.
                waiting.pop(0).deliver(to=worker.primary)
            else:
                waiting.pop(0).give_up()

    def _found_out(self) -> bool:
        """With no controller to tell it: whether the primary answers, or the next one is to find that out."""
        now, primary = self._worker.now, self._worker.primary
        if primary.good_at > self._tried_at > 0.0:
            return True
        if now - self._tried_at < _TRY_EVERY_S:
            return False
        self._tried_at = now
        return True


def _has_gone(exchange: Exchange) -> bool:
    """Whether its client has left in the middle of its body, of which no more is read meanwhile."""
    downstream = exchange.downstream
    return downstream.reading_paused and has_ended(downstream.transport)


def _until(exchange: Exchange) -> float:
    return exchange.held_until
