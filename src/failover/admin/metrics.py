"""`/metrics`: the counters of all processes in the words of Prometheus, collected when somebody asks for them."""

from __future__ import annotations

import platform
from collections import defaultdict
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from failover.core.document import Severity
from failover.core.model import ErrorType
from failover.observe.metrics import BUCKETS, METRICS, Metric, Type

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from prometheus_client.metrics_core import Metric as Family

    from failover.admin.base import Key, Sheet
    from failover.admin.history import Channel, History

Row = tuple[tuple[str, ...], float]

_FIRST_WORDS_WITHIN_S = 2.5
"""By then every worker has told its counters to a new controller: they do so once a second."""


class Metrics:
    """The registry of one controller."""

    def __init__(self, sheet: Callable[[], Sheet | None], history: History) -> None:
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(_Ours(sheet, history))
        ProcessCollector(registry=self._registry)

    def written(self, accept: str) -> tuple[bytes, str]:
        """The page in the form that was asked for, and its content type."""
        encode, content_type = choose_encoder(accept)
        return encode(self._registry), content_type


class _Ours(Collector):
    def __init__(self, sheet: Callable[[], Sheet | None], history: History) -> None:
        self._sheet = sheet
        self._history = history

    def collect(self) -> Iterator[Family]:
        sheet = self._sheet()
        if sheet is None:
            return
        rows = _counters(sheet, self._history) | _states(sheet, self._history)
        histograms = {
            "failover_request_duration_seconds": _histogram(sheet, "buckets", "seconds"),
            "failover_probe_duration_seconds": _histogram(sheet, "probe_buckets", "probe_seconds"),
        }
        silent = _OF_WORKERS if _workers_are_to_be_heard(sheet) else frozenset()
        for metric in METRICS:
            if metric.type is Type.HISTOGRAM:
                yield _histogram_family(metric, histograms[metric.name] if metric.name not in silent else {})
            else:
                yield _family(metric, rows.get(metric.name, ()) if metric.name not in silent else ())


def _workers_are_to_be_heard(sheet: Sheet) -> bool:
    """Workers outlive their controller, and tell the next one what they have counted so far, one after the other.

    Whoever saw a part of it meanwhile, or zeros, would take the rest for new requests.
    """
    state = sheet.state
    heard = state.live.workers or any(kind == "values" for kind, *_ in sheet.counters)
    return not heard or 0 <= state.now - state.started < _FIRST_WORDS_WITHIN_S


def _counters(sheet: Sheet, history: History) -> dict[str, list[Row]]:
    """What is a counter of ours, under another name."""
    found = _zeros(sheet, history)
    for (kind, *labels), value in sheet.counters.items():
        if (name := _NAMES.get(str(kind))) is not None:
            found[name][tuple(map(str, labels))] = value
    for value_name, (name, *given) in _VALUES.items():
        found[name][tuple(given)] = sheet.counters.get(("values", value_name), 0)
    return {name: list(rows.items()) for name, rows in found.items()}


def _zeros(sheet: Sheet, history: History) -> defaultdict[str, dict[tuple[str, ...], float]]:
    """Rows that are there before anything happens: what begins with 50 has not grown, for Prometheus.

    So the first seconds of an outage, which are what it is all about, would be missing from every rate.
    """
    aliases = [one.alias for one in sheet.state.targets]
    errors = [error.value for error in ErrorType]
    rows: dict[str, list[tuple[str, ...]]] = {
        "failover_switches_total": [
            *(("primary", reason) for reason in ("recovered", "person")),
            *(("backup", reason) for reason in (*errors, "person")),
        ],
        "failover_probes_total": [(alias, result) for alias in aliases for result in ("ok", *errors)],
        "failover_requests_total": [(alias, "GET", "200") for alias in aliases],
        "failover_upstream_errors_total": [(alias, error) for alias in aliases for error in errors],
        "failover_rescued_requests_total": [(error,) for error in errors],
        "failover_failed_requests_total": [(error,) for error in errors],
        "failover_incidents_total": [(severity.value,) for severity in Severity],
        "failover_notifications_total": [
            (one.name, result) for one in history.channels for result in ("sent", "retry", "failed")
        ],
    }
    return defaultdict(dict, {name: dict.fromkeys(labels, 0.0) for name, labels in rows.items()})


