"""The controller process: probes, verdict, routing, incidents. Workers go on without it: its death loses no request."""

from __future__ import annotations

import asyncio
import gc
from typing import TYPE_CHECKING

import uvloop

from failover.controller.loop import Controller
from failover.controller.recorder import Recorder

if TYPE_CHECKING:
    from collections.abc import Callable

    from failover.incidents.base import Store
    from failover.launch import Launch
    from failover.notify.base import Courier
    from failover.settings.model import Settings


def run(
    open_store: Callable[[Settings], Store], hire_courier: Callable[[Settings, Store], Courier], launch: Launch
) -> int:
    """Serve until told to stop. The exit code of the process."""
    gc.freeze()  # what the supervisor loaded is shared and immortal: the collector need not look at it
    loop = uvloop.new_event_loop()
    asyncio.set_event_loop(loop)
    store = open_store(launch.settings)
    courier = hire_courier(launch.settings, store)
    try:
        recorder = Recorder(launch.settings, loop, store, courier)
        loop.run_until_complete(Controller(launch, loop, recorder).run())
    finally:
        loop.close()
        courier.close()
        store.close()
    return 0
