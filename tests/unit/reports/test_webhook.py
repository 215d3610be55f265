import base64
import json
from dataclasses import replace
from datetime import UTC, datetime

import msgspec
import pytest
from hypothesis import given
from standardwebhooks import Webhook, WebhookVerificationError

from failover.core.document import Document, Evidence, Occasion, ProbeFact
from failover.reports import webhook
from support.golden import golden_json
from support.incidents import ALL, at, long, opened, resolved
from support.tellings import file_of, of, sample, tellings

OLD = "whsec_" + base64.b64encode(b"o" * 24).decode()
NEW = "whsec_" + base64.b64encode(bytes(range(64))).decode()


@pytest.mark.parametrize("name", ALL)
def test_events_are_as_they_were_written_down(name):
    golden_json(file_of(name, "webhook", sample(name).rung), webhook.event(sample(name)))


@pytest.mark.parametrize("name", sorted(set(ALL) - {"long"}))
def test_the_data_is_the_whole_document(name):
    document = ALL[name]()
    event = webhook.event(of(document))
    assert msgspec.convert(event["data"], Document) == document
    assert "shortened" not in event["data"]


@pytest.mark.parametrize("occasion", Occasion)
def test_the_type_says_why_and_the_timestamp_when(occasion):
    event = webhook.event(of(resolved(), occasion=occasion))
    assert event.keys() == {"type", "timestamp", "data"}
    assert event["type"] == occasion.value
    assert datetime.fromisoformat(event["timestamp"]) == resolved().updated


def test_what_is_late_or_perhaps_told_twice_says_so():
    data = webhook.event(of(opened(), late="no network for 5 min", resent=True))["data"]
    assert (data["late"], data["resent"]) == ("no network for 5 min", True)


@given(tellings())
def test_whatever_the_texts_are_the_body_is_below_20_kb_and_still_a_document(telling):
    event = webhook.event(telling)
    body = msgspec.json.encode(event)
    assert len(body) <= len(json.dumps(event)) < 20_000
    told = msgspec.convert(json.loads(body)["data"], Document)
    assert told.id == telling.document.id
    assert told.counts == telling.document.counts
    assert told.moments == telling.document.moments


def test_what_is_too_large_loses_its_bulk_step_by_step_and_says_so():
    data = webhook.event(of(long()))["data"]
    assert data["shortened"][0] == "traffic"
    assert data["traffic"] == []
    assert data["timeline"][0]["text"] == long().timeline[0].text
    assert data["timeline"][-1]["text"] == long().timeline[-1].text


def test_no_more_is_taken_away_than_has_to_be():
    body = ProbeFact(at=at(0), target="primary", body="x" * 25_000, headers={"Server": "nginx"})
    data = webhook.event(of(replace(opened(), evidence=Evidence(first=body, changed=("the body",)))))["data"]
    assert data["shortened"] == ["traffic", "evidence bodies and headers"]
    assert data["evidence"]["changed"] == ["the body"]
    assert len(data["timeline"]) == len(opened().timeline)


def test_each_secret_signs_and_each_signature_is_accepted():
    now = datetime.now(UTC)
    body = msgspec.json.encode(webhook.event(of(resolved())))
    headers = {
        "webhook-id": "msg_1",
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": webhook.sign((NEW, OLD), "msg_1", int(now.timestamp()), body),
    }
    for secret in (OLD, NEW):
        assert Webhook(secret).verify(body, headers)["type"] == "incident.resolved"
    with pytest.raises(WebhookVerificationError):
        Webhook(OLD).verify(body + b" ", headers)


def test_one_signature_is_that_of_the_library():
    now = datetime.now(UTC).replace(microsecond=0)
    assert webhook.sign((OLD,), "msg_1", int(now.timestamp()), b"{}") == Webhook(OLD).sign("msg_1", now, "{}")


def test_a_secret_that_is_no_base64_is_refused():
    with pytest.raises(ValueError, match=r"(?i)base64|digit"):
        webhook.sign(("whsec_not base64!",), "msg_1", 0, b"")