_NAMES = {
    "answers": "failover_requests_total",
    "probes": "failover_probes_total",
    "switches": "failover_switches_total",
    "errors": "failover_upstream_errors_total",
    "rescued": "failover_rescued_requests_total",
    "failures": "failover_failed_requests_total",
    "incidents": "failover_incidents_total",
    "notifications": "failover_notifications_total",
}
_VALUES = {
    "failed_handshakes": ("failover_failed_handshakes_total",),
    "over_connections": ("failover_turned_away_connections_total", "full"),
    "over_client_limit": ("failover_turned_away_connections_total", "client"),
    "made_room": ("failover_turned_away_connections_total", "room"),
    "turned_away": ("failover_refused_requests_total",),
    "aborted": ("failover_aborted_requests_total",),
    "received_bytes": ("failover_received_bytes_total",),
    "sent_bytes": ("failover_sent_bytes_total",),
}
_OF_WORKERS = frozenset(
    {
        *(name for name, *_ in _VALUES.values()),
        *(_NAMES[kind] for kind in ("answers", "errors", "rescued", "failures")),
        "failover_request_duration_seconds",
    }
)


def _states(sheet: Sheet, history: History) -> dict[str, list[Row]]:
    state = sheet.state
    live, targets = state.live, state.targets
    drilling = state.drill is not None
    channels: defaultdict[str, list[Channel]] = defaultdict(list)
    for one in history.channels:  # masked addresses: two webhooks of one service may look alike
        channels[one.name].append(one)
    return {
        "failover_active_upstream": [((one.alias,), float(one.serving)) for one in targets],
        "failover_upstream_up": [((one.alias,), float(one.usable)) for one in targets],
        "failover_ramp_share_ratio": [((), state.share / 100)],
        "failover_last_switch_timestamp_seconds": [((), state.since)],
        "failover_backup_seconds_total": [((), sheet.counters.get(("backup_seconds",), 0))],
        "failover_tls_certificate_not_after_timestamp_seconds": [
            ((one.alias,), one.certificate_ends) for one in targets if one.certificate_ends is not None
        ],
        "failover_requests_in_flight": [((), live.in_flight)],
        "failover_client_connections": [((), live.clients)],
        "failover_held_requests": [((), live.held)],
        "failover_incident_open": [(("false",), float(bool(state.incident))), (("true",), float(drilling))],
        "failover_error_budget_remaining_ratio": [((), history.budget_left)] if history.budget_left is not None else [],
        "failover_drill_active": [((), float(drilling))],
        "failover_notification_queue": [((name,), sum(one.waiting for one in some)) for name, some in channels.items()],
        "failover_notification_channel_up": [
            ((name,), float(not any(one.given_up for one in some))) for name, some in channels.items()
        ],
        "failover_build_info": [((state.version, platform.python_version()), 1.0)],
        "failover_workers": [((), live.workers)],
    }


def _family(metric: Metric, rows: Iterable[Row]) -> Family:
    family_type = CounterMetricFamily if metric.type is Type.COUNTER else GaugeMetricFamily
    name = metric.name.removesuffix("_total") if metric.type is Type.COUNTER else metric.name
    family = family_type(name, metric.meaning, labels=metric.labels)
    for labels, value in rows:
        family.add_metric(labels, value)
    return family


def _histogram(sheet: Sheet, buckets: str, seconds: str) -> dict[str, tuple[list[float], float]]:
    found = {one.alias: ([0.0] * (len(BUCKETS) + 1), 0.0) for one in sheet.state.targets}
    for key, value in sheet.counters.items():
        if key[0] == buckets:
            counts, _ = found.setdefault(str(key[1]), ([0.0] * (len(BUCKETS) + 1), 0.0))
            counts[int(key[2])] += value
    return {alias: (counts, _seconds(sheet, (seconds, alias))) for alias, (counts, _) in found.items()}


def _seconds(sheet: Sheet, key: Key) -> float:
    return sheet.counters.get(key, 0.0)


def _histogram_family(metric: Metric, by_target: dict[str, tuple[list[float], float]]) -> Family:
    family = HistogramMetricFamily(metric.name, metric.meaning, labels=metric.labels)
    bounds = [*map(str, BUCKETS), "+Inf"]
    for alias, (counts, seconds) in by_target.items():
        total, rows = 0.0, []
        for bound, number in zip(bounds, counts, strict=True):
            total += number
            rows.append((bound, total))
        family.add_metric([alias], rows, seconds)
    return family
