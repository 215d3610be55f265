"""From addresses as a person writes them to channels: what each understands, and what may be shown of it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from failover.settings.secret import MASK, mask_text, mask_webhook, maskable, secrets_in

if TYPE_CHECKING:
    from collections.abc import Sequence

AUTO = "auto"
GENERIC = "generic"
APPRISE = "apprise"

_LONGEST_WORDS = 200
_KEY = 12

# By host, the first that fits. A leading dot: every name below.
_HOSTS = (
    ("hooks.slack.com", "slack"),
    ("hooks.slack-gov.com", "slack"),
    ("slack.com", "slack-bot"),
    ("discord.com", "discord"),
    (".discord.com", "discord"),
    ("discordapp.com", "discord"),
    (".discordapp.com", "discord"),
    (".webhook.office.com", "teams"),
    (".logic.azure.com", "teams"),
    (".api.powerplatform.com", "teams"),
    ("api.powerautomate.com", "teams"),
    ("events.pagerduty.com", "pagerduty"),
    ("events.eu.pagerduty.com", "pagerduty"),
)


@dataclass(frozen=True, slots=True)
class Channel:
    """One place that is told. `key` is its name in the outbox, `name` its name for people; neither is a secret.

    `secrets` sign what is sent, the newest first; several while they are being changed.
    """

    key: str
    name: str
    format: str
    url: str = field(repr=False)
    secrets: tuple[str, ...] = field(default=(), repr=False)

    def masked(self, text: str) -> str:
        """Words from outside as they may be logged and kept: one line, at most 200 characters, no secret of ours."""
        for secret in maskable([*secrets_in(self.url), *self.secrets]):
            text = text.replace(secret, MASK)
        line = " ".join("".join(one if one.isprintable() else " " for one in text).split())
        return mask_text(line)[:_LONGEST_WORDS]


def channels(
    urls: Sequence[str], formats: Sequence[str] = (AUTO,), secrets: tuple[str, ...] = ()
) -> tuple[Channel, ...]:
    """A channel for each address, one that is given twice once. One format is that of all; several are those of the
    addresses in order. The secrets are of all.
    """
    each = formats if len(formats) > 1 else [*formats] * len(urls)
    made: dict[str, Channel] = {}
    for url, format_ in zip(urls, each, strict=False):  # the settings see to it that there are as many
        channel = _channel(url, format_, secrets)
        made.setdefault(channel.key, channel)
    return tuple(made.values())


def format_of(url: str) -> str:
    """What the place behind an address understands, by its scheme and host."""
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"}:
        return APPRISE
    host = (parts.hostname or "").lower()
    for known, format_ in _HOSTS:
        if host == known or (known.startswith(".") and host.endswith(known)):
            return format_
    return GENERIC


def _channel(url: str, wanted: str, secrets: tuple[str, ...]) -> Channel:
    format_ = format_of(url) if wanted == AUTO else wanted
    key = hashlib.sha256(f"{format_}\n{url}".encode()).hexdigest()[:_KEY]
    return Channel(key, mask_webhook(url), format_, url, secrets)
