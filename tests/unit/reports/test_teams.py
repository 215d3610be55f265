import json
from dataclasses import replace

import pytest
from hypothesis import given

from failover.core.document import Occasion, Rung
from failover.reports import teams
from support import limits
from support.golden import golden_json
from support.incidents import ALL, opened, resolved
from support.tellings import EVIL, WRITTEN, file_of, of, sample, tellings


def body_of(telling):
    return teams.message(telling)["attachments"][0]["content"]["body"]


@pytest.mark.parametrize(("name", "rung"), WRITTEN)
def test_messages_are_as_they_were_written_down(name, rung):
    golden_json(file_of(name, "teams", rung), teams.message(sample(name, rung)))


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("rung", Rung)
@pytest.mark.parametrize("occasion", Occasion)
def test_every_sample_is_a_card_within_the_limits(name, rung, occasion):
    limits.teams(teams.message(sample(name, rung, occasion=occasion)))


@given(tellings())
def test_whatever_the_texts_are_it_is_a_card_in_which_they_are_no_markdown(telling):
    card = teams.message(telling)
    limits.teams(card)
    assert limits.teams_marks(card) == []


@pytest.mark.parametrize("rung", Rung)
def test_the_labels_of_the_beginning_are_on_every_rung(rung):
    said = json.dumps(teams.message(of(resolved(), rung=rung)))
    for label in ("Failover Incident Report", "Event", "Timestamp", "Primary", "Backup", "Duration", "Details"):
        assert label in said


def test_the_facts_begin_with_event_and_severity_and_the_hidden_downtime():
    [facts] = [one["facts"] for one in body_of(of(resolved())) if one["type"] == "FactSet"]
    assert [fact["title"] for fact in facts[:4]] == ["Event", "Severity", "Downtime hidden", "Failed"]


def test_the_middle_rung_has_text_blocks_alone_and_the_last_has_one():
    assert {one["type"] for one in body_of(of(resolved(), rung=Rung.SAFE))} == {"TextBlock"}
    assert len(body_of(of(resolved(), rung=Rung.LINE))) == 1


def test_the_headline_has_the_colour_of_how_it_stands():
    again = of(replace(opened(), episode=2), occasion=Occasion.REOPENED)
    tellings_ = (of(opened()), again, of(resolved()), of(resolved(), occasion=Occasion.TEST))
    assert [body_of(one)[0]["color"] for one in tellings_] == ["attention", "warning", "good", "accent"]


def test_a_masked_link_in_a_title_is_text():
    title = body_of(of(replace(resolved(), title=f"[bank](http://{EVIL})")))[0]["text"]
    assert rf"\[bank\]\(http://{EVIL}\)" in title
