"""How old something is that was written down, by the clock that nobody can set.

It is the same for all processes until the machine boots.
"""

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
def present() -> str:
    """What tells this boot from others; empty where the system does not say."""
    with suppress(OSError):
        return _BOOT_ID.read_text(encoding="ascii").strip()
    return ""


def age(boot: str, moment: float) -> float | None:
    """How many seconds ago that moment of that boot was; None where this is another boot, or nobody knows."""
    old = monotonic() - moment
    return old if boot and boot == present() and old >= 0 else None


def mark(record: Record, age: float) -> None:
    """Write down in the record when it began on this boot's clock; it is `age` seconds old."""
    record.boot, record.began_monotonic = present(), monotonic() - age


def wall_of(record: Record, wall: float) -> float:
    """Now, in the wall time in which the record began, however the clock was set meanwhile. `wall` after a boot."""
    old = age(record.boot, record.began_monotonic)
    return wall if old is None else record.began_unix + old
