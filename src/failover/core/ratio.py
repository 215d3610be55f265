"""500s: one broken page never switches a site, a site of broken pages may (spec section 8).

A 500 says that the app is there and has failed at one thing. Only where they are at least half of the answers, on
several paths, they are a bad signal about the target.
"""

from __future__ import annotations

import re

_WINDOW = 10.0
_LEAST_ERRORS = 5
_LEAST_PATHS = 3
_MOST_PATHS = 100
_PAUSE = 0.25  # from one bad signal to the next: they would only repeat each other

_ID = re.compile(r"(?<=/)(?:[^/]*\d[^/]*|[0-9a-fA-F-]{16,})(?=/|$)")


class Ratio:
    """The 500s of one target in the last seconds, among its good answers. Times are monotonic seconds."""

    def __init__(self) -> None:
        self._since = 0.0
        self._good_before = 0
        self._errors = 0
        self._paths: set[str] = set()
        self._told_at = 0.0

    def error(self, path: str, good: int, now: float) -> str | None:
        """Count a 500 at this path; `good` is the number of all good answers so far.

        Gives what is wrong in a few words when it amounts to a bad signal.
        """
        if now - self._since > _WINDOW:
            self._since, self._good_before, self._errors = now, good, 0
            self._paths.clear()
        self._errors += 1
        if len(self._paths) < _MOST_PATHS:
            self._paths.add(folded(path))
        if self._errors < _LEAST_ERRORS or len(self._paths) < _LEAST_PATHS:
            return None
        if self._errors < good - self._good_before or now - self._told_at < _PAUSE:
            return None
        self._told_at = now
        return f"500 on {len(self._paths)} paths"


def folded(path: str) -> str:
    """The path with its ids taken out: `/orders/17` and `/orders/18` are one page."""
    return _ID.sub("*", path.partition("?")[0])
