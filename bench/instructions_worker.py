"""The worker whose instructions `instructions.py` counts: the real one, made by hand and run under callgrind.

It speaks with the script over the socket `control`: first it gives what a controller would tell it, in the words of its
own source tree; then each byte that comes is an order, and is given back when it is done: `mark` between two counts, or
`collect`, so that each count meets the collector of garbage at the same point of its work.
"""

from __future__ import annotations

import contextlib
import gc
import os
import socket
import sys
from pathlib import Path

import msgspec

import failover.proxy.worker as real
from failover.channel import Told
from failover.core.model import Kind, Routing, TargetState, Verdict
from failover.launch import Launch
from failover.observe import log
from failover.settings.model import Settings

COLLECT = b"c"
_ARGUMENTS = ("source", "channel", "control", "public", "lifeline", "ready", "primary", "backup")


def main() -> int:
    given = dict(zip(_ARGUMENTS, sys.argv[1:], strict=True))
    if not Path(real.__file__).is_relative_to(given["source"]):
        sys.exit(f"{real.__file__} is not of {given['source']}")
    control = socket.socket(fileno=int(given["control"]))
    ports = int(given["primary"]), int(given["backup"])
    primary, backup = (f"http://127.0.0.1:{port}" for port in ports)
    settings = Settings(primary=primary, backup=(backup,), workers=1, state_dir="memory")
    launch = Launch(
        settings=settings,
        channel=given["channel"],
        token="the worker whose instructions are counted",
        slot=0,
        listening=(socket.socket(fileno=int(given["public"])),),
        lifeline=int(given["lifeline"]),
        reborn=False,
        signs=int(given["ready"]),
    )
    aliases = [target.alias for target in (settings.primary, *settings.backup)]
    states = tuple(
        TargetState(alias, usable=True, addresses=(("127.0.0.1", port),), kind=Kind.REPLICA)
        for alias, port in zip(aliases, ports, strict=True)
    )
    told = msgspec.msgpack.encode(Told(Routing(Verdict.PRIMARY, 0.0, 0, 0, states)))
    log.configure(settings.json_logs, settings.log_level)
    control.sendall(len(told).to_bytes(4, "big") + told)

    # Callgrind is told from outside to count from now on, and hears of it only while instructions are executed.
    control.setblocking(False)
    while True:
        with contextlib.suppress(BlockingIOError):
            if not control.recv(1):
                return 1
            break

    class Counted(real.Worker):
        def start(self) -> None:
            self.loop.add_reader(control, self._obey)
            super().start()

        def _obey(self) -> None:
            order = control.recv(1)
            if order == COLLECT:
                gc.collect()
            else:
                os.getpgrp()  # callgrind writes down what it counted, and begins anew, where this is called
            control.send(order)

    real.Worker = Counted
    real.TICK_S = 3600.0  # the clock ticks by time, not by requests, and callgrind has another notion of time
    return real.run(launch)


if __name__ == "__main__":
    sys.exit(main())
