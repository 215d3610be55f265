"""When a drill may begin, and when it must end."""

from dataclasses import replace

import pytest

from failover.core.drill import Counted, Drill, Plan, Scene, Sort, refusal
from failover.core.model import Verdict

WELL = Scene(
    verdict=Verdict.PRIMARY,
    incident="",
    pinned="",
    drilling=False,
    network_cut=False,
    primary_usable=True,
    backups=(("backup", 3.0),),
)
FULL = Plan(Sort.FULL, 60.0)
SHADOW = Plan(Sort.SHADOW, 60.0)


def test_it_may_begin_when_all_is_well():
    for plan in (FULL, SHADOW, Plan(Sort.PERCENT, 60.0, 5)):
        assert refusal(plan, WELL) == ""


@pytest.mark.parametrize(
    ("plan", "scene", "why"),
    [
        (Plan(Sort.FULL, 1.0), {}, "from 5 s to 60 min"),
        (Plan(Sort.FULL, 7200.0), {}, "from 5 s to 60 min"),
        (Plan(Sort.FULL, float("nan")), {}, "from 5 s to 60 min"),
        (Plan(Sort.PERCENT, 60.0, 0), {}, "from 1 to 99 percent"),
        (Plan(Sort.PERCENT, 60.0, 100), {}, "from 1 to 99 percent"),
        (FULL, {"drilling": True}, "a drill runs already"),
        (FULL, {"incident": "inc_1"}, r"an incident is open \(inc_1\)"),
        (FULL, {"pinned": "Ann wants the backup to serve"}, "Ann wants the backup to serve; take that back first"),
        (FULL, {"network_cut": True}, "our own network"),
        (FULL, {"verdict": Verdict.SUSPECT}, "the primary does not serve everybody"),
        (FULL, {"verdict": Verdict.RAMP}, "the primary does not serve everybody"),
        (FULL, {"primary_usable": False}, "the primary does not serve everybody"),
        (FULL, {"backups": ()}, "no backup is usable"),
        (FULL, {"backups": (("backup", None),)}, "no backup has answered a probe"),
        (FULL, {"backups": (("backup", 61.0),)}, "no backup has answered a probe"),
    ],
)
def test_it_is_refused_with_a_reason(plan, scene, why):
    import re

    assert re.search(why, refusal(plan, replace(WELL, **scene)))


def begun(plan=FULL, **counted):
    return Drill(plan, 100.0, Counted(**{"failed": 7, "refused": 3, "backup_answers": 10} | counted))


def counted(**more):
    return Counted(**{"failed": 7, "refused": 3, "backup_answers": 50} | more)


def test_it_goes_on_until_its_time_is_over():
    drill = begun()
    assert drill.over(159.9, counted(), backup_usable=True) is None
    assert drill.over(160.0, counted(), backup_usable=True).passed
    assert drill.answered(counted()) == 40


@pytest.mark.parametrize(
    ("seen", "why"),
    [
        ({"failed": 8}, "1 request failed"),
        ({"refused": 4}, "told to come back later"),
        ({"held": 1}, "a write had to wait"),
        ({"backup_errors": 3}, "the backup failed 3 times"),
    ],
)
def test_what_a_user_would_notice_ends_it_at_once(seen, why):
    end = begun().over(101.0, counted(**seen), backup_usable=True)
    assert not end.passed
    assert why in end.reason


def test_a_backup_that_goes_down_ends_it():
    end = begun().over(101.0, counted(), backup_usable=False)
    assert (end.passed, end.reason) == (False, "the backup went down")


def test_few_errors_of_the_backup_among_many_answers_are_let_pass():
    drill = begun()
    assert drill.over(101.0, counted(backup_answers=1010, backup_errors=3), backup_usable=True) is None


def test_a_write_that_waits_is_no_matter_of_a_shadow_drill():
    assert begun(SHADOW).over(101.0, counted(held=1), backup_usable=True) is None


@pytest.mark.parametrize("plan", [FULL, SHADOW], ids=lambda plan: plan.sort)
def test_a_drill_in_which_nothing_was_tried_has_not_passed(plan):
    end = begun(plan).over(160.0, counted(backup_answers=10), backup_usable=True)
    assert not end.passed
    assert "nothing" in end.reason


def test_what_differs_is_counted_and_does_not_pass():
    drill = begun(SHADOW)
    drill.differs("/a", ())
    drill.differs("/b", ("the status is 200 on the primary and 404 on the backup",))
    end = drill.over(160.0, counted(), backup_usable=True)
    assert (end.passed, end.reason) == (False, "1 of 2 answers differed between primary and backup")
    assert list(drill.findings) == ["/b: the status is 200 on the primary and 404 on the backup"]


def test_findings_are_bounded():
    drill = begun(SHADOW)
    for n in range(500):
        drill.differs(f"/{n}", ("it differs",))
    assert (drill.different, len(drill.findings)) == (500, 50)
