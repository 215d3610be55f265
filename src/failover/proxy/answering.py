"""How an answer passes to the client, and how an exchange ends: answered, cut, or left by its client, and only once."""

from __future__ import annotations

from bisect import bisect_left
from time import monotonic
from typing import TYPE_CHECKING

from failover.observe.metrics import BUCKETS
from failover.proxy import answers
from failover.proxy.fields import CHUNKED
from failover.proxy.flow import keep_alive
from failover.proxy.heads import CLOSING, for_client
from failover.proxy.relay import Relay
from failover.proxy.tunnel import join

if TYPE_CHECKING:
    from failover.faults import Fault
    from failover.proxy.fields import ResponseHead
    from failover.proxy.pool import Pool
    from failover.proxy.upstream import Upstream

_SHORTEST = BUCKETS[0]


class Answering(Relay):
    """The answer of one exchange, from its head to its end. `pool` is the target's that gives it, if any does.

    `ended` says how it ended where it was not with a target's whole answer: `failed`, `refused` or `aborted`. `by_us`:
    the answer is an error of ours. `first_fault` is what it met first, if anything. `answering`: the client has seen
    the beginning of an answer.
    """

    __slots__ = ()

    @property
    def was_rescued(self) -> bool:
        """True when the answer is not of the target that was asked first."""
        return self._choice is not None and self._choice.rescued_from is not None

    # -- a target's answer

    def whole(self, head: ResponseHead, body: bytes) -> None:
        """A small answer, complete: one write, and the exchange is over."""
        pool = self._accept(head, body)
        if pool is not None:
            self._pass_on(pool, head, body)

    def _pass_on(self, pool: Pool, head: ResponseHead, body: bytes) -> None:
        self.answering = True
        self.status = head.status
        self.sent_bytes = len(body)
        self.downstream.transport.write(self._head_for_client(pool, head, self._closing()) + body)
        self._done()

    def answer(self, head: ResponseHead) -> None:
        """The head of an answer that streams."""
        pool = self._accept(head)
        if pool is None:
            return
        self.answering = True
        if self._choice is not None:
            self._choice.settle()
        self.status = head.status
        closing = self._closing()
        out = self._head_for_client(pool, head, closing or (head.length < 0 and self.head.http10))
        self._frames = False
        if head.length < 0:
            if self.head.http10:
                self.downstream.close_after = True  # the end of the connection is the end of the body
            else:
                self.endless = True
                self._frames = head.length != CHUNKED
                out = out[:-2] + b"Transfer-Encoding: chunked\r\n\r\n"
        if head.event_stream and self.upstream is not None:
            keep_alive(self.upstream.transport)
            keep_alive(self.downstream.transport)
            self.downstream.transport.write(out)
            out = b""
        self._opening = out

    def interim(self, head: ResponseHead) -> None:
        """A 1xx: passed on to who can read it; 100 is ours to say, and was said (RFC 9110 section 15.2)."""
        if head.status != 100 and not self.head.http10 and not (self.pool and self.pool.static):
            self.downstream.transport.write(b"\r\n".join((*head.lines, b"\r\n")))

    def _become_tunnel(self, upstream: Upstream, head: ResponseHead, data: bytes) -> None:
        """After a 101 both connections belong to a tunnel."""
        pool, downstream = upstream.pool, self.downstream
        self.status = 101
        pool.open.discard(upstream)
        upgrade = b"Connection: upgrade\r\nUpgrade: " + (head.upgrade or self.head.upgrade) + b"\r\n\r\n"
        out = self._head_for_client(pool, head, closing=False)[:-2] + upgrade
        self._over()
        early = downstream.leave()
        downstream.transport.write(out + data)
        join(pool, downstream, upstream.transport, early)

    def _accept(self, head: ResponseHead, body: bytes | None = None) -> Pool | None:
        """The target whose answer this is, or None when it is none for this client."""
        raise NotImplementedError

    def _closing(self) -> bool:
        """Whether the connection to the client ends with this answer."""
        closing = not self.head.keep_alive or not self.upload_done or self.worker.draining
        if closing:
            self.downstream.close_after = True
        return closing

    def _head_for_client(self, pool: Pool, head: ResponseHead, closing: bool) -> bytes:
        choice = self._choice
        if choice is None and head.carried and pool.marks is None and not self.head.http10:
            return head.carried + (CLOSING if closing else b"\r\n\r\n")
        rescued = answers.rescued_from(choice.rescued_from) if choice is not None and choice.pool is pool else b""
        return for_client(head, pool, self.head, self.downstream.client, rescued=rescued, closing=closing)

    # -- an answer of our own

    def _refuse(self, status: int, text: str, fault: Fault | None, *, ended: str = "failed") -> None:
        """Answer by ourselves."""
        self.worker.stats.refused += 1
        self.status = status
        self.ended = ended
        self.by_us = True
        self.answering = True
        if not self.upload_done:
            self.downstream.close_after = True
        pool = self.pool
        self.downstream.reply(
            status,
            text,
            self.head,
            answers.proxy_status(fault.error if fault else None, pool.alias if pool else None),
        )
        self._done()

    def _preflight(self) -> bool:
        """Answer a preflight that a static backup would not understand as the app did, so that the write that follows
        is told to wait instead of being forbidden. False when it is none, or was never seen.
        """
        head = self.head
        lines = self.worker.cors.preflight(head) if head.method == b"OPTIONS" and not head.length else []
        if lines:
            self.status = 204
            self.answering = True
            self.downstream.transport.write(answers.bare(204, lines, closing=self._closing()))
            self._done()
        return bool(lines)

    # -- joint 4: the exchange is over

    def finished(self) -> None:
        """The whole answer has come and the connection to the target is released."""
        if self.over:
            return
        self.end_stream()
        self._done()

    def abandon(self) -> None:
        """The client is gone: whatever its target does now is nobody's fault."""
        self.worker.stats.aborted += 1
        self.ended = "aborted"
        self._drop_upstream()
        self._over()

    def cut(self) -> None:
        """The answer cannot be completed, and the client must see it."""
        self.worker.stats.cut += 1
        self.ended = "failed"
        self._drop_upstream()
        self._over()
        self.downstream.cut()

    def _drop_upstream(self) -> None:
        upstream, self.upstream = self.upstream, None
        if upstream is not None:
            upstream.abandon()

    def _done(self) -> None:
        self._over()
        self.downstream.done()

    def _over(self) -> None:
        self.over = True
        self.upstream = None
        head, worker, pool = self.head, self.worker, self.pool
        if head.length:
            self._upload.close()
        stats = worker.stats
        if self.status:
            tally = stats.own if pool is None or self.by_us else pool.tally
            took = monotonic() - self.started
            tally.seconds += took
            tally.buckets[0 if took <= _SHORTEST else bisect_left(BUCKETS, took)] += 1
            try:
                tally.answers[head.method, self.status] += 1
            except KeyError:
                tally.first((head.method, self.status))
            stats.sent_bytes += self.sent_bytes
        else:
            stats.unanswered += 1
        if worker.evidence.recording or self.ended or self._choice is not None:
            worker.evidence.over(self)
        if self._choice is not None:
            self._choice.over()
        if worker.access_log is not None:
            worker.access_log(self)
