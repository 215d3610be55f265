"""TLS on either side of the proxy, record by record: where it ends, and in whose turn."""

from __future__ import annotations

import contextlib
import functools
import queue
import socket
import ssl

import pytest

from failover.dial import client_tls
from support.memory import linux_only, share
from support.program import PATIENCE, Program
from support.raw import RawOrigin, Wire, dial, ok
from support.tls import Authority, Files, Secured, trusting_all

UPGRADE = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n"
SWITCHED = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n"
BIG = bytes(1024 * 1024)
VERSIONS = (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3)


def half_close(wire: Wire) -> None:
    if isinstance(wire.sock, Secured):
        wire.sock.half_close()
    else:
        wire.sock.shutdown(socket.SHUT_WR)


@pytest.fixture(params=VERSIONS, ids=str)
def version(request):
    return request.param


class Site:
    """The proxy between a client and a target, each with TLS or without."""

    def __init__(self, tmp_path, version, *more, client_tls=False, target_tls=False):
        authority = Authority(tmp_path)
        server = authority.server("127.0.0.1")
        server.maximum_version = version
        self.context = trusting_all()
        self.context.maximum_version = version
        self.client_tls = client_tls
        self.origin = RawOrigin(
            tls=functools.partial(Secured, context=server, server_side=True) if target_tls else None
        )
        args = ["--upstream-ca", str(authority.pem)]
        if client_tls:
            args += ["--tls-cert", str(Files(tmp_path).both)]
        self.program = Program(
            "--primary",
            self.origin.url,
            "--backup",
            self.origin.url + "/backup",
            "--check-interval",
            "1h",
            "--workers",
            "1",
            *args,
            *more,
        )

    def __enter__(self):
        self.program.start().ready()
        return self

    def __exit__(self, *_):
        self.program.end()
        self.origin.close()

    def dial(self):
        if not self.client_tls:
            return dial(self.program.port)
        return Wire(Secured(socket.create_connection(("127.0.0.1", self.program.port), PATIENCE), self.context))


@pytest.fixture(params=["to the target", "from the client", "on both sides"])
def site(tmp_path, version, request):
    client_tls, target_tls = request.param != "to the target", request.param != "from the client"
    with Site(tmp_path, version, client_tls=client_tls, target_tls=target_tls) as site:
        yield site


def test_a_tunnel_goes_on_after_its_client_has_ended_his_half(site):
    def answer(wire, _head):
        wire.send(SWITCHED)
        assert wire.read_all() == b"first"
        wire.send(b"late")
        wire.close()

    site.origin.script = answer
    with site.dial() as client:
        client.send(UPGRADE)
        client.read_head()
        client.send(b"first")
        half_close(client)
        assert client.read_all() == b"late"


def test_a_tunnel_goes_on_after_its_target_has_ended_its_half(site):
    got = queue.Queue()

    def answer(wire, _head):
        wire.send(SWITCHED, b"first")
        half_close(wire)
        got.put(wire.read_all())

    site.origin.script = answer
    with site.dial() as client:
        client.send(UPGRADE)
        client.read_head()
        assert client.read_all() == b"first"
        client.send(b"late")
        half_close(client)
        assert client.is_closed()
    assert got.get(timeout=PATIENCE) == b"late"


def test_a_request_and_the_end_of_its_client_in_one_segment(tmp_path, version):
    with Site(tmp_path, version, client_tls=True) as site, site.dial() as client:
        tls = client.sock
        tls.sock.sendall(tls.record(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n") + tls.goodbye())
        assert client.read_all().endswith(b"ok")


def test_an_answer_and_the_end_of_its_target_in_one_segment(tmp_path, version):
    def answer(wire, _head):
        tls = wire.sock
        tls.sock.sendall(tls.record(b"HTTP/1.1 200 OK\r\n\r\n") + tls.record(b"body") + tls.goodbye())
        wire.is_closed()

    with Site(tmp_path, version, target_tls=True) as site, site.dial() as client:
        site.origin.script = answer
        client.send(b"GET / HTTP/1.0\r\nHost: a\r\n\r\n")
        assert client.read_all().endswith(b"\r\n\r\nbody")


def test_records_that_come_byte_by_byte(tmp_path, version):
    with Site(tmp_path, version, client_tls=True) as site, site.dial() as client:
        tls = client.sock
        for byte in tls.record(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"):
            tls.sock.sendall(bytes([byte]))
        assert client.read_answer()[1] == b"ok"


def test_a_record_that_was_tampered_with_ends_the_connection_after_what_came_before(tmp_path, version):
    with Site(tmp_path, version, client_tls=True) as site, site.dial() as client:
        tls = client.sock
        whole, broken = tls.record(b"GET /whole HTTP/1.1\r\nHost: a\r\n\r\n"), tls.record(b"GET /not HTTP/1.1\r\n")
        tls.sock.sendall(whole + broken[:-1] + bytes([broken[-1] ^ 1]))
        with contextlib.suppress(ConnectionResetError):
            client.read_all()
    assert len(site.origin.heads) <= 1
    assert "Traceback" not in site.program.log


def test_pipelined_requests_over_tls_before_a_closed_half_are_all_answered(tmp_path, version):
    with Site(tmp_path, version, client_tls=True, target_tls=True) as site, site.dial() as client:
        tls = client.sock
        tls.sock.sendall(
            b"".join(tls.record(b"GET /%d HTTP/1.1\r\nHost: a\r\n\r\n" % n) for n in range(5)) + tls.goodbye()
        )
        assert client.read_all().count(b"HTTP/1.1 200 ") == 5


@linux_only
def test_who_has_moved_much_costs_little_while_idle(tmp_path):
    def answer(wire, _head):
        wire.read_exactly(len(BIG))
        wire.send(ok(BIG))

    count = 40
    with Site(tmp_path, VERSIONS[-1], client_tls=True) as site, contextlib.ExitStack() as staying:
        site.origin.script = answer
        workers = site.program.workers()
        before = share(workers)
        for _ in range(count):
            client = staying.enter_context(site.dial())
            client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % len(BIG), BIG)
            assert client.read_answer()[1] == BIG
        each = (share(workers) - before) / count
    assert each < 350_000, f"it costs {each:.0f} bytes"


def test_no_target_begins_its_handshake_anew():
    """While it did, a write would raise; a server that does so is nothing that the ssl module can play."""
    assert client_tls(None).options & ssl.OP_NO_RENEGOTIATION
