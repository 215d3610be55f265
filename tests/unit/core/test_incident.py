"""The life of an incident, as transcripts: facts in at a time, what is kept and told out."""

from __future__ import annotations

import msgspec
import pytest

from failover.core.document import Happening
from failover.core.events import NetworkChanged, TargetChanged
from failover.core.facts import Met, Named, Seen, Usual
from failover.core.findings import NameFact
from failover.core.helm import Steer, Wish
from failover.core.incident import Stage, Want
from failover.core.model import ErrorType
from support.story import BACKUP, PRIMARY, RAMP, REFUSED, SUSPECT, WALL, Story, encoded


@pytest.fixture
def story():
    return Story()


def rows(*rows):
    return Seen(rows=tuple(rows))


def test_an_outage_is_told_twice_when_it_began_and_when_it_is_over(story):
    story.probe(8, status=200)
    story.fails(10)
    story.recovers(100)
    story.until(500)
    assert len(story.told) == 2
    assert 11 <= story.told[0] < 12
    assert 108 <= story.told[1] < 110
    record = story.life.record
    assert record.resolved
    assert record.detected == record.switched == pytest.approx(0.08)
    assert record.primary_ok == pytest.approx(90)
    assert record.recovered == pytest.approx(97)
    assert record.on_backup == pytest.approx(96.92)
    assert record.outage == pytest.approx(90)
    assert [span.state for span in record.shifts] == ["primary", "backup", "ramp", "primary"]
    assert [span.state for span in record.phases] == ["ok", REFUSED, "ok"]
    assert story.texts == [
        "a probe failed: primary refused connections",
        "primary is suspected",
        "a request failed: primary refused connections",
        "switched to the backup",
        "primary answers probes",
        "the primary is tried with 5 % of the visitors",
        "the primary is tried with 25 % of the visitors",
        "the primary serves everybody again",
    ]


def test_a_suspicion_that_clears_unseen_is_no_incident(story):
    story.probe(10, REFUSED)
    story.move(10, SUSPECT, REFUSED)
    story.at(11, rows(("rescued", "/", 200, 3), ("primary", "/", 200, 50)))
    story.move(13, PRIMARY)
    story.until(100)
    assert story.wanted == []
    assert (story.life.stage, story.life.record, story.life.kept) == (Stage.QUIET, None, None)


def test_a_suspicion_that_a_user_saw_is_told_once_when_it_has_cleared(story):
    story.at(10, Met(ErrorType.CONNECTION_TERMINATED))
    story.move(10, SUSPECT)
    story.at(11, rows(("failed", "/buy", 502, 1)))
    story.move(13, PRIMARY)
    story.until(100)
    assert len(story.told) == 1
    assert story.life.record.resolved
    assert story.life.record.switched is None


def test_counts_that_come_after_the_suspicion_has_cleared_still_belong_to_it(story):
    story.move(10, SUSPECT)
    story.move(13, PRIMARY)
    story.at(13.9, rows(("failed", "/buy", 502, 1)))
    story.until(100)
    assert len(story.told) == 1


def test_a_page_that_fails_again_and_again_wakes_nobody_twice(story):
    for now in range(10, 600, 60):
        story.move(now, SUSPECT)
        story.at(now + 1, rows(("failed", "/always-502", 502, 1)))
        story.move(now + 3, PRIMARY)
    story.until(700)
    assert len(story.told) == 1
    assert story.life.kept.outcomes == {"failed": 10}
    assert story.life.kept.episode == 1


def test_what_came_before_the_verdict_is_part_of_the_story(story):
    for second in range(100):
        story.at(second, Usual(7))
    story.probe(98, status=200, length=10)
    story.at(99, Named(NameFact(after=0, host="myapp.com", before=("192.0.2.1",), addresses=("192.0.2.2",))))
    story.at(100, Met(REFUSED))
    story.move(100.01, SUSPECT, REFUSED)
    record = story.life.record
    assert record.before.length == 10
    assert sum(bucket[0] for bucket in record.buckets) == 59 * 7
    assert record.requests == {REFUSED: 1}
    assert record.names[0].after == pytest.approx(-1.01)


def test_an_old_bad_signal_is_no_part_of_a_new_story(story):
    story.at(10, Met(REFUSED))
    story.move(100, SUSPECT)
    assert story.life.record.requests == {}


