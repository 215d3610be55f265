from dataclasses import replace
from datetime import datetime

import pytest
from hypothesis import given

from failover.core.document import Occasion, Rung, Severity
from failover.reports import pagerduty
from support import limits
from support.golden import golden_json
from support.incidents import ALL, opened, resolved
from support.tellings import WRITTEN, file_of, of, sample, tellings

KEY = "r" * 32


@pytest.mark.parametrize(("name", "rung"), WRITTEN)
def test_events_are_as_they_were_written_down(name, rung):
    golden_json(file_of(name, "pagerduty", rung), pagerduty.event(sample(name, rung), KEY))


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("rung", Rung)
@pytest.mark.parametrize("occasion", Occasion)
def test_every_sample_is_a_valid_event(name, rung, occasion):
    limits.pagerduty(pagerduty.event(sample(name, rung, occasion=occasion), KEY))


@given(tellings())
def test_whatever_the_texts_are_it_is_a_valid_event(telling):
    limits.pagerduty(pagerduty.event(telling, KEY))


@pytest.mark.parametrize("occasion", [Occasion.OPENED, Occasion.UPDATED, Occasion.REOPENED])
def test_what_is_open_triggers(occasion):
    event = pagerduty.event(of(opened(), occasion=occasion), KEY)
    assert (event["event_action"], event["dedup_key"]) == ("trigger", "inc_20261123_141320_k3")
    assert event["routing_key"] == KEY


def test_what_is_resolved_resolves_the_same_alert():
    event = pagerduty.event(of(resolved()), KEY)
    assert (event["event_action"], event["dedup_key"]) == ("resolve", "inc_20261123_141320_k3")


def test_a_test_is_an_alert_of_its_own_that_can_be_settled():
    event = pagerduty.event(of(opened(), occasion=Occasion.TEST), KEY)
    assert event["event_action"] == "trigger"
    assert event["payload"]["severity"] == "info"
    assert event["payload"]["summary"].startswith("TEST: ")
    assert pagerduty.settled(event) == {
        "routing_key": KEY,
        "event_action": "resolve",
        "dedup_key": "inc_20261123_141320_k3:test",
    }


def test_even_a_long_id_leaves_a_test_its_own_key():
    document = replace(opened(), id="i" * 300)
    keys = {pagerduty.event(of(document, occasion=one), KEY)["dedup_key"] for one in (Occasion.OPENED, Occasion.TEST)}
    assert {len(key) for key in keys} == {255}
    assert len(keys) == 2


@pytest.mark.parametrize(
    ("severity", "theirs"),
    [
        (Severity.CRITICAL, "critical"),
        (Severity.MAJOR, "error"),
        (Severity.MINOR, "warning"),
        (Severity.DRILL, "info"),
    ],
)
def test_severities_are_those_of_pagerduty(severity, theirs):
    assert pagerduty.event(of(replace(opened(), severity=severity)), KEY)["payload"]["severity"] == theirs


def test_the_source_is_the_host_of_the_primary_and_the_moment_is_that_of_the_switch():
    payload = pagerduty.event(of(opened()), KEY)["payload"]
    assert payload["source"] == "myapp.com"
    assert datetime.fromisoformat(payload["timestamp"]) == opened().moments.switched


def test_the_labels_of_the_beginning_are_in_the_details():
    details = pagerduty.event(of(resolved()), KEY)["payload"]["custom_details"]
    assert {"Event", "Timestamp", "Primary", "Backup", "Duration", "Details"} <= details.keys()


def test_the_last_rung_is_the_bare_alert():
    event = pagerduty.event(of(resolved(), rung=Rung.LINE), KEY)
    assert event["payload"].keys() == {"summary", "source", "severity"}
    assert "links" not in event
