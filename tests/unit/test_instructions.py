"""The guard against slow growth: what bench/instructions.py makes of its counts."""

import importlib
import json
from pathlib import Path

import pytest

BENCH = Path(__file__).resolve().parents[2] / "bench"
HERE = {"python": "3.11.7", "uvloop": "0.23.0"}


@pytest.fixture
def record_of(monkeypatch):
    monkeypatch.syspath_prepend(BENCH)
    return importlib.import_module("instructions_record")


@pytest.fixture
def instructions(monkeypatch):
    monkeypatch.syspath_prepend(BENCH)
    return importlib.import_module("instructions")


@pytest.fixture
def recorded(record_of):
    runs = [{"small": 100_000.0, "post": 200_000.0}]
    return record_of.renew(None, runs, release="0.1.0", date="2026-01-02", conditions=HERE, requests=400)


def test_what_has_hardly_grown_is_a_row_and_nothing_more(record_of, recorded):
    text, slower = record_of.compare(recorded, {"small": 105_000.0, "post": 150_000.0}, HERE, colour=True)
    assert not slower
    assert text.splitlines()[1:] == [
        "small                       100,000    105,000    +5.0 %",
        "post                        200,000    150,000   -25.0 %",
    ]


def test_what_has_grown_by_more_is_red_and_says_what_to_do(record_of, recorded):
    text, slower = record_of.compare(recorded, {"small": 105_100.0, "post": 200_000.0}, HERE, colour=True)
    assert slower
    _, row, other, sentence = text.splitlines()
    assert row.startswith("\033[31msmall ")
    assert row.endswith("+5.1 %\033[0m")
    assert other.startswith("post ")
    assert sentence == (
        "\033[31mSLOWER: small needs 5.1 % more instructions than recorded with 0.1.0 on 2026-01-02:"
        " make it fast again, or explain it in the CHANGELOG\033[0m"
    )


def test_without_colour_the_word_tells_it(record_of, recorded):
    text, slower = record_of.compare(recorded, {"post": 300_000.0}, HERE, colour=False)
    assert slower
    assert "\033" not in text
    assert "SLOWER: post needs 50.0 % more" in text


def test_a_count_made_with_something_else_is_not_compared(record_of, recorded):
    here = HERE | {"uvloop": "0.24.0", "compiler": "GCC 14"}
    text, slower = record_of.compare(recorded, {"small": 300_000.0}, here, colour=True)
    assert not slower
    assert "300,000" in text
    assert "%" not in text
    assert text.endswith(
        "cannot be compared: recorded with uvloop 0.23.0 (here 0.24.0), compiler unknown (here GCC 14)"
    )


def test_what_was_not_recorded_is_not_compared(record_of, recorded):
    text, slower = record_of.compare(recorded, {"new": 5.0}, HERE, colour=True)
    assert not slower
    assert text.splitlines()[1].split() == ["new", "-", "5", "-"]
    text, slower = record_of.compare(None, {"small": 5.0}, HERE, colour=True)
    assert not slower
    assert text.endswith("cannot be compared: nothing is recorded")


def test_a_record_holds_medians_spreads_and_what_was_before(record_of, recorded):
    runs = [{"small": 99_000.0}, {"small": 101_000.0}, {"small": 100_000.4}]
    again = record_of.renew(recorded, runs, release="0.2.0", date="2026-02-03", conditions=HERE, requests=400)
    assert again["scenarios"] == {"small": {"instructions": 100_000, "spread_percent": 2.0}}
    third = record_of.renew(again, runs, release="0.3.0", date="2026-03-04", conditions=HERE, requests=400)
    assert [one["release"] for one in third["history"]] == ["0.2.0", "0.1.0"]
    assert third["history"][1]["scenarios"] == recorded["scenarios"]
    assert "history" not in third["history"][0]


def test_the_record_of_this_checkout_has_all_scenarios(instructions):
    kept = json.loads((BENCH / "results" / "instructions.json").read_text())
    assert list(kept["scenarios"]) == list(instructions.SCENARIOS)


def test_costs_are_added_by_function(instructions):
    text = """\
events: Ir
summary: 130

fl=a.c
fn=outer
10 20
fi=b.h
+1 10
cfn=inner
calls=0 5
12 100

fn=inner
* 60
cfn=inner'2
calls=3 5
-1 40

fn=inner'2
5 40
"""
    alone, inclusive = instructions.costs_by_function(text)
    assert alone == {"outer": 30, "inner": 100}
    assert inclusive == {"outer": 130, "inner": 100}
