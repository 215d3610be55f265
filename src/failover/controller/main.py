"""The controller process: probes, verdict, routing, incidents. Workers go on without it: its death loses no request."""

from __future__ import annotations

import asyncio
import gc
from typing import TYPE_CHECKING

import uvloop

from failover.controller.desk import Desk
from failover.controller.loop import Controller
from failover.controller.recorder import Recorder
from failover.launch import ALIVE, SIGN_EVERY_S
from failover.observe import log
from failover.observe.shortage import tell_of_memory
from failover.settings.secrets import secrets_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from failover.admin.base import Pages
    from failover.incidents.base import Store
    from failover.launch import Launch
    from failover.notify.base import Courier
    from failover.settings.model import Settings


def run(
    open_store: Callable[[Settings], Store],
    hire_courier: Callable[[Settings, Store], Courier],
    open_pages: Callable[[Launch, Store, Desk], Pages],
    launch: Launch,
) -> int:
    """Serve until told to stop. The exit code of the process."""
    gc.freeze()  # what the supervisor loaded is shared and immortal: the collector need not look at it
    loop = uvloop.new_event_loop()
    asyncio.set_event_loop(loop)
    tell_of_memory(loop, log.get("controller"))
    _live(launch, loop)
    store = open_store(launch.settings)
    courier = hire_courier(launch.settings, store)
    pages: Pages | None = None
    try:
        recorder = Recorder(launch.settings, loop, store, courier)
        controller = Controller(launch, loop, recorder)
        desk = Desk(launch, loop, controller, recorder)
        settings = launch.settings
        log.configure(settings.json_logs, settings.log_level, secrets_of(settings), desk.heard)
        pages = open_pages(launch, store, desk)
        desk.open(pages)
        try:
            loop.run_until_complete(controller.run())
        finally:
            desk.close()
    finally:
        loop.close()
        if pages is not None:
            pages.close()
        courier.close()
        store.close()
    return 0


def _live(launch: Launch, loop: asyncio.AbstractEventLoop) -> None:
    """Give a sign of life, now and again and again for as long as the loop turns."""
    launch.sign(ALIVE)
    loop.call_later(SIGN_EVERY_S, _live, launch, loop)
