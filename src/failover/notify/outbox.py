"""What a row of the outbox asks for. Pure.

A reader believes what he was told last. He is told again when that is no longer so, once, and never of the same end
twice. What happened in between stands in the document.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from failover.core.document import Document, Occasion, Status
from failover.core.words import lasting

if TYPE_CHECKING:
    from failover.incidents.base import Row


def occasion(told: tuple[int, Status | None], now: tuple[int, Status]) -> Occasion | None:
    """What to tell somebody who knows `told` (an episode and how it stands), when it stands like `now`."""
    episode, status = told
    if status is None or not episode:
        return Occasion.RESOLVED if now[1] is Status.RESOLVED else Occasion.OPENED
    if now[1] is Status.RESOLVED:
        return Occasion.RESOLVED if status is Status.OPEN or now[0] > episode else None
    return Occasion.REOPENED if status is Status.RESOLVED and now[0] > episode else None


def wanted(row: Row) -> Occasion | None:
    """What the row's channel is to be told, or None."""
    return occasion((row.told_episode, row.told_status), (row.wanted_episode, row.wanted_status))


def to_tell(row: Row, document: Document) -> Occasion | None:
    """The same by the document as it stands now: it may have gone on since the row was written."""
    return occasion((row.told_episode, row.told_status), (document.episode, document.status))


def late(waited: float, last_error: str, longest_unsaid: float) -> str:
    """The sentence that says how late a message is, and why; or nothing."""
    if waited <= longest_unsaid:
        return ""
    reason = f": {last_error}" if last_error else ""
    return f"delivery delayed {lasting(waited)}{reason}"


def message_id(document: Document) -> str:
    """The same on each try of the same message, and on no other."""
    return f"{document.id}:{document.episode}:{document.status.value}"
