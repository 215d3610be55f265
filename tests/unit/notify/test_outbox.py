"""What a channel is told, from what it knows and what it should know."""

from dataclasses import replace

import pytest

from failover.core.document import Occasion, Status
from failover.incidents.base import Row
from failover.notify import outbox
from support.incidents import resolved

OPEN, OVER = Status.OPEN, Status.RESOLVED


@pytest.mark.parametrize(
    ("told", "wanted", "occasion"),
    [
        ((0, None), (1, OPEN), Occasion.OPENED),
        ((0, None), (1, OVER), Occasion.RESOLVED),  # two words that never left are one
        ((0, None), (3, OVER), Occasion.RESOLVED),
        ((1, OPEN), (1, OPEN), None),
        ((1, OPEN), (1, OVER), Occasion.RESOLVED),
        ((1, OPEN), (2, OPEN), None),  # whoever believes that it is open need not hear that it was closed and opened
        ((1, OPEN), (2, OVER), Occasion.RESOLVED),
        ((1, OVER), (1, OVER), None),
        ((1, OVER), (2, OPEN), Occasion.REOPENED),
        ((1, OVER), (2, OVER), Occasion.RESOLVED),
    ],
)
def test_what_is_told(told, wanted, occasion):
    row = Row("inc", "channel", *wanted, 0.0, told_episode=told[0], told_status=told[1])
    assert outbox.wanted(row) is occasion


def test_only_what_is_late_says_so():
    assert outbox.late(4.9, "x", 5.0) == ""
    assert outbox.late(372.0, "DNS error for hooks.slack.com", 5.0) == (
        "delivery delayed 6 min 12 s: DNS error for hooks.slack.com"
    )


def test_a_message_has_one_name_on_every_try_and_no_other_has_it():
    names = {
        outbox.message_id(replace(resolved(), episode=episode, status=status))
        for episode in (1, 2)
        for status in (OPEN, OVER)
    }
    assert len(names) == 4
    assert outbox.message_id(resolved()) in names
