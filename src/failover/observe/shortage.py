"""Something that this machine has run out of: told when it begins and when it is over, and nothing between."""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import asyncio

    from structlog.typing import FilteringBoundLogger

_QUIET_S = 60.0
_MEMORY_OVER_S = 1.0


class Shortage:
    """`what` cannot be done. One that comes and goes is told once a minute."""

    def __init__(self, log: FilteringBoundLogger, what: str) -> None:
        self._log = log
        self._what = what
        self._lasts = False
        self._quiet_until = 0.0

    def begins(self, reason: str) -> None:
        """It cannot be done now; may be said as often as it is met."""
        now = monotonic()
        if not self._lasts and now >= self._quiet_until:
            self._lasts, self._quiet_until = True, now + _QUIET_S
            self._log.error(self._what, action="failover.shortage", reason=reason)

    def ends(self) -> None:
        """It can be done again."""
        if self._lasts:
            self._lasts = False
            self._log.info(f"no longer: {self._what}", action="failover.shortage_over")


def tell_of_memory(loop: asyncio.AbstractEventLoop, log: FilteringBoundLogger) -> None:
    """Let a loop say that memory has run out, instead of each callback that it ran out in."""
    shortage = Shortage(log, "there is not enough memory, what needed it is cut")

    def handle(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        if not isinstance(context.get("exception"), MemoryError):
            loop.default_exception_handler(context)
            return
        shortage.begins("the system gives no more")
        loop.call_later(_MEMORY_OVER_S, shortage.ends)

    loop.set_exception_handler(handle)
