"""The rows of the table in docs/chaos.md: a fault, whom it meets, and what visitors may notice of it at most."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Wanted:
    """At most so many. `slowest_ms` is judged by the command alone: a busy machine proves nothing about the proxy.

    `in_hands`: what the primary had in its hands when it died may fail beyond that. Whether it was done nobody can
    know, so it must not be sent again.
    """

    failed: int = 0
    slowest_ms: float | None = None
    lost: int = 0
    doubled: int = 0
    in_hands: bool = False


@dataclass(frozen=True, slots=True)
class Row:
    """`fault` is a name in `chaos.origin.FAULTS`."""

    name: str
    title: str
    fault: str
    method: str
    wanted: Wanted

    @property
    def writes(self) -> bool:
        return self.method == "POST"


ROWS = (
    Row("kill-get", "`kill -9`, GET", "kill", "GET", Wanted(slowest_ms=20)),
    Row("stop-get", "SIGSTOP, GET", "stop", "GET", Wanted(slowest_ms=1000)),
    Row("503-get", "503 to all, GET", "unavailable", "GET", Wanted(slowest_ms=20)),
    Row("late-get", "8 s late, GET", "late", "GET", Wanted(slowest_ms=1000)),
    Row("reset-get", "reset, GET", "reset", "GET", Wanted(slowest_ms=20)),
    Row("slam-get", "reset on accept, GET", "slam", "GET", Wanted(slowest_ms=20)),
    Row("cut-get", "small answers cut, GET", "cut", "GET", Wanted(slowest_ms=50)),
    Row("flap-get", "flapping, GET", "flap", "GET", Wanted()),
    Row("kill-post", "`kill -9`, POST", "kill", "POST", Wanted(in_hands=True)),
    Row("stop-post", "SIGSTOP, POST", "stop", "POST", Wanted()),
    Row("reset-post", "reset, POST", "reset", "POST", Wanted(failed=3)),
    Row("done-post", "reset once done, POST", "reset-when-done", "POST", Wanted(failed=3)),
)
BY_NAME = {row.name: row for row in ROWS}
