"""What visitors and origins say, held against each other; and how well it was measured."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from chaos.load import Record
    from chaos.rows import Row


@dataclass(frozen=True, slots=True)
class Outcome:
    """`failed`: no answer, a cut one, or one from 500 on. `lost`: POSTs answered below 500 that no origin performed.
    `doubled`: ids performed more than once, all origins together. `in_hands`: failed ones that were under way when the
    fault came. `again`: pages that were asked for once more, as browsers do.

    `slowest_ms` is of all that was answered since the fault came. How well it was measured: `late_ms` is the load's own
    worst lateness, `slowest_late_ms` its part in the slowest answer, `calm_ms` the slowest answer before the fault.
    """

    sent: int
    failed: int
    lost: int
    doubled: int
    in_hands: int
    again: int
    slowest_ms: float
    slowest_late_ms: float
    late_ms: float
    calm_ms: float
    by: dict[str, int]
    kinds: dict[str, int]

    def count_misses(self, row: Row) -> list[str]:
        """Which counts are more than the row wants, in words."""
        wanted = row.wanted
        failed = self.failed - (self.in_hands if wanted.in_hands else 0)
        figures = (
            ("failed", failed, wanted.failed),
            ("lost", self.lost, wanted.lost),
            ("doubled", self.doubled, wanted.doubled),
            ("asked again by the browser", self.again, 0),
        )
        return [f"{count} {what} and not {most}" for what, count, most in figures if count > most]

    def time_misses(self, row: Row) -> list[str]:
        """Whether the slowest answer took longer than the row wants, in words."""
        most = row.wanted.slowest_ms
        if most is None or self.slowest_ms <= most:
            return []
        ours = f" ({self.slowest_late_ms:.0f} ms of it the load's own)" if self.slowest_late_ms >= 1 else ""
        return [f"slowest {self.slowest_ms:.0f} ms{ours} and not {most:.0f} ms"]


def outcome(
    records: Sequence[Record], performed: Iterable[Counter[str]], *, fault_from: float, fault_until: float
) -> Outcome:
    """`fault_from` and `fault_until` enclose the moment when the fault came: a `kill` takes a while."""
    done = sum(performed, Counter())
    slowest = max((one for one in records if one.done >= fault_from), key=lambda one: one.took)
    failures = [record for record in records if record.failed]
    return Outcome(
        sent=len(records),
        failed=len(failures),
        lost=sum(1 for one in records if one.method == "POST" and not one.failed and not done[one.id]),
        doubled=sum(1 for count in done.values() if count > 1),
        in_hands=sum(1 for one in failures if one.began <= fault_until and one.done >= fault_from),
        again=sum(one.times - 1 for one in records),
        slowest_ms=1000 * slowest.took,
        slowest_late_ms=1000 * (slowest.tick - slowest.due),
        late_ms=1000 * max(one.tick - one.due for one in records),
        calm_ms=1000 * max((one.took for one in records if one.done < fault_from), default=0.0),
        by=dict(Counter(one.origin for one in records if not one.failed)),
        kinds=dict(Counter(f"{one.outcome} {one.status}" for one in failures)),
    )
