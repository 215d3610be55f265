"""What a person wants is no incident; a drill leaves a record of its own; an outage in a drill is an incident."""

from datetime import UTC, datetime

import pytest

from failover.core.document import Place, Severity
from failover.core.drill import Plan, Sort
from failover.core.events import VerdictChanged
from failover.core.facts import DrillBegan, DrillEnded, Seen
from failover.core.helm import Steer, Wish
from failover.core.incident import Incidents, Stage, Want
from failover.core.story import Setting, document
from support.story import BACKUP, PRIMARY, RAMP, REFUSED, WALL, Story, encoded

FULL = Plan(Sort.FULL, 60.0, 0, "Ann")


@pytest.fixture
def story():
    return Story()


def wants(story, now, new, wish=Wish.BACKUP, **more):
    """Somebody's wish moves the verdict."""
    change = VerdictChanged(story.verdict, new, "Ann wants it", wanted=Steer(wish, "Ann", **more))
    story.verdict = new
    return story.at(now, change)


def told(story, now):
    setting = Setting(
        primary=Place(alias="primary", url="http://app.test"),
        backups=(Place(alias="backup", url="http://standby.test"),),
        version="1",
        slo=99.9,
    )
    return document(story.life.kept, story.life.after(now), setting)


def test_what_a_person_wants_is_no_incident(story):
    wants(story, 10, BACKUP)
    story.probe(20, status=200)
    story.move(30, RAMP)
    story.move(40, PRIMARY)
    story.until(100)
    assert (story.wanted, story.life.stage) == ([], Stage.QUIET)


def test_a_primary_that_fails_on_its_way_back_from_a_wish_is_one(story):
    wants(story, 10, BACKUP)
    story.move(30, RAMP)
    story.first_bad = 31
    story.move(31, BACKUP, REFUSED)
    story.until(33)
    assert story.life.stage is Stage.OPEN
    assert story.told


def test_a_drill_is_kept_from_the_beginning_and_told_once_when_it_is_over(story):
    story.at(10, DrillBegan(FULL))
    wants(story, 10, BACKUP, drill=True)
    story.at(20, Seen(rows=(("backup", "/", 200, 40),)))
    assert (10, Want.KEEP) in story.wanted
    story.at(70, DrillEnded(passed=True, reason="its time was over"))
    story.move(70, RAMP)
    story.move(80, PRIMARY)
    story.until(500)
    assert len(story.told) == 1
    report = told(story, 500)
    assert (report.severity, report.exercise.passed, report.resolved) == (Severity.DRILL, True, True)
    assert report.title == "Full drill: passed"
    assert report.counts.by_backup == 40
    assert "it answered 40 requests. No user saw an error." in report.summary
    assert report.cause is None
    assert report.durations.outage == 0
    assert report.timeline[0].who == "Ann"


def test_a_shadow_drill_says_what_differed(story):
    story.at(10, DrillBegan(Plan(Sort.SHADOW, 60.0, 0, "Ann")))
    for now in range(11, 70, 2):
        story.probe(now, status=200)  # a good probe ends no drill
    found = ("/about: the status is 200 on the primary and 404 on the backup",)
    story.at(70, DrillEnded(passed=False, reason="1 of 9 answers differed", compared=9, different=1, findings=found))
    story.until(100)
    report = told(story, 100)
    assert report.exercise.findings == found
    assert "9 questions" in report.summary
    assert report.suggestions[0].startswith("Bring the backup up to date")


def test_an_outage_in_a_drill_ends_it_and_is_an_incident_of_its_own(story):
    story.at(10, DrillBegan(FULL))
    wants(story, 10, BACKUP, drill=True)
    story.at(30, DrillEnded(passed=False, reason="the primary failed, and that was no drill", earnest=True))
    drill = told(story, 30)
    story.verdict = PRIMARY
    story.fails(31)
    story.until(40)
    assert drill.exercise.passed is False
    incident = told(story, 40)
    assert incident.id != drill.id
    assert (incident.exercise, incident.episode) == (None, 1)
    assert len(story.told) == 2


def test_a_drill_whose_controller_died_is_over(story):
    story.at(10, DrillBegan(FULL))
    wants(story, 10, BACKUP, drill=True)
    successor = Incidents("https://myapp.com", ("backup",))
    record = encoded(story)
    assert successor.resume(record, 50.0, WALL + 50.0, reborn=True, verdict=BACKUP) is Want.TELL
    assert successor.record.resolved
    assert successor.record.exercise.passed is False
    assert successor.opened == ""


def test_a_drill_is_no_open_incident(story):
    story.at(10, DrillBegan(FULL))
    assert story.life.opened == ""
    assert told(story, 11).moments.first_bad == datetime.fromtimestamp(WALL + 10, UTC)


def test_a_wish_in_an_incident_is_in_its_timeline_with_who_wanted_it(story):
    story.fails(10)
    story.at(20, Steer(Wish.HOLD, "Ann"))
    line = story.life.record.lines[-1]
    assert (line.text, line.who) == ("wants nothing to be switched", "Ann")


def test_a_primary_that_fails_while_the_backup_serves_by_a_wish_is_an_incident(story):
    wants(story, 10, BACKUP)
    story.first_bad = 20
    story.move(20.5, BACKUP, REFUSED)
    story.until(25)
    assert story.life.stage is Stage.OPEN
    assert len(story.told) == 1
    assert story.life.record.switched is not None
