"""Seeds with a story of their own."""

REGRESSIONS = ()
"""Failed once, for a reason that is mended; they are played in every run."""

_HELD = "a write is held although its visitor closed his half before, and is delivered to a target for nobody"
_CLOCK = "a worker's clock asks for the routing before the first one was told"
_THIRD = "two kept connections close under a safe request, and the third try, at a healthy backup, meets one more"
_DROPPED = "packets to the primary are dropped: who waits on a kept connection is overdue a first-byte time-out later"

KNOWN = {
    11: _HELD,
    1086: _HELD,
    1569: _HELD,
    2012: _CLOCK,
    2262: _CLOCK,
    2311: _THIRD,
    11193: _DROPPED,
}
"""Fail, for a reason that is known and not yet mended."""
