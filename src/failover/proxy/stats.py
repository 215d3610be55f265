"""What a worker counts: plain integers, so that counting costs a request next to nothing."""

from __future__ import annotations


class Stats:
    """Plain counters: the hot path adds, the controller reads once a second."""

    def __init__(self) -> None:
        self.connections = 0
        self.exchanges = 0
        self.failed_tries = 0
        self.rescued_tries = 0
        self.refused = 0
        self.rejected = 0
        self.aborted = 0
        self.cut = 0
        self.delivered = 0
        self.failed = 0

    def values(self) -> dict[str, int]:
        return dict(vars(self))
