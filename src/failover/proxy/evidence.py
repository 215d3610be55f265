"""What users see of an outage: how each request ends, where, and with which status; told once a second.

While all is well nothing is counted here but what went wrong, so a healthy request costs nothing. From a suspicion on
each exchange that ends is counted by one key; paths are folded when it is told, not when it is counted.
"""

from __future__ import annotations

from collections import Counter
from time import monotonic
from typing import TYPE_CHECKING

from failover.channel import Sample, Saw
from failover.core.model import PRIMARY, ErrorType, Verdict
from failover.core.paths import folded

if TYPE_CHECKING:
    from failover.proxy.answering import Answering
    from failover.proxy.fields import ResponseHead

GATEWAY_ERRORS = frozenset((502, 503, 504, *range(520, 527), 530))
"""Statuses that say that there is an app no more; the last ones are a CDN's for one that it cannot reach."""

_MOST_KEYS = 300
_MOST_CLIENTS = 100_000
_MOST_SAMPLES = 5
_MOST_TARGETS = 20
_BODY = 1024
_LONGEST = 200
_OTHER = b"(other paths)"


class Evidence:
    """What one worker has seen since it last told."""

    def __init__(self, slot: int) -> None:
        self.recording = False
        self._slot = slot
        self._rows: Counter[tuple[str, bytes, int]] = Counter()
        self._held = 0
        self._delivered = 0
        self._clients: set[int] = set()
        self._new_clients: list[int] = []
        self._samples: list[Sample] = []
        self._sampled = 0
        self._body = b""
        self._backup_ok: float | None = None
        self._naming = False
        self._targets: set[bytes] = set()

    def verdict_changed(self, verdict: Verdict, drill: str = "") -> None:
        """Count everybody while the primary is in doubt or down, and in a drill."""
        recording = verdict is not Verdict.PRIMARY or bool(drill)
        self._naming = drill == "shadow"
        self._targets.clear()
        if recording and not self.recording:
            self._sampled = 0
            self._clients.clear()
        self.recording = recording

    def over(self, exchange: Answering) -> None:
        """An exchange has ended."""
        outcome = exchange.ended or self._how(exchange)
        self._count(exchange, outcome)
        path = exchange.head.target
        key = (outcome, path, exchange.status)
        if key not in self._rows and len(self._rows) >= _MOST_KEYS:
            key = (outcome, _OTHER, exchange.status)
        self._rows[key] += 1
        if exchange.was_held:
            self._held += 1
            self._delivered += outcome in {"primary", "backup", "rescued"}
        if self._backup_ok is None and outcome in {"backup", "rescued"}:
            self._backup_ok = monotonic()
        if outcome in {"rescued", "failed"} and self._sampled < _MOST_SAMPLES:
            self._sample(exchange, outcome)
        if self._naming and exchange.head.method == b"GET" and len(self._targets) < _MOST_TARGETS:
            self._targets.add(exchange.head.target)
        if self.recording:
            number = exchange.downstream.client.number(exchange.head)
            if number not in self._clients and len(self._clients) < _MOST_CLIENTS:
                self._clients.add(number)
                self._new_clients.append(number)

    def _count(self, exchange: Answering, outcome: str) -> None:
        stats, fault = exchange.worker.stats, exchange.first_fault
        if outcome == "failed":
            stats.has_failed(fault.error.value if fault is not None else ErrorType.HTTP_5XX.value)
        elif outcome == "rescued":
            stats.was_rescued(fault.error.value if fault is not None else ErrorType.SLOW.value)
        elif outcome == "refused":
            stats.turned_away += 1

    def _how(self, exchange: Answering) -> str:
        if exchange.status in GATEWAY_ERRORS:
            return "failed"
        if exchange.was_rescued:
            return "rescued"
        return "primary" if exchange.pool is None or exchange.pool.alias == PRIMARY else "backup"

    def _sample(self, exchange: Answering, outcome: str) -> None:
        self._sampled += 1
        fault = exchange.first_fault
        by_target = exchange.pool is not None and exchange.ended != "failed"
        self._samples.append(
            Sample(
                began=exchange.started,
                took=monotonic() - exchange.started,
                method=exchange.head.method.decode("latin-1"),
                path=folded(exchange.head.target.decode("latin-1")),  # a token may stand in a path
                error=fault.error.value if fault is not None else "http_5xx" if outcome == "failed" else "slow",
                detail=fault.detail[:_LONGEST] if fault is not None else "",
                answered_by=exchange.pool.alias if exchange.pool is not None and by_target else "failover",
                status=exchange.status,
            )
        )

    def error_body(self, head: ResponseHead, body: bytes) -> None:
        """The primary has answered with an error: keep the beginning of the first such page, if it can be read."""
        encoded = any(line[:17].lower() == b"content-encoding:" for line in head.lines)
        if not self._body and not encoded:
            self._body = body[:_BODY]

    def told(self) -> Saw | None:
        """All since the last time, or None when there is nothing."""
        if not self._rows:
            self._body = b""  # of a page that failed by itself
            return None
        rows: Counter[tuple[str, str, int]] = Counter()
        for (outcome, path, status), number in self._rows.items():
            rows[outcome, folded(path.decode("latin-1")), status] += number
        saw = Saw(
            slot=self._slot,
            rows=[(outcome, path, status, number) for (outcome, path, status), number in rows.items()],
            held=self._held,
            delivered=self._delivered,
            clients=self._new_clients,
            samples=self._samples,
            body=self._body,
            backup_ok=self._backup_ok,
            targets=[target.decode("latin-1") for target in self._targets],
        )
        self._targets.clear()
        self._rows.clear()
        self._held = self._delivered = 0
        self._new_clients, self._samples = [], []
        self._body, self._backup_ok = b"", None
        return saw
