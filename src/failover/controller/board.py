"""What the controller has on its board for those who look: counters, probes, the traffic of the last minutes.

Facts in, a `Sheet` out. Nothing is decided here, and a mistake here must not reach those who decide.
"""

from __future__ import annotations

import time
from bisect import bisect_left
from collections import Counter, deque
from statistics import quantiles
from time import monotonic
from typing import TYPE_CHECKING

from failover.admin.base import Key, Live, Probe, Target, Traffic
from failover.core.model import PRIMARY
from failover.core.words import failing
from failover.observe.metrics import BUCKETS, NO_UPSTREAM

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from failover.channel import Counters
    from failover.controller.prober import Result
    from failover.core.model import Target as Place
    from failover.core.model import TargetState

_PROBES = 60
_MINUTE = 60
_STEP_S = 5.0
_STEPS = 180
_FIRST_WORDS_WITHIN_S = 2.5
_WORTH_A_PERCENTILE = 2


class Board:
    """One for each controller. Counters only grow, whoever of the workers dies."""

    def __init__(self, aliases: Iterable[str]) -> None:
        self.started = _wall()
        self._born = monotonic()
        self.counters: Counter[Key] = Counter()
        self._probes: dict[str, deque[Probe]] = {alias: deque(maxlen=_PROBES) for alias in aliases}
        self._last_ok: dict[str, float] = {}
        self._last_bad: dict[str, Probe] = {}
        self._certificates: dict[str, float] = {}
        self._told: dict[int, dict[Key, float]] = {}
        self._gauges: dict[int, dict[str, int]] = {}
        self._busy: dict[int, dict[str, int]] = {}
        self._seconds: deque[Counter[Key]] = deque(maxlen=_MINUTE + 1)
        self._steps: deque[tuple[int, int, int, int, int]] = deque(maxlen=_STEPS)
        self._stepped = (monotonic(), self._outcomes())
        self._step_at = _wall()

    # -- facts in

    def counted(self, worker: int, counters: Counters) -> None:
        """A worker's counters; `worker` tells it from its predecessor, who counted from zero."""
        now, before = dict(_flat(counters)), self._told.get(worker, {})
        for key, value in now.items():
            if value != (known := before.get(key, 0)):
                self.counters[key] += value - known  # type: ignore[assignment]  # seconds are no whole numbers
        self._told[worker] = now
        self._gauges[worker] = {name: counters.values.get(name, 0) for name in ("in_flight", "clients", "held")}
        self._busy[worker] = counters.busy

    def left(self, worker: int) -> None:
        for kept in (self._told, self._gauges, self._busy):
            kept.pop(worker, None)

    def probed(self, result: Result) -> None:
        signal, took = result.signal, sum(result.took.values())
        alias = signal.target
        error = signal.error.value if signal.error is not None else ""
        sentence = "" if signal.good else failing(alias, signal.error, signal.detail)
        probe = Probe(at=_wall(), took_ms=round(took * 1000, 1), error=error, sentence=sentence, status=result.status)
        self._probes[alias].append(probe)
        if signal.good:
            self._last_ok[alias] = probe.at
        else:
            self._last_bad[alias] = probe
        if result.certificate is not None and result.certificate.not_after is not None:
            self._certificates[alias] = result.certificate.not_after.timestamp()
        self.counters["probes", alias, error or "ok"] += 1
        self.counters["probe_buckets", alias, bisect_left(BUCKETS, took)] += 1
        self.counters["probe_seconds", alias] += took  # type: ignore[assignment]  # as above

    def tick(self) -> None:
        """Once a second."""
        if monotonic() - self._born < _FIRST_WORDS_WITHIN_S:
            # Workers that outlived a controller tell all that they have counted: that is not the traffic of now.
            self._seconds.clear()
            self._stepped = (monotonic(), self._outcomes())
        self._seconds.append(self.counters.copy())
        began, before = self._stepped
        if monotonic() - began >= _STEP_S - 0.5:
            now = self._outcomes()
            self._steps.append(tuple(new - old for new, old in zip(now, before, strict=True)))  # type: ignore[arg-type]
            self._stepped, self._step_at = (monotonic(), now), _wall()

    # -- what is shown

    @property
    def workers(self) -> int:
        return len(self._told)

    def last_ok(self, alias: str) -> float | None:
        return self._last_ok.get(alias)

    def gauge(self, name: str) -> int:
        return sum(gauges[name] for gauges in self._gauges.values())

    def total(self, name: str, *labels: str) -> int:
        """The sum of all counters of this name whose first labels are these."""
        length = 1 + len(labels)
        return int(sum(value for key, value in self.counters.items() if key[:length] == (name, *labels)))

    @property
    def hidden(self) -> int:
        """Requests that were answered by a backup."""
        return sum(
            value
            for key, value in self.counters.items()
            if key[0] == "answers" and key[1] not in (PRIMARY, NO_UPSTREAM)
        )

    def live(self) -> Live:
        first = self._seconds[0] if self._seconds else Counter[Key]()
        minute: Counter[Key] = Counter({key: value - first[key] for key, value in self.counters.items()})
        answers = sum(value for key, value in minute.items() if key[0] == "answers")
        failed = sum(value for key, value in minute.items() if key[0] == "failures")
        seconds = max(len(self._seconds) - 1, 1)
        return Live(
            requests_per_second=round(answers / seconds, 1),
            failed=failed,
            failed_ratio=round(failed / answers, 4) if answers else 0.0,
            p95_ms=_percentile(minute, 0.95),
            in_flight=self.gauge("in_flight"),
            clients=self.gauge("clients"),
            held=self.gauge("held"),
            hidden=self.hidden,
            workers=self.workers,
        )

    def traffic(self) -> Traffic:
        rows = list(self._steps)
        return Traffic(start=round(self._step_at - len(rows) * _STEP_S, 3), seconds=_STEP_S, rows=rows)

    def target(self, place: Place, state: TargetState, *, serving: bool) -> Target:
        alias = place.alias
        probes = list(self._probes[alias])
        took = sorted(probe.took_ms for probe in probes if not probe.error)
        parts = quantiles(took, n=100, method="inclusive") if len(took) >= _WORTH_A_PERCENTILE else None
        last_bad = self._last_bad.get(alias)
        return Target(
            alias=alias,
            url=place.url,
            kind="app" if alias == PRIMARY else state.kind.value,
            usable=state.usable,
            serving=serving,
            error=state.error.value if state.error is not None else "",
            sentence=last_bad.sentence if state.error is not None and last_bad is not None else "",
            addresses=[f"[{host}]:{port}" if ":" in host else f"{host}:{port}" for host, port in state.addresses],
            in_flight=sum(busy.get(alias, 0) for busy in self._busy.values()),
            p50_ms=round(parts[49], 1) if parts else None,
            p95_ms=round(parts[94], 1) if parts else None,
            last_ok=self._last_ok.get(alias),
            last_bad=last_bad,
            certificate_ends=self._certificates.get(alias),
            probes=probes,
        )

    def _outcomes(self) -> tuple[int, int, int, int, int]:
        rescued, failed = self.total("rescued"), self.total("failures")
        refused = self.total("values", "turned_away")
        return (self.total("answers", PRIMARY), max(self.hidden - rescued, 0), rescued, failed, refused)


