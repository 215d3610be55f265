"""What was counted with each release, and how a count of now compares with the last: pure.

The record is `results/instructions.json`: the newest count on top, those before it under `history`.
"""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

ALLOWED_PERCENT = 5.0
_RED, _PLAIN = "\033[31m", "\033[0m"
_OF_ONE_COUNT = ("release", "date", "conditions", "requests", "scenarios")

Record = dict[str, Any]


def renew(
    old: Record | None,
    runs: Sequence[Mapping[str, float]],
    *,
    release: str,
    date: str,
    conditions: Mapping[str, str],
    requests: int,
) -> Record:
    """The record with these runs as its newest count: of each scenario the median, and how far the runs differ."""
    scenarios = {}
    for name in runs[0]:
        counts = [run[name] for run in runs]
        median = statistics.median(counts)
        scenarios[name] = {
            "instructions": round(median),
            "spread_percent": round((max(counts) - min(counts)) / median * 100, 3),
        }
    earlier = [] if old is None else [{key: old[key] for key in _OF_ONE_COUNT}, *old["history"]]
    return {
        "what": "instructions that a worker executes per proxied request, by callgrind; the kernel's are not counted",
        "release": release,
        "date": date,
        "conditions": dict(conditions),
        "requests": requests,
        "scenarios": scenarios,
        "history": earlier,
    }


def compare(
    record: Record | None, now: Mapping[str, float], conditions: Mapping[str, str], *, colour: bool
) -> tuple[str, bool]:
    """The table for people, and whether a scenario has grown by more than is allowed."""
    if record is None:
        return "\n".join([*_table({}, now), "cannot be compared: nothing is recorded"]), False
    if other := differences(record["conditions"], conditions):
        return "\n".join([*_table({}, now), f"cannot be compared: recorded with {other}"]), False
    before = {name: row["instructions"] for name, row in record["scenarios"].items()}
    slower = [name for name, count in now.items() if name in before and growth(before[name], count) > ALLOWED_PERCENT]
    lines = _table(before, now)
    for name in slower:
        lines.append(
            f"SLOWER: {name} needs {growth(before[name], now[name]):.1f} % more instructions than recorded with"
            f" {record['release']} on {record['date']}: make it fast again, or explain it in the CHANGELOG"
        )
    red = [f"{_RED}{line}{_PLAIN}" if colour and _of(line) in {*slower, "SLOWER:"} else line for line in lines]
    return "\n".join(red), bool(slower)


def growth(before: float, now: float) -> float:
    """In per cent of what was before."""
    return (now - before) / before * 100


def differences(recorded: Mapping[str, str], here: Mapping[str, str]) -> str:
    """What makes two counts incomparable, in words; empty when nothing does."""
    names = [name for name in {**recorded, **here} if recorded.get(name) != here.get(name)]
    return ", ".join(f"{name} {recorded.get(name, 'unknown')} (here {here.get(name, 'unknown')})" for name in names)


def _table(before: Mapping[str, float], now: Mapping[str, float]) -> list[str]:
    lines = [f"{'instructions a request':<24} {'recorded':>10} {'now':>10} {'growth':>9}"]
    for name, count in now.items():
        recorded = f"{before[name]:,.0f}" if name in before else "-"
        grown = f"{growth(before[name], count):+.1f} %" if name in before else "-"
        lines.append(f"{name:<24} {recorded:>10} {count:>10,.0f} {grown:>9}")
    return lines


def _of(line: str) -> str:
    return line.partition(" ")[0]
