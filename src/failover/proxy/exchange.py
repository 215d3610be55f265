"""Stop 3 of a request, and the only hub: one request and its answer; next comes `pool`.

The law: `downstream` never speaks to `upstream`, both know the exchange. It asks the core at four joints (`start`: head
read; `_step`: a try failed; `_accept`: response head read; `_over`: exchange over), body bytes pass through it
untouched (`relay`), and it ends exactly once (`answering`).
"""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING

from failover.core.model import ErrorType, Verdict
from failover.core.rescue import Progress, Step
from failover.faults import OUR_OWN, Fault
from failover.proxy.answering import Answering
from failover.proxy.choice import Choice
from failover.proxy.evidence import GATEWAY_ERRORS
from failover.proxy.flow import NEVER
from failover.proxy.heads import for_target
from failover.proxy.race import OUTRUN, Rival, Witness
from failover.proxy.tunnel import was_asked_for

if TYPE_CHECKING:
    from failover.proxy.fields import ResponseHead
    from failover.proxy.pool import Pool
    from failover.proxy.upstream import Upstream

_TIMEOUTS = frozenset(
    {ErrorType.HTTP_RESPONSE_TIMEOUT, ErrorType.CONNECTION_READ_TIMEOUT, ErrorType.CONNECTION_TIMEOUT},
)
_MISSES = frozenset((403, 404))

_NO_ANSWER = "The site did not give a usable answer."
_READ_ONLY = "This site can only be read at the moment. Please try again shortly."


