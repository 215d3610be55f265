"""The long forms: held by golden files, true to the numbers, and deaf to whatever a foreign text wants of them."""

import json
import re
from html.parser import HTMLParser

import pytest

from failover.core.document import Severity
from failover.reports import chart, markdown, page, picture, text
from failover.reports.base import FORMS
from failover.reports.words import number
from support.golden import golden
from support.incidents import ALL, hostile, long, opened, resolved, sparse

LONG_FORMS = [name for name in FORMS if name != "png"]


@pytest.mark.parametrize("sample", ALL)
@pytest.mark.parametrize("form", LONG_FORMS)
def test_each_form_of_each_sample_is_as_it_was(form, sample):
    golden(f"{sample}{FORMS[form].suffix}", FORMS[form].render(ALL[sample]()))


@pytest.mark.parametrize("form", ["md", "html", "txt"])
def test_every_number_of_the_impact_is_there(form):
    written = FORMS[form].render(resolved()).decode()
    counts = resolved().counts
    for value in (counts.hidden, counts.total, counts.failed, counts.refused, counts.by_backup, counts.rescued):
        assert number(value) in written
    failed = re.search(rf"{number(counts.failed)} failed|>{number(counts.failed)}<", written)
    assert written.index(number(counts.hidden)) < failed.start()


@pytest.mark.parametrize("form", ["md", "html", "txt"])
def test_what_a_machine_cannot_know_is_asked_of_people(form):
    written = FORMS[form].render(resolved()).decode()
    for prompt in ("Root cause", "Contributing factors", "Owner", "Ticket"):
        assert prompt in written


@pytest.mark.parametrize("form", ["md", "html", "txt"])
def test_two_days_are_still_read_by_a_person(form):
    written = FORMS[form].render(long()).decode()
    assert written.count("a probe failed") + written.count("primary connection") <= 60
    assert len(written) < 60_000


@pytest.mark.parametrize("form", LONG_FORMS)
def test_the_same_document_gives_the_same_bytes(form):
    assert FORMS[form].render(resolved()) == FORMS[form].render(resolved())


# HTML


class Reader(HTMLParser):
    """Collects what would be done by a browser."""

    def __init__(self, source):
        super().__init__()
        self.tags, self.handlers, self.addresses, self.headings = [], [], [], []
        self.feed(source)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.handlers += [name for name, _ in attrs if name.startswith("on")]
        self.addresses += [value for name, value in attrs if name in {"src", "href", "action", "style"}]
        if re.fullmatch(r"h[1-6]", tag):
            self.headings.append(int(tag[1]))


@pytest.mark.parametrize("sample", ALL)
def test_a_page_runs_nothing_and_loads_nothing(sample):
    read = Reader(page.render(ALL[sample]()))
    assert not {"script", "img", "iframe", "object", "link", "form", "base"} & set(read.tags)
    assert read.handlers == []
    assert [one for one in read.addresses if one and not one.startswith("#")] == []


def test_headings_are_in_order():
    headings = Reader(page.render(resolved())).headings
    assert headings[0] == 1
    assert set(headings[1:]) == {2}


def test_foreign_html_is_text():
    written = page.render(hostile())
    assert "&lt;img src=x onerror=alert(1)&gt;" in written
    assert "<img" not in written
    assert "\u202e" not in written
    assert "\x1b" not in written


# Markdown


def test_foreign_text_makes_no_markup():
    written = markdown.render(hostile())
    bare = re.sub(r"(?m)^    .*$", "", re.sub(r"\\.", "", written))
    assert "](http" not in bare
    assert "<" not in bare
    assert [row[:18] for row in written.splitlines() if row.startswith("# ")] == ["# Primary answered"]
    assert not re.search(r"(?m)^\W*# not a heading", bare)


def test_foreign_text_makes_no_column():
    for row in markdown.render(hostile()).splitlines():
        if re.match(r"\| (\d\d:|0 )", row):
            assert len(re.findall(r"(?<!\\)\|", row)) == 5


def test_the_front_matter_is_for_machines():
    front = markdown.render(resolved()).split("---")[1]
    assert "id: inc_20261123_141320_k3" in front
    assert "severity: major" in front
    assert "resolved: 2026-11-23T14:28:14+00:00" in front
    assert "resolved:" not in markdown.render(opened()).split("---")[1]


@pytest.mark.parametrize("form", ["md", "html"])
def test_a_drill_says_so(form):
    from dataclasses import replace

    written = FORMS[form].render(replace(resolved(), severity=Severity.DRILL)).decode()
    assert "This was a drill." in written


# Text, chart, picture


def test_no_foreign_text_moves_the_cursor():
    written = text.render(hostile())
    assert all(sign.isprintable() or sign == "\n" for sign in written)
    assert max(map(len, written.splitlines())) <= 130


def test_a_chart_tells_itself_to_who_cannot_see():
    drawn = chart.svg(resolved())
    assert 'role="img"' in drawn
    assert "<title" in drawn
    assert "<desc" in drawn


def test_a_chart_of_two_days_is_small():
    assert len(chart.svg(long())) < 60_000


def test_a_picture_has_its_text_drawn(monkeypatch, tmp_path):
    with_text = picture.png(sparse())
    monkeypatch.setattr(picture, "_FONTS", tmp_path)
    without = picture.png(sparse())
    assert with_text.startswith(b"\x89PNG")
    assert len(with_text) > 1.2 * len(without)


def test_a_picture_fits_into_a_message():
    assert all(len(picture.png(make())) < 1_000_000 for make in ALL.values())


def test_two_days_and_ten_thousand_probes_fit_into_every_form():
    from failover.core.document import Occasion, Rung, Telling
    from failover.reports import discord, pagerduty, plain, slack, teams, webhook
    from support import limits
    from unit.core.test_incident import Story, rows
    from unit.core.test_story import told

    story = Story()
    story.fails(0)
    for n in range(10_000):
        now = 1 + n * 17.28
        story.probe(now, ("connection_refused", "http_5xx", "http_response_timeout")[n // 7 % 3], body="x" * 1000)
        story.at(now, rows(("backup", f"/page/{n}", 200, 10)))
    story.recovers(172_800)
    story.until(172_900)
    document = told(story, 172_900)
    assert sum(error.probes for error in document.errors) == 10_001
    for rung in Rung:
        telling = Telling(occasion=Occasion.RESOLVED, document=document, rung=rung)
        limits.slack(slack.message(telling))
        limits.discord(discord.message(telling, picture="incident.png"))
        limits.teams(teams.message(telling))
        limits.pagerduty(pagerduty.event(telling, "key"))
        assert len(json.dumps(webhook.event(telling))) < 20_000
        assert len(plain.message(telling)[1].splitlines()) < 60
    for form in ("md", "html", "txt"):
        assert FORMS[form].render(document).decode().count("a probe failed") <= 60
