import json
import re
from dataclasses import replace

import pytest
from hypothesis import given

from failover.core.document import Occasion, Rung, Severity
from failover.reports import discord
from support import limits
from support.golden import golden_json
from support.incidents import ALL, long, opened, resolved
from support.tellings import EVIL, WRITTEN, file_of, of, sample, tellings

OURS = r"<t:\d+:[Td]>|<https://status\.myapp\.com/[\w/]+>"


@pytest.mark.parametrize(("name", "rung"), WRITTEN)
def test_messages_are_as_they_were_written_down(name, rung):
    golden_json(file_of(name, "discord", rung), discord.message(sample(name, rung), picture="incident.png"))


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("rung", Rung)
@pytest.mark.parametrize("occasion", Occasion)
def test_every_sample_is_within_the_limits(name, rung, occasion):
    limits.discord(discord.message(sample(name, rung, occasion=occasion), picture="incident.png"))


@given(tellings())
def test_whatever_the_texts_are_the_limits_hold_however_they_are_counted(telling):
    payload = discord.message(telling, picture="incident.png")
    limits.discord(payload)
    limits.discord(payload, count=len)


@given(tellings())
def test_whatever_the_texts_are_nothing_is_injected(telling):
    for mark in limits.discord_marks(discord.message(telling)):
        assert re.fullmatch(OURS, mark), mark


@pytest.mark.parametrize("rung", Rung)
def test_the_labels_of_the_beginning_are_on_every_rung(rung):
    said = json.dumps(discord.message(of(resolved(), rung=rung)))
    for label in ("Failover Incident Report", "Event", "Timestamp", "Primary", "Backup", "Duration", "Details"):
        assert label in said


def test_the_picture_is_shown_and_described():
    payload = discord.message(of(resolved()), picture="incident.png")
    assert payload["embeds"][0]["image"] == {"url": "attachment://incident.png"}
    [attached] = payload["attachments"]
    assert (attached["id"], attached["filename"]) == (0, "incident.png")
    assert "18,317 requests" in attached["description"]


@pytest.mark.parametrize("rung", [Rung.SAFE, Rung.LINE])
def test_below_the_first_rung_there_is_no_picture(rung):
    payload = discord.message(of(resolved(), rung=rung), picture="incident.png")
    assert "incident.png" not in json.dumps(payload)


def test_the_last_rung_has_no_embed_and_its_link_makes_none():
    payload = discord.message(of(resolved(), rung=Rung.LINE))
    assert payload["embeds"] == []
    assert payload["content"].endswith("<https://status.myapp.com/incidents/inc_20261123_141320_k3>")


def test_foreign_addresses_and_masks_are_no_links():
    said = discord.message(of(replace(resolved(), summary=f"[bank](http://{EVIL}) @here", cause=None)))
    assert rf"\[bank\]\(http\://{EVIL}\) \@here" in said["embeds"][0]["description"]


def test_a_day_is_said_where_there_is_more_than_one():
    assert re.search(r"<t:\d+:d> <t:\d+:T> ", discord.message(of(long()))["embeds"][0]["description"])
    assert not re.search(r"<t:\d+:d>", discord.message(of(opened()))["embeds"][0]["description"])


def test_a_test_is_marked_and_a_drill_is_flagged():
    test = discord.message(of(resolved(), occasion=Occasion.TEST))["embeds"][0]
    assert test["title"].startswith("TEST")
    assert "nothing has happened" in test["description"]
    drill = discord.message(of(replace(resolved(), severity=Severity.DRILL)))["embeds"][0]
    assert "DRILL" in drill["description"]