def test_failing_again_within_five_minutes_opens_the_same_incident(story):
    story.fails(10)
    story.recovers(100)
    first = story.life.record.id
    story.fails(200)
    assert story.life.record.id == first
    assert not story.life.record.resolved
    assert story.life.record.episode == 2
    assert "the primary fails again, for the 2nd time" in story.texts
    story.recovers(300)
    story.until(400)
    assert len(story.told) == 4
    record = story.life.record
    assert record.outage == pytest.approx(90 + 100)
    assert record.on_backup == pytest.approx(96.92 + 106.92)
    assert record.primary_ok == pytest.approx(290)


def test_failing_again_later_is_another_incident(story):
    story.fails(10)
    story.recovers(100)
    story.until(200)
    first = story.life.record.id
    story.fails(500)
    assert story.life.record.id != first
    assert story.life.record.episode == 1
    assert story.life.record.outage == 0


def test_a_suspicion_after_an_incident_leaves_it_as_it_was(story):
    story.fails(10)
    story.recovers(100)
    story.until(120)
    before = msgspec.msgpack.encode(story.life.record)
    story.move(130, SUSPECT)
    story.move(133, PRIMARY)
    story.until(200)
    assert msgspec.msgpack.encode(story.life.kept) == before
    assert len(story.told) == 2


def test_failing_in_the_moment_of_recovery_keeps_both_words(story):
    story.fails(10)
    story.recovers(100)
    story.fails(107.5)
    story.until(120)
    assert story.life.record.episode == 2
    assert len(story.told) == 3


def test_a_ramp_that_fails_is_the_same_episode(story):
    story.fails(10)
    story.move(50, RAMP)
    story.probe(51, REFUSED)
    story.move(51, BACKUP, REFUSED)
    story.recovers(100)
    story.until(200)
    assert len(story.told) == 2
    assert "the primary failed on its way back" in story.texts
    assert story.life.record.episode == 1


def test_an_open_incident_is_kept_every_two_seconds_and_later_more_seldom(story):
    story.fails(0)
    story.until(3600)
    kept = [now for now, want in story.wanted if want is Want.KEEP]
    assert sum(now < 600 for now in kept) == pytest.approx(300, abs=3)
    assert sum(now >= 600 for now in kept) == pytest.approx(200, abs=3)


def test_the_own_network_is_written_down_as_such(story):
    story.move(10, SUSPECT)
    story.at(11, NetworkChanged(cut=True, reason="no backup was reached either"))
    story.at(12, rows(("failed", "/", 504, 4)))
    story.at(20, NetworkChanged(cut=False, reason="heard again"))
    story.move(21, PRIMARY)
    story.until(40)
    assert story.life.record.cut
    assert story.life.record.switched is None
    assert len(story.told) == 1


def test_a_backup_that_falls_in_the_incident_leaves_nobody():
    story = Story(("backup", "backup-2"))
    story.fails(10)
    story.at(20, TargetChanged("backup", usable=False, reason="refused", error=REFUSED))
    assert not story.life.record.all_down
    story.at(21, TargetChanged("backup-2", usable=False, reason="refused", error=REFUSED))
    assert story.life.record.all_down
    story.at(30, TargetChanged("backup-2", usable=True, reason="answers"))
    assert [span.state for span in story.life.record.shifts] == ["primary", "backup", "none", "backup"]


def test_a_backup_that_was_down_before_is_known_to_be_down():
    story = Story()
    story.at(1, TargetChanged("backup", usable=False, reason="refused", error=REFUSED))
    story.fails(10)
    assert story.life.record.all_down
    assert story.life.record.backups_down == {"backup": REFUSED}
    assert "the primary is down and so is every backup" in story.texts


def test_durations_do_not_follow_the_wall_clock(story):
    story.fails(10)
    began = story.life.record.began_unix
    story.clock_jumps = -86_400.0
    story.recovers(100)
    story.until(120)
    record = story.life.record
    assert record.outage == pytest.approx(90)
    assert record.recovered == pytest.approx(97)
    assert record.began_unix == began
    assert record.moment(record.recovered).timestamp() == pytest.approx(WALL + 107)


