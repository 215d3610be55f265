"""How the evidence is counted, how sure it makes, and the words."""

from datetime import UTC, datetime

import pytest

from failover.core.cause_scene import Scene, few, moment, shortened, span
from failover.core.document import Confidence, ProbeFact
from failover.core.findings import Findings

AT = datetime(2026, 11, 23, 14, 13, 20, tzinfo=UTC)


def scene(**findings):
    return Scene(Findings(**findings))


@pytest.mark.parametrize(
    ("probes", "requests", "mostly"),
    [
        ({}, {}, False),
        ({"slow": 1}, {}, True),
        ({"slow": 1, "http_5xx": 1}, {}, True),
        ({"slow": 1, "http_5xx": 2}, {}, False),
        ({"slow": 1}, {"http_5xx": 1000}, False),
        ({"slow": 30}, {"http_5xx": 1000}, True),
        ({"http_5xx": 30}, {"slow": 10}, False),
    ],
)
def test_probes_and_requests_weigh_alike(probes, requests, mostly):
    assert scene(probes=probes, requests=requests).mostly(("slow",)) is mostly


@pytest.mark.parametrize(
    ("findings", "sure", "confidence"),
    [
        ({"probes": {"slow": 5}}, 0, Confidence.HIGH),
        ({"probes": {"slow": 4}}, 0, Confidence.MEDIUM),
        ({"probes": {"slow": 2}}, 0, Confidence.LOW),
        ({"probes": {"slow": 2}}, 1, Confidence.MEDIUM),
        ({"probes": {"slow": 2}, "requests": {"slow": 1}}, 0, Confidence.HIGH),
        ({"probes": {"slow": 20}, "requests": {"http_5xx": 5}}, 0, Confidence.MEDIUM),
        ({"probes": {"slow": 20}, "requests": {"http_5xx": 5}}, 1, Confidence.MEDIUM),
        ({"probes": {"slow": 20, "http_5xx": 10}, "requests": {"http_5xx": 5}}, 0, Confidence.LOW),
        ({"probes": {"slow": 20}, "good_probes": 30}, 0, Confidence.MEDIUM),
        ({"probes": {"slow": 20}}, -1, Confidence.MEDIUM),
    ],
)
def test_how_sure_it_is(findings, sure, confidence):
    assert scene(**findings).cause("slow", "t", ("slow",), (), "", sure=sure).confidence is confidence


@pytest.mark.parametrize(
    ("probes", "good", "words"),
    [
        ({"slow": 47}, 0, ("47 of 47 probes were bad",)),
        ({"slow": 1}, 0, ("the only one of the probes was bad",)),
        ({"slow": 1}, 2, ("1 of 3 probes was bad",)),
        ({"http_5xx": 1}, 0, ()),
    ],
)
def test_counted_words(probes, good, words):
    assert scene(probes=probes, good_probes=good).counted(("slow",), "bad") == words


def test_the_newest_page_is_looked_at():
    first = ProbeFact(at=AT, target="primary", error="http_5xx", status=500, body="first")
    last = ProbeFact(at=AT, target="primary", error="http_5xx", status=502)
    assert scene(first=first, last=last).status == 500
    assert (
        scene(first=first, last=ProbeFact(at=AT, target="primary", error="http_5xx", status=503, body="x")).body == "x"
    )
    assert scene(last=ProbeFact(at=AT, target="primary", status=200, body="good")).page is None


def test_tense():
    assert scene().say("it {is|was} {gone|away}") == "it is gone"
    assert scene(resolved=True).say("it {is|was} {gone|away}") == "it was away"


def test_a_fact_without_a_word_is_none():
    assert scene().cause("slow", "t", ("slow",), ("", "\u202e", "fact"), "").facts == ("fact",)


def test_texts_from_outside_are_one_short_line():
    assert shortened("a\n\x1b[31mb\u202e  c", 20) == "a [31mb c"
    assert shortened("x" * 30, 20) == "x" * 19 + "…"
    assert few(("a", "b", "c", "d", "e")) == "a, b, c, d and 1 more"
    assert (span(2.0), span(float("inf"))) == ("2 s", "a long time")
    assert moment(AT) == "2026-11-23 14:13:20 UTC"
