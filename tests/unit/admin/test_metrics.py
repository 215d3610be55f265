"""The page of metrics, read as Prometheus reads it, in both of its forms."""

import math

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as open_metrics
from prometheus_client.parser import text_string_to_metric_families as prometheus_text

from failover.admin.base import DrillState, Target
from failover.admin.history import Channel
from failover.admin.metrics import Metrics
from failover.observe.metrics import BUCKETS, METRICS, Type
from support.sheets import sheet

FORMS = {
    "prometheus": ("text/plain;version=0.0.4", prometheus_text),
    "openmetrics": ("application/openmetrics-text;version=1.0.0", open_metrics),
}

COUNTERS = {
    ("answers", "primary", "GET", 200): 40,
    ("answers", "primary", "POST", 500): 2,
    ("answers", "none", "GET", 503): 1,
    ("buckets", "primary", 0): 30,
    ("buckets", "primary", 3): 10,
    ("buckets", "primary", len(BUCKETS)): 2,
    ("buckets", "none", 0): 0,
    ("seconds", "primary"): 33.5,
    ("errors", "primary", "connection_refused"): 5,
    ("rescued", "connection_refused"): 4,
    ("failures", "http_5xx"): 3,
    ("probes", "primary", "ok"): 9,
    ("probe_buckets", "primary", 1): 9,
    ("probe_seconds", "primary"): 0.09,
    ("switches", "backup", "connection_refused"): 1,
    ("incidents", "minor"): 2,
    ("notifications", 'hooks.example/"…"\\', "sent"): 6,
    ("backup_seconds",): 77,
    ("values", "turned_away"): 8,
    ("values", "aborted"): 11,
    ("values", "failed_handshakes"): 14,
    ("values", "over_connections"): 15,
    ("values", "over_client_limit"): 16,
    ("values", "made_room"): 17,
    ("values", "received_bytes"): 12,
    ("values", "sent_bytes"): 13,
    ("values", "something_else"): 99,
    ("nobody_shows_this",): 99,
}
DRILL = DrillState(sort="full", percent=0, who="ada", began=0.0, ends=60.0)


class Past:
    """What the history would have read."""

    def __init__(self, *channels, budget_left=0.75):
        self.channels = list(channels)
        self.budget_left = budget_left


def read(form, shown, past=None):
    """All samples by name and labels."""
    accept, parse = FORMS[form]
    past = past if past is not None else Past(Channel("hooks.example", "slack", waiting=3))
    page, content_type = Metrics(lambda: shown, past).written(accept)
    assert content_type.startswith(accept.partition(";")[0])
    families = list(parse(page.decode()))
    assert len({family.name for family in families}) == len(families)
    rows = [sample for family in families for sample in family.samples]
    found = {(one.name, *sorted(one.labels.items())): one.value for one in rows}
    assert len(found) == len(rows), "a series is there twice"
    return families, found


@pytest.mark.parametrize("form", FORMS)
def test_every_metric_of_the_table_is_there_with_its_labels_and_meaning(form):
    targets = [
        Target(alias=alias, url="http://x", kind="app", usable=True, serving=True, certificate_ends=1.9e9)
        for alias in ("primary", "backup")
    ]
    families, _ = read(form, sheet(COUNTERS, targets=targets))
    by_name = {family.name: family for family in families}
    for metric in METRICS:
        openly = form == "openmetrics" and metric.type is Type.COUNTER
        family = by_name[metric.name.removesuffix("_total")] if openly else by_name.get(metric.name)
        family = family or by_name[metric.name.removesuffix("_total")]
        assert family.type == metric.type.value
        assert family.documentation == metric.meaning
        assert family.samples, metric.name
        for sample in family.samples:
            assert set(sample.labels) - {"le"} == set(metric.labels), metric.name
            if metric.type is Type.COUNTER:
                assert sample.name == metric.name
                assert sample.name.endswith("_total")
            assert math.isfinite(sample.value)


@pytest.mark.parametrize("form", FORMS)
def test_the_values_are_those_of_the_sheet(form):
    _, found = read(form, sheet(COUNTERS, drill=DRILL, incident="inc_1", share=25))
    get = ("code", "200"), ("method", "GET"), ("upstream", "primary")
    assert found["failover_requests_total", *get] == 40
    assert found["failover_requests_total", ("code", "503"), ("method", "GET"), ("upstream", "none")] == 1
    assert found["failover_probes_total", ("result", "ok"), ("upstream", "primary")] == 9
    assert found["failover_switches_total", ("reason", "connection_refused"), ("to", "backup")] == 1
    assert found["failover_refused_requests_total",] == 8
    assert found["failover_aborted_requests_total",] == 11
    assert found["failover_sent_bytes_total",] == 13
    assert found["failover_backup_seconds_total",] == 77
    assert found["failover_active_upstream", ("upstream", "primary")] == 1
    assert found["failover_active_upstream", ("upstream", "backup")] == 0
    assert found["failover_upstream_up", ("upstream", "backup")] == 0
    assert found["failover_ramp_share_ratio",] == 0.25
    assert found["failover_held_requests",] == 2
    assert found["failover_incident_open", ("drill", "false")] == 1
    assert found["failover_incident_open", ("drill", "true")] == found["failover_drill_active",] == 1
    assert found["failover_error_budget_remaining_ratio",] == 0.75
    assert found["failover_notification_queue", ("channel", "hooks.example")] == 3
    assert found["failover_notifications_total", ("channel", 'hooks.example/"…"\\'), ("result", "sent")] == 6
    assert 99 not in found.values()


@pytest.mark.parametrize("form", FORMS)
def test_buckets_are_cumulative_and_end_in_the_count(form):
    _, found = read(form, sheet(COUNTERS))
    name, of = "failover_request_duration_seconds", ("upstream", "primary")
    buckets = [found[f"{name}_bucket", ("le", f"{bound}"), of] for bound in (*BUCKETS, "+Inf")]
    assert buckets == sorted(buckets)
    assert buckets[0] == 30
    assert buckets[3] == buckets[-2] == 40
    assert buckets[-1] == found[f"{name}_count", of] == 42
    assert found[f"{name}_sum", of] == 33.5
    assert found[f"{name}_count", ("upstream", "none")] == 0  # nothing has happened there yet, and it may


@pytest.mark.parametrize("form", FORMS)
def test_two_channels_of_one_name_are_one_series(form):
    past = Past(
        Channel("hooks.slack.com", "slack", waiting=2),
        Channel("hooks.slack.com", "slack", waiting=3, given_up=True),
        Channel("other.example", "generic"),
        budget_left=None,
    )
    _, found = read(form, sheet(), past)
    assert found["failover_notification_queue", ("channel", "hooks.slack.com")] == 5
    assert found["failover_notification_channel_up", ("channel", "hooks.slack.com")] == 0
    assert found["failover_notification_channel_up", ("channel", "other.example")] == 1
    assert ("failover_error_budget_remaining_ratio",) not in found


@pytest.mark.parametrize("form", FORMS)
def test_counters_of_ours_that_nothing_has_counted_begin_at_zero(form):
    _, found = read(form, sheet())
    for name in ("refused_requests", "aborted_requests", "received_bytes", "sent_bytes", "backup_seconds"):
        assert found[f"failover_{name}_total",] == 0


@pytest.mark.parametrize("form", FORMS)
def test_before_the_first_sheet_there_is_a_page_all_the_same(form):
    _, found = read(form, None)
    assert not any(name.startswith("failover_") for name, *_ in found)
    assert ("process_cpu_seconds_total",) in found
