"""Targets whose TLS lies or breaks: nothing is ever sent over it, and what was cut never passes for whole."""

from __future__ import annotations

import functools
import queue
import socket
import ssl
import threading
from contextlib import suppress

import pytest

from support.flaws import FLAWS, HOST, Flawed
from support.program import PATIENCE, Program
from support.raw import RawOrigin, answer_while_pushing, dial, ok
from support.tls import Secured

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
POST = b"POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 6\r\n\r\nsecret"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
FATAL_ALERT = b"\x15\x03\x03\x00\x02\x02\x28"


@pytest.fixture(scope="module")
def flawed(tmp_path_factory):
    return Flawed(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="module")
def origin(flawed):
    """`doorstep` makes a secured socket of a new one, or does what it likes to it."""

    def secure(sock):
        return origin.doorstep(sock)

    with RawOrigin(tls=secure) as origin:
        origin.doorstep = functools.partial(Secured, context=flawed.server(), server_side=True)
        yield origin


@pytest.fixture(scope="module")
def program(origin, flawed):
    times = ("--idle-timeout", "500ms", "--first-byte-timeout", "3s")
    args = ("--workers", "1", "--check-interval", "1h", "--observe", "--upstream-ca", str(flawed.pem))
    with (
        RawOrigin(lambda wire, _head: wire.send(ok(b"honest"))) as backup,
        Program(
            "--primary", f"https://{HOST}:{origin.port}", "--backup", backup.url, "--log-level", "debug", *args, *times
        ) as program,
    ):
        yield program.ready()
        assert "Traceback" not in program.log


@pytest.fixture(autouse=True)
def as_before(origin, flawed):
    """No connection of the case before is left, nor its script."""
    yield
    for wire in origin._wires:
        with suppress(OSError):
            wire.sock.shutdown(socket.SHUT_RDWR)
    origin._wires.clear()
    origin.doorstep = functools.partial(Secured, context=flawed.server(), server_side=True)
    origin.script = lambda wire, _head: wire.send(ok(b"right"))


def ask(program, request=POST) -> tuple[bytes, bytes]:
    with dial(program.port) as client:
        client.send(request)
        return client.read_answer()


def test_a_certificate_without_a_flaw_is_good(program, origin):
    origin.script = lambda wire, _head: wire.send(ok(b"right"))
    assert ask(program)[1] == b"right"


@pytest.mark.parametrize("flaw", FLAWS)
def test_not_a_byte_is_sent_to_a_certificate_with_a_flaw(program, origin, flawed, flaw):
    context, heard = flawed.server(flaw), queue.Queue()

    def listen(sock):
        with context.wrap_socket(sock, server_side=True) as secured:
            heard.put(secured.recv(1000))
        raise OSError("heard")

    origin.doorstep = listen
    for request in (POST, GET):
        head, body = ask(program, request)
        assert body == b"honest"
        assert b"tls_certificate_error" in head
    assert heard.empty() or heard.get() == b""
    assert flaw


def reads_then(*pieces):
    """Reads the ClientHello, then sends this and closes."""

    def misbehave(sock):
        sock.recv(65536)
        for piece in pieces:
            sock.sendall(piece)
        sock.close()
        raise OSError("closed")

    return misbehave


def resets(sock):
    sock.recv(65536)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
    sock.close()
    raise OSError("reset")


def breaks_off(context, part, behind=b""):
    """Sends so much of its first flight, ServerHello to Finished, or the hello alone; then `behind`, and closes."""

    def misbehave(sock):
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = context.wrap_bio(incoming, outgoing, server_side=True)
        incoming.write(sock.recv(65536))
        with suppress(ssl.SSLWantReadError):
            tls.do_handshake()
        flight = outgoing.read()
        hello = 5 + int.from_bytes(flight[3:5])
        sock.sendall(flight[: int(len(flight) * part) or hello] + behind)
        sock.close()
        raise OSError("closed")

    return misbehave


