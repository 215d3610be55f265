"""The controller with everything real but its workers and origins: sockets, channel, clock, log."""

import asyncio
import os
import signal
import socket
import tempfile
import time

import pytest
from structlog.testing import capture_logs

from failover.channel import Counters, Failure, Hello, Peer, Told
from failover.controller import loop as loop_module
from failover.controller import memory
from failover.controller.loop import Controller
from failover.controller.recorder import Quiet
from failover.controller.tally import Tally
from failover.core.model import ErrorType, Kind, Routing, TargetState, Verdict
from failover.core.pace import Rules
from failover.core.switch import Switch
from failover.launch import CONTROLLER_SLOT, READY, Launch
from failover.settings.model import Settings

PATIENCE = 20.0
TOKEN = "the right one"
FAST = {"check_interval": 0.01, "backup_check_interval": 0.01, "ramp_step": 0.01}


class Origin:
    """Answers 200 to whatever it is asked, or refuses; `server` is what it calls itself."""

    def __init__(self, server="test"):
        self.server = server
        self.port = 0
        self.open = set()

    async def start(self):
        loop = asyncio.get_running_loop()
        self._listening = await loop.create_server(lambda: Answering(self), "127.0.0.1", self.port)
        self.port = self._listening.sockets[0].getsockname()[1]
        return self

    async def stop(self):
        self._listening.close()
        for transport in list(self.open):
            transport.abort()
        await self._listening.wait_closed()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"


class Answering(asyncio.Protocol):
    def __init__(self, origin):
        self.origin = origin

    def connection_made(self, transport):
        self.transport = transport
        self.origin.open.add(transport)

    def data_received(self, _data):
        self.transport.write(f"HTTP/1.1 200 OK\r\nServer: {self.origin.server}\r\nContent-Length: 0\r\n\r\n".encode())
        self.transport.close()

    def connection_lost(self, _exc):
        self.origin.open.discard(self.transport)


class Worker:
    """A stand-in for a worker: says hello, and keeps all that it is told."""

    def __init__(self, told):
        self.told = told
        self.lost = asyncio.Event()

    async def hello(self, address, token=TOKEN, routing=None):
        self.peer = Peer("worker", frozenset((os.geteuid(),)), self._message, lambda _peer: self.lost.set())
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        sock.connect(address)
        await asyncio.get_running_loop().create_unix_connection(lambda: self.peer, sock=sock)
        if token is not None:
            self.peer.send(Hello(token, 0, os.getpid(), routing))
        return self

    def _message(self, _peer, message):
        assert isinstance(message, Told)
        self.told.put_nowait(message.routing)

    async def next(self):
        return await asyncio.wait_for(self.told.get(), PATIENCE)

    async def until(self, accept):
        while not accept(routing := await self.next()):
            pass
        return routing


class World:
    """One controller, running, and what it needs."""

    def __init__(self, *, reborn=False, **settings):
        self.settings = Settings(**settings)
        self.folder = tempfile.TemporaryDirectory()
        self.address = f"{self.folder.name}/channel"
        self.channel = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.channel.bind(self.address)
        self.channel.listen()
        self.channel.setblocking(False)
        lifeline, self.lifeline = os.pipe()
        self.ready, ready = os.pipe()
        self.launch = Launch(
            self.settings, self.address, TOKEN, CONTROLLER_SLOT, (self.channel,), lifeline, reborn, ready
        )
        self.peers = []

    async def __aenter__(self):
        loop = asyncio.get_running_loop()
        self.controller = Controller(self.launch, loop, Quiet())
        self.running = loop.create_task(self.controller.run())
        return self

    async def __aexit__(self, *_):
        self.end_lifeline()
        await asyncio.wait_for(self.running, PATIENCE)
        for fd in (self.ready, self.launch.lifeline):
            os.close(fd)
        for worker in self.peers:
            worker.peer.close()
        self.folder.cleanup()

    def end_lifeline(self):
        if self.lifeline is not None:
            os.close(self.lifeline)
            self.lifeline = None

    async def worker(self, **more):
        worker = await Worker(asyncio.Queue()).hello(self.address, **more)
        self.peers.append(worker)
        return worker

    async def serving(self):
        return await asyncio.wait_for(asyncio.to_thread(os.read, self.ready, 16), PATIENCE)


@pytest.fixture
async def primary():
    origin = await Origin().start()
    yield origin
    await origin.stop()


@pytest.fixture
async def backup():
    origin = await Origin().start()
    yield origin
    await origin.stop()


def lines(log, action):
    return [line for line in log if line.get("action") == action]


async def test_the_first_routing_comes_at_once(primary, backup):
    before = time.time()  # noqa: TID251 - what the controller stamps
    async with World(primary=primary.url, backup=(backup.url,)) as world:
        routing = await (await world.worker()).next()
        assert await world.serving() == READY
        assert routing.verdict is Verdict.PRIMARY
        assert before <= routing.since_unix <= time.time()  # noqa: TID251 - as above
        assert routing.targets == (
            TargetState("primary", True, (("127.0.0.1", primary.port),), Kind.REPLICA),
            TargetState("backup", True, (("127.0.0.1", backup.port),), Kind.REPLICA),
        )
        assert (await (await world.worker()).next()) == routing


