"""A whole world on one virtual loop: targets, network, clock and visitors simulated; the proxy's worker and controller
real. One seed is one history, the same each time.
"""

from __future__ import annotations

import random

from failover.controller.loop import Controller
from failover.controller.recorder import Quiet
from failover.launch import CONTROLLER_SLOT, Launch
from failover.proxy.worker import Worker
from failover.settings.model import Settings
from simulation import history as history_module
from simulation.clock import PROCESS, WORLD, OrderedSet, Process, VirtualLoop, in_order
from simulation.link import Line, Listening
from simulation.network import Network, Road
from simulation.reference import Reference
from simulation.target import Host, field
from simulation.visitor import Visit, Visitor

TOKEN = "the token of this supervisor"
NOBODY = -1  # a file number that nobody has
_SETTLES_WITHIN = 90.0
_QUIET = 6.0  # longer than an idle connection lives, and than a client may linger


class Seat:
    """A process of the proxy with its object; `told` are the routings it was told, with their times."""

    def __init__(self, process, slot):
        self.process = process
        self.slot = slot
        self.subject = None
        self.told = []
        self.draining = False


class World:
    """Runs one history. What came of it stands in its attributes; `simulation.invariants` judges it."""

    def __init__(self, seed, clock, *, jumps=True):
        self.history = history_module.make(seed)
        self.seed = seed
        self.jumps = jumps
        self.clock = clock
        clock.now = 1000.0 + seed % 97
        self.began = self.clock.now
        self.chance = random.Random(seed + 1_000_003)
        self.network = Network()
        self.loop = VirtualLoop(self.clock, self.network)
        self.network.loop = self.loop
        self.network.on_connected = self._connected
        self.public = Listening(self.loop, random.Random(seed + 1))
        self.channel = Listening(self.loop, random.Random(seed + 2))
        # what happened
        self.lines = []
        self.faults = []
        self.visits = []
        self.visitors = []
        self.tries = []
        self.seats = []
        self.dead = OrderedSet()
        self.reference = Reference(self.history.settings, self)
        # who is there
        self.settings = self._settings()
        self.hosts = {}
        for n, target in enumerate((self.settings.primary, *self.settings.backup)):
            chance = random.Random(seed * 7 + n)
            delay = chance.choice((0.0003, 0.002, 0.02))
            jitter = chance.choice((0.0, 0.0, 0.5))
            pieces = None if chance.random() < 0.8 else (lambda c=chance: c.choice((1, 10, 200, 1400)))
            road = Road(self.network, lambda d=delay, j=jitter, c=chance: d * (1 + j * c.random()), 1 << 18, pieces)
            host = Host(self, target.alias, (target.host, target.port), road, chance)
            self.hosts[target.alias] = self.network.hosts[host.address] = host

    @property
    def now(self):
        return self.clock.now

    def say(self, text, *args):
        self.lines.append((self.clock.now - self.began, text, args))

    def fail(self, what, *args):
        """Something is wrong that no invariant needs to look for."""
        self.faults.append(f"{what}: {', '.join(map(str, args))}")

    def transcript(self):
        """The history, to be read aloud."""
        lines = [f"seed {self.seed}: {self.history}"]
        lines += [f"{at:9.4f}  {text % args if args else text}" for at, text, args in self.lines]
        return "\n".join(lines)

    def _settings(self):
        given = dict(self.history.settings)
        count = given.pop("backups")
        backups = tuple(f"http://10.9.0.{n + 2}:8000" for n in range(count))
        return Settings(
            primary="http://10.9.0.1:8000", backup=backups, workers=1, max_connections=10_000, access_log=False, **given
        )

    # -- running it

    def run(self):
        """The whole history, and then quiet until everything has come to its end."""
        self.loop.call_soon(self._born, CONTROLLER_SLOT, False, context=WORLD)
        for slot in range(self.history.workers):
            self.loop.call_soon(self._born, slot, context=WORLD)
        for at, what, args in self.history.events:
            self.loop.at(self.began + at, self._happen, what, args)
        for n, plan in enumerate(self.history.plans):
            visitor = Visitor(self, plan, random.Random(self.seed * 31 + n))
            self.visitors.append(visitor)
            self.loop.at(self.began + plan.arrives, visitor.start)
        self.loop.run_for(self.history.lasts + 0.01)
        for visitor in self.visitors:
            visitor.plan.requests.clear()  # it is late: nobody asks for more
        until = self.clock.now + _SETTLES_WITHIN
        while self.clock.now < until and not all(visitor.done for visitor in self.visitors):
            self.loop.run_for(0.5)
        for visitor in self.visitors:
            if visitor.end is not None:
                visitor.end.close()
        until = self.clock.now + 3 * self.settings.first_byte_timeout  # who closed his half may wait for an answer
        while self.clock.now < until and any(seat.subject.crowd.downstreams for seat in self.workers()):
            self.loop.run_for(0.5)
        self.loop.run_for(_QUIET)
        if any(seat.subject.hold.waiting for seat in self.workers()):
            self.loop.run_for(self.settings.hold_writes)

    def close(self):
        self.loop.wind_up()

    def _happen(self, what, args):
        if what == "turn":
            self.hosts[args[0]].turn(args[1])
        elif what == "the wall clock jumps":
            if self.jumps:
                self.clock.wall_offset += args[0]
        else:
            self.say(what if not args else f"{what} ({args[0]})")
            {
                "our own network is cut": lambda: self.network.cut(down=True),
                "our own network is back": lambda: self.network.cut(down=False),
                "the controller dies": lambda: self._kill(CONTROLLER_SLOT),
                "a controller is born": lambda: self._born(CONTROLLER_SLOT, True),
                "a worker dies": lambda: self._kill(*args),
                "a worker is born": lambda: self._born(*args),
                "the older worker drains": lambda: self._drain(*args),
            }[what]()

    def living(self, slot):
        return [seat for seat in self.seats if seat.slot == slot and seat.process.alive]

    def workers(self):
        """The living ones."""
        return [seat for seat in self.seats if seat.slot != CONTROLLER_SLOT and seat.process.alive]

    def _born(self, slot, reborn=False):
        number = sum(seat.slot == slot for seat in self.seats) + 1
        name = "controller" if slot == CONTROLLER_SLOT else f"worker-{slot}" + (f".{number}" if number > 1 else "")
        seat = Seat(Process(name), slot)
        self.seats.append(seat)
        begin = self._begin_controller if slot == CONTROLLER_SLOT else self._begin_worker
        self.loop.call_soon(begin, seat, reborn, context=seat.process.context)

    def _begin_controller(self, seat, reborn):
        launch = Launch(self.settings, "", TOKEN, CONTROLLER_SLOT, (self.channel,), NOBODY, reborn, NOBODY)
        seat.subject = Controller(launch, self.loop, Quiet())
        in_order(seat.subject)
        seat.running = self.loop.create_task(seat.subject.run())

    def _begin_worker(self, seat, _reborn):
        launch = Launch(self.settings, "", TOKEN, seat.slot, (self.public,), NOBODY, False, NOBODY)
        seat.subject = worker = Worker(launch, self.loop)
        in_order(worker)
        in_order(worker.crowd)
        for pool in worker.pools.values():
            in_order(pool)
        worker.start()

    def _kill(self, slot):
        for seat in self.living(slot):
            seat.process.kill()
            self.dead.add(seat.process.name)

    def _drain(self, slot):
        seat = self.living(slot)[0]
        seat.draining = True
        self.dead.add(seat.process.name)
        self.loop.call_soon(seat.subject.drain, context=seat.process.context)

    # -- what is seen of it

    def told(self, process):
        """Something came for this worker from the controller: what does it go by now?"""
        seat = next(seat for seat in self.seats if seat.process is process)
        routing = getattr(seat.subject, "routing", None)
        if routing is not None and (not seat.told or seat.told[-1][1] is not routing):
            seat.told.append((self.now, routing))

    def visit(self, method, keyed):
        visit = Visit(f"v{len(self.visits)}", method, keyed, self.now)
        self.visits.append(visit)
        self.say("%s is asked for (%s%s)", visit.name, method, ", with a key" if keyed else "")
        return visit

    def ended(self, visit):
        target = field(visit.head, b"x-target").decode() or "the proxy itself"
        self.say("%s ends: %s %s", visit.name, visit.ending, f"{visit.status} by {target}" if visit.status else "")

    def received(self, entry):
        nth = "a fresh connection" if entry.fresh else f"request {entry.nth} of a kept one"
        self.say("%s reaches %s from %s, %s", entry.visit, entry.alias, entry.worker, nth)

    def _connected(self, near, _far, host):
        """Look at what a worker writes to a target: the moment of a try."""

        def wrote(data):
            visit = field(data, b"x-visit").decode()
            if visit:
                near.is_fresh = self.now == near.made_at
                self.tries.append((self.now, visit, host.alias, near.process.name))

        near.on_write = wrote

    def log(self, level, event):
        """What the proxy's log says is part of the transcript."""
        reason = f" ({event['reason']})" if "reason" in event else ""
        self.say("%s: %s%s", event.get("room", "log"), event.get("event"), reason)
        if level in ("critical", "error") and "exc_info" in event:
            self.fail("a mistake in the program", event)


class ToController:
    """The socket that a worker makes for its way to the controller."""

    def __init__(self, world):
        self._world = world

    def setblocking(self, _flag):
        pass

    def connect(self, _address):
        pass  # the supervisor holds the other end: somebody will accept, or the next one after it

    def close(self):
        pass

    async def attach(self, factory):
        process = PROCESS.get()
        end = self._world.channel.connect(Line(lambda: 0.0002), process, process.name)
        end.on_read = lambda: self._world.told(process)
        return await end.socket.attach(factory)
