"""How old a record is, by the clock that nobody can set: it is the same for all processes until the machine boots."""

from __future__ import annotations

from contextlib import suppress
from functools import cache
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from failover.core.record import Record

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


@cache
def _boot() -> str:
    """What tells this boot from others; empty where the system does not say."""
    with suppress(OSError):
        return _BOOT_ID.read_text(encoding="ascii").strip()
    return ""


def mark(record: Record, age: float) -> None:
    """Write down in the record when it began on this boot's clock; it is `age` seconds old."""
    record.boot, record.began_monotonic = _boot(), monotonic() - age


def wall_of(record: Record, wall: float) -> float:
    """Now, in the wall time in which the record began, however the clock was set meanwhile. `wall` after a boot."""
    age = monotonic() - record.began_monotonic
    return record.began_unix + age if record.boot and record.boot == _boot() and age >= 0 else wall