async def test_there_and_back(primary, backup):
    with capture_logs() as log:
        async with World(primary=primary.url, backup=(backup.url,), **FAST) as world:
            worker = await world.worker()
            first = await worker.next()
            await primary.stop()
            suspect = await worker.until(lambda routing: routing.verdict is Verdict.SUSPECT)
            assert suspect.since_unix == first.since_unix
            assert suspect.fail_count == 1
            there = await worker.until(lambda routing: routing.verdict is Verdict.BACKUP)
            assert there.since_unix > first.since_unix
            assert there.fail_count == 3
            assert (there.targets[0].usable, there.targets[0].error) == (False, ErrorType.CONNECTION_REFUSED)
            await primary.start()
            back = await worker.until(lambda routing: routing.verdict is Verdict.PRIMARY)
            assert back.since_unix > there.since_unix
            assert back.targets[0].usable
    assert lines(log, "failover.suspected")[0]["event"] == "primary is suspected"
    (switched,) = lines(log, "failover.switched")
    assert switched["event"] == "switched to the backup"
    assert switched["reason"].startswith("primary refused connections (3 bad signals in a row: 3 probes, the first ")
    (recovered,) = lines(log, "failover.recovered")
    assert recovered["reason"].startswith("primary failed no visitor in the ")
    ramp = [line["event"] for line in lines(log, "failover.ramp")]
    assert ramp == [f"the primary is tried with {share} % of the visitors" for share in (5, 25, 50, 100)]


async def test_a_failing_request_makes_it_suspect_at_once(primary, backup):
    with capture_logs() as log:
        async with World(primary=primary.url, backup=(backup.url,)) as world:
            worker = await world.worker()
            await worker.next()
            worker.peer.send(Failure("primary", ErrorType.HTTP_5XX, "502", 0))
            suspect = await worker.until(lambda routing: routing.verdict is Verdict.SUSPECT)
            assert suspect.targets[0].error is ErrorType.HTTP_5XX
            # A good probe follows by itself; the suspicion ends with calm, which other tests wait for.
            assert (await worker.until(lambda routing: routing.fail_count == 0)).verdict is Verdict.SUSPECT
    assert lines(log, "failover.suspected")[0]["reason"] == (
        "primary answered with a server error: 502 (1 bad signal, from a request)"
    )


async def test_a_backup_that_nobody_answers_at_is_told(primary, backup):
    await backup.stop()
    with capture_logs() as log:
        async with World(primary=primary.url, backup=(backup.url,), **FAST) as world:
            worker = await world.worker()
            down = await worker.until(lambda routing: not routing.targets[1].usable)
            assert (down.verdict, down.targets[1].error) == (Verdict.PRIMARY, ErrorType.CONNECTION_REFUSED)
            await backup.start()
            await worker.until(lambda routing: routing.targets[1].usable)
    (down,) = lines(log, "target.down")
    assert (down["event"], down["target"]) == ("backup is down", "backup")
    (up,) = lines(log, "target.up")
    assert (up["event"], up["reason"]) == ("backup is usable", "backup answers again")


async def test_all_down_is_said_as_it_is(primary, backup):
    await primary.stop()
    await backup.stop()
    with capture_logs() as log:
        settings = {"check_interval": 0.2, "backup_check_interval": 0.01, "fail_threshold": 9}
        async with World(primary=primary.url, backup=(backup.url,), **settings) as world:
            worker = await world.worker()
            await worker.until(lambda routing: not routing.targets[1].usable)
            await worker.until(lambda routing: routing.verdict is Verdict.BACKUP)
    (switched,) = lines(log, "failover.switched")
    assert switched["event"] == "the primary is down and so is every backup, trying the primary anyway"


async def test_a_backup_that_says_amazon_is_static(primary, backup):
    backup.server = "AmazonS3"
    with capture_logs() as log:
        async with World(primary=primary.url, backup=(backup.url,)) as world:
            # An address says nothing of what is behind it, so the kind is uncertain until it has answered.
            uncertain = world.settings.backup[0].kind_is_certain
            worker = await world.worker()
            assert not uncertain
            await worker.until(lambda routing: routing.targets[1].kind is Kind.STATIC)
    assert lines(log, "target.static")[0]["reason"] == "it answers as AmazonS3"


async def test_a_name_that_does_not_resolve_is_told_with_what_to_check(backup, monkeypatch):
    def nowhere(*_, **__):
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr("failover.controller.resolver.socket.getaddrinfo", nowhere)
    with capture_logs() as log:
        async with World(primary="http://app.invalid", backup=(backup.url,)) as world:
            worker = await world.worker()
            first = await worker.next()
            assert (first.targets[0].addresses, first.targets[0].error) == ((), ErrorType.DNS_ERROR)
            await worker.until(lambda routing: routing.verdict is Verdict.BACKUP)
    (line,) = lines(log, "dns.failed")
    assert "the name of primary does not resolve, check its spelling" in line["event"]
    assert line["reason"] == "app.invalid (name or service not known)"
    assert lines(log, "failover.switched")[0]["reason"].startswith(
        "primary has a name that does not resolve: app.invalid (name or service not known) (3 bad signals"
    )


