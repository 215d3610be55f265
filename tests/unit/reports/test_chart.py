import re
from dataclasses import replace
from xml.etree import ElementTree as ET

import pytest

from failover.core.document import Moments, Phase, Shift, Traffic
from failover.reports import chart
from support.incidents import ALL, at, both_down, hostile, long, opened, resolved, sparse

SVG = "{http://www.w3.org/2000/svg}"


def texts(svg):
    return [node.text for node in ET.fromstring(svg).iter(f"{SVG}text")]


def bars(svg, outcome):
    """The height of each bar of that outcome."""
    found = re.search(rf'<path class="{outcome}" d="([^"]*)"', svg)
    return [float(one) for one in re.findall(r"v([\d.]+)", found[1])] if found else []


@pytest.mark.parametrize("theme", ["auto", "light"])
@pytest.mark.parametrize("sample", ALL)
def test_each_chart_is_well_formed_small_and_the_same_each_time(sample, theme):
    svg = chart.svg(ALL[sample](), theme=theme)
    root = ET.fromstring(svg)
    assert root.get("role") == "img"
    assert len(svg.encode()) < 60_000
    assert svg == chart.svg(ALL[sample](), theme=theme)


@pytest.mark.parametrize("sample", ALL)
def test_a_chart_has_no_script_no_link_and_no_style_of_an_element(sample):
    for node in ET.fromstring(chart.svg(ALL[sample]())).iter():
        assert node.tag.removeprefix(SVG) not in {"script", "a", "image", "foreignObject", "use"}
        assert not any(name == "style" or name.startswith("on") or "href" in name for name in node.attrib)


@pytest.mark.parametrize("sample", ALL)
def test_nothing_is_drawn_outside_the_picture(sample):
    root = ET.fromstring(chart.svg(ALL[sample]()))
    width, height = float(root.get("width")), float(root.get("height"))
    for node in root.iter():
        assert 0 <= float(node.get("x", 0)) <= width
        assert -4 <= float(node.get("y", 0)) <= height
        assert float(node.get("x", 0)) + float(node.get("width", 0)) <= width + 2 or node is root


def test_who_served_and_how_the_primary_looked_is_named_in_words():
    words = texts(chart.svg(resolved()))
    assert {"Serving", "Primary", "backup", "connection refused", "http 5xx", "ok", "failed"} <= set(words)


def test_each_moment_is_marked_and_near_ones_share_a_marker():
    words = texts(chart.svg(resolved()))
    assert "14:13:20.0 first bad signal, first answer of the backup, detected, switched" in words
    assert "14:28:12.0 primary answers again, recovered" in words


def test_three_of_thousands_that_failed_are_still_to_be_seen():
    assert bars(chart.svg(resolved()), "failed") == [2.0]
    assert len(bars(chart.svg(long()), "failed")) == 60


def test_the_bars_are_as_high_as_their_rate():
    one = replace(sparse(), traffic=(Traffic(start=at(0), seconds=10, primary=50, backup=100),))
    svg = chart.svg(one)
    assert bars(svg, "primary") == [32.5]  # 5 of a scale of 20 per second, on 130 pixels
    assert bars(svg, "backup") == [65.0]


def test_no_requests_are_said_to_be_none():
    assert "no requests in this time" in texts(chart.svg(sparse()))
    assert "no requests in this time" not in texts(chart.svg(opened()))


@pytest.mark.parametrize(
    "document",
    [
        replace(sparse(), traffic=(Traffic(start=at(0), seconds=0, failed=3),)),
        replace(sparse(), shifts=(Shift(start=at(0), end=at(0), side="none"),)),
        replace(sparse(), phases=(Phase(start=at(0), end=at(0), state="slow"),)),
        replace(resolved(), moments=Moments(first_bad=at(0), recovered=at(0)), updated=at(0), phases=(), shifts=()),
        replace(sparse(), shifts=(Shift(start=at(0), end=at(1), side="a side of tomorrow"),)),
    ],
    ids=["traffic of no time", "a shift of no time", "a phase of no time", "over at once", "an unknown side"],
)
def test_next_to_nothing_is_drawn_without_fuss(document):
    ET.fromstring(chart.svg(document))


def test_states_have_a_pattern_beside_their_colour():
    svg = chart.svg(long())
    for name in ("error1", "error2", "error3"):
        assert f'<rect class="{name}"' in svg
        assert f'<rect fill="url(#fo-{name})"' in svg


def test_screen_readers_are_told_what_is_to_be_seen():
    root = ET.fromstring(chart.svg(both_down()))
    told = root.find(f"{SVG}desc").text
    assert root.find(f"{SVG}title").text.startswith("Primary and backup are down")
    assert "Serving: primary from 14:12:20.0, nobody from 14:13:20.9." in told
    assert "connection refused" in told
    assert "480 failed (96 %)" in told


def test_foreign_words_stay_words():
    root = ET.fromstring(chart.svg(hostile()))
    assert "<img src=x onerror=alert(1)>" in root.find(f"{SVG}title").text
    evil = replace(sparse(), phases=(Phase(start=at(0), end=at(9), state='"><script>x\x1b</script>'),))
    assert not list(ET.fromstring(chart.svg(evil)).iter(f"{SVG}script"))
