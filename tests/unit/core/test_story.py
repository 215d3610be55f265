"""From the record to the document: the numbers add up, the words are plain, and nothing grows without end."""

from datetime import UTC, datetime
from itertools import pairwise

import msgspec
import pytest

from failover.core.document import Document, Place, Severity, Status, Subject
from failover.core.events import NetworkChanged, TargetChanged
from failover.core.facts import Met, Seen
from failover.core.model import ErrorType, Verdict
from failover.core.story import Setting, changes, document
from support.incidents import probe
from unit.core.test_incident import REFUSED, Story, rows

SETTING = Setting(
    primary=Place(alias="primary", url="https://myapp.com"),
    backups=(Place(alias="backup", url="https://backup.example", kind="static"),),
    version="1.0",
    slo=99.9,
    link="https://status.example",
    since=datetime(2026, 11, 1, tzinfo=UTC),
    requests=100_000,
    failed=40,
)


def told(story, now, setting=SETTING):
    return document(story.life.record, story.life.after(now), setting)


@pytest.fixture
def story():
    return Story()


def outage(story):
    story.probe(8, status=200, length=5000, headers={"Server": "gunicorn"})
    story.fails(10)
    story.at(
        11,
        Seen(
            rows=(
                ("rescued", "/items/:id", 200, 27),
                ("backup", "/", 200, 4000),
                ("failed", "/cart", 502, 3),
                ("refused", "/cart", 503, 22),
                ("aborted", "/", 0, 5),
            ),
            held=24,
            delivered=2,
            clients=9,
            backup_ok=10.2,
        ),
    )


def test_the_numbers_of_a_whole_outage(story):
    outage(story)
    story.recovers(100)
    story.until(120)
    whole = told(story, 120)
    assert whole.status is Status.RESOLVED
    assert whole.severity is Severity.MAJOR
    counts = whole.counts
    assert counts.hidden == 4027
    assert (counts.total, counts.failed, counts.refused, counts.aborted, counts.clients) == (4057, 3, 22, 5, 9)
    assert (counts.held, counts.delivered) == (24, 2)
    durations = whole.durations
    assert (durations.to_detect, durations.to_switch) == (0.08, 0.0)
    assert durations.outage == 90
    assert durations.on_backup == pytest.approx(96.92)
    moments = whole.moments
    assert (moments.recovered - moments.first_bad).total_seconds() == 97
    assert (moments.first_backup_ok - moments.first_bad).total_seconds() == pytest.approx(0.2)
    assert [path.path for path in whole.paths] == ["/cart", "/", "/items/:id"]
    assert whole.statuses == {"200": 4027, "502": 3, "503": 22}
    assert [(error.error, error.probes, error.requests) for error in whole.errors] == [("connection_refused", 1, 1)]
    assert whole.budget.spent == 0.03
    assert whole.budget.left == 0.6
    assert whole.link == f"https://status.example/incidents/{whole.id}"


def test_it_says_in_two_sentences_what_failed_and_what_users_saw(story):
    outage(story)
    assert told(story, 12).summary == (
        "Primary refused connections; it has been down for 2 s. "
        "The backup answered 4,027 of 4,057 requests: 3 failed, 22 writes were told to come back later."
    )
    story.recovers(100)
    story.until(120)
    assert told(story, 120).summary.startswith("Primary refused connections; it was down for 90 s. ")


def test_an_outage_that_nobody_saw_is_minor(story):
    story.fails(10)
    story.at(11, rows(("backup", "/", 200, 50)))
    assert told(story, 12).severity is Severity.MINOR
    assert told(story, 12).summary.endswith("The backup answered 50 of 50 requests: nobody saw an error.")


def test_an_outage_in_which_nobody_came(story):
    story.fails(10)
    assert told(story, 12).summary.endswith("Nobody asked for anything meanwhile.")


def test_one_in_a_hundred_that_failed_is_critical_from_the_next_on(story):
    story.fails(10)
    story.at(11, rows(("backup", "/", 200, 990), ("failed", "/", 502, 10)))
    assert told(story, 12).severity is Severity.MAJOR
    story.at(12, rows(("failed", "/", 502, 1)))
    assert told(story, 12).severity is Severity.CRITICAL


