"""One target's health: the row of its latest signals, and what it adds up to.

The law, the same for the primary and for backups: a target is *down* after `fail` consecutive bad signals, at least one
of them a probe's, with no good one between; it is up again after `recover` consecutive good probes. So users alone can
never talk a target down, nor up.

A request that waits for too long is a *doubt*: one bad signal as soon as a probe of the same row has failed as well,
and nothing at all when a probe is answered. A good answer ends a row and its doubts when it came after all of them.
A row that began in doubt, and in which nothing was met but silence, must last for longer than a target has stalled
lately without being down: an app that is busy for a second answers nobody for a second.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass

from failover.core.events import Signal, Source
from failover.core.model import NETWORK_ERRORS, ErrorType
from failover.core.words import count, failing, lasting

_REMEMBERED = 20
_SHORTEST_TIMEOUT = 0.5
_SHORTEST_IN_DOUBT = 0.25  # requests have waited for half a second already when a doubt begins
_LONGEST_UNLEARNED = 2.0
_STALL = 0.3
_LONGEST_STALL = 2.0
_STALL_REMEMBERED = 600.0

_TIMEOUTS = frozenset(
    {ErrorType.HTTP_RESPONSE_TIMEOUT, ErrorType.CONNECTION_READ_TIMEOUT, ErrorType.HTTP_RESPONSE_INCOMPLETE}
)
_SLOWNESS_ALLOWED = 4.0
_SILENCE = frozenset(
    {
        ErrorType.CONNECTION_READ_TIMEOUT,
        ErrorType.CONNECTION_TIMEOUT,
        ErrorType.DNS_TIMEOUT,
        ErrorType.HTTP_RESPONSE_TIMEOUT,
    }
)

# Failures that say nothing of the target: the client's, ours, or a plea for patience from one that is alive.
_NO_EVIDENCE = frozenset(
    {
        ErrorType.CONNECTION_LIMIT_REACHED,
        ErrorType.HTTP_429,
        ErrorType.HTTP_REQUEST_ERROR,
        ErrorType.PROXY_INTERNAL_ERROR,
    }
)


def may_be_network(signal: Signal) -> bool:
    """Whether our own network could have made this bad signal just as well. A kept connection tells of a cut network by
    its silence alone.
    """
    return signal.error in NETWORK_ERRORS or (signal.source is Source.LIVE and signal.error in _TIMEOUTS)


def says_nothing(signal: Signal) -> bool:
    """Whether this bad signal says nothing of its target."""
    return signal.error in _NO_EVIDENCE


@dataclass(frozen=True, slots=True)
class HealthMemory:
    """A `Health` as a value. Its times are ages in seconds, so that no clock needs to be shared."""

    down: bool
    bad_probes: int
    bad_requests: int
    good_probes: int
    first_bad_age: float | None
    last_bad_age: float | None
    error: ErrorType | None
    detail: str
    latencies: tuple[float, ...]
    doubts: int = 0
    first_doubt_age: float | None = None
    last_doubt_age: float | None = None
    doubtful: bool = False
    stall: float = 0.0
    stall_age: float | None = None
    answered_age: float | None = None
    network_only: bool = True


class Health:
    """Feed it signals; read its attributes. Times are the caller's monotonic seconds."""

    __slots__ = (
        "_answered_at",
        "_fail",
        "_latencies",
        "_recover",
        "bad_probes",
        "bad_requests",
        "detail",
        "doubtful",
        "doubts",
        "down",
        "error",
        "first_bad",
        "first_doubt",
        "good_probes",
        "last_bad",
        "last_doubt",
        "network_only",
        "stall",
        "stall_at",
    )

    def __init__(self, fail: int, recover: int) -> None:
        self._fail = fail
        self._recover = recover
        self._latencies: deque[float] = deque(maxlen=_REMEMBERED)
        self.down = False
        # The row: bad signals since the last good one, or good probes since the last bad signal.
        self.bad_probes = 0
        self.bad_requests = 0
        self.good_probes = 0
        self.first_bad: float | None = None
        # Whether our own network could have made every bad signal of the row just as well.
        self.network_only = True
        # Doubts that no probe has confirmed yet.
        self.doubts = 0
        self.first_doubt: float | None = None
        self.last_doubt: float | None = None
        # Whether the row began in doubt and is all silence; the longest stall of late that was over before it was an
        # outage, in seconds from its first doubt.
        self.doubtful = False
        self.stall = 0.0
        self.stall_at: float | None = None
        self._answered_at: float | None = None
        # The latest bad signal's; they outlive the row.
        self.last_bad: float | None = None
        self.error: ErrorType | None = None
        self.detail = ""

    @property
    def bad_row(self) -> int:
        """Consecutive bad signals up to now."""
        return self.bad_probes + self.bad_requests

    def take(self, signal: Signal, now: float) -> None:
        """Count one signal about this target."""
        if signal.good:
            self._take_good(signal, now)
        elif signal.error in _NO_EVIDENCE:
            if signal.source is Source.PROBE:
                self.doubts = 0  # nobody can say more about them
        elif not self._answered_meanwhile(signal):
            self._take_bad(signal, now)

    def _answered_meanwhile(self, signal: Signal) -> bool:
        """Whether the target answered somebody else while this probe waited for it in vain."""
        waited = signal.error in NETWORK_ERRORS or signal.error in _TIMEOUTS
        return waited and self._answered_at is not None and self._answered_at > signal.began

    def _answered(self, at: float) -> None:
        if at > -math.inf:
            self._answered_at = max(at, self._answered_at or at)

    def doubt(self, last_good: float, now: float) -> None:
        """Count one request that met what may mean nothing."""
        self._end_row_before(last_good, now)
        self.last_doubt = now
        if self.bad_probes:
            self.bad_requests += 1
            self.last_bad = now
            self._add_up(now)
            return
        if not self.doubts:
            self.first_doubt = now
        self.doubts += 1

    def _end_row_before(self, last_good: float, now: float) -> None:
        """A worker had a good answer then: a row that was over by then is over."""
        self._answered(last_good)
        latest = max((at for at in (self.last_bad, self.last_doubt) if at is not None), default=last_good)
        if last_good > latest:
            self._end_row(now)

    def _end_row(self, now: float) -> None:
        if self.doubtful and self.first_doubt is not None and self.bad_row:
            self._stalled(now - self.first_doubt, now)
        self.bad_probes = self.bad_requests = self.doubts = 0
        self.doubtful = False

    def _stalled(self, lasting_s: float, now: float) -> None:
        """It was silent for so long and is back."""
        if lasting_s <= _LONGEST_STALL:
            self.stall = max(self._stall_of_late(now), lasting_s)
            self.stall_at = now

    def _stall_of_late(self, now: float) -> float:
        return self.stall if self.stall_at is not None and now - self.stall_at < _STALL_REMEMBERED else 0.0

    def _take_good(self, signal: Signal, now: float) -> None:
        if signal.source is Source.LIVE:
            self._end_row_before(signal.last_good, now)
            return
        self._answered(now)
        self._end_row(now)
        if signal.latency is not None:
            self._latencies.append(signal.latency)
        self.good_probes += 1
        if self.good_probes >= self._recover:
            self.down = False

    def _take_bad(self, signal: Signal, now: float) -> None:
        self._end_row_before(signal.last_good, now)
        if not self.bad_row:
            self.doubtful = self.doubts > 0 and signal.source is Source.PROBE
            self.first_bad = self.first_doubt if self.doubtful else now
            self.network_only = True
        self.doubtful = self.doubtful and signal.error in _SILENCE
        self.network_only = self.network_only and may_be_network(signal)
        if signal.source is Source.PROBE:
            self.bad_probes += 1
            self.bad_requests += self.doubts
            self.doubts = 0
        else:
            self.bad_requests += 1
        self.good_probes = 0
        self.last_bad = now
        self.error, self.detail = signal.error, signal.detail
        self._add_up(now)

    def _add_up(self, now: float) -> None:
        if self.bad_probes and self.bad_row >= self._fail and not self._may_be_a_stall(now):
            self.down = True

    def _may_be_a_stall(self, now: float) -> bool:
        """Whether a silence of this length is nothing new: then it is a suspicion, and no more yet."""
        if not self.doubtful or self.first_doubt is None:
            return False
        return now - self.first_doubt < min(max(_STALL, 1.25 * self._stall_of_late(now)), _LONGEST_STALL)

    def quick_timeout(self, longest: float) -> float:
        """How long a probe may take while the target is suspected or doubted, in seconds.

        Four times the slowest good one of late, at least half a second, or a quarter in doubt, at most `longest`; while
        nothing has been learned, at most 2 s.
        """
        if not self._latencies:
            return min(longest, _LONGEST_UNLEARNED)
        shortest = _SHORTEST_IN_DOUBT if self.doubts else _SHORTEST_TIMEOUT
        return min(max(_SLOWNESS_ALLOWED * self.slowest, shortest), longest)

    @property
    def slowest(self) -> float:
        """How long the slowest good probe of late took, in seconds."""
        return max(self._latencies, default=0.0)

    def story(self, target: str, now: float) -> str:
        """`primary refused connections (3 bad signals in a row: 2 probes and 1 request, the first 0.4 s ago)`."""
        failed = failing(target, self.error, self.detail)
        if self.bad_row == 1:
            return f"{failed} (1 bad signal, from a {'probe' if self.bad_probes else 'request'})"
        sources = ((self.bad_probes, "probe"), (self.bad_requests, "request"))
        seen = " and ".join(count(number, noun) for number, noun in sources if number)
        first = f", the first {lasting(now - self.first_bad)} ago" if self.first_bad is not None else ""
        return f"{failed} ({self.bad_row} bad signals in a row: {seen}{first})"

    def snapshot(self, now: float) -> HealthMemory:
        """All of it as a value, to be restored by a successor."""
        return HealthMemory(
            down=self.down,
            bad_probes=self.bad_probes,
            bad_requests=self.bad_requests,
            good_probes=self.good_probes,
            first_bad_age=None if self.first_bad is None else now - self.first_bad,
            last_bad_age=None if self.last_bad is None else now - self.last_bad,
            error=self.error,
            detail=self.detail,
            latencies=tuple(self._latencies),
            doubts=self.doubts,
            first_doubt_age=None if self.first_doubt is None else now - self.first_doubt,
            last_doubt_age=None if self.last_doubt is None else now - self.last_doubt,
            network_only=self.network_only,
            doubtful=self.doubtful,
            stall=self.stall,
            stall_age=None if self.stall_at is None else now - self.stall_at,
            answered_age=None if self._answered_at is None else now - self._answered_at,
        )

    def restore(self, memory: HealthMemory, taken: float) -> None:
        """Take over what a predecessor knew at the time `taken` of the present clock."""
        self.down = memory.down
        self.bad_probes = memory.bad_probes
        self.bad_requests = memory.bad_requests
        self.good_probes = memory.good_probes
        self.first_bad = None if memory.first_bad_age is None else taken - memory.first_bad_age
        self.last_bad = None if memory.last_bad_age is None else taken - memory.last_bad_age
        self.error, self.detail = memory.error, memory.detail
        self._latencies.extend(memory.latencies)
        self.doubts = memory.doubts
        self.first_doubt = None if memory.first_doubt_age is None else taken - memory.first_doubt_age
        self.last_doubt = None if memory.last_doubt_age is None else taken - memory.last_doubt_age
        self.network_only = memory.network_only
        self.doubtful = memory.doubtful
        self.stall = memory.stall
        self.stall_at = None if memory.stall_age is None else taken - memory.stall_age
        self._answered_at = None if memory.answered_age is None else taken - memory.answered_age
