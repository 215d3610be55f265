"""The network between the proxy and its targets: who can be reached, how fast, and when packets are dropped."""

from __future__ import annotations

import asyncio
import errno
import struct

from failover.faults import translate
from simulation.clock import PROCESS, WORLD
from simulation.link import Line, pair

_SYN_AGAIN = 1.0  # what is dropped is sent again by the kernel, later each time; once is enough here


class Road(Line):
    """The way to one host. `state`: open, swallowed (packets are dropped) or unreachable (a router says so)."""

    def __init__(self, network, delay, window=1 << 30, pieces=None):
        super().__init__(delay, window, pieces)
        self.network = network
        self.state = "open"

    @property
    def cut(self):
        return self.state != "open" or self.network.is_down


class Network:
    """Hosts by address. `dials` is told of each connection asked for and what became of it."""

    def __init__(self):
        self.loop = None
        self.is_down = False
        self.ends = {}
        self.held = []
        self.hosts = {}
        self.dial_failures = []
        self.on_connected = lambda near, far, host: None
        self._healed = None

    def cut(self, *, down):
        """Our own network goes, or comes back."""
        self.is_down = down
        self._heal()

    def set_road(self, host, state):
        host.road.state = state
        self._heal()

    def _heal(self):
        """What was dropped is sent again, where it can pass now."""
        held, self.held = self.held, []
        for end, item in held:
            if end.line.cut:
                self.held.append((end, item))
            else:
                end.arrive(item)
        if self._healed is not None:
            self._healed.set()
            self._healed = None

    async def dial(self, *args):
        """In place of `failover.dial.dial`: a connected socket, or the Fault that a real one would raise."""
        addresses = next(arg for arg in args if isinstance(arg, tuple))
        process = PROCESS.get()
        host = self.hosts.get(addresses[0])
        try:
            return await self._dial(addresses[0], host, process)
        except OSError as refusal:
            self._failed(process, host)
            raise translate(refusal, connecting=True) from None
        except asyncio.CancelledError:
            self._failed(process, host)
            raise

    def _failed(self, process, host):
        if process is not None and host is not None:
            self.dial_failures.append((self.loop.time(), process.name, host.alias))

    async def _dial(self, address, host, process):
        if host is None:
            raise OSError(errno.EHOSTUNREACH, "No route to host")
        road = host.road
        await asyncio.sleep(road.delay())
        while road.state == "swallowed" or self.is_down:
            if self._healed is None:
                self._healed = asyncio.Event()
            await self._healed.wait()
            await asyncio.sleep(_SYN_AGAIN)
        if road.state == "unreachable":
            raise OSError(errno.EHOSTUNREACH, "No route to host")
        if not host.listens:
            await asyncio.sleep(road.delay())
            raise ConnectionRefusedError(errno.ECONNREFUSED, "Connection refused")
        near, far = pair(self.loop, road, process, None, near_name=("10.0.0.1", 1), far_name=address)
        self.loop.call_soon(host.accept, far, context=WORLD)
        self.on_connected(near, far, host)
        try:
            await asyncio.sleep(road.delay())
        except BaseException:
            near.die()
            raise
        near.made_at = self.loop.time()
        return near.socket

    # What stands in for the kernel in `failover.proxy`.

    def poll(self):
        return _Poll(self)

    def ioctl(self, fd, _request, _buffer):
        end = self.ends.get(fd)
        return struct.pack("i", end.unacknowledged if end is not None else 0)


class _Poll:
    """`select.poll()` for the numbers of our ends."""

    def __init__(self, network):
        self._network = network
        self._fds = []

    def register(self, fd, events):
        self._fds.append((fd, events))

    def poll(self, _timeout):
        ends = [(fd, events, self._network.ends.get(fd)) for fd, events in self._fds]
        return [(fd, events) for fd, events, end in ends if end is None or end.has_news(events)]