@pytest.mark.parametrize(
    ("doorstep", "error"),
    [
        (lambda _context: reads_then(), b"connection_terminated"),
        (lambda _context: resets, b"connection_terminated"),
        (lambda _context: reads_then(FATAL_ALERT), b"tls_protocol_error"),
        (lambda _context: reads_then(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"), b"tls_protocol_error"),
        (lambda _context: reads_then(b"\x16\x03\x03\xff\xff" + bytes(70_000)), b"tls_protocol_error"),
        (lambda context: breaks_off(context, 0.02), b"connection_terminated"),
        (lambda context: breaks_off(context, 0.5), b"connection_terminated"),
        (lambda context: breaks_off(context, 0, FATAL_ALERT), b"tls_protocol_error"),
        (lambda context: breaks_off(context, 0.9), b"connection_terminated"),
    ],
    ids=[
        "closed after the hello", "reset after the hello", "an alert", "plain HTTP", "a record that is none",
        "half a hello", "half a flight", "an alert in the middle", "nearly all",
    ],
)  # fmt: skip
def test_a_handshake_that_breaks_off_is_told_as_one(program, origin, flawed, doorstep, error):
    origin.doorstep = doorstep(flawed.server())
    for _ in range(2):
        head, body = ask(program)
        assert body == b"honest"
        assert error in head


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
def test_a_target_that_speaks_only_an_old_tls_is_not_spoken_to(program, origin, flawed):
    context = flawed.server()
    context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
    context.maximum_version = ssl.TLSVersion.TLSv1_1
    origin.doorstep = functools.partial(context.wrap_socket, server_side=True)
    head, body = ask(program)
    assert body == b"honest"
    assert b"tls_protocol_error" in head


@pytest.mark.parametrize("drop", [b"", b"\x16\x03\x03\x40\x00\x02"], ids=["silent", "in drops"])
def test_a_handshake_without_end_has_one(program, origin, drop):
    """Within `--connect-timeout`, whatever it says meanwhile."""
    over, left = threading.Event(), queue.Queue()

    def linger(sock):
        sock.recv(65536)
        with suppress(OSError):
            for byte in drop:
                sock.sendall(bytes([byte]))
            while drop and not over.wait(0.1):
                sock.sendall(b"\0")
            left.put(sock.recv(1))
        over.set()
        raise OSError("over")

    origin.doorstep = linger
    head, body = ask(program)
    assert body == b"honest"
    assert b"connection_timeout" in head
    assert over.wait(PATIENCE)


# -- answers


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3], ids=str)
@pytest.mark.parametrize(
    ("answer", "whole"),
    [
        (ok(b"right"), True),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nright", False),
        (CHUNKED + b"5\r\nright\r\n", False),
        (CHUNKED + b"5\r\nright\r\n0\r\n\r\n", True),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9", False),
    ],
    ids=["whole", "short", "no last chunk", "last chunk", "half a head"],
)
@pytest.mark.parametrize("goodbye", [True, False], ids=["said", "not said"])
def test_what_ends_is_whole_by_what_it_says_of_itself(program, origin, flawed, version, answer, whole, goodbye):
    """Whether TLS says goodbye changes nothing of it."""
    context = flawed.server()
    context.maximum_version = version
    origin.doorstep = functools.partial(Secured, context=context, server_side=True)

    def speak(wire, _head):
        wire.send(answer)
        if goodbye:
            wire.sock.half_close()
        wire.sock.sock.shutdown(socket.SHUT_WR)
        wire.is_closed()

    origin.script = speak
    with dial(program.port) as client:
        client.send(POST)
        try:
            got = client.read_all()
        except ConnectionResetError:
            got = b"cut"
    assert (b"right" in got and got.startswith(b"HTTP/1.1 200 ") and not got.endswith(b"right\r\n")) is whole
    assert whole or got == b"cut" or got.startswith(b"HTTP/1.1 502 ")


def test_an_answer_until_its_end_is_whole_without_a_goodbye_as_many_servers_never_say_it(program, origin):
    def speak(wire, _head):
        wire.send(b"HTTP/1.1 200 OK\r\n\r\nright")
        wire.sock.sock.shutdown(socket.SHUT_WR)
        wire.is_closed()

    origin.script = speak
    with dial(program.port) as client:
        client.send(POST)
        assert client.read_all().endswith(b"5\r\nright\r\n0\r\n\r\n")


def test_a_record_that_was_tampered_with_in_the_middle_of_an_answer_cuts_it(program, origin):
    passed = threading.Event()

    def speak(wire, _head):
        wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: 200000\r\n\r\n" + b"x" * 100_000)
        assert passed.wait(PATIENCE)
        record = wire.sock.record(b"y" * 100_000)
        wire.sock.sock.sendall(record[:-1] + bytes([record[-1] ^ 1]))
        wire.is_closed()

    origin.script = speak
    with dial(program.port) as client:
        client.send(POST)
        client.read_exactly(1000)
        passed.set()
        with pytest.raises(ConnectionResetError):
            client.read_all()


def test_an_early_answer_outruns_the_reset_behind_it_over_tls(program, origin):
    def refuse(wire, _head):
        wire.sock.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # else it goes with the connection
        wire.send(b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno")
        wire.close()

    origin.script = refuse
    for _ in range(20):
        assert answer_while_pushing(program.port, 9_000_000).startswith(b"HTTP/1.1 413 ")


def test_bytes_behind_an_answer_over_tls_reach_nobody(program, origin):
    """In the same segment, in a record of their own."""

    def speak(wire, head):
        if b"/lie" in head:
            wire.sock.sock.sendall(wire.sock.record(ok(b"right")) + wire.sock.record(ok(b"stolen")))
        else:
            wire.send(ok(b"right"))

    origin.script = speak
    with dial(program.port) as one, dial(program.port) as other:
        for _ in range(3):
            one.send(b"GET /lie HTTP/1.1\r\nHost: a\r\n\r\n")
            assert one.read_answer()[1] in (b"right", b"honest")
            other.send(GET)
            assert other.read_answer()[1] in (b"right", b"honest")
