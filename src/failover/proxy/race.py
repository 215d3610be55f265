"""A second try beside the first: while the primary is in doubt, the backup is asked as well, and the first good answer
wins (spec section 4). Safe requests only: a write must never be sent to two.

A rival stands where an exchange stands for `pool` and `upstream`, and hands its connection over when it wins, or when
the first try fails while it runs. Whoever loses is listened to for a moment longer: that the primary answers at all is
evidence, and in a race it would have no other way to give it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from failover.core.model import ErrorType
from failover.faults import OUR_OWN, Fault
from failover.proxy.flow import NEVER

if TYPE_CHECKING:
    from failover.proxy.exchange import Exchange
    from failover.proxy.fields import RequestHead, ResponseHead
    from failover.proxy.pool import Pool
    from failover.proxy.upstream import Upstream

OUTRUN = Fault(ErrorType.SLOW, "another target answered first")
_MISSES = frozenset((403, 404))
_LISTENED_TO_S = 2.0


class Rival:
    """One request to a second target, on behalf of an exchange that waits for its first."""

    # What upstream asks of an exchange.
    upload_done = True
    reading_paused = False
    answering = False
    doubted = True  # it is a consequence of doubts, and no reason for new ones
    started = NEVER

    def __init__(self, exchange: Exchange, pool: Pool) -> None:
        self.head = exchange.head
        self.pool = pool
        self.upstream: Upstream | None = None
        self._exchange: Exchange | None = exchange
        self._promoted = False

    @property
    def over(self) -> bool:
        return self._exchange is None

    def race(self) -> None:
        """It is the race."""

    def start(self) -> None:
        upstream = self.pool.take(again=False)
        if upstream is not None:
            self._send(upstream)
        else:
            self.pool.connect(self)

    def _send(self, upstream: Upstream) -> None:
        if self._exchange is not None:
            self.upstream = upstream
            upstream.begin(self)
            self._exchange.write_request(self.pool, upstream)

    def drop(self) -> None:
        """Nobody wants its answer any more."""
        self._exchange = None
        upstream, self.upstream = self.upstream, None
        if upstream is not None:
            upstream.abandon()

    def hand_over(self) -> Upstream | None:
        """The exchange goes on with this try: its connection, or None while there is none and `connected` follows."""
        self._promoted = True
        return self.upstream

    def _lose(self, answer: tuple[ResponseHead, bytes, Pool] | None = None, *, asked: bool = True) -> None:
        exchange, self._exchange = self._exchange, None
        self.upstream = None
        if exchange is not None:
            exchange.rival_lost(self.pool, answer, asked=asked)

    def _is_good(self, head: ResponseHead) -> bool:
        return head.status < 500 and not (self.pool.static and head.status in _MISSES)

    # -- called by the pool

    def connected(self, pool: Pool, upstream: Upstream) -> bool:
        if self._exchange is None:
            return False
        if self._promoted:
            return self._exchange.connected(pool, upstream)
        self._send(upstream)
        return True

    def not_connected(self, pool: Pool, fault: Fault) -> None:
        if self._exchange is None:
            return
        if self._promoted:
            self._exchange.not_connected(pool, fault)
            return
        if fault.error not in OUR_OWN:
            pool.failed(fault.error, fault.detail)
        self._lose()

    # -- called by its upstream

    def whole(self, head: ResponseHead, body: bytes) -> None:
        """A small answer, complete."""
        exchange = self._exchange
        if exchange is None:
            return
        if self._is_good(head):
            exchange.outrun(self, None)
            exchange.whole(head, body)
        else:
            self._lose((head, body, self.pool) if head.status >= 500 else None)

    def answer(self, head: ResponseHead) -> None:
        """The head of an answer that streams."""
        exchange, upstream = self._exchange, self.upstream
        if exchange is None or upstream is None:
            return
        if self._is_good(head):
            exchange.outrun(self, upstream)
            exchange.answer(head)
        else:
            self._lose()
            upstream.abandon()

    def cut(self) -> None:
        """Nothing of it was seen by anybody."""

    def interim(self, head: ResponseHead) -> None:
        """A 1xx is for who gets the answer, which is not known yet."""

    def switched(self, upstream: Upstream, _head: ResponseHead, _data: bytes) -> None:
        upstream.exchange = None
        upstream.close()
        self._lose()

    def failed(self, upstream: Upstream, fault: Fault) -> None:
        """The connection broke, stalled or spoke nonsense."""
        self.upstream = None
        if upstream.kept and not upstream.answering and fault.error is ErrorType.CONNECTION_TERMINATED:
            self._lose(asked=False)  # closed while idle, as it may be at any moment: it has heard nothing of it
            return
        if fault.error not in OUR_OWN:
            self.pool.failed(fault.error, fault.detail)
        self._lose()

    def upload_paused(self) -> None:
        """Its body, if any, was written whole."""

    def upload_resumed(self) -> None:
        """As above."""


class Witness:
    """Stands where the exchange stood for a connection that has lost the race: its answer is evidence, and nobody's."""

    # What upstream and pool ask of an exchange.
    upload_done = True
    reading_paused = False
    answering = True
    doubted = True
    over = False
    started = NEVER

    def __init__(self, upstream: Upstream, head: RequestHead) -> None:
        self.head = head
        self.pool = upstream.pool
        self.upstream: Upstream | None = upstream
        upstream.exchange = self
        upstream.listen(_LISTENED_TO_S)

    def race(self) -> None:
        """It has lost."""

    def whole(self, head: ResponseHead, _body: bytes) -> None:
        if head.status < 500:
            self.pool.answered()

    def answer(self, head: ResponseHead) -> None:
        upstream, self.upstream = self.upstream, None
        if upstream is not None:
            upstream.abandon()
        self.whole(head, b"")

    def interim(self, head: ResponseHead) -> None:
        """Nobody reads it."""

    def switched(self, upstream: Upstream, _head: ResponseHead, _data: bytes) -> None:
        upstream.abandon()

    def failed(self, _upstream: Upstream, _fault: Fault) -> None:
        """That it does not answer is known: it has lost."""

    def cut(self) -> None:
        """Nobody sees it."""

    def upload_paused(self) -> None:
        """Its body, if any, was written whole."""

    def upload_resumed(self) -> None:
        """As above."""
