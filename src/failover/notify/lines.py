"""What the log says of deliveries. Whatever a destination said comes here with its secrets masked."""

from __future__ import annotations

from typing import TYPE_CHECKING

from failover.core.words import count, lasting
from failover.observe import log

if TYPE_CHECKING:
    from failover.core.document import Document, Rung, Telling
    from failover.notify.channels import Channel

_log = log.get("notify")


def sent(channel: Channel, telling: Telling, tries: int, words: str) -> None:
    _log.info(
        f"told {channel.name}: {telling.occasion}",
        action="notification.sent",
        reason=telling.late or None,
        channel=channel.name,
        incident=telling.document.id,
        tries=tries,
        answer=words or None,
    )


def retry(channel: Channel, document: Document, reason: str, tries: int, delay: float) -> None:
    _log.warning(
        f"{channel.name} could not be told, again in {lasting(delay)}",
        action="notification.retry",
        reason=reason,
        channel=channel.name,
        incident=document.id,
        tries=tries,
    )


def failed(channel: Channel, document: Document, reason: str, *, broken: bool) -> None:
    what = "is broken, nobody is told there" if broken else "refused a message"
    _failed(f"{channel.name} {what}; it is tried again when there is news", channel, document, reason)


def given_up(channel: Channel, document: Document, reason: str, tries: int) -> None:
    what = f"{channel.name} could not be told, failed {count(tries, 'time')}, and is given up"
    _failed(what, channel, document, reason)


def _failed(what: str, channel: Channel, document: Document, reason: str) -> None:
    _log.error(what, action="notification.failed", reason=reason, channel=channel.name, incident=document.id)


def shortened(channel: Channel, document: Document, reason: str, rung: Rung) -> None:
    _log.warning(
        f"{channel.name} did not take the form of a message, a plainer one follows",
        action="notification.shortened",
        reason=reason,
        channel=channel.name,
        incident=document.id,
        rung=rung.name.lower(),
    )


def not_updated(channel: Channel, document: Document, reason: str) -> None:
    _log.debug("a message was not brought up to date", reason=reason, channel=channel.name, incident=document.id)


def unwritable(channel: Channel, document: Document) -> None:
    """For an except clause: a renderer or a destination of ours made a mistake."""
    _log.exception("a message could not be written", channel=channel.name, incident=document.id)


def not_kept(channel: Channel, incident: str) -> None:
    """For an except clause: the store did not take what became of a delivery."""
    _log.exception("a delivery could not be written down", channel=channel.name, incident=incident)


def mistake(where: str) -> None:
    """For an except clause."""
    _log.exception("a mistake in the deliveries", where=where)
