"""Virtual time: an event loop that never waits, and every clock and every source of chance in `failover` set to it.

Several processes of the proxy live on one loop. Each has a context of its own (PEP 567), which its callbacks and tasks
inherit: that is how the loop knows whose a callback is, and runs none of a process that is dead.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import heapq
import itertools
import random
import secrets
import sys
import time
from collections.abc import MutableSet
from types import FunctionType, ModuleType

PROCESS: contextvars.ContextVar[Process | None] = contextvars.ContextVar("process", default=None)
WORLD = contextvars.Context()
"""The context of what belongs to no process: the network, the targets, the visitors, the history."""

_REAL = {time.monotonic: "monotonic", time.perf_counter: "monotonic", time.time: "wall"}  # noqa: TID251 - a key
_MOST_WITHOUT_TIME = 20_000


class Process:
    """One process of the proxy. Killed, it runs no more code and its connections are closed by the kernel."""

    def __init__(self, name):
        self.name = name
        self.alive = True
        self.context = contextvars.Context()
        self.context.run(PROCESS.set, self)
        self.tasks = []
        self.ends = OrderedSet()
        self.files = []

    def kill(self):
        self.alive = False
        for end in list(self.ends):
            end.die()


class Clock:
    """What time it is. The wall clock may jump; nobody's durations depend on it."""

    def __init__(self):
        self.now = 0.0
        self.wall_offset = 1_700_000_000.0

    def monotonic(self):
        return self.now

    def wall(self):
        return self.now + self.wall_offset


class VirtualLoop(asyncio.BaseEventLoop):
    """Time goes on to the next timer when there is nothing left to do. What raises is kept in `mishaps`."""

    def __init__(self, clock, network):
        super().__init__()
        self.clock = clock
        self.network = network
        self.mishaps = []
        self.winding_up = False
        self.all_tasks = []
        self._still = 0
        self._order = itertools.count()  # timers of one moment come in the order in which they were set

    def time(self):
        return self.clock.now

    def call_soon(self, callback, *args, context=None):
        handle = asyncio.Handle(callback, args, self, context)
        self._ready.append(handle)
        return handle

    def call_later(self, delay, callback, *args, context=None):
        return self.call_at(self.clock.now + delay, callback, *args, context=context)

    def call_at(self, when, callback, *args, context=None):
        timer = asyncio.TimerHandle(when, callback, args, self, context)
        heapq.heappush(self._scheduled, (when, next(self._order), timer))
        return timer

    def _run_once(self):
        ready, scheduled, clock = self._ready, self._scheduled, self.clock
        while scheduled and scheduled[0][2]._cancelled:
            heapq.heappop(scheduled)
        if not ready and scheduled and scheduled[0][0] > clock.now:
            clock.now = scheduled[0][0]
            self._still = 0
        while scheduled and scheduled[0][0] <= clock.now:
            ready.append(heapq.heappop(scheduled)[2])
        self._still += 1
        if self._still > _MOST_WITHOUT_TIME:
            raise RuntimeError("the loop is busy and no time passes")
        for _ in range(len(ready)):
            handle = ready.popleft()
            if handle._cancelled:
                continue
            process = handle._context.get(PROCESS)
            if process is None or process.alive or self.winding_up:
                handle._run()

    def _process_events(self, event_list):
        pass

    def _write_to_self(self):
        pass

    def run_for(self, seconds):
        """Let so much time pass."""
        timer = self.call_at(self.clock.now + seconds, self.stop, context=WORLD)
        try:
            self.run_forever()
        finally:
            timer.cancel()

    def at(self, when, callback, *args):
        """A timer of the world's, whoever asks for it."""
        return self.call_at(when, callback, *args, context=WORLD)

    def create_task(self, coro, *, name=None, context=None):
        task = super().create_task(coro, name=name, context=context)
        process = PROCESS.get() if context is None else context.get(PROCESS)
        if process is not None:
            process.tasks.append(task)
        self.all_tasks.append(task)
        return task

    def call_exception_handler(self, context):
        process = PROCESS.get()
        if not self.winding_up and (process is None or process.alive):
            self.mishaps.append(context)

    def wind_up(self):
        """The history is over: let every task come to its end, those of the dead as well."""
        self.winding_up = True
        for task in self.all_tasks:
            if not task.done():
                task.cancel()
        for _ in range(200):
            if all(task.done() for task in self.all_tasks):
                break
            self.call_soon(self.stop, context=WORLD)
            self.run_forever()
        for task in self.all_tasks:
            if not task.done():
                task._log_destroy_pending = False
            elif not task.cancelled():
                task.exception()
        self._ready.clear()
        self._scheduled.clear()
        self.close()

    # What a process asks of its loop, beside time.

    def add_signal_handler(self, sig, callback, *args):
        pass

    def remove_signal_handler(self, sig):
        return False

    def add_reader(self, fd, callback, *args):
        pass

    def remove_reader(self, fd):
        return False

    async def create_connection(self, factory, *args, sock=None, **kwargs):
        return await sock.attach(factory)

    async def create_unix_connection(self, factory, *args, sock=None, **kwargs):
        return await sock.attach(factory)

    async def create_server(self, factory, *args, sock=None, **kwargs):
        return sock.serve(factory, PROCESS.get())

    async def create_unix_server(self, factory, *args, sock=None, **kwargs):
        return sock.serve(factory, PROCESS.get())


