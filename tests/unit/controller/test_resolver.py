"""Names to addresses: with a `getaddrinfo` that the test holds in its hand."""

import asyncio
import errno
import socket
import threading

import pytest
import structlog.testing

from failover.controller import resolver as resolver_module
from failover.controller.resolver import Resolver, in_turn, without_asking
from failover.core.model import ErrorType, Target
from failover.faults import Fault

PATIENCE = 20.0
APP = Target("primary", "http", "app.test", 80)
SPARE = Target("backup", "https", "spare.test", 443)


class NameServer:
    """Answers, fails or hangs by name; `asked` counts."""

    def __init__(self):
        self.answers = {}
        self.asked = []
        self.hold = {}
        self.answered = threading.Event()

    def __call__(self, host, _port, **_):
        self.asked.append(host)
        if host in self.hold:
            self.hold[host].wait(PATIENCE)
        found = self.answers.get(host)
        self.answered.set()
        if found is None:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 0)) for address in found]


@pytest.fixture
def names(monkeypatch):
    server = NameServer()
    monkeypatch.setattr("failover.controller.resolver.socket.getaddrinfo", server)
    yield server
    for held in server.hold.values():
        held.set()


class Listening:
    """A resolver, and its news one by one."""

    def __init__(self, *targets):
        self.news = asyncio.Queue()
        self.resolver = Resolver(targets, asyncio.get_running_loop(), self.news.put_nowait)

    async def __aenter__(self):
        self.resolver.start()
        return self

    async def __aexit__(self, *_):
        self.resolver.stop()

    async def next(self):
        return await asyncio.wait_for(self.news.get(), PATIENCE)


async def test_all_addresses_of_a_name(names):
    names.answers["app.test"] = ["192.0.2.1", "2001:db8::1", "192.0.2.1"]
    async with Listening(APP) as listening:
        await listening.resolver.settled()
        assert listening.resolver.addresses(APP) == (("192.0.2.1", 80), ("2001:db8::1", 80))
        news = await listening.next()
        assert (news.before, news.addresses, news.fault, news.again) == ((), ("192.0.2.1", "2001:db8::1"), None, False)


async def test_two_targets_of_one_name_are_asked_for_once(names):
    names.answers["app.test"] = ["192.0.2.1"]
    other = Target("backup", "http", "app.test", 8080)
    async with Listening(APP, other) as listening:
        assert await listening.resolver.first(other) == (("192.0.2.1", 8080),)
        assert (await listening.next()).aliases == ("primary", "backup")
    assert names.asked == ["app.test"]


async def test_a_hung_lookup_delays_no_other(names):
    names.answers["spare.test"] = ["192.0.2.2"]
    names.hold["app.test"] = threading.Event()
    async with Listening(APP, SPARE) as listening:
        assert await listening.resolver.first(SPARE) == (("192.0.2.2", 443),)
        assert listening.resolver.addresses(APP) == ()


async def test_a_lookup_that_takes_too_long_is_told_and_still_heard(names, monkeypatch):
    monkeypatch.setattr(resolver_module, "_OVERDUE", 0.01)
    names.answers["app.test"] = ["192.0.2.1"]
    held = names.hold["app.test"] = threading.Event()
    async with Listening(APP) as listening:
        with pytest.raises(Fault) as failed:
            await listening.resolver.first(APP)
        assert failed.value.error is ErrorType.DNS_TIMEOUT
        assert (await listening.next()).fault is failed.value
        held.set()
        news = await listening.next()
        assert (news.addresses, news.again) == (("192.0.2.1",), True)
        assert listening.resolver.fault(APP) is None


async def test_a_name_that_never_resolved_is_asked_for_again_soon(names, monkeypatch):
    monkeypatch.setattr(resolver_module, "_EVERY_UNTIL_KNOWN", 0.01)
    async with Listening(APP) as listening:
        news = await listening.next()
        assert (news.addresses, news.fault.error) == ((), ErrorType.DNS_ERROR)
        assert news.fault.detail == "app.test (name or service not known)"
        with pytest.raises(Fault):
            await listening.resolver.first(APP)
        names.answers["app.test"] = ["192.0.2.1"]
        assert (await listening.next()).again
        assert listening.resolver.addresses(APP) == (("192.0.2.1", 80),)


async def test_the_last_good_addresses_are_kept(names, monkeypatch):
    monkeypatch.setattr(resolver_module, "_EVERY", 0.01)
    names.answers["app.test"] = ["192.0.2.1"]
    async with Listening(APP) as listening:
        await listening.next()
        del names.answers["app.test"]
        news = await listening.next()
        assert news.fault is not None
        assert news.addresses == ("192.0.2.1",)
        assert await listening.resolver.first(APP) == (("192.0.2.1", 80),)
        names.answers["app.test"] = ["192.0.2.1"]
        assert (await listening.next()).again


@pytest.mark.parametrize(
    "garbage", [["0.0.0.0"], ["::"], ["255.255.255.255"], ["224.0.0.1", "ff02::1"], ["::ffff:0.0.0.0"], []]
)
async def test_an_answer_that_leads_nowhere_is_none(names, monkeypatch, garbage):
    """As filters answer for names that they block: 0.0.0.0 leads to this machine, and perhaps to this proxy."""
    monkeypatch.setattr(resolver_module, "_EVERY", 0.01)
    names.answers["app.test"] = ["192.0.2.1"]
    async with Listening(APP) as listening:
        await listening.next()
        names.answers["app.test"] = garbage
        news = await listening.next()
        assert news.fault.error is ErrorType.DNS_ERROR
        assert ", ".join(garbage) in news.fault.detail
        assert listening.resolver.addresses(APP) == (("192.0.2.1", 80),)
        names.answers["app.test"] = [*garbage, "192.0.2.2"]
        assert (await listening.next()).addresses == ("192.0.2.2",)


