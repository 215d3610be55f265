"""Where histories are played: sets the clocks, the network and the chance of `failover` to simulated ones, and back.

with Stage() as stage:
    world = stage.play(seed)
"""

from __future__ import annotations

import contextlib
import fcntl
import io
import logging
import random
import select
import socket
import tempfile

import structlog

import failover.controller.loop as controller_module
import failover.controller.prober as prober_module
import failover.proxy.flow as flow_module
import failover.proxy.line as line_module
import failover.proxy.pool as pool_module
import failover.proxy.upload as upload_module
from failover.core.switch import Switch
from simulation.clock import PROCESS, Clock, Shim, clock_changes, patched
from simulation.invariants import broken
from simulation.world import ToController, World


class Stage:
    """Use it as a context. One stage plays any number of histories, one after the other."""

    def __init__(self):
        self.clock = Clock()
        self.chance = random.Random()
        self.world = None
        self._undo = contextlib.ExitStack()

    def __enter__(self):
        changes = clock_changes(self.clock, self.chance)
        changes += [
            (pool_module, "dial", self._dial),
            (prober_module, "dial", self._dial),
            (line_module, "socket", Shim(socket, socket=lambda *_: ToController(self.world))),
            (upload_module, "tempfile", Shim(tempfile, TemporaryFile=self._file)),
            (flow_module, "select", Shim(select, poll=self._poll)),
            (flow_module, "fcntl", Shim(fcntl, ioctl=self._ioctl)),
            (controller_module, "Switch", _watched(self)),
        ]
        self._undo.enter_context(patched(changes))
        before = structlog.get_config()
        self._undo.callback(lambda: structlog.configure(**before))
        structlog.configure(
            processors=[self._log],
            wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
            cache_logger_on_first_use=False,
        )
        return self

    def __exit__(self, *_exc):
        self._undo.close()

    async def _dial(self, *args):
        return await self.world.network.dial(*args)

    def _file(self, **_how):
        file = io.BytesIO()
        PROCESS.get().files.append(file)
        return file

    def _poll(self):
        return self.world.network.poll()

    def _ioctl(self, *args):
        return self.world.network.ioctl(*args)

    def _log(self, _logger, level, event):
        self.world.log(level, event)
        raise structlog.DropEvent

    def play(self, seed, *, jumps=True):
        """Play the history of a seed to its end. What is wrong with it stands in `world.wrong`."""
        self.chance.seed(seed)
        self.world = world = World(seed, self.clock, jumps=jumps)
        try:
            world.run()
            world.wrong = broken(world)
        finally:
            world.close()
        return world


def _watched(stage):
    class Watched(Switch):
        """The switch, with somebody who takes down all that it is told and says."""

        def __init__(self, *args):
            super().__init__(*args)
            stage.world.reference.born(args[-1])

        def handle(self, event, now):
            effects = super().handle(event, now)
            stage.world.reference.handled(self, event, now, effects)
            return effects

        def snapshot(self, now):
            memory = super().snapshot(now)
            stage.world.reference.remembered(memory)
            return memory

        @classmethod
        def restore(cls, rules, backups, memory, now):
            switch = super().restore(rules, backups, memory, now)
            stage.world.reference.reborn(memory, now)
            return switch

    return Watched