class OrderedSet(MutableSet):
    """A set that is walked in the order in which it was filled: a set of objects goes by their places in memory."""

    def __init__(self, items=()):
        self._items = dict.fromkeys(items)

    def __contains__(self, item):
        return item in self._items

    def __iter__(self):
        return iter(self._items)

    def __len__(self):
        return len(self._items)

    def add(self, item):
        self._items[item] = None

    def discard(self, item):
        self._items.pop(item, None)

    def update(self, *others):
        for other in others:
            self._items.update(dict.fromkeys(other))


def in_order(thing):
    """Replace the (empty) sets among the attributes of a newly made object."""
    for name, value in list(vars(thing).items()):
        if type(value) is set:
            setattr(thing, name, OrderedSet(value))


class Shim:
    """A module with some of its names replaced."""

    def __init__(self, module, **names):
        self.__dict__.update(names)
        self._module = module

    def __getattr__(self, name):
        return getattr(self._module, name)


@contextlib.contextmanager
def patched(changes):
    """Set attributes, given as (owner, name, value), and restore them afterwards."""
    before = [(owner, name, getattr(owner, name)) for owner, name, _ in changes]
    try:
        for owner, name, value in changes:
            setattr(owner, name, value)
        yield
    finally:
        for owner, name, value in reversed(before):
            setattr(owner, name, value)


def clock_changes(clock, chance):
    """Every clock that a module of `failover` can read, and every source of chance, as changes for `patched`."""
    changes = [
        (secrets, "token_hex", lambda size=32: chance.randbytes(size).hex()),
        (secrets, "token_bytes", lambda size=32: chance.randbytes(size)),
    ]
    shims = {
        time: Shim(time, monotonic=clock.monotonic, perf_counter=clock.monotonic, time=clock.wall),
        random: chance,
    }
    for module in [m for name, m in sys.modules.items() if name.partition(".")[0] == "failover"]:
        for name, value in list(vars(module).items()):
            if isinstance(value, ModuleType) and value in shims:
                changes.append((module, name, shims[value]))
            elif callable(value) and _virtual(value) is not None:
                changes.append((module, name, getattr(clock, _virtual(value))))
            elif isinstance(value, type) and value.__module__ == module.__name__:
                changes += [(cell, "cell_contents", getattr(clock, real)) for cell, real in _cells(value)]
    return changes


def _virtual(value):
    try:
        return _REAL.get(value)
    except TypeError:
        return None


def _cells(cls):
    """Clocks that a dataclass has taken for a default: they are in the closure of its `__init__`."""
    for function in vars(cls).values():
        if isinstance(function, FunctionType):
            for cell in function.__closure__ or ():
                with contextlib.suppress(ValueError):
                    if (real := _virtual(cell.cell_contents)) is not None:
                        yield cell, real
