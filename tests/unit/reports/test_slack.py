import json
import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from failover.core.document import Occasion, Rung, Severity
from failover.reports import slack
from support import limits
from support.golden import golden_json
from support.incidents import ALL, opened, resolved
from support.tellings import EVIL, WRITTEN, file_of, of, sample, tellings

DATE = r"<!date\^\d+\^\{date_short_pretty\} \{time_secs\}\|[0-9:. -]+ UTC>"
LINK = r"<https://status\.myapp\.com/[\w/]+\|Full report>"


@pytest.mark.parametrize(("name", "rung"), WRITTEN)
def test_messages_are_as_they_were_written_down(name, rung):
    golden_json(file_of(name, "slack", rung), slack.message(sample(name, rung)))


@pytest.mark.parametrize("name", ALL)
def test_a_workflow_is_told_what_was_written_down(name):
    golden_json(file_of(name, "slack-workflow", Rung.RICH), slack.workflow(sample(name)))


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("rung", Rung)
@pytest.mark.parametrize("occasion", Occasion)
def test_every_sample_is_within_the_limits(name, rung, occasion):
    limits.slack(slack.message(sample(name, rung, occasion=occasion)))


@given(tellings())
def test_whatever_the_texts_are_the_limits_hold_and_nothing_is_injected(telling):
    payload = slack.message(telling)
    limits.slack(payload)
    for mark in limits.slack_marks(payload):
        assert re.fullmatch(f"{DATE}|{LINK}", mark), mark


@given(tellings())
def test_a_workflow_gets_short_flat_texts_that_mention_nobody(telling):
    flat = slack.workflow(telling)
    assert flat.keys() == slack.workflow(of(resolved())).keys()
    assert all(isinstance(value, str) and not re.search(r"[<>@`]", value) for value in flat.values())
    assert max(len(value) for key, value in flat.items() if key != "timeline") <= 1000


@pytest.mark.parametrize("rung", Rung)
def test_the_labels_of_the_beginning_are_on_every_rung(rung):
    said = json.dumps(slack.message(of(resolved(), rung=rung)))
    assert "Failover Incident Report" in said
    for label in ("Event", "Timestamp", "Primary", "Backup", "Duration", "Details"):
        assert f"{label}:" in said


def test_the_last_rung_is_one_line_of_text():
    payload = slack.message(of(resolved(), rung=Rung.LINE))
    assert payload.keys() == {"text"}
    assert "\n" not in payload["text"]


def test_the_middle_rung_has_no_attachment_and_no_fields():
    payload = slack.message(of(resolved(), rung=Rung.SAFE))
    assert payload.keys() == {"text", "blocks"}
    assert not any("fields" in block for block in payload["blocks"])


def test_the_first_number_is_the_hidden_downtime_and_the_second_what_failed():
    labels = [field["text"].split(":")[0] for field in slack.message(of(resolved()))["blocks"][2]["fields"]]
    assert [label for label in labels if label in {"*Downtime hidden", "*Failed", "*Clients"}] == [
        "*Downtime hidden",
        "*Failed",
        "*Clients",
    ]


@pytest.mark.parametrize(
    ("telling", "color"),
    [
        (of(opened()), "#e01e5a"),
        (of(replace(opened(), episode=2), occasion=Occasion.REOPENED), "#ecb22e"),
        (of(resolved()), "#2eb67d"),
        (of(resolved(), occasion=Occasion.TEST), "#868686"),
    ],
)
def test_the_colour_tells_how_it_stands(telling, color):
    assert slack.message(telling)["attachments"][0]["color"] == color


def test_what_looks_like_an_address_stands_in_code():
    said = slack.message(of(replace(resolved(), title=f"Primary redirects to http://{EVIL}/?a&b`c")))
    assert f"Primary redirects to `http://{EVIL}/?a&amp;b'c,`" in said["text"]


def test_foreign_marks_format_nothing():
    said = slack.message(of(replace(resolved(), summary="*a* _b_ ~c~ snake_case `d`"), rung=Rung.LINE))["text"]
    assert "∗a∗ ˍbˍ ∼c∼ snake_case 'd'" in said  # noqa: RUF001 - the very signs that are meant


@given(st.text(max_size=50))
def test_code_ends_where_it_ought_to(text):
    assert slack._code(text).count("`") == 2


def test_without_a_link_there_is_the_command():
    said = slack.message(of(replace(resolved(), link=""), rung=Rung.LINE))["text"]
    assert said.endswith("Full report: `failover incidents show inc_20261123_141320_k3`")


def test_a_drill_is_flagged():
    assert "DRILL: " in json.dumps(slack.message(of(replace(resolved(), severity=Severity.DRILL))))