def test_no_backup_left_is_critical_whatever_was_asked(story):
    story.at(5, TargetChanged("backup", usable=False, reason="", error=REFUSED))
    story.fails(10)
    whole = told(story, 12)
    assert whole.severity is Severity.CRITICAL
    assert [shift.side for shift in whole.shifts] == ["primary", "none"]
    assert not whole.backups[0].usable


def test_the_own_network_is_nobody_elses_fault(story):
    story.move(10, Verdict.SUSPECT)
    story.at(11, NetworkChanged(cut=True, reason=""))
    story.at(12, rows(("failed", "/", 504, 4)))
    story.move(22, Verdict.PRIMARY)
    story.until(40)
    whole = told(story, 40)
    assert whole.subject is Subject.NETWORK
    assert whole.summary == (
        "Nobody could be reached from here for 12 s; nothing was switched. 4 requests came meanwhile: 4 failed."
    )


def test_an_app_that_was_switched_away_from_is_not_excused_by_the_network(story):
    story.move(10, Verdict.SUSPECT)
    story.at(11, NetworkChanged(cut=True, reason=""))
    story.at(12, NetworkChanged(cut=False, reason=""))
    story.move(13, Verdict.BACKUP)
    assert told(story, 14).subject is Subject.PRIMARY


def test_the_stories_have_no_holes(story):
    outage(story)
    story.recovers(100)
    story.until(120)
    whole = told(story, 120)
    for spans in (whole.phases, whole.shifts):
        for one, following in pairwise(spans):
            assert one.end == following.start
        assert spans[-1].end == whole.moments.recovered
    assert [entry.after for entry in whole.timeline] == sorted(entry.after for entry in whole.timeline)


def test_two_days_are_a_document_that_can_be_read(story):
    story.fails(0)
    states = ("connection_refused", "http_response_timeout", "http_5xx", "connection_timeout")
    for n in range(10_000):
        now = 1 + n * 17.28
        story.probe(now, states[n // 7 % 4], body="x" * 1000)
        story.at(now, rows(("backup", f"/page/{n}", 200, 10)))
    whole = told(story, 172_801)
    assert len(msgspec.json.encode(whole)) < 60_000
    assert len(whole.timeline) <= 61
    assert any("more entries were left out" in entry.text for entry in whole.timeline)
    assert whole.errors[0].probes >= 2500
    assert whole.counts.by_backup == 100_000
    assert sum(one.backup for one in whole.traffic) == 100_000


def test_every_document_is_what_its_json_says(story):
    outage(story)
    for now in (10, 12, 50):
        whole = told(story, now)
        assert msgspec.json.decode(msgspec.json.encode(whole), type=Document) == whole


def test_what_changed_is_told_in_words():
    before = probe(-2, status=200, headers={"Server": "gunicorn"}, length=5120)
    first = probe(0, "http_5xx", status=503, headers={"Server": "cloudflare"}, length=187)
    assert changes(before, first, None) == (
        "Server: gunicorn before, cloudflare in the incident",
        "status: 200 before, 503 in the incident",
        "length of the page: 5,120 bytes before, 187 in the incident",
    )
    assert changes(before, probe(0, "connection_refused"), None) == ()
    assert changes(None, first, None) == ()


def test_an_error_answer_is_counted_by_its_status(story):
    story.at(10, Met(ErrorType.HTTP_5XX, "answered 503"))
    story.move(10, Verdict.SUSPECT)
    assert story.life.record.error_statuses == {503: 1}


def test_writes_that_were_turned_away_bring_advice(story):
    outage(story)
    assert any("a second app (a replica)" in sentence for sentence in told(story, 12).suggestions)


def test_a_probe_of_a_backup_tells_when_it_first_answered(story):
    story.fails(10)
    story.probe(12, target="backup", status=200)
    assert story.life.record.first_backup_ok == pytest.approx(2)
