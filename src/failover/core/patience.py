"""How long a target may let a request wait before we wonder, learned from its own latest answers. Seconds, pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

HEAD_START = 0.3
"""The longest time that a suspected primary is given before the backup is asked as well (spec section 4)."""

_SHORTEST_HEAD_START = 0.05
_SHORTEST_PATIENCE = 0.5
_LEAST_ANSWERS = 20


def patience(latencies: Iterable[float], longest: float) -> float:
    """When a request without a response head is overdue: after four times the 99th percentile, at least 500 ms."""
    usual = _percentile(latencies)
    return min(max(_SHORTEST_PATIENCE, 4.0 * usual), longest)


def head_start(latencies: Iterable[float]) -> float:
    """How long a suspected primary is waited for alone: twice the 99th percentile, 50 to 300 ms."""
    usual = _percentile(latencies)
    return min(max(_SHORTEST_HEAD_START, 2.0 * usual), HEAD_START) if usual else HEAD_START


def _percentile(latencies: Iterable[float]) -> float:
    """The 99th percentile, or 0 while there are too few answers to tell."""
    known = sorted(latencies)
    return known[len(known) * 99 // 100] if len(known) >= _LEAST_ANSWERS else 0.0