@pytest.mark.parametrize("token", ["a wrong one", "ein falsches: ä", None])
async def test_strangers_are_dropped(primary, backup, token):
    async with World(primary=primary.url, backup=(backup.url,)) as world:
        stranger = await world.worker(token=token)
        if token is None:
            stranger.peer.send(Failure("primary", ErrorType.CONNECTION_REFUSED, "", 0))
        await asyncio.wait_for(stranger.lost.wait(), PATIENCE)
        assert stranger.told.empty()


def predecessors_routing(primary, backup):
    """What a controller told before it died: on the backup since yesterday."""
    switch = Switch(Rules(fail_threshold=1), ("backup",), time.monotonic())
    remembered = switch.snapshot(time.monotonic())
    return Routing(
        verdict=Verdict.BACKUP,
        since_unix=1_700_000_000.0,
        fail_count=3,
        recover_count=0,
        targets=(
            TargetState("primary", False, (("127.0.0.1", primary.port),), Kind.REPLICA),
            TargetState("backup", True, (("127.0.0.1", backup.port),), Kind.STATIC),
        ),
        memory=memory.encode(
            memory.Memory(remembered.taken, Verdict.BACKUP, 5.0, 3, 60.0, remembered.healths),
        ),
    )


async def test_a_successor_goes_on_where_the_dead_one_was(primary, backup):
    told = predecessors_routing(primary, backup)
    async with World(primary=primary.url, backup=(backup.url,), reborn=True) as world:
        new = await world.worker()
        old = await world.worker(routing=told)
        for worker in (old, new):
            routing = await worker.next()
            assert routing.verdict is Verdict.BACKUP
            assert routing.since_unix == told.since_unix
            assert routing.targets[1].kind is Kind.STATIC
        # The hold-down of 60 s goes on: good probes are counted, and nothing else happens.
        await old.until(lambda routing: routing.recover_count == 2)
        assert memory.decode(routing.memory).hold_steps == 3


@pytest.mark.parametrize("raw", [b"", b"from another version"])
async def test_a_successor_that_learns_nothing_begins_anew(primary, backup, raw, monkeypatch):
    monkeypatch.setattr(loop_module, "_FIRST_ROUTING_WITHIN", 0.05)
    told = predecessors_routing(primary, backup)
    async with World(primary=primary.url, backup=(backup.url,), reborn=True) as world:
        worker = await world.worker(routing=Routing(told.verdict, 0.0, 0, 0, told.targets, memory=raw) if raw else None)
        assert (await worker.next()).verdict is Verdict.PRIMARY


async def test_a_mistake_in_a_probe_is_no_verdict_on_the_target(primary, backup, monkeypatch):
    tried = asyncio.Event()

    async def broken(*_):
        tried.set()
        raise ZeroDivisionError

    with capture_logs() as log:
        async with World(primary=primary.url, backup=(backup.url,), **FAST) as world:
            monkeypatch.setattr(world.controller._prober, "probe", broken)
            worker = await world.worker()
            await worker.next()
            for _ in range(5):
                tried.clear()
                await asyncio.wait_for(tried.wait(), PATIENCE)
            assert worker.told.empty()
    assert any("mistake in the program" in line["event"] for line in log)


async def test_sigterm_ends_it(primary, backup):
    async with World(primary=primary.url, backup=(backup.url,)) as world:
        worker = await world.worker()
        await worker.next()
        os.kill(os.getpid(), signal.SIGTERM)
        await asyncio.wait_for(worker.lost.wait(), PATIENCE)
        await asyncio.wait_for(world.running, PATIENCE)


async def test_the_supervisors_death_ends_it(primary, backup):
    async with World(primary=primary.url, backup=(backup.url,)) as world:
        await (await world.worker()).next()
        world.end_lifeline()
        await asyncio.wait_for(world.running, PATIENCE)


async def test_counters_are_heard(primary, backup):
    async with World(primary=primary.url, backup=(backup.url,), fail_threshold=100) as world:
        worker = await world.worker()
        await worker.next()
        for total in (5, 6):
            worker.peer.send(Counters(0, {}, {"primary": total, "backup": 0, "backup-9": total}))
        worker.peer.send(Failure("primary", ErrorType.HTTP_5XX, "502", 0))
        assert (await worker.until(lambda routing: routing.verdict is Verdict.SUSPECT)).fail_count == 1


def test_only_answers_after_a_bad_signal_prove_anything():
    tally = Tally()
    assert tally.count({"primary": 100}, {}, now=1.0) == []  # the first word of a worker: who knows when they were
    assert tally.count({"primary": 150}, {"primary": 1.5}, now=2.0) == []  # some of these came before the failure
    assert tally.count({"primary": 150}, {"primary": 1.5}, now=3.0) == []
    assert tally.count({"primary": 151}, {"primary": 1.5}, now=4.0) == ["primary"]
