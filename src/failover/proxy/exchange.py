"""Stop 3 of a request, and the only hub: one request and its answer; next comes `pool`.

The law: `downstream` never speaks to `upstream`, both know the exchange. It asks the core at four joints (`start`: head
read; `_step`: a try failed; `answer` and `whole`: response head read; `_over`: exchange over), body bytes pass through
it untouched, and it ends exactly once: answered, cut, or left by its client.
"""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING

from failover.core.model import ErrorType
from failover.core.rescue import Progress, Request, Step, next_step
from failover.faults import OUR_OWN, Fault
from failover.proxy import answers
from failover.proxy.chunked import frame, last_chunk
from failover.proxy.fields import CHUNKED, RequestHead, ResponseHead
from failover.proxy.flow import NEVER, keep_alive
from failover.proxy.heads import for_client, for_target
from failover.proxy.tunnel import join

if TYPE_CHECKING:
    from failover.proxy.downstream import Downstream
    from failover.proxy.pool import Pool
    from failover.proxy.upstream import Upstream

KEPT_BODY = 64 * 1024
"""Body bytes kept while no target is connected; beyond them the client waits."""

_TIMEOUTS = frozenset(
    {ErrorType.HTTP_RESPONSE_TIMEOUT, ErrorType.CONNECTION_READ_TIMEOUT, ErrorType.CONNECTION_TIMEOUT},
)
_IDEMPOTENT = frozenset((b"PUT", b"DELETE"))
_GATEWAY_ERRORS = frozenset((502, 503, 504))
_MISSES = frozenset((403, 404))


