"""Seeds with a story of their own."""

REGRESSIONS = {
    11: "a write was held although its visitor closed his half before, and delivered to a target for nobody",
    1086: "the same",
    1569: "the same",
    2012: "a worker's clock asked for the routing before the first one was told",
    2262: "the same",
    2311: "two kept connections closed under a safe request, and the third try, at a healthy backup, met one more",
    11193: "packets to the primary were dropped: who waited on a kept connection was in doubt 15 s too late",
    10498: "a write with a key, whose kept connection closed and whose fresh one was refused, was not held",
    20785: "a rival's second connection was not counted: a page was tried four times",
    21186: "the same",
    490: "a rival that met a closed connection counted as asked, and nobody was left when the primary failed as well",
}
"""Failed once, for a reason that is mended; they are played in every run."""

KNOWN: dict[int, str] = {}
"""Fail, for a reason that is known and not yet mended."""
