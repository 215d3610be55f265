"""Seeds with a story of their own."""

REGRESSIONS = ()
"""Failed once, for a reason that is mended; they are played in every run."""

KNOWN = {
    504: "packets to the primary are dropped: a safe request waits for two first-byte time-outs, and gets 504",
    560: "as 504",
    665: "as 504",
    1338: "as 504",
    1576: "as 504",
    1690: "as 504",
    1694: "as 504",
}
"""Fail, for a reason that is known and not yet mended."""
