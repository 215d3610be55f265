"""The door: what others know of delivery. Whoever has kept something new to tell pokes the courier, and goes on."""

from __future__ import annotations

from typing import Protocol


class Courier(Protocol):
    """Brings what stands in the outbox to its channels, in a thread of its own, until it is closed."""

    channels: tuple[str, ...]
    """The keys under which the outbox knows the channels that are set up now."""

    def poke(self) -> None:
        """There may be something new in the outbox. From any thread; returns at once."""

    def close(self) -> None:
        """Stop: what is under way is tried again by the next one."""
