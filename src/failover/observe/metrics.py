"""The table of metrics: every name that `/metrics` may show, what it means, and its labels. docs/metrics.md has it.

Names follow the rules of Prometheus (base units, `_total` for what only grows). `upstream` is a target's alias, or
`none` where the answer was ours. No label has a path, an identifier or an address that anybody could choose.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0)
"""Upper ends of the buckets of durations, in seconds: those of OpenTelemetry's HTTP metrics."""

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"})
"""Methods that have a label of their own; all others are `_OTHER`, as in OpenTelemetry."""

OTHER_METHOD = "_OTHER"
NO_UPSTREAM = "none"


class Type(StrEnum):
    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


@dataclass(frozen=True, slots=True)
class Metric:
    name: str
    type: Type
    meaning: str
    labels: tuple[str, ...] = ()


def _counter(name: str, meaning: str, *labels: str) -> Metric:
    return Metric(name, Type.COUNTER, meaning, labels)


def _gauge(name: str, meaning: str, *labels: str) -> Metric:
    return Metric(name, Type.GAUGE, meaning, labels)


def _histogram(name: str, meaning: str, *labels: str) -> Metric:
    return Metric(name, Type.HISTOGRAM, meaning, labels)


METRICS: tuple[Metric, ...] = (
    # who serves
    _gauge("failover_active_upstream", "1 for the target that new requests go to first, 0 for the others.", "upstream"),
    _gauge("failover_upstream_up", "1 while the target is not known to be down, else 0.", "upstream"),
    _gauge("failover_ramp_share_ratio", "Share of the visitors that the primary gets, 0 to 1."),
    _counter("failover_switches_total", "Changes of the side that serves.", "to", "reason"),
    _gauge("failover_last_switch_timestamp_seconds", "When the present side began to serve, Unix time."),
    _counter("failover_backup_seconds_total", "Seconds in which a backup served, or the way back was ramped."),
    # probes
    _counter("failover_probes_total", "Probes that have ended; result is ok, or an error type.", "upstream", "result"),
    _histogram("failover_probe_duration_seconds", "How long probes took, whole.", "upstream"),
    _gauge(
        "failover_tls_certificate_not_after_timestamp_seconds",
        "When the target's certificate expires, Unix time.",
        "upstream",
    ),
    # traffic
    _counter("failover_requests_total", "Requests that were answered, by who answered.", "upstream", "method", "code"),
    _histogram("failover_request_duration_seconds", "From a request's head to the end of its answer.", "upstream"),
    _gauge("failover_requests_in_flight", "Requests that are being answered."),
    _gauge("failover_client_connections", "Open connections of clients."),
    _counter("failover_failed_handshakes_total", "Connections of clients that ended before TLS was agreed on."),
    _counter(
        "failover_turned_away_connections_total",
        "Connections of clients for which there was no place; reason is full, client, or room for one that made room.",
        "reason",
    ),
    _gauge("failover_held_requests", "Writes that wait for somebody who can take them."),
    _counter("failover_upstream_errors_total", "Tries that failed, by error type of RFC 9209.", "upstream", "error"),
    _counter("failover_rescued_requests_total", "Requests another target answered after the first failed.", "error"),
    _counter("failover_failed_requests_total", "Requests whose user saw an error or a cut answer.", "reason"),
    _counter("failover_refused_requests_total", "Writes told to come back later, because only the primary takes them."),
    _counter("failover_aborted_requests_total", "Requests whose client left before the answer was complete."),
    _counter("failover_received_bytes_total", "Bytes of request bodies."),
    _counter("failover_sent_bytes_total", "Bytes of response bodies."),
    # incidents
    _gauge("failover_incident_open", "1 while an incident is open; drill says whether it is a drill.", "drill"),
    _counter("failover_incidents_total", "Incidents and drills that ended since this process began.", "severity"),
    _gauge("failover_error_budget_remaining_ratio", "What is left of the error budget of 30 days; below 0: overspent."),
    _gauge("failover_drill_active", "1 while a drill runs."),
    # deliveries
    _counter("failover_notifications_total", "Tries to tell; result is sent, retry or failed.", "channel", "result"),
    _gauge("failover_notification_queue", "Messages that wait for this channel.", "channel"),
    _gauge("failover_notification_channel_up", "0 after one that failed for good, until one arrives.", "channel"),
    # the program
    _gauge("failover_build_info", "Always 1; the labels are the versions.", "version", "python"),
    _gauge("failover_workers", "Workers that the controller hears."),
)  # fmt: skip
"""All of them, in the order in which they are shown. `process_*` of prometheus-client comes on top."""
