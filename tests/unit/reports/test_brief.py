from dataclasses import replace

import pytest

from failover.core.document import Entry, Happening, Occasion, Place, Severity
from failover.core.words import nth
from failover.reports import brief
from support.incidents import at, both_down, entry, long, opened, own_network, resolved, sparse
from support.tellings import of


def said(telling):
    return {fact.label: fact.text for fact in brief.facts(telling, 300)}


def test_the_facts_of_an_incident_that_is_over():
    assert said(of(resolved())) == {
        "Event": "RECOVERY",
        "Severity": "major",
        "Downtime hidden": "18,317 requests",
        "Failed": "3 of 18,342 (0.016 %)",
        "Timestamp": "2026-11-23 14:28:14.0 UTC",
        "Duration": "14 min 53 s (893 s)",
        "Primary": "https://myapp.com",
        "Backup": "https://myapp-backup.s3.amazonaws.com, https://sorry.myapp.com",
        "Clients": "1,204",
        "Error budget": "0.39 % spent by this, 96.1 % left",
    }


def test_the_facts_of_one_of_which_little_is_known():
    facts = said(of(sparse()))
    assert (facts["Event"], facts["Failed"], facts["Duration"]) == ("FAILOVER", "0 of 0 (0 %)", "0 ms so far")


def test_without_a_switch_the_duration_is_that_of_the_outage():
    assert said(of(own_network()))["Duration"] == "12 s"


def test_backups_that_are_down_and_those_that_are_too_many_are_said():
    assert said(of(both_down()))["Backup"].count("(down)") == 2
    many = replace(opened(), backups=tuple(Place(alias=f"b{n}", url=f"http://b{n}") for n in range(5)))
    assert said(of(many))["Backup"] == "http://b0, http://b1, http://b2 and 2 more"
    assert said(of(replace(opened(), backups=())))["Backup"] == "none"


def test_the_moment_is_that_of_what_is_told():
    again = replace(opened(), timeline=(*opened().timeline, entry(100, Happening.REOPENED, "again")))
    assert brief.happened(of(resolved())) == at(894)
    assert brief.happened(of(opened())) == at(0.9)
    assert brief.happened(of(sparse())) == at(0)
    assert brief.happened(of(again, occasion=Occasion.REOPENED)) == at(100)
    assert brief.happened(of(resolved(), occasion=Occasion.TEST)) == resolved().updated


def test_what_has_to_be_known_first_is_said_first():
    document = replace(opened(), episode=2, severity=Severity.DRILL)
    telling = of(document, occasion=Occasion.TEST, late="no network for 5 min", resent=True)
    assert [note.split(":")[0] for note in brief.notes(telling, 300)] == ["TEST", "DRILL", "REOPENED", "LATE", "RESENT"]
    assert brief.notes(of(opened()), 300) == ()


@pytest.mark.parametrize(
    ("number", "written"),
    [(2, "2nd"), (3, "3rd"), (4, "4th"), (11, "11th"), (12, "12th"), (21, "21st"), (112, "112th")],
)
def test_ordinals_are_english(number, written):
    assert nth(number) == written


def test_a_reopened_incident_says_for_which_time():
    [note] = brief.notes(of(replace(opened(), episode=3)), 300)
    assert note == "REOPENED: the primary failed for the 3rd time in this incident."
    [note] = brief.notes(of(replace(own_network(), episode=2)), 300)
    assert "the network of this proxy failed for the 2nd time" in note


def test_details_tell_how_soon_it_was_seen_and_what_is_unknown():
    assert "Detected in 0.9 s, switched 1 ms later." in brief.details(resolved(), 300)
    assert "3 earlier incidents in 30 days, 2 of them with the same cause." in brief.details(resolved(), 300)
    assert "The proxy was off for 4 s" in brief.details(long(), 300)
    assert brief.details(sparse(), 300) == "Primary failed."


def test_a_cause_has_its_confidence_its_reasons_and_what_to_check():
    labels = [fact.label for fact in brief.cause(resolved(), 300)]
    assert labels == ["Suspected cause (high confidence)", "Because", "Check"]
    assert brief.cause(sparse(), 300) == ()


def test_advice_is_for_when_it_is_over():
    assert len(brief.advice(resolved(), 300)) == 2
    assert brief.advice(replace(opened(), suggestions=("x",)), 300) == ()


def test_a_short_timeline_is_told_whole():
    assert [line.text for line in brief.timeline(opened(), 300)] == [one.text for one in opened().timeline]


@pytest.mark.parametrize(("width", "most"), [(300, 12), (80, 12), (50, 6)])
def test_of_a_long_timeline_the_middle_is_left_out_and_counted(width, most):
    lines = brief.timeline(long(), width)
    assert len(lines) == most
    assert lines[0].text == long().timeline[0].text[:width]
    assert lines[-1].text == long().timeline[-1].text
    [between] = [line.text for line in lines if line.at is None]
    assert between == f"… {len(long().timeline) - most + 1} more entries …"


def test_lines_tell_how_often_until_when_and_who():
    lines = [line.text for line in brief.timeline(resolved(), 300)]
    assert "primary answered with a server error (5 times, until 14:18:40.0)" in lines
    assert "ada: rolled back v42" in lines
    switched = Entry(at=at(1), after=1, what=Happening.PERSON, text="switched to the backup", who="ada")
    assert brief.timeline(replace(opened(), timeline=(switched,)), 300)[0].text == "switched to the backup (by ada)"


def test_the_day_is_said_where_there_is_more_than_one():
    assert brief.timeline(opened(), 300)[0].clock == "14:13:20.0"
    assert brief.timeline(long(), 300)[-1].clock == "11-25 14:13:20.0"


@pytest.mark.parametrize(
    "link",
    ["", "javascript:alert(1)", "https://x y", "https://x|y>", "https://x/\n", "https://x/)[y", "https://" + "x" * 600],
)
def test_a_link_that_some_form_could_not_hold_is_none(link):
    assert not brief.link(replace(resolved(), link=link))


def test_a_link_is_the_whole_report():
    assert brief.link(resolved()) == resolved().link
    assert brief.command(resolved()) == "failover incidents show inc_20261123_141320_k3"


def test_a_title_is_never_long():
    for width in (300, 20):
        assert len(brief.title(of(replace(resolved(), title="x" * 500)), width)) <= 150
    assert brief.title(of(resolved(), occasion=Occasion.TEST), 300).startswith(
        "TEST: Failover Incident Report: Primary"
    )
