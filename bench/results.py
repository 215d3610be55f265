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

BASE = "haproxy"


def today() -> str:
    return dt.datetime.now(dt.UTC).date().isoformat()


def summary(row: Row, turns: Mapping[str, Sequence[Turn]], cannot: Mapping[str, str], seconds: float) -> dict[str, Any]:
    """A row as it stands in the file."""
    lines = {}
    for key, line in row.lines.items():
        series = {name: [turn.values[key] for turn in several if key in turn.values] for name, several in turns.items()}
        lines[key] = {"title": line.title, "unit": line.unit, "proxies": compared(series)}
    return {
        "date": today(),
        "seconds": seconds,
        "lines": lines,
        "beside": {name: beside(several) for name, several in turns.items()},
        "cannot": dict(cannot),
        "notes": {name: said[0] for name, said in remarks(turns, "note").items()},
        "trouble": remarks(turns, "trouble"),
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


def remarks(turns: Mapping[str, Sequence[Turn]], what: str) -> dict[str, list[str]]:
    said = {name: [getattr(turn, what) for turn in several if getattr(turn, what)] for name, several in turns.items()}
    return {name: remarks for name, remarks in said.items() if remarks}


def significant(value: float) -> float:
    return float(f"{value:.4g}")


# -- the file


def read(
    file: Path | None, versions: dict[str, str], *, rows: Sequence[str] = (), growth: Sequence[str] = ()
) -> dict[str, Any]:
    """What the file has beside what is measured now; BenchError when that is of other versions."""
    machine = {
        "system": f"{platform.system()} {platform.machine()}",
        "cores": os.cpu_count(),
        "python": platform.python_version(),
    }
    result: dict[str, Any] = {"machine": machine, "versions": versions, "rows": {}, "growth": {}}
    if file is None or not file.exists():
        return result
    former = json.loads(file.read_text())
    result["rows"] = {name: row for name, row in former["rows"].items() if name not in rows}
    result["growth"] = {name: line for name, line in former["growth"].items() if name.split()[0] not in growth}
    if result["rows"] or result["growth"]:
        for name, version in versions.items():
            if (was := former["versions"].get(name, version)) != version:
                raise BenchError(f"{file} has figures of {name} {was}, this is {version}: remove it, or name another")
        result["versions"] = former["versions"] | versions
    return result


def write(file: Path, result: Mapping[str, Any]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n")


def troubles(row: Mapping[str, Any]) -> list[str]:
    return [f"{name}: {'; '.join(said)}" for name, said in row["trouble"].items()]


# -- the table


def table(result: Mapping[str, Any], rows: Sequence[str], names: Sequence[str], titles: Mapping[str, str]) -> str:
    """A line for each thing measured, a column for each proxy: the median, and in brackets the ratio to HAProxy."""
    grid = [["", *(f"{titles[name]} {result['versions'][name]}" for name in names)], *cells(result, rows, names)]
    widths = [max(map(len, column)) for column in zip(*grid, strict=True)]
    lines = ["  ".join([line[0].ljust(widths[0]), *map(str.rjust, line[1:], widths[1:])]).rstrip() for line in grid]
    return "\n".join([*lines, *notes(result, rows, names)])


def markdown(result: Mapping[str, Any], rows: Sequence[str], names: Sequence[str], titles: Mapping[str, str]) -> str:
    """The same for a page."""
    head = [["", *(titles[name] for name in names)], ["---", *("---:" for _ in names)]]
    lines = ["| " + " | ".join(line) + " |" for line in [*head, *cells(result, rows, names)]]
    return "\n".join([*lines, *(f"\n{note}" for note in notes(result, rows, names))])


def cells(result: Mapping[str, Any], rows: Sequence[str], names: Sequence[str]) -> list[list[str]]:
    return [
        [f"{line['title']}, {line['unit']}", *(cell(line["proxies"].get(name)) for name in names)]
        for row in rows
        if row in result["rows"]
        for line in result["rows"][row]["lines"].values()
    ]


def notes(result: Mapping[str, Any], rows: Sequence[str], names: Sequence[str]) -> list[str]:
    """Why a cell is empty."""
    return [
        f"{row}, {name}: {said}"
        for row in rows
        if row in result["rows"]
        for name, said in (result["rows"][row]["cannot"] | result["rows"][row]["notes"]).items()
        if name in names
    ]


def cell(figures: Mapping[str, Any] | None) -> str:
    if figures is None:
        return "-"
    ratio = figures["to_haproxy"]
    return short(figures["median"]) + (f" ({ratio:.2f})" if ratio is not None and ratio != 1 else "")


def short(value: float) -> str:
    """Three digits, or all of a large one: 0.123, 12.3, 12,345."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
