"""Addresses: what they understand, and that nothing of them is told."""

import pytest

from failover.notify.channels import channels, format_of


@pytest.mark.parametrize(
    ("url", "kind"),
    [
        ("https://hooks.slack.com/services/T/B/x", "slack"),
        ("https://hooks.slack-gov.com/services/T/B/x", "slack"),
        ("https://hooks.slack.com/triggers/E/1/x", "slack"),
        ("https://xoxb-1@slack.com/?channel=C1", "slack-bot"),
        ("https://discord.com/api/webhooks/1/x", "discord"),
        ("https://ptb.discord.com/api/v10/webhooks/1/x", "discord"),
        ("https://discordapp.com/api/webhooks/1/x", "discord"),
        ("https://prod-1.westeurope.logic.azure.com/workflows/x", "teams"),
        ("https://x.environment.api.powerplatform.com/powerautomate/x", "teams"),
        ("https://events.pagerduty.com/v2/enqueue?routing_key=x", "pagerduty"),
        ("https://events.eu.pagerduty.com/v2/enqueue?routing_key=x", "pagerduty"),
        ("ntfy://topic", "apprise"),
        ("mailto://user:pass@example.com", "apprise"),
        ("https://evil-slack.com.example/services", "generic"),
        ("https://hooks.slack.com.example/services", "generic"),
        ("http://127.0.0.1:9000/hook", "generic"),
    ],
)
def test_the_host_tells_what_is_understood(url, kind):
    assert format_of(url) == kind


def test_a_format_that_was_given_wins():
    (channel,) = channels(["https://hooks.slack.com/services/T/B/x"], ["generic"])
    assert channel.format == "generic"
    two = channels(["https://a.example/1", "https://a.example/2"], ["slack", "discord"])
    assert [channel.format for channel in two] == ["slack", "discord"]


def test_an_address_that_is_given_twice_is_told_once():
    assert len(channels(["https://a.example/1"] * 2, ["slack"])) == 1


def test_its_key_stays_the_same_and_is_no_secret():
    url = "https://hooks.slack.com/services/T000/B000/hunter2hunter2"
    (one,), (other,) = channels([url]), channels([url])
    assert one.key == other.key
    assert "hunter2" not in f"{one.key} {one.name} {one!r}"


def test_words_from_outside_have_no_secret_of_ours():
    (channel,) = channels(["https://hooks.slack.com/services/T000/B000/hunter2hunter2"])
    masked = channel.masked("no service at /services/T000/B000/hunter2hunter2\nfor \x1b[31mhunter2hunter2")
    assert "hunter2" not in masked
    assert masked.isprintable()
    assert len(channel.masked("x" * 1000)) <= 200
