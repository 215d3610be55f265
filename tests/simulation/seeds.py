"""Seeds with a story of their own."""

REGRESSIONS = (
    1946,  # a visitor heard of its last connection's end, and took it for the present one's
    11603,  # pages were slow and probes were not: no mistake of the proxy's
)
"""Failed once, for a reason that is mended; they are played in every run."""

KNOWN = {
    11: "a write is held although its visitor closed his half before, and is delivered to a target for nobody",
    1331: "two kept connections close under a safe request, and the third try, at a healthy backup, meets one more",
    1524: "the worker's clock asks for the routing before the first one was told",
    1576: "packets to the primary are dropped: who waits on a kept connection is overdue a first-byte time-out later",
    1705: "after a cut of our own network, requests alone talk the primary down: no probe failed in that row",
}
"""Fail, for a reason that is known and not yet mended."""
