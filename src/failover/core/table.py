"""The legal moves of the verdict, and what makes them. docs/verdicts.md is drawn from this table."""

from __future__ import annotations

from enum import StrEnum

from failover.core.model import Verdict


class Sign(StrEnum):
    """What signals and time amount to, for the verdict."""

    BAD = "a bad signal"
    DOWN = "fail_threshold bad signals in a row, at least one of them a probe's"
    CALM = "a good probe, and 2 s without a bad signal"
    PROVEN = "recover_threshold good probes in a row, and the hold-down passed"
    RAMPED = "the last step of the ramp passed"
    WANTED = "a person wants the backup"
    DRILLED = "a drill gives the backup a share of the visitors"


TABLE: dict[tuple[Verdict, Sign], Verdict] = {
    (Verdict.PRIMARY, Sign.BAD): Verdict.SUSPECT,
    (Verdict.PRIMARY, Sign.DOWN): Verdict.BACKUP,  # a fail_threshold of 1, or doubts that come true
    (Verdict.SUSPECT, Sign.DOWN): Verdict.BACKUP,
    (Verdict.SUSPECT, Sign.CALM): Verdict.PRIMARY,
    (Verdict.BACKUP, Sign.PROVEN): Verdict.RAMP,
    (Verdict.RAMP, Sign.BAD): Verdict.BACKUP,
    (Verdict.RAMP, Sign.DOWN): Verdict.BACKUP,  # a fail_threshold of 1, or doubts that come true
    (Verdict.RAMP, Sign.RAMPED): Verdict.PRIMARY,
    (Verdict.PRIMARY, Sign.WANTED): Verdict.BACKUP,
    (Verdict.SUSPECT, Sign.WANTED): Verdict.BACKUP,
    (Verdict.RAMP, Sign.WANTED): Verdict.BACKUP,
    (Verdict.PRIMARY, Sign.DRILLED): Verdict.RAMP,
}


def diagram() -> str:
    """The table as a Mermaid state diagram; docs/verdicts.md has it."""
    lines = ["stateDiagram-v2", "    [*] --> PRIMARY"]
    lines += [f"    {old.name} --> {new.name}: {sign}" for (old, sign), new in TABLE.items()]
    return "\n".join(lines)
