"""Clients that mean no good: whatever they send, or do not send, others are served, and nothing of it is left behind.

Spec section 7; stories 16, 24 and 26. `make siege` has the long versions, with figures.
"""

from __future__ import annotations

import contextlib
import select
import socket
import ssl
import sys
import threading
import time
from typing import TYPE_CHECKING

import pytest

from support.load import Load
from support.memory import linux_only, share, sockets
from support.origin import Origin
from support.program import Program
from support.raw import PATIENCE, RawOrigin, Wire, ok
from support.tls import Files, Secured, trusting_all

if TYPE_CHECKING:
    from collections.abc import Iterator

GET = b"GET / HTTP/1.1\r\nHost: site.example\r\n\r\n"
HEALTH = b"GET /__failover/health HTTP/1.1\r\nHost: site.example\r\n\r\n"
PLACES = 64
QUIET = ("--workers", "1", "--check-interval", "1h")

other_addresses = pytest.mark.skipif(sys.platform != "linux", reason="only Linux has all of 127/8 without being told")


def run(primary: RawOrigin | Origin, *args: str, backup: str = "http://127.0.0.1:1") -> Program:
    return Program("--primary", primary.url, "--backup", backup, *QUIET, *args)


@pytest.fixture(scope="module")
def origin() -> Iterator[RawOrigin]:
    """Tells what it was sent: the length of a body, in chunks or not, as the body of its answer."""

    def script(wire: Wire, head: bytes) -> None:
        lower = head.lower()
        size = 0
        if b"transfer-encoding: chunked" in lower:
            while length := int(wire.read_until(b"\r\n"), 16):
                size += len(wire.read_exactly(length + 2)) - 2
            wire.read_until(b"\r\n")
        elif b"content-length:" in lower:
            size = len(wire.read_exactly(int(lower.split(b"content-length:")[1].split(b"\r\n")[0])))
        if b"upgrade: echo" in lower:
            wire.send(b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n")
            wire.read_all()
            return
        wire.send(ok(b"%d" % size))

    with RawOrigin(script) as origin:
        yield origin


@pytest.fixture(scope="module")
def program(origin: RawOrigin) -> Iterator[Program]:
    """One for all who need nothing special; each leaves it as it was."""
    with run(origin, "--head-timeout", "2s", "--max-connections", str(PLACES)) as program:
        with from_address(program, "127.0.0.3") as client:
            client.send(GET)
            client.read_answer()
        yield program


@pytest.fixture(scope="module")
def secured(origin: RawOrigin, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    files = Files(tmp_path_factory.mktemp("tls"))
    with run(
        origin, "--tls-cert", str(files.both), "--head-timeout", "2s", "--max-connections", str(PLACES)
    ) as program:
        yield program


def from_address(program: Program, address: str = "127.0.0.1") -> Wire:
    port = program.ready().port
    source = (address, 0) if sys.platform == "linux" else None
    return Wire(socket.create_connection(("127.0.0.1", port), PATIENCE, source))


def answered(client: Wire, request: bytes = GET) -> bytes:
    client.send(request)
    head, body = client.read_answer()
    assert head.startswith(b"HTTP/1.1 200 "), head
    return body


def wait_for_sockets(program: Program, at_most: int) -> None:
    """The workers' connections end as the kernel tells them of it: no event of ours says so."""
    until = time.monotonic() + PATIENCE
    while (held := sockets(program.workers())) > at_most:
        assert time.monotonic() < until, f"{held} sockets are held, not {at_most}"
        select.select([], [], [], 0.02)


def until_answered(client: Wire, piece: bytes, every: float = 0.05) -> None:
    """Send a piece, and another, until there is something to read."""
    until = time.monotonic() + PATIENCE
    while not select.select([client.sock], [], [], every)[0]:
        assert time.monotonic() < until, "it is let to go on for ever"
        client.send(piece)


@linux_only
@other_addresses
def test_one_address_that_takes_all_places_with_slow_heads_locks_nobody_out(program):
    before = sockets(program.workers())
    slow = []
    for _ in range(5 * PLACES):
        with contextlib.suppress(ConnectionError):
            slow.append(from_address(program))
            slow[-1].send(b"GET / HT")
    for _ in range(PLACES):
        with from_address(program, "127.0.0.2") as honest:
            answered(honest)
    assert sockets(program.workers()) <= before + PLACES + PLACES // 4, "who is turned away is kept, without a bound"
    for one in slow:
        one.close()
    wait_for_sockets(program, before)


@linux_only
@other_addresses
def test_idle_connections_make_room_for_who_has_a_request(program):
    """From many addresses: none of them has more than its part."""
    before = sockets(program.workers())
    idle = [from_address(program, f"127.0.1.{n + 1}") for n in range(PLACES)]
    for one in idle:
        answered(one)
    made_room = 0
    until = time.monotonic() + PATIENCE
    while not made_room and time.monotonic() < until:  # not before they have been idle for a second
        with from_address(program, "127.0.0.2") as honest:
            honest.send(GET)
            made_room = honest.read_answer()[0].startswith(b"HTTP/1.1 200 ") and bool(
                select.select([one.sock for one in idle], [], [], 0.05)[0]
            )
    assert made_room
    for one in idle:
        one.close()
    wait_for_sockets(program, before)


@linux_only
def test_tunnels_take_places_like_everybody_else(program):
    before = sockets(program.workers())
    upgrade = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n"
    tunnels = []
    refused = b""
    while not refused and len(tunnels) <= PLACES:
        client = from_address(program)
        client.send(upgrade)
        head = client.read_head()
        tunnels.append(client)
        if not head.startswith(b"HTTP/1.1 101 "):
            refused = head
    assert refused.startswith(b"HTTP/1.1 503 "), "there is no end of tunnels"
    assert len(tunnels) > PLACES // 2
    for one in tunnels:
        one.close()
    wait_for_sockets(program, before)


@linux_only
@pytest.mark.parametrize("request_", [GET, HEALTH], ids=["to the target", "to ourselves"])
def test_requests_by_the_thousand_from_who_reads_no_answer_are_left_with_him(program, request_):
    held = share(program.workers())
    flood = request_ * 10_000
    with from_address(program) as client:
        client.sock.settimeout(0.5)
        sent = 0
        with contextlib.suppress(TimeoutError):
            while sent < 60_000_000:
                sent += client.sock.send(flood)
        assert sent < 60_000_000, "it reads on and on"
        assert share(program.workers()) < held + 20_000_000
        with from_address(program, "127.0.0.2") as honest:
            answered(honest)


def test_requests_that_wait_behind_others_are_all_answered_in_order(program):
    """More of them than are kept, and a body that is partly behind what is kept."""
    body = b"x" * 300_000
    with from_address(program) as client:
        flood = GET * 4000 + b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 300000\r\n\r\n" + body + GET
        sending = threading.Thread(target=client.send, args=(flood,))
        sending.start()
        assert [client.read_answer()[1] for _ in range(4002)] == [b"0"] * 4000 + [b"300000", b"0"]
        sending.join()


@pytest.mark.parametrize("half_closed", [False, True])
@pytest.mark.parametrize("count", [3_000, 30_000])
def test_a_body_in_very_small_chunks_arrives_whole(program, count, half_closed):
    chunks = b"".join(b"%x\r\n%b\r\n" % (n % 3 + 1, b"y" * (n % 3 + 1)) for n in range(count)) + b"0\r\nX: y\r\n\r\n"
    whole = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks
    with from_address(program) as client:
        answered(client)  # there is a connection to the target: the next request takes it at once
        for place in range(0, len(whole), 30_000):  # more comes while what is there is read in parts
            client.send(whole[place : place + 30_000])
        if half_closed:
            client.sock.shutdown(socket.SHUT_WR)
        else:
            client.send(GET)
        assert client.read_answer()[1] == b"%d" % (2 * count)
        if half_closed:
            assert client.is_closed()
        else:
            assert client.read_answer()[1] == b"0"


@pytest.mark.parametrize("half_closed", [False, True])
def test_over_tls_it_does_so_too_where_more_is_handed_on_than_was_asked_for(secured, half_closed):
    whole = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    whole += b"1\r\ny\r\n2\r\nzz\r\n" * 10_000 + b"0\r\n\r\n"
    with from_address(secured) as client:
        tls = client.sock = Secured(client.sock, trusting_all())
        records = b"".join(tls.record(whole[place : place + 16_000]) for place in range(0, len(whole), 16_000))
        tls.sock.sendall(records + (tls.goodbye() if half_closed else tls.record(GET)))
        assert client.read_answer()[1] == b"30000"
        if not half_closed:
            assert client.read_answer()[1] == b"0"


def test_requests_behind_a_body_in_very_small_chunks_are_answered(program):
    with from_address(program) as client:
        body = b"1\r\nx\r\n" * 650 + b"0\r\n\r\n"
        client.send(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" + body + GET * 20)
        assert [client.read_answer()[1] for _ in range(21)] == [b"650"] + [b"0"] * 20


def test_very_small_chunks_wait_like_all_others_for_a_target_that_does_not_read(origin):
    """And go on when it does."""
    chunks = b"8\r\n12345678\r\n" * 10_000
    reads = threading.Event()

    def script(wire: Wire, head: bytes) -> None:
        reads.wait(PATIENCE)
        origin.script(wire, head)

    with (
        RawOrigin(script) as late,
        run(late, "--max-body", "1GB") as program,
        from_address(program) as client,
    ):
        client.send(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
        client.sock.settimeout(0.5)
        sent = 0
        with contextlib.suppress(TimeoutError):
            while sent < 40_000_000:
                sent += client.sock.send(chunks[sent % len(chunks) :])
        assert sent < 40_000_000, "somebody takes in what nobody reads"
        client.sock.settimeout(PATIENCE)
        reads.set()
        client.send(chunks[sent % len(chunks) :], b"0\r\n\r\n")
        assert client.read_answer()[1] == b"%d" % ((sent // len(chunks) + 1) * 80_000)


def test_an_empty_line_behind_the_last_request_keeps_no_connection(program):
    """Some clients end a body with one that does not belong to it."""
    with from_address(program) as client:
        client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc\r\n")
        client.sock.shutdown(socket.SHUT_WR)
        assert client.read_answer()[1] == b"3"
        assert client.is_closed()


def test_chunks_that_never_end_are_a_413(origin):
    with run(origin, "--max-body", "100KB") as program, from_address(program) as client:
        client.send(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
        until_answered(client, b"1\r\nx\r\n" * 2000, every=0)
        assert client.read_head().startswith(b"HTTP/1.1 413 ")


@pytest.mark.parametrize("expect", [b"", b"Expect: 100-continue\r\n"], ids=["plain", "expect"])
def test_a_body_that_is_said_to_be_too_long_is_not_asked_for(program, expect):
    with from_address(program) as client:
        client.send(b"PUT / HTTP/1.1\r\nHost: a\r\n%bContent-Length: 10000000000\r\n\r\n" % expect)
        assert client.read_head().startswith(b"HTTP/1.1 413 ")


@linux_only
def test_connections_that_come_and_go_by_the_thousand_leave_nothing_behind(program):
    before = sockets(program.workers())
    with from_address(program, "127.0.0.2") as honest:
        for number in range(2000):
            with contextlib.suppress(ConnectionError), from_address(program) as client:
                if number % 2:
                    client.send(GET[: number % len(GET)])
                    client.reset()
            if not number % 100:
                answered(honest)
    wait_for_sockets(program, before)


def test_header_bombs_are_refused_before_they_are_whole(program):
    for bomb in (b"X: y\r\n" * 200, b"X: " + b"y" * 70_000):
        with from_address(program) as client:
            client.send(b"GET / HTTP/1.1\r\nHost: a\r\n" + bomb)
            assert client.read_head().startswith(b"HTTP/1.1 431 ")
            assert client.is_closed() or client.read_all()


@linux_only
def test_visitors_notice_nothing_of_a_thousand_trickling_clients_and_of_header_bombs():
    """Story 24; how much later they are answered is for `make siege` to say."""
    with Origin("primary") as primary, run(primary, "--head-timeout", "2s") as program:
        before = sockets(program.ready().workers())
        with contextlib.ExitStack() as stack:
            slow = [stack.enter_context(from_address(program, f"127.0.1.{n % 8 + 1}")) for n in range(1000)]
            with Load(program.url, rate=200) as load:
                for n, one in enumerate(slow):
                    one.send(GET[: n % 10 + 1])
                    if not n % 10:
                        with from_address(program) as bomber:
                            bomber.send(b"GET / HTTP/1.1\r\nHost: a\r\n" + b"X: y\r\n" * 10_000)
                            assert bomber.read_head().startswith(b"HTTP/1.1 431 ")
                load.wait_for(answered=100)
                for one in slow:
                    assert one.read_head().startswith(b"HTTP/1.1 408 ")
            assert not load.tally.failures, load.tally
        wait_for_sockets(program, before + 50)  # kept to the target


def test_interim_answers_without_end_are_no_answer(origin):
    """They would keep the worker busy with nothing else."""

    def script(wire: Wire, _head: bytes) -> None:
        while True:
            wire.send(b"HTTP/1.1 103 Early Hints\r\n\r\n" * 5000)

    with RawOrigin(script) as flooding, run(flooding, backup=origin.url) as program, from_address(program) as client:
        client.send(GET)
        seen = []
        while not seen or (seen[-1].startswith(b"HTTP/1.1 103") and len(seen) < 100):
            seen.append(client.read_head())
        assert seen[-1].startswith(b"HTTP/1.1 200 ")
        assert b"rescued from primary: http_protocol_error" in seen[-1]


def test_a_client_has_only_as_many_connections_as_it_may_at_all_workers_together(origin):
    with Program(
        "--primary", origin.url, "--backup", "http://127.0.0.1:1", "--check-interval", "1h", "--workers", "2",
        "--max-connections-per-client", "6", "--trusted-proxies", "127.0.0.9",
    ) as program, contextlib.ExitStack() as stack:  # fmt: skip
        clients = [stack.enter_context(from_address(program)) for _ in range(6)]
        for one in clients:
            answered(one)
        with from_address(program) as seventh:
            seventh.send(GET)
            head, _ = seventh.read_answer()
            assert head.startswith(b"HTTP/1.1 429 ")
            assert b"Retry-After:" in head
            assert seventh.is_closed()
        if sys.platform == "linux":
            for address in ["127.0.0.2"] + ["127.0.0.9"] * 10:
                answered(stack.enter_context(from_address(program, address)))
        for one in clients:
            answered(one)
        clients[0].close()
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until:  # its end may be heard of after the next connection
            with from_address(program) as again:
                again.send(GET)
                if again.read_answer()[0].startswith(b"HTTP/1.1 200 "):
                    break
        else:
            pytest.fail("a place that was left is not given again")


@pytest.fixture(scope="module")
def impatient(origin: RawOrigin) -> Iterator[Program]:
    with run(origin, "--idle-timeout", "500ms", "--min-rate", "20KB") as program:
        yield program


def test_a_body_in_drops_is_a_408_though_it_never_stops(impatient):
    with from_address(impatient) as client:
        client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n")
        until_answered(client, b"x" * 10)
        assert client.read_head().startswith(b"HTTP/1.1 408 ")


def test_a_body_in_very_small_chunks_that_stops_is_a_408_as_well(impatient):
    with from_address(impatient) as client:
        client.send(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" + b"1\r\nx\r\n" * 1500)
        assert client.read_head().startswith(b"HTTP/1.1 408 ")


def test_a_body_that_comes_fast_enough_may_take_longer_than_any_silence(impatient):
    with from_address(impatient) as client:
        client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 200000\r\n\r\n")
        for _ in range(19):  # a second and more
            client.send(b"x" * 10_000)
            assert not select.select([client.sock], [], [], 0.06)[0]
        client.send(b"x" * 10_000)
        assert client.read_answer()[1] == b"200000"


def test_a_reader_in_drops_is_cut_though_he_never_stops():
    with (
        RawOrigin(lambda wire, _head: wire.send(ok(b"x" * 30_000_000))) as origin,
        run(origin, "--idle-timeout", "500ms", "--min-rate", "1MB") as program,
    ):
        client = Wire(socket.socket())
        client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.sock.connect(("127.0.0.1", program.ready().port))
        with client:
            client.send(GET)
            until = time.monotonic() + PATIENCE
            cut = False
            while not cut and time.monotonic() < until:
                select.select([], [], [], 0.02)
                try:
                    client.sock.recv(2000)
                except ConnectionResetError:
                    cut = True
            assert cut


@linux_only
def test_handshakes_that_stop_in_the_middle_keep_nobody_out(secured):
    before = sockets(secured.ready().workers())
    first = first_flight()
    stuck = []
    for _ in range(3 * PLACES):
        with contextlib.suppress(ConnectionError):
            stuck.append(from_address(secured))
            stuck[-1].send(first)
    for _ in range(5):
        with from_address(secured, "127.0.0.2") as honest:
            honest.sock = Secured(honest.sock, trusting_all())
            answered(honest)
    for one in stuck:
        one.close()
    wait_for_sockets(secured, before + 2)  # one to the target is kept


@linux_only
def test_what_openssl_had_for_a_connection_goes_with_it(secured):
    """Not when the collector of garbage comes by, which counts objects and not what they hold."""
    first = first_flight()
    before = sockets(secured.ready().workers())
    held = []
    for _ in range(20):
        some = [from_address(secured, f"127.0.1.{n % 8 + 1}") for n in range(40)]
        for one in some:
            one.send(first)
            one.sock.recv(1)
            one.close()
        wait_for_sockets(secured, before + 2)
        held.append(share(secured.workers()))
    assert held[-1] < held[3] + 8_000_000


def first_flight() -> bytes:
    """What a client says first in TLS."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    hello = trusting_all().wrap_bio(incoming, outgoing)
    with contextlib.suppress(ssl.SSLWantReadError):
        hello.do_handshake()
    return outgoing.read()


def test_pages_asked_for_by_the_dozen_leave_the_controller_its_time(origin):
    """So many at a time; and nobody takes one of these places with a body that does not come."""
    token = "a-token-of-some-length"
    events = (
        b"GET /__failover/api/v1/events HTTP/1.1\r\nHost: a\r\nAccept: text/event-stream\r\n"
        b"Authorization: Bearer " + token.encode() + b"\r\n\r\n"
    )
    with run(origin, "--admin-token", token) as program, contextlib.ExitStack() as stack:
        for _ in range(70):
            slow = stack.enter_context(from_address(program))
            slow.send(b"POST /__failover/login HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n")
        statuses = []
        for _ in range(65):
            watcher = stack.enter_context(from_address(program))
            watcher.send(events)
            statuses.append(watcher.read_head().split()[1])
        assert statuses == [b"200"] * 64 + [b"503"]
        with from_address(program) as client:
            answered(client, HEALTH)
            answered(client)
