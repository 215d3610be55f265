"""The door: what others know of the store of incidents. It holds incidents, notes, the outbox and what must outlive us.

Every method may be called from any thread and returns at once, with a future: one thread of the store's own does the
work, in the order of the calls, and nobody on a loop ever waits for a disk. Times are Unix seconds.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from concurrent.futures import Future

    from failover.core.document import Document, Recurrence, Status


@dataclass(frozen=True, slots=True)
class Kept:
    """An incident as it is kept: its document, and the bytes with which its teller goes on after a restart."""

    document: Document
    state: bytes


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the outbox: what one channel has been told of one incident, and what it is to be told.

    `told_…` are 0 and None while nothing has arrived there. `wanted_at` is when there was something new to tell for the
    first time, `next_at` when the next try is due, `tries` how many failed since something last arrived. `sending` is
    true when a try began whose end nobody has written down. `remote` is what the destination calls its message.
    `over` is true when nothing more is tried (`last_error` says why) until there is something new to tell.
    """

    incident: str
    channel: str
    wanted_episode: int
    wanted_status: Status
    wanted_at: float
    told_episode: int = 0
    told_status: Status | None = None
    told_at: float = 0.0
    next_at: float = 0.0
    tries: int = 0
    sending: bool = False
    remote: str = ""
    last_error: str = ""
    over: bool = False

    @property
    def is_news(self) -> bool:
        """Whether the channel does not know yet what it is to be told."""
        return (self.told_status, self.told_episode) != (self.wanted_status, self.wanted_episode)


@dataclass(frozen=True, slots=True)
class Totals:
    """What the ledger has of a time: all requests, and those that failed. `since` is when it begins, or 0.0."""

    since: float = 0.0
    requests: int = 0
    failed: int = 0


@dataclass(frozen=True, slots=True)
class Day:
    """What the ledger has of one day of UTC, which begins at `start`. `hidden` requests were answered by a backup."""

    start: float
    requests: int
    failed: int
    hidden: int


@dataclass(frozen=True, slots=True)
class Mailbox:
    """What the outbox has of one channel: how many messages wait, when one arrived last (0.0: none yet), and why the
    last one that failed did. `given_up`: it failed for good, and nothing has arrived since.
    """

    channel: str
    waiting: int
    told_at: float
    last_error: str
    given_up: bool


class Store(Protocol):
    """See above. A future may fail with StoreError; whoever cannot go on without the answer says so in the log."""

    def opened(self) -> Future[str]:
        """Why everything is in memory only and gone with this process; empty for a store on disk."""

    def save(self, document: Document, state: bytes, channels: tuple[str, ...] = ()) -> Future[None]:
        """Keep an incident as it is now, and in the same transaction that these channels are to be told of it."""

    def newest(self) -> Future[Kept | None]:
        """The incident that began last and that this version can read."""

    def load(self, incident: str) -> Future[Document | None]:
        """One incident, with the notes of people in its timeline."""

    def listed(self, most: int) -> Future[list[Document]]:
        """The newest first, with their notes."""

    def note(self, incident: str, who: str, text: str) -> Future[bool]:
        """Add a line to an incident; False when there is no such incident."""

    def recurrence(self, of: Document, days: int = 30) -> Future[Recurrence]:
        """What was there before this incident."""

    def remember(self, key: str, value: bytes) -> Future[None]:
        """Keep a value that must outlive the process."""

    def recall(self, key: str) -> Future[tuple[bytes, float] | None]:
        """The value and when it was kept, Unix seconds."""

    def add_to_ledger(self, at: float, requests: int, failed: int, hidden: int) -> Future[None]:
        """Add to the counts of that hour."""

    def days(self, since: float) -> Future[list[Day]]:
        """The days in which there were requests, oldest first."""

    def mailboxes(self, channels: tuple[str, ...]) -> Future[list[Mailbox]]: ...

    def totals(self, since: float) -> Future[Totals]: ...

    def outbox(self, channels: tuple[str, ...]) -> Future[list[Row]]:
        """The rows of these channels that have something to tell or may be edited yet, oldest first."""

    def put(self, row: Row) -> Future[None]:
        """Write down what became of a delivery. `wanted_…` are the store's own and not changed by it."""

    def changed_by_others(self) -> Future[bool]:
        """Whether another process (`failover incidents note`, `resend`) has written since this was last asked."""

    def prune(self, before: float) -> Future[int]:
        """Forget resolved incidents that began before, and ledger hours; how many incidents went."""

    def close(self) -> None:
        """Do all that was asked, and end. Waits for it, a few seconds at most."""
