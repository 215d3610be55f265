"""From turns to figures: medians, ratios to HAProxy, the file of results, the table."""

from __future__ import annotations

import datetime as dt
import json
import os
import platform
import statistics
from typing import TYPE_CHECKING, Any

from stage import BenchError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from rows import Row
    from stage import Turn

RowResult = dict[str, Any]
BASE = "haproxy"


def summary(row: Row, turns: Mapping[str, Sequence[Turn]], cannot: Mapping[str, str], seconds: float) -> RowResult:
    lines = {}
    for key, line in row.lines.items():
        series = {name: [turn.values[key] for turn in several if key in turn.values] for name, several in turns.items()}
        lines[key] = {"title": line.title, "unit": line.unit, "proxies": compared(series)}
    return {
        "date": dt.datetime.now(dt.UTC).date().isoformat(),
        "seconds": seconds,
        "lines": lines,
        "beside": {name: beside(several) for name, several in turns.items()},
        "cannot": dict(cannot),
        "trouble": {
            name: said for name, several in turns.items() if (said := [t.trouble for t in several if t.trouble])
        },
    }


def compared(series: Mapping[str, Sequence[float]]) -> dict[str, dict[str, Any]]:
    """Median, ratio to HAProxy of the same run, and all turns."""
    median = {name: statistics.median(values) for name, values in series.items() if values}
    base = median.get(BASE)
    return {
        name: {
            "median": significant(middle),
            "to_haproxy": round(middle / base, 3) if base else None,
            "turns": [significant(value) for value in series[name]],
        }
        for name, middle in median.items()
    }


def beside(turns: Sequence[Turn]) -> dict[str, float]:
    return {key: significant(statistics.median(turn.beside[key] for turn in turns)) for key in turns[0].beside}


def significant(value: float) -> float:
    return float(f"{value:.4g}")


# -- the file


def read(file: Path | None, versions: dict[str, str], rows: Sequence[str]) -> dict[str, Any]:
    """What the file has of rows that are not measured now; BenchError when those are of other versions."""
    machine = {"system": platform.platform(), "cores": os.cpu_count(), "python": platform.python_version()}
    empty = {"machine": machine, "versions": versions, "rows": {}}
    if file is None or not file.exists():
        return empty
    former = json.loads(file.read_text())
    kept = {name: row for name, row in former["rows"].items() if name not in rows}
    if kept or former.get("growth"):
        for name, version in versions.items():
            if (was := former["versions"].get(name, version)) != version:
                raise BenchError(
                    f"{file} has rows of {name} {was}, and this is {version}: give another file, or all rows"
                )
    return former | empty | {"versions": former["versions"] | versions, "rows": kept}


def write(file: Path, result: Mapping[str, Any]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(result, indent=1) + "\n")


def troubles(row: RowResult) -> list[str]:
    return [f"{name}: {'; '.join(said)}" for name, said in row["trouble"].items()]


# -- the table


def text(result: Mapping[str, Any]) -> str:
    """A line for each proxy, under the title of what was measured."""
    out = []
    for row in result["rows"].values():
        for line in row["lines"].values():
            out.append(f"\n{line['title']}, {line['unit']}")
            for name, figures in line["proxies"].items():
                ratio = f"{figures['to_haproxy']:.2f}" if figures["to_haproxy"] is not None else "-"
                spread = f"{min(figures['turns']):g}-{max(figures['turns']):g}"
                aside = row["beside"][name]
                said = f"{aside['per_second']:>8.0f}/s, core {aside['busy']:.0%} busy" if "busy" in aside else ""
                out.append(f"  {name:<10} {figures['median']:>9g} {ratio:>7} to HAProxy  {spread:>18}  {said}".rstrip())
        out += [f"  {name:<10} {why}" for name, why in row["cannot"].items()]
    return "\n".join(out)
