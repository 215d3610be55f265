"""The controller process: probes, verdict, routing. Workers go on without it, so its death loses no request."""

from __future__ import annotations

import asyncio
import gc
from typing import TYPE_CHECKING

import uvloop

from failover.controller.loop import Controller

if TYPE_CHECKING:
    from failover.launch import Launch


def run(launch: Launch) -> int:
    """Serve until told to stop. The exit code of the process."""
    gc.freeze()  # what the supervisor loaded is shared and immortal: the collector need not look at it
    loop = uvloop.new_event_loop()
    asyncio.set_event_loop(loop)
    try:
        loop.run_until_complete(Controller(launch, loop).run())
    finally:
        loop.close()
    return 0
