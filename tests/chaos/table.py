"""The table: a row for each fault, a column for each proxy and one for what is wanted of ours."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from chaos.outcome import Outcome
    from chaos.rows import Row

MISSED = "✗"


@dataclass(frozen=True, slots=True)
class Cell:
    """The rounds of one proxy on one row. Of counts the worst one counts; of times the median, as noise only adds."""

    row: Row
    rounds: tuple[Outcome, ...]

    def worst(self, figure: str) -> float:
        return max(getattr(one, figure) for one in self.rounds)

    @property
    def slowest(self) -> Outcome:
        """The round whose slowest answer is the median one."""
        return sorted(self.rounds, key=lambda one: one.slowest_ms)[(len(self.rounds) - 1) // 2]

    @property
    def misses(self) -> list[str]:
        """Which of the row's wishes are not met, in words."""
        counts = {miss for one in self.rounds for miss in one.count_misses(self.row)}
        return [*sorted(counts), *self.slowest.time_misses(self.row)]

    def __str__(self) -> str:
        failed, lost, doubled = (int(self.worst(figure)) for figure in ("failed", "lost", "doubled"))
        if self.row.writes:
            return f"{failed} / {lost} / {doubled}"
        return f"{failed} / {self.slowest.slowest_ms:.0f} ms"


def wanted(row: Row) -> str:
    want = row.wanted
    failed = f"≤ {want.failed}" if want.failed else "0"
    if row.writes:
        return f"{failed} / {want.lost} / {want.doubled}"
    return failed if want.slowest_ms is None else f"{failed} / ≤ {want.slowest_ms:.0f} ms"


def table(rows: Sequence[Row], cells: Mapping[tuple[str, str], Cell], titles: Mapping[str, str]) -> str:
    """Markdown, with columns that also line up on a terminal. `cells` by row and proxy; `titles` by proxy."""
    lines = [["fault", *titles.values(), "wanted of ours"]]
    for row in rows:
        line = [row.title]
        for proxy in titles:
            cell = cells.get((row.name, proxy))
            missed = f" {MISSED}" if cell is not None and proxy == "failover" and cell.misses else ""
            line.append("" if cell is None else f"{cell}{missed}")
        lines.append([*line, wanted(row)])
    widths = [max(len(line[place]) for line in lines) for place in range(len(lines[0]))]
    lines.insert(1, ["-" * width for width in widths])
    padded = ([text.ljust(width) for text, width in zip(line, widths, strict=True)] for line in lines)
    return "\n".join(f"| {' | '.join(line)} |" for line in padded)