class Exchange(Answering):
    """One request and its answer, over up to three tries, two of them at a time in a race."""

    __slots__ = ()

    @property
    def held(self) -> bool:
        """True while it is sent nowhere and waits for somebody who can take it."""
        return self in self.worker.hold.waiting

    # -- joint 1: the head is read

    def start(self) -> None:
        worker = self.worker
        if self.head.safe:
            pool = self._plan()[0] if worker.ramping else worker.safe[0]
            if not (pool.static and self._preflight()):
                self._try(pool)
            return
        plan = self._plan()
        if plan and (self.head.upgrade or not worker.hold.waiting):
            self._try(plan[0])
        elif self._hold():
            return
        elif plan:
            self._try(plan[0])  # no room to wait in turn, and no need to
        else:
            self._refuse(503, _READ_ONLY, None, ended="refused")

    def _plan(self) -> tuple[Pool, ...]:
        """The ladder as it is now, best first."""
        head = self.head
        return self.worker.plan(self.downstream.client, head, safe=head.safe)

    def _try(self, pool: Pool, fresh: bool = False) -> None:
        self.pool = pool
        upstream = None if fresh else pool.take(self.head.safe)
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
        head = self.head
        if not head.length:
            upstream.ask(self, for_target(head, pool, self.downstream.client))
            return
        upstream.begin(self)
        self.write_request(pool, upstream)
        if self.downstream.reading_paused and not upstream.paused:
            self.downstream.resume_upload()

    def write_request(self, pool: Pool, upstream: Upstream) -> None:
        """Send all that there is of the request to a target."""
        head = for_target(self.head, pool, self.downstream.client)
        upstream.transport.write(head + self._upload.so_far() if self.head.length else head)
        if self.upload_done:
            upstream.await_head(self.head.length)
        else:
            upstream.deadline = NEVER  # nothing is owed before the body is complete
        if self.head.length and self._upload.behind:
            self.catch_up()

    # -- joint 2: a try failed

    def not_connected(self, pool: Pool, fault: Fault) -> None:
        if self.over or self.pool is not pool or self.upstream is not None:
            return
        self._step(pool, fault, Progress.NOTHING_SENT)

    def failed(self, upstream: Upstream, fault: Fault) -> None:
        """The connection broke, stalled or spoke nonsense while it carried us."""
        self.upstream = None
        if self.answering:
            progress = Progress.HEAD_PASSED_ON
        elif upstream.kept and not upstream.answering and fault.error is ErrorType.CONNECTION_TERMINATED:
            progress = Progress.REUSED_CLOSED
        elif fault.error is ErrorType.HTTP_RESPONSE_TIMEOUT:
            progress = Progress.FIRST_BYTE_TIMEOUT
        elif upstream.head_read:
            progress = Progress.INCOMPLETE
        else:
            progress = Progress.SENT
        self._step(upstream.pool, fault, progress)

    def _step(self, pool: Pool, fault: Fault, progress: Progress) -> None:
        if self._is_evidence(fault, progress):
            pool.failed(fault.error, fault.detail)
        self.worker.stats.try_failed(pool.alias, fault.error)
        self.first_fault = self.first_fault or fault
        if progress is Progress.HEAD_PASSED_ON:
            self.cut()
        elif self._went_on(pool, fault, progress):
            return
        elif self._choice is not None and self._choice.answer is not None:
            head, body, self.pool = self._choice.answer
            self._pass_on(self.pool, head, body)
        elif progress is Progress.REUSED_CLOSED:
            pool.doubt()  # it may have been time for the connection to end; but a visitor will see it
            self._refuse(502, _NO_ANSWER, fault)
        elif progress is Progress.NOTHING_SENT:
            self._refuse(503, "The site cannot be reached at the moment. Please try again shortly.", fault)
        elif fault.error in _TIMEOUTS:
            self._refuse(504, "The site took too long to answer.", fault)
        else:
            self._refuse(502, _NO_ANSWER, fault)

    def _went_on(self, pool: Pool, fault: Fault, progress: Progress) -> bool:
        """Ask the core whether to try again, and do it."""
        choice = self._choose(pool)
        step = choice.after(progress, fault, body_at_hand=self.can_be_sent_again)
        if step is Step.SAME_FRESH:
            pool.connect(self)
        elif step is Step.NEXT:
            self.worker.stats.rescued_tries += 1
            self._go_to_next(choice)
        elif step is Step.HOLD:
            return self._hold()
        return step is not Step.END

    def _go_to_next(self, choice: Choice) -> None:
        rival, choice.rival = choice.rival, None
        if rival is None:
            # A kept connection may be closed under the last try, and there is no other one after it.
            self._try(choice.pool, fresh=choice.is_last)
            return
        self.pool = rival.pool
        self.upstream = upstream = rival.hand_over()
        if upstream is not None:
            upstream.exchange = self

    def _choose(self, pool: Pool) -> Choice:
        """The choice of this exchange, made at its first failure, which was this target's."""
        if self._choice is None:
            since = monotonic() if self.held_until else self.started
            self._choice = Choice(self.worker, self.head, pool, self._plan, since)
        return self._choice

    def body_lost(self) -> None:
        if self.over:
            return
        fault = Fault(ErrorType.PROXY_INTERNAL_ERROR, "no room to keep the body of the request")
        self._drop_upstream()
        if self.answering:
            self.cut()
        else:
            self.worker.hold.leave(self)
            self._refuse(502, "The body of this request could not be kept until somebody took it.", fault)

    def _is_evidence(self, fault: Fault, progress: Progress) -> bool:
        """Whether a failed try says something about the target, and not about the client or us.

        A client that has closed its half may be gone. One that is still sending may have been refused for what it
        sends, or may have stalled until the target gave up.
        """
        if progress is Progress.NOTHING_SENT:
            return fault.error not in OUR_OWN
        client_is_fair = self.upload_done and not self.downstream.half_closed
        return progress is not Progress.REUSED_CLOSED and fault.error not in OUR_OWN and client_is_fair

    # -- waiting: for a target that is in doubt, and for one that can take a write

    def race(self) -> None:
        """The target keeps us waiting and is in doubt: ask the next one as well, and take the first good answer."""
        pool = self.pool
        if self.answering or self.over or pool is None or not self.head.safe:
            return
        if not self.can_be_sent_beside:
            return
        choice = self._choose(pool)
        second = choice.beside()
        if second is not None:
            choice.rival = Rival(self, second)
            choice.rival.start()

    def outrun(self, rival: Rival, upstream: Upstream | None) -> None:
        """The rival's answer is here first and good: it is ours now, and `upstream` brings the rest of it, if any."""
        loser = self.upstream
        if loser is not None and not loser.answering:
            Witness(loser, self.head)
        else:
            self._drop_upstream()
        self.pool, self.upstream = rival.pool, upstream
        if upstream is not None:
            upstream.exchange = self
            if self.reading_paused:
                upstream.pause()
        if self._choice is not None:
            self._choice.rival = None
            self._choice.move_to(rival.pool, OUTRUN)
        self.worker.stats.rescued_tries += 1

    def rival_lost(self, pool: Pool, answer: tuple[ResponseHead, bytes, Pool] | None, *, asked: bool) -> None:
        """The rival has failed, or has given a real answer that is not good enough; or was never `asked` after all."""
        if self._choice is not None:
            self._choice.rival = None
            self._choice.answer = self._choice.answer or answer
            if not asked:
                self._choice.untried(pool)
            self.race()  # with the next one, if there is any

    def _end_choice(self) -> None:
        choice, self._choice = self._choice, None
        if choice is not None:
            choice.over()

    def _hold(self) -> bool:
        """Wait for somebody who can take this write. False when there is no waiting for it."""
        worker = self.worker
        if self.head.upgrade or self.downstream.half_closed:
            return False  # a tunnel is not worth a wait, and whoever has closed his half may be gone
        if worker.routing.verdict is Verdict.BACKUP and worker.writes:
            return False  # all are down, and have been tried anyway
        if not worker.hold.take(self):
            return False
        self._end_choice()
        self.was_held = True
        self.pool = None
        return True

    def deliver(self, to: Pool | None = None) -> None:
        """The wait of a held write is over: send it, to this target or to whom it may concern now."""
        if to is None:
            plan = self._plan()
            if not plan:
                if not self._hold():
                    self.give_up()
                return
            to = plan[0]
        self.worker.stats.delivered += 1
        self._try(to)

    def abandon(self) -> None:
        self.worker.hold.leave(self)
        super().abandon()

    def give_up(self) -> None:
        """A held write has waited for as long as it may."""
        self._refuse(503, _READ_ONLY, None, ended="refused")

    # -- joint 3: the response head is read

    def _accept(self, head: ResponseHead, body: bytes | None = None) -> Pool | None:
        """Take its status for evidence about the target (spec section 8), and the answer for the client's.

        None when it is no answer for this client: the next target is asked for a better one, or a page that a static
        backup does not have is missing for now only. `body` is None while the answer is not whole.
        """
        pool = self.pool
        if pool is None:
            return None
        if head.status >= 500:
            return self._server_error(pool, head, body)
        pool.good += 1
        pool.good_at = now = monotonic()
        if head.cors and not pool.static:
            self.worker.cors.learn(self.head, head)
        if not self.head.length and self._choice is None and not self.held_until:
            pool.latencies.append(now - self.started)
        if pool.static and head.status in _MISSES and b"text/html" in self.head.field(b"accept").lower():
            self._drop_upstream()
            self._refuse(503, "This page is not available at the moment. Please try again shortly.", None)
            return None
        return pool

    def _server_error(self, pool: Pool, head: ResponseHead, body: bytes | None) -> Pool | None:
        """A 502, 503 or 504 says that the target cannot; all others that it failed at this one thing."""
        fault = Fault(ErrorType.HTTP_5XX, f"answered {head.status}")
        self.first_fault = self.first_fault or fault
        if body is not None and pool is self.worker.primary:
            self.worker.evidence.error_body(head, body)
        if head.status in GATEWAY_ERRORS:
            pool.failed(fault.error, fault.detail)
        else:
            pool.server_error(self.head.target)
            # A visitor of the ramp has been sent to the primary as a trial: what fails there is not his to bear.
            if self.worker.routing.verdict is not Verdict.RAMP or pool is not self.worker.primary:
                return pool
        choice = self._choose(pool)
        if body is not None and choice.answer is None:
            choice.answer = (head, body, pool)
        upstream, self.upstream = self.upstream, None
        if self._went_on(pool, fault, Progress.GATEWAY_ERROR):
            if upstream is not None:
                upstream.abandon()
            return None
        self.upstream = upstream
        if body is not None and choice.answer is not None and choice.answer[2] is not pool:
            head, body, self.pool = choice.answer
            self._pass_on(self.pool, head, body)
            return None
        return pool

    def switched(self, upstream: Upstream, head: ResponseHead, data: bytes) -> None:
        """101: the exchange becomes a tunnel, which owns both connections from here on."""
        if not self.head.upgrade or not self.upload_done:
            fault = Fault(ErrorType.HTTP_PROTOCOL_ERROR, "101 without being asked, or too early")
        elif not was_asked_for(head.upgrade, self.head.upgrade):
            fault = Fault(ErrorType.HTTP_UPGRADE_FAILED, "101 to a protocol that nobody asked for")
        else:
            self._accept(head)
            self._become_tunnel(upstream, head, data)
            return
        upstream.exchange = None
        upstream.close()
        self.failed(upstream, fault)