async def test_changed_addresses_are_told_and_rotated_ones_are_not(names, monkeypatch):
    monkeypatch.setattr(resolver_module, "_EVERY", 0.01)
    names.answers["app.test"] = ["192.0.2.1", "192.0.2.2"]
    async with Listening(APP) as listening:
        await listening.next()
        names.answers["app.test"] = ["192.0.2.2", "192.0.2.1"]
        rotated = names.answered = threading.Event()
        await asyncio.to_thread(rotated.wait, PATIENCE)
        names.answers["app.test"] = ["192.0.2.9"]
        news = await listening.next()  # the first since: the rotation was none
        assert (news.before, news.addresses) == (("192.0.2.1", "192.0.2.2"), ("192.0.2.9",))


async def test_what_a_predecessor_knew_is_good_until_we_know_better(names):
    async with Listening(APP) as listening:
        listening.resolver.learn(APP, (("192.0.2.7", 80),))
        assert await listening.resolver.first(APP) == (("192.0.2.7", 80),)
        assert (await listening.next()).addresses == ("192.0.2.7",)


async def test_asked_at_once_when_the_target_may_have_moved(names):
    names.answers["app.test"] = ["192.0.2.1"]
    async with Listening(APP) as listening:
        await listening.next()
        names.answers["app.test"] = ["192.0.2.9"]
        listening.resolver.refresh(APP)
        assert (await listening.next()).addresses == ("192.0.2.9",)


async def test_an_answer_for_a_loop_that_is_gone_is_dropped(names):
    held = names.hold["app.test"] = threading.Event()

    def briefly():
        loop = asyncio.new_event_loop()
        Resolver((APP,), loop, print).start()
        loop.close()

    before = set(threading.enumerate())
    await asyncio.to_thread(briefly)
    held.set()
    for thread in set(threading.enumerate()) - before:
        if thread.name.startswith("look up"):
            thread.join(PATIENCE)
            assert not thread.is_alive()


@pytest.mark.parametrize(
    ("host", "addresses"),
    [("192.0.2.1", ("192.0.2.1",)), ("2001:db8::1", ("2001:db8::1",)), ("app.test", ())],
)
def test_what_needs_no_name_server(host, addresses):
    assert without_asking(host) == addresses


@pytest.mark.parametrize("host", ["localhost", "app.localhost"])
def test_localhost_is_here(host):
    assert without_asking(host)[0] == "127.0.0.1"
    assert set(without_asking(host)) <= {"127.0.0.1", "::1"}


def test_families_take_turns():
    assert in_turn(["::1", "::2", "::1", "1.1.1.1"]) == ("::1", "1.1.1.1", "::2")
    assert in_turn(["1.1.1.1", "1.1.1.2"]) == ("1.1.1.1", "1.1.1.2")
    assert in_turn([]) == ()


# We could not even ask: that is no news of the name


def no_descriptors(*_, **__):
    raise OSError(errno.EMFILE, "Too many open files")


def no_threads(*_, **__):
    raise RuntimeError("can't start new thread")


@pytest.mark.parametrize(
    ("lacking", "what", "error"),
    [
        ("resolver.socket.getaddrinfo", no_descriptors, ErrorType.CONNECTION_LIMIT_REACHED),
        ("resolver.threading.Thread.start", no_threads, ErrorType.PROXY_INTERNAL_ERROR),
    ],
    ids=["descriptors", "threads"],
)
async def test_a_name_that_we_cannot_ask_for_is_no_failure_of_the_name(names, monkeypatch, lacking, what, error):
    monkeypatch.setattr(resolver_module, "_EVERY_UNTIL_KNOWN", 0.02)
    names.answers["app.test"] = ["192.0.2.1"]
    listening = Listening(APP)
    with monkeypatch.context() as lack, structlog.testing.capture_logs() as log:
        lack.setattr(f"failover.controller.{lacking}", what)
        async with listening:
            for _ in range(resolver_module._MOST_LOOKUPS + 2):
                listening.resolver.refresh(APP)
                with pytest.raises(Fault) as told:
                    await listening.resolver.first(APP)
                assert told.value.error is error
        assert [line["action"] for line in log] == ["failover.shortage"]
        assert listening.news.empty()
    async with listening:
        assert (await listening.next()).addresses == ("192.0.2.1",)
        assert listening.resolver.fault(APP) is None


async def test_known_addresses_stay_as_they_are_while_nobody_can_be_asked(names, monkeypatch):
    names.answers["app.test"] = ["192.0.2.1"]
    async with Listening(APP) as listening:
        await listening.next()
        monkeypatch.setattr("failover.controller.resolver.socket.getaddrinfo", no_descriptors)
        listening.resolver._answered(listening.resolver._names["app.test"], Fault(ErrorType.PROXY_INTERNAL_ERROR, ""))
        assert listening.resolver.addresses(APP) == (("192.0.2.1", 80),)
        assert listening.resolver.fault(APP) is None
        assert listening.news.empty()