def test_good_probes_between_bad_ones_are_counted_and_those_of_the_recovery_are_not(story):
    story.fails(10)
    story.probe(12, status=200)
    story.probe(13, REFUSED)
    story.recovers(20)
    assert story.life.record.good_probes == 1


def test_a_person_is_in_the_timeline(story):
    story.fails(10)
    story.at(20, Steer(Wish.PRIMARY))
    assert story.life.record.lines[-1].what is Happening.PERSON


# Life after death


def test_an_incident_goes_on_after_everything_was_killed(story):
    story.fails(10)
    story.until(50)
    story.probe(50, REFUSED)
    record = encoded(story)
    after = Story()
    want = after.life.resume(record, 5.0, WALL + 80, reborn=False, verdict=BACKUP)
    after.verdict = BACKUP
    assert want is Want.TELL
    assert after.life.record.unknown == pytest.approx(30, abs=0.1)
    assert after.life.record.lines[-1].text == "the proxy was off for 30 s"
    assert [span.state for span in after.life.record.shifts] == ["primary", "backup", "unknown", "backup"]
    after.recovers(25)
    after.until(60)
    assert after.life.record.resolved
    assert after.life.record.outage == pytest.approx(90)  # from second 10 to 100, as the wall tells
    assert after.told == [pytest.approx(33.5)]


def test_the_controller_alone_leaves_no_gap(story):
    story.fails(10)
    story.until(50)
    after = Story()
    after.life.resume(encoded(story), 50.2, WALL + 50.2, reborn=True, verdict=BACKUP)
    assert after.life.record.unknown == 0
    assert after.life.record.lines[-1].text == "the controller was started again"


def test_a_primary_that_came_back_while_the_proxy_was_off_ends_the_incident(story):
    story.fails(10)
    after = Story()
    after.life.resume(encoded(story), 5.0, WALL + 5000, reborn=False, verdict=PRIMARY)
    after.probe(6.0, status=200)
    after.until(20)
    assert after.life.record.resolved
    assert len(after.told) == 1


def test_one_that_is_still_down_is_the_same_incident(story):
    story.fails(10)
    after = Story()
    after.life.resume(encoded(story), 5.0, WALL + 5000, reborn=False, verdict=PRIMARY)
    after.fails(6.0)
    after.until(20)
    assert after.life.record.episode == 1
    assert after.told == []
    assert not after.life.record.resolved


def test_a_resolved_one_is_reopened_across_a_restart_only_within_five_minutes(story):
    story.fails(10)
    story.recovers(100)
    story.until(120)
    first = story.life.record.id
    soon, late = Story(), Story()
    assert soon.life.resume(encoded(story), 1.0, WALL + 200, reborn=False, verdict=PRIMARY) is Want.NOTHING
    soon.fails(2.0)
    assert (soon.life.record.id, soon.life.record.episode) == (first, 2)
    late.life.resume(encoded(story), 1.0, WALL + 2000, reborn=False, verdict=PRIMARY)
    late.fails(2.0)
    assert late.life.record.id != first


def test_a_wall_clock_set_back_between_two_lives_makes_no_time_negative(story):
    story.fails(10)
    story.until(50)
    after = Story()
    after.life.resume(encoded(story), 5.0, WALL - 1000, reborn=False, verdict=BACKUP)
    after.verdict = BACKUP
    after.recovers(6)
    after.until(30)
    assert after.life.record.unknown == 0
    assert after.life.record.recovered >= 40


# However long it is


def test_two_days_of_flapping_phases_stay_small(story):
    story.fails(0)
    states = ("connection_refused", "http_response_timeout", "http_5xx", "connection_timeout")
    for n in range(10_000):
        now = 1 + n * 17.28
        story.probe(now, states[n // 7 % 4], status=503 if n // 7 % 4 == 2 else 0)
        story.at(now, rows(("backup", f"/page/{n}", 200, 10)))
    record = story.life.record
    assert len(record.lines) <= 60
    assert len(record.phases) <= 40
    assert len(record.buckets) <= 120
    assert len(record.paths) <= 201
    assert sum(span.probes for span in record.phases) == 10_001
    assert sum(record.probes.values()) == 10_001
    assert sum(tally.requests for tally in record.paths.values()) == 100_000
    assert sum(bucket[1] for bucket in record.buckets) == 100_000
    assert record.dropped > 1000
    assert len(msgspec.msgpack.encode(record)) < 100_000