def _flat(counters: Counters) -> Iterator[tuple[Key, float]]:
    for name, value in counters.values.items():
        yield ("values", name), value
    for alias, method, status, number in counters.answers:
        yield ("answers", alias, method, status), number
    for alias, (buckets, seconds) in counters.durations.items():
        for place, number in enumerate(buckets):
            yield ("buckets", alias, place), number
        yield ("seconds", alias), seconds
    for alias, error, number in counters.errors:
        yield ("errors", alias, error), number
    for error, number in counters.rescued.items():
        yield ("rescued", error), number
    for error, number in counters.failures.items():
        yield ("failures", error), number


def _percentile(minute: Counter[Key], part: float) -> float | None:
    """Milliseconds that this part of the answers took at most, by the buckets, with a straight line within each."""
    buckets = [0] * (len(BUCKETS) + 1)
    for key, value in minute.items():
        if key[0] == "buckets" and isinstance(place := key[2], int):
            buckets[place] += value
    wanted, below = sum(buckets) * part, 0
    if not wanted:
        return None
    for place, number in enumerate(buckets):
        if number and below + number >= wanted:
            low = BUCKETS[place - 1] if place else 0.0
            high = BUCKETS[min(place, len(BUCKETS) - 1)]
            return round((low + (high - low) * (wanted - below) / number) * 1000, 1)
        below += number
    return None


def _wall() -> float:
    return time.time()  # noqa: TID251 - the pages are read in the time of people