class Exchange:
    """One request and its answer, over up to three tries."""

    # Defaults stand on the class: most requests change none of them.
    pool: Pool | None = None
    upstream: Upstream | None = None
    over = False
    reading_paused = False
    status = 0
    sent_bytes = 0
    _rung = 0
    _tries = 0
    _answered = False
    _body_sent = False
    _chunked_out = False
    _kept: list[bytes] | None = None
    _kept_size = 0
    _trailers = b""
    _fault: Fault | None = None

    def __init__(self, downstream: Downstream, head: RequestHead) -> None:
        self.downstream = downstream
        self.worker = downstream.worker
        self.head = head
        self.upload_done = head.length == 0
        self.started = monotonic()

    @property
    def answering(self) -> bool:
        """True once the client has seen the beginning of an answer."""
        return self._answered

    @property
    def endless(self) -> bool:
        """True while an answer flows whose length nobody knows, such as an event stream."""
        return self._chunked_out

    # -- joint 1: the head is read

    def start(self) -> None:
        worker = self.worker
        self._plan = worker.safe if self.head.safe and not self.head.upgrade else worker.writes
        if self._plan:
            self._try(self._plan[0])
        else:
            self._refuse(503, "This site can only be read at the moment. Please try again shortly.", None)

    def _try(self, pool: Pool) -> None:
        self.pool = pool
        self._tries += 1
        upstream = pool.take(once=not self.head.safe or bool(self.head.upgrade))
        if upstream is not None:
            self._send(pool, upstream)
        else:
            pool.connect(self)

    def connected(self, pool: Pool, upstream: Upstream) -> bool:
        """A connection asked for is there. False when it is no longer wanted."""
        if self.over or self.pool is not pool or self.upstream is not None:
            return False
        self._send(pool, upstream)
        return True

    def _send(self, pool: Pool, upstream: Upstream) -> None:
        self.upstream = upstream
        upstream.begin(self)
        worker = self.worker
        head = for_target(self.head, pool, self.downstream.client)
        upstream.transport.write(head + self._body_so_far() if self.head.length else head)
        if self.upload_done:
            upstream.deadline = worker.now + worker.settings.first_byte_timeout
        else:
            upstream.deadline = NEVER  # nothing is owed before the body is complete
        if self.head.length and not upstream.paused:
            self.downstream.resume_upload()

    def _body_so_far(self) -> bytes:
        """What of the body has come while no target was connected."""
        kept, self._kept = self._kept, None
        chunked = self.head.length == CHUNKED
        if not kept and not (chunked and self.upload_done):
            return b""
        self._body_sent = True
        if not chunked:
            return b"".join(kept or ())
        return frame(kept or []) + (last_chunk(self._trailers) if self.upload_done else b"")

    # -- the body, on its way up

    def upload(self, pieces: list[bytes]) -> None:
        """Body bytes from the client: passed on, or kept while no target is connected."""
        upstream = self.upstream
        if upstream is None:
            if self._kept is None:
                self._kept = []
            self._kept.extend(pieces)
            self._kept_size += sum(map(len, pieces))
            if self._kept_size >= KEPT_BODY:
                self.downstream.pause_upload()
            return
        self._body_sent = True
        if self.head.length == CHUNKED:
            upstream.transport.write(frame(pieces))
        else:
            upstream.transport.writelines(pieces)

    def upload_end(self, trailers: bytes) -> None:
        """The request's body is complete: from here the time to the first byte of the answer counts."""
        self.upload_done = True
        upstream = self.upstream
        if upstream is None:
            self._trailers = trailers
            return
        if self.head.length == CHUNKED:
            upstream.transport.write(last_chunk(trailers))
        if not upstream.answering:
            upstream.deadline = self.worker.now + self.worker.settings.first_byte_timeout

    def upload_paused(self) -> None:
        """The target reads too slowly: the client waits, and the target's time runs."""
        if self.upstream is not None and not self.upstream.answering:
            self.upstream.deadline = self.worker.now + self.worker.settings.idle_timeout
        self.downstream.pause_upload()

    def upload_resumed(self) -> None:
        if self.upstream is not None and not self.upstream.answering and not self.upload_done:
            self.upstream.deadline = NEVER
        self.downstream.resume_upload()

    # -- joint 2: a try failed

    def not_connected(self, pool: Pool, fault: Fault) -> None:
        if self.over or self.pool is not pool or self.upstream is not None:
            return
        self._step(pool, fault, Progress.NOTHING_SENT)

    def failed(self, upstream: Upstream, fault: Fault) -> None:
        """The connection broke, stalled or spoke nonsense while it carried us."""
        self.upstream = None
        if self._answered:
            progress = Progress.HEAD_PASSED_ON
        elif upstream.kept and not upstream.answering and fault.error is ErrorType.CONNECTION_TERMINATED:
            progress = Progress.REUSED_CLOSED
        elif fault.error is ErrorType.HTTP_RESPONSE_TIMEOUT:
            progress = Progress.FIRST_BYTE_TIMEOUT
        else:
            progress = Progress.SENT
        self._step(upstream.pool, fault, progress)

    def _step(self, pool: Pool, fault: Fault, progress: Progress) -> None:
        self._fault = fault
        if self._is_evidence(fault, progress):
            pool.failed(fault.error, fault.detail)
        self.worker.stats.failed_tries += 1
        step = next_step(progress, self._sort(), self._tries, body_at_hand=not self._body_sent)
        if step is Step.SAME_FRESH:
            self._tries += 1
            pool.connect(self)
            return
        if step is Step.NEXT and self._rung + 1 < len(self._plan):
            self._rung += 1
            self.worker.stats.rescued_tries += 1
            self._try(self._plan[self._rung])
            return
        if progress is Progress.HEAD_PASSED_ON:
            self.worker.stats.cut += 1
            self._over()
            self.downstream.cut()
        elif progress is Progress.NOTHING_SENT:
            self._refuse(503, "The site cannot be reached at the moment. Please try again shortly.", fault)
        elif fault.error in _TIMEOUTS:
            self._refuse(504, "The site took too long to answer.", fault)
        else:
            self._refuse(502, "The site did not give a usable answer.", fault)

    def _is_evidence(self, fault: Fault, progress: Progress) -> bool:
        """Whether a failed try says something about the target, and not about the client or us.

        A client that has closed its half may be gone. One that is still sending may have been refused for what it
        sends, or may have stalled until the target gave up.
        """
        if progress is Progress.NOTHING_SENT:
            return fault.error not in OUR_OWN
        client_is_fair = self.upload_done and not self.downstream.half_closed
        return progress is not Progress.REUSED_CLOSED and fault.error not in OUR_OWN and client_is_fair

    def _sort(self) -> Request:
        head = self.head
        if head.upgrade:
            return Request.ONCE
        if head.safe:
            return Request.SAFE
        if head.field(b"idempotency-key"):
            return Request.KEYED
        return Request.IDEMPOTENT if head.method in _IDEMPOTENT else Request.ONCE

    # -- joint 3: the response head is read

    def whole(self, head: ResponseHead, body: bytes) -> None:
        """A small answer, complete: one write, and the exchange is over."""
        pool = self._accept(head)
        if pool is None:
            return
        self.sent_bytes = len(body)
        self.downstream.transport.write(self._head_for_client(pool, head, closing=self._closing()) + body)
        self._done()

    def answer(self, head: ResponseHead) -> None:
        """The head of an answer that streams."""
        pool = self._accept(head)
        if pool is None:
            return
        closing = self._closing()
        out = self._head_for_client(pool, head, closing=closing or (head.length < 0 and self.head.http10))
        if head.length < 0:
            if self.head.http10:
                self.downstream.close_after = True  # the end of the connection is the end of the body
            else:
                self._chunked_out = True
                out = out[:-2] + b"Transfer-Encoding: chunked\r\n\r\n"
        if head.event_stream and self.upstream is not None:
            keep_alive(self.upstream.transport)
            keep_alive(self.downstream.transport)
        self.downstream.transport.write(out)

    def interim(self, head: ResponseHead) -> None:
        """A 1xx: passed on to who can read it; 100 is ours to say, and was said (RFC 9110 section 15.2)."""
        if head.status != 100 and not self.head.http10 and not (self.pool and self.pool.static):
            self.downstream.transport.write(b"\r\n".join((*head.lines, b"\r\n")))

    def switched(self, upstream: Upstream, head: ResponseHead, data: bytes) -> None:
        """101: the exchange becomes a tunnel, which owns both connections from here on."""
        pool = upstream.pool
        if not self.head.upgrade or not self.upload_done:
            upstream.exchange = None
            upstream.close()
            self.failed(upstream, Fault(ErrorType.HTTP_PROTOCOL_ERROR, "101 without being asked, or too early"))
            return
        self._accept(head)
        pool.open.discard(upstream)
        downstream = self.downstream
        upgrade = b"Connection: upgrade\r\nUpgrade: " + (head.upgrade or self.head.upgrade) + b"\r\n\r\n"
        out = self._head_for_client(pool, head, closing=False)[:-2] + upgrade
        self._over()
        early = downstream.leave()
        downstream.transport.write(out + data)
        join(self.worker, downstream.transport, upstream.transport, early)

    def _accept(self, head: ResponseHead) -> Pool | None:
        """Take the answer for the client's, and its status for evidence about the target (spec section 8).

        None when it is no answer for this client: a page that a static backup does not have is missing for now only.
        """
        pool = self.pool
        if pool is None:
            return None
        if head.status in _GATEWAY_ERRORS:
            pool.failed(ErrorType.HTTP_5XX, f"answered {head.status}")
        else:
            pool.good += 1
        if pool.static and head.status in _MISSES and b"text/html" in self.head.field(b"accept").lower():
            self._drop_upstream()
            self._refuse(503, "This page is not available at the moment. Please try again shortly.", None)
            return None
        self._answered = True
        self.status = head.status
        return pool

    def _closing(self) -> bool:
        """Whether the connection to the client ends with this answer."""
        closing = not self.head.keep_alive or not self.upload_done or self.worker.draining
        if closing:
            self.downstream.close_after = True
        return closing

    def _head_for_client(self, pool: Pool, head: ResponseHead, *, closing: bool) -> bytes:
        rescued = answers.rescued_from(self._plan[0].alias, self._fault) if self._rung else b""
        return for_client(head, pool, self.head, self.downstream.client, rescued=rescued, closing=closing)

    # -- the body, on its way down

    def stream(self, data: bytes) -> None:
        self.sent_bytes += len(data)
        if self._chunked_out:
            self.downstream.transport.writelines((b"%x\r\n" % len(data), data, b"\r\n"))
        else:
            self.downstream.transport.write(data)

    def stream_pieces(self, pieces: list[bytes]) -> None:
        if self._chunked_out:
            self.sent_bytes += sum(map(len, pieces))
            self.downstream.transport.write(frame(pieces))
        else:
            for piece in pieces:
                self.stream(piece)

    def finished(self, trailers: bytes) -> None:
        """The whole answer has come and the connection to the target is released."""
        if self.over:
            return
        if self._chunked_out:
            self.downstream.transport.write(last_chunk(trailers))
        self._done()

    def reading_too_slowly(self) -> None:
        """The client's buffer is full: the target waits too."""
        self.reading_paused = True
        if self.upstream is not None:
            self.upstream.pause()

    def reading_again(self) -> None:
        self.reading_paused = False
        if self.upstream is not None:
            self.upstream.resume()

    # -- joint 4: the exchange is over

    def abandon(self) -> None:
        """The client is gone: whatever its target does now is nobody's fault."""
        self.worker.stats.aborted += 1
        self._drop_upstream()
        self._over()

    def _refuse(self, status: int, text: str, fault: Fault | None) -> None:
        """Answer by ourselves."""
        self.worker.stats.refused += 1
        self.status = status
        self._answered = True
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
        self.worker.stats.exchanges += 1
        if self.worker.access_log is not None:
            self.worker.access_log(self)
