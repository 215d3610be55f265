"""Who delivers what: one format, one file, one row. A file is loaded when something goes there for the first time.

A destination is a module with
    EDITS        whether its messages can be brought up to date: an UPDATED with a `remote` changes that message
    IDEMPOTENT   whether it drops a message that it has already
    deliver      brings one message there, or raises Refusal; `remote` is what it called its last message of this
                 incident, or empty. One call is one try: trying again is not its business.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Protocol, cast

if TYPE_CHECKING:
    import aiohttp

    from failover.core.document import Telling
    from failover.notify.channels import Channel
    from failover.notify.verdict import Receipt

_WHERE = {
    "slack": "slack",
    "slack-bot": "slack_bot",
    "discord": "discord",
    "teams": "teams",
    "pagerduty": "pagerduty",
    "generic": "generic",
    "apprise": "foreign",
}
FORMATS = tuple(_WHERE)


class Destination(Protocol):
    """See above."""

    EDITS: bool
    IDEMPOTENT: bool

    async def deliver(
        self, http: aiohttp.ClientSession, channel: Channel, telling: Telling, remote: str
    ) -> Receipt: ...


def destination(format_: str) -> Destination:
    """The one that knows this format."""
    return cast("Destination", import_module(f"failover.notify.{_WHERE[format_]}"))
