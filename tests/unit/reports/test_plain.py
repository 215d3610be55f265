import re

import pytest
from hypothesis import given

from failover.core.document import Rung
from failover.reports import plain
from support.golden import golden_json
from support.incidents import resolved
from support.tellings import WRITTEN, file_of, of, sample, tellings


@pytest.mark.parametrize(("name", "rung"), WRITTEN)
def test_messages_are_as_they_were_written_down(name, rung):
    golden_json(file_of(name, "plain", rung), plain.message(sample(name, rung)))


@given(tellings())
def test_whatever_the_texts_are_it_is_short_and_nothing_in_it_is_markup(telling):
    title, body = plain.message(telling)
    assert "\n" not in title
    assert 0 < len(title) <= 150
    assert 0 < len(body.encode("utf-16-le")) // 2 <= 4000
    assert not re.search(r"[<>@`\[\]]", title + body)


@pytest.mark.parametrize("rung", Rung)
def test_the_labels_of_the_beginning_are_on_every_rung(rung):
    said = " ".join(plain.message(of(resolved(), rung=rung)))
    for label in ("Failover Incident Report", "Event:", "Timestamp:", "Primary:", "Backup:", "Duration:", "Details:"):
        assert label in said


def test_the_last_rung_is_one_line():
    assert "\n" not in plain.message(of(resolved(), rung=Rung.LINE))[1]
