"""One probe against real sockets: what each kind of weather is called."""

import asyncio
import contextlib
import datetime as dt
import errno
import socket
import ssl
import struct
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import structlog.testing
import trustme

from failover import __version__
from failover import dial as dialing
from failover.controller.prober import Prober
from failover.controller.resolver import Resolver
from failover.core.health import says_nothing
from failover.core.model import ErrorType
from failover.dial import dial, upstream_tls
from failover.faults import Fault, translate
from failover.settings.model import Settings
from support import weather
from support.origin import hold_port

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
LONG = 30.0


class Origin:
    """Sends `answer` after each request head, in one piece, then does what `then` says: close, keep, reset or hang.

    `requests` holds the heads that came; `gone` is set when a client has left.
    """

    def __init__(self, answer=OK, then="close", tls=None):
        self.answer, self.then, self.tls = answer, then, tls
        self.requests = []
        self.gone = asyncio.Event()

    async def __aenter__(self):
        self.server = await asyncio.start_server(self.serve, "127.0.0.1", 0, ssl=self.tls)
        self.port = self.server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_):
        self.server.close()
        await self.server.wait_closed()

    async def serve(self, reader, writer):
        with contextlib.suppress(OSError, ssl.SSLError, asyncio.IncompleteReadError):
            self.requests.append((await reader.readuntil(b"\r\n\r\n")).decode())
            if self.then == "reset":
                linger = struct.pack("ii", 1, 0)
                writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            else:
                writer.write(self.answer)
                await writer.drain()
            if self.then == "keep":
                await reader.read()
        self.gone.set()
        writer.transport.abort() if self.then == "reset" else writer.close()


@contextlib.contextmanager
def prober_for(url, backup="http://127.0.0.1:9", via="", **settings):
    """A prober and the target that it is to probe, the primary."""
    made = Settings(primary=url, backup=(backup,), **settings)
    loop = asyncio.get_running_loop()
    resolver = Resolver((made.primary, *made.backup), loop, lambda _news: None)
    resolver.start()
    yield Prober(made, resolver, loop, upstream_tls((made.primary, *made.backup), made.upstream_ca), via), made
    resolver.stop()


async def probe(url, within=LONG, **settings):
    with prober_for(url, **settings) as (prober, made):
        return await prober.probe(made.primary, within)


async def answered(answer, then="close", within=LONG, path="", **settings):
    async with Origin(answer, then) as origin:
        return await probe(f"http://127.0.0.1:{origin.port}{path}", within, **settings)


def head(status, more=""):
    return f"HTTP/1.1 {status} Whatever\r\nContent-Length: 0\r\n{more}\r\n".encode()


async def test_a_good_answer_with_its_phases():
    result = await answered(OK)
    assert result.signal.good
    assert result.signal.target == "primary"
    assert result.signal.latency > 0
    assert list(result.took) == ["dns", "tcp", "tls", "head", "body"]
    assert all(took >= 0 for took in result.took.values())


async def test_the_request():
    async with Origin() as origin:
        url = f"http://kim:pa%20ss@127.0.0.1:{origin.port}/app?key=1"
        await probe(url)
        await probe(url, check_path="/health?full=1", check_method="HEAD")
        await probe(url, host="shop.example")
        own = f"127.0.0.1:{origin.port}"
        assert origin.requests[0].splitlines() == [
            "GET /app?key=1 HTTP/1.1",
            f"Host: {own}",
            f"User-Agent: failover/{__version__} (health check)",
            "Accept: */*",
            "Connection: close",
            "Authorization: Basic a2ltOnBhIHNz",
            "",
        ]
        assert origin.requests[1].startswith("HEAD /health?full=1 HTTP/1.1\r\n")
        assert "\r\nHost: shop.example\r\n" in origin.requests[2]


async def test_a_backup_is_asked_for_its_own_address():
    async with Origin(head(404)) as origin:
        with prober_for("http://127.0.0.1:9", f"http://127.0.0.1:{origin.port}", check_path="/up") as (prober, made):
            result = await prober.probe(made.backup[0], LONG)
        assert result.signal.good
        assert origin.requests[0].startswith("GET / HTTP/1.1\r\n")


@pytest.mark.parametrize(
    ("status", "settings", "error"),
    [
        (200, {}, None),
        (404, {}, None),
        (499, {}, None),
        (500, {}, ErrorType.HTTP_5XX),
        (503, {}, ErrorType.HTTP_5XX),
        (302, {"check_path": "/up"}, None),
        (404, {"check_path": "/up"}, ErrorType.DESTINATION_UNAVAILABLE),
        (429, {"check_path": "/up"}, None),
        (401, {"check_path": "/up", "check_expect": "200-299,401"}, None),
        (302, {"check_path": "/up", "check_expect": "200-299,401"}, ErrorType.DESTINATION_UNAVAILABLE),
        (503, {"check_expect": "503"}, None),
    ],
)
async def test_which_statuses_are_good(status, settings, error):
    result = await answered(head(status), **settings)
    assert result.signal.error is error
    assert result.signal.good is (error is None)
    assert result.status == status
    assert error is None or str(status) in result.signal.detail


@pytest.mark.parametrize(
    ("answer", "then", "error"),
    [
        (b"", "close", ErrorType.CONNECTION_TERMINATED),
        (b"", "reset", ErrorType.CONNECTION_TERMINATED),
        (b"HTTP/1.1 200 OK\r\nContent-Le", "close", ErrorType.HTTP_RESPONSE_INCOMPLETE),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf", "close", ErrorType.HTTP_RESPONSE_INCOMPLETE),
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n",
            "close",
            ErrorType.HTTP_RESPONSE_INCOMPLETE,
        ),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "keep", ErrorType.HTTP_PROTOCOL_ERROR),
        (b"HTTP/1.1 200 OK\r\nBad Header: 1\r\n\r\n", "keep", ErrorType.HTTP_PROTOCOL_ERROR),
        (b"HTTP/1.1 101 Up\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n", "keep", ErrorType.HTTP_PROTOCOL_ERROR),
        (b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 20_000, "keep", ErrorType.HTTP_PROTOCOL_ERROR),
        (b"HTTP/1.1 200 OK\r\nX: " + b"y" * 100_000, "keep", ErrorType.HTTP_PROTOCOL_ERROR),
        (b"HTTP/1.1 103 Early Hints\r\n\r\n" * 5_000, "keep", ErrorType.HTTP_PROTOCOL_ERROR),
    ],
)
async def test_what_is_no_answer(answer, then, error):
    result = await answered(answer, then)
    assert (result.signal.good, result.signal.error) == (False, error)


@pytest.mark.parametrize(
    ("answer", "then"),
    [
        (OK, "keep"),
        (b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n" + OK, "close"),
        (b"HTTP/1.1 200 OK\r\n\r\nuntil the end", "close"),
        (b"HTTP/1.1 204 No Content\r\n\r\n", "keep"),
        (b"HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n", "keep"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", "keep"),
        (b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n", "keep"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n" + b"x" * 70_000, "keep"),
        (b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 70_000, "keep"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"1\r\nx\r\n" * 30_000, "keep"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n" + b"X: y\r\n" * 30_000, "keep"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX: " + b"y" * 200_000, "keep"),
        (b"HTTP/1.1 302 Found\r\nLocation: /\r\nContent-Length: 0\r\n\r\n", "keep"),
        (b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 3\r\n\r\nbad", "keep"),
    ],
)
async def test_what_is_enough_of_an_answer(answer, then):
    assert (await answered(answer, then)).signal.good


async def test_the_first_answer_is_the_answer():
    """A second one behind it, or trailers, change nothing of it."""
    second = b"HTTP/1.1 503 Down\r\nServer: liar\r\nContent-Length: 3\r\n\r\nbad"
    result = await answered(b"HTTP/1.1 200 OK\r\nServer: honest\r\nContent-Length: 2\r\n\r\nok" + second, "keep")
    assert (result.signal.good, result.status, result.server, result.length) == (True, 200, "honest", 2)
    chunked = b"HTTP/1.1 200 OK\r\nServer: honest\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nServer: liar\r\n\r\n"
    assert (await answered(chunked, "keep")).server == "honest"


async def test_what_is_kept_of_a_head_is_short():
    result = await answered(b"HTTP/1.1 200 OK\r\nServer: " + b"x" * 60_000 + b"\r\nContent-Length: 0\r\n\r\n")
    assert len(result.server) == 200


async def test_an_answer_of_our_own_workers_is_a_loop_however_good_it_is():
    async with Origin(head(200, "Via: 1.1 other, 1.1 failover-0123456789ab\r\n")) as origin:
        with prober_for(f"http://127.0.0.1:{origin.port}", via="failover-0123456789ab") as (prober, made):
            result = await prober.probe(made.primary, LONG)
        assert result.signal.error is ErrorType.PROXY_LOOP_DETECTED
        with prober_for(f"http://127.0.0.1:{origin.port}", via="failover-000000000000") as (prober, made):
            assert (await prober.probe(made.primary, LONG)).signal.good


async def test_head_waits_for_no_body():
    assert (await answered(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", "keep", check_method="HEAD")).signal.good


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (b"", ErrorType.HTTP_RESPONSE_TIMEOUT),
        (b"HTTP/1.1 200 OK\r\nContent-Le", ErrorType.HTTP_RESPONSE_TIMEOUT),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf", ErrorType.CONNECTION_READ_TIMEOUT),
    ],
)
async def test_a_hung_origin_is_left_in_time(answer, error):
    async with Origin(answer, "keep") as origin:
        result = await probe(f"http://127.0.0.1:{origin.port}", 0.1)
        await asyncio.wait_for(origin.gone.wait(), LONG)
    assert result.signal.error is error


async def test_a_refused_connection():
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        result = await probe(f"http://127.0.0.1:{nobody.getsockname()[1]}")
    assert result.signal.error is ErrorType.CONNECTION_REFUSED
    assert list(result.took) == ["dns"]


async def test_an_address_that_swallows_connections():
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        with contextlib.ExitStack() as stack:
            for _ in range(4):  # more than the backlog holds: what comes now is dropped without a word
                waiting = stack.enter_context(socket.socket())
                waiting.setblocking(False)
                waiting.connect_ex(full.getsockname())
            result = await probe(f"http://127.0.0.1:{full.getsockname()[1]}", 0.1)
    assert result.signal.error is ErrorType.CONNECTION_TIMEOUT


async def test_a_name_that_does_not_resolve(monkeypatch):
    def nowhere(*_, **__):
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr("failover.controller.resolver.socket.getaddrinfo", nowhere)
    result = await probe("http://app.invalid")
    assert result.signal.error is ErrorType.DNS_ERROR
    assert result.signal.detail == "app.invalid (name or service not known)"


async def test_amazon_says_who_it_is():
    assert (await answered(head(403, "Server: AmazonS3\r\n"))).server == "AmazonS3"


# Evidence


async def test_what_is_kept_of_an_answer():
    more = (
        "Server: nginx\r\nRetry-After: 120\r\nVia: 1.1 a\r\nvia: 1.1 b\r\nLocation: https://kim:pw@x.example/l?t=1\r\n"
        f"X-Powered-By: {'x' * 300}\r\nSet-Cookie: secret\r\n"
    )
    async with Origin(head(503, more)) as origin:
        result = await probe(f"http://127.0.0.1:{origin.port}")
    assert result.address == f"127.0.0.1:{origin.port}"
    assert result.headers == {
        "Server": "nginx",
        "Retry-After": "120",
        "Via": "1.1 a, 1.1 b",
        "Location": "https://***@x.example/l?t=***",
        "X-Powered-By": "x" * 200,
    }


@pytest.mark.parametrize(
    ("answer", "settings", "body", "length"),
    [
        (b"HTTP/1.1 503 No\r\nContent-Length: 5\r\n\r\nlater", {}, "later", 5),
        (b"HTTP/1.1 404 No\r\nContent-Length: 4\r\n\r\ngone", {"check_path": "/up"}, "gone", 4),
        (b"HTTP/1.1 404 No\r\nContent-Length: 4\r\n\r\ngone", {}, "", 4),
        (OK, {}, "", 2),
        (b"HTTP/1.1 502 No\r\nContent-Length: 99999999\r\n\r\n" + b"x " * 40_000, {}, ("x " * 512).strip(), 99999999),
        (b"HTTP/1.1 500 No\r\nContent-Type: text/html\r\n\r\n<h1>Oops</h1>", {}, "Oops", 13),
        (b"HTTP/1.1 103 Hm\r\nServer: early\r\n\r\nHTTP/1.1 500 No\r\nContent-Length: 3\r\n\r\nbad", {}, "bad", 3),
    ],
)
async def test_the_body_of_a_bad_answer_alone_is_kept(answer, settings, body, length):
    result = await answered(answer, **settings)
    assert (result.body.strip(), result.length) == (body, length)
    assert result.headers.get("Server") is None


async def test_no_error_page_makes_a_probe_raise():
    """Python reads no number of more than 4300 digits: the probe was a mistake of ours then, and not the 503 it was."""
    page = b"<title>&#" + b"1" * 4400 + b";</title><p>busy"
    head = b"HTTP/1.1 503 Busy\r\nContent-Type: text/html\r\nContent-Length: %d\r\n\r\n" % len(page)
    result = await answered(head + page)
    assert (result.status, result.body) == (503, "\ufffd\nbusy")


async def test_a_cut_answer_keeps_what_came_of_it():
    result = await answered(b"HTTP/1.1 500 No\r\nServer: app\r\nContent-Length: 9\r\n\r\nhalf")
    assert result.signal.error is ErrorType.HTTP_RESPONSE_INCOMPLETE
    assert (result.body, result.length, result.headers) == ("half", 9, {"Server": "app"})


async def test_the_address_of_one_that_did_not_connect():
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        port = nobody.getsockname()[1]
        assert (await probe(f"http://127.0.0.1:{port}")).address == f"127.0.0.1:{port}"
        assert (await probe(f"http://[::1]:{port}")).address == f"[::1]:{port}"


async def test_a_verified_certificate_is_told(authority, ca_file):
    result = await over_tls(authority.issue_cert("localhost", "app.localhost"), ca_file)
    shown = result.certificate
    assert result.signal.good
    assert shown.names == ("localhost", "app.localhost")
    assert shown.not_before < dt.datetime.now(dt.UTC) < shown.not_after
    assert "trustme" in shown.issuer
    assert (len(shown.sha256), shown.issue) == (64, "")


async def test_a_certificate_that_was_not_accepted_is_not_told(ca_file):
    assert (await over_tls(trustme.CA().issue_cert("localhost"), ca_file)).certificate is None


# TLS


@pytest.fixture(scope="session")
def authority():
    return trustme.CA()


@pytest.fixture
def ca_file(authority, tmp_path):
    path = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(path)
    return path


def serving(certificate):
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    certificate.configure_cert(context)
    return context


async def over_tls(certificate, ca_file, host="localhost"):
    async with Origin(tls=serving(certificate)) as origin:
        return await probe(f"https://{host}:{origin.port}", upstream_ca=ca_file)


@pytest.mark.parametrize("host", ["localhost", "app.localhost", "127.0.0.1"])
async def test_tls_with_an_authority_of_ones_own(authority, ca_file, host):
    assert (await over_tls(authority.issue_cert(host), ca_file, host)).signal.good


async def test_an_expired_certificate(authority, ca_file):
    yesterday = dt.datetime.now(dt.UTC) - dt.timedelta(days=1)
    before = yesterday - dt.timedelta(days=1)
    signal = (await over_tls(authority.issue_cert("localhost", not_before=before, not_after=yesterday), ca_file)).signal
    assert (signal.error, signal.detail) == (ErrorType.TLS_CERTIFICATE_ERROR, "certificate has expired")


async def test_a_certificate_for_another_name(authority, ca_file):
    signal = (await over_tls(authority.issue_cert("other.example"), ca_file)).signal
    assert signal.error is ErrorType.TLS_CERTIFICATE_ERROR
    assert "localhost" in signal.detail


async def test_an_unknown_authority(ca_file):
    signal = (await over_tls(trustme.CA().issue_cert("localhost"), ca_file)).signal
    assert signal.error is ErrorType.TLS_CERTIFICATE_ERROR
    assert "unable to get local issuer certificate" in signal.detail


async def test_no_tls_where_tls_was_expected(ca_file):
    async with Origin() as origin:
        # The origin takes the handshake for a request that never ends, or answers it with plain text.
        result = await probe(f"https://localhost:{origin.port}", 0.2, upstream_ca=ca_file)
    assert result.signal.error in {ErrorType.CONNECTION_TIMEOUT, ErrorType.TLS_PROTOCOL_ERROR}


async def test_a_handshake_that_is_answered_with_garbage(ca_file):
    async def garbage(reader, writer):
        await reader.read(1)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(garbage, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        result = await probe(f"https://localhost:{port}", upstream_ca=ca_file)
    assert result.signal.error is ErrorType.TLS_PROTOCOL_ERROR


# Several addresses


async def test_the_next_address_is_tried_when_one_refuses():
    async with Origin() as origin:
        loop = asyncio.get_running_loop()
        sock = await dial(loop, (("127.0.0.2", origin.port), ("127.0.0.1", origin.port)))
        with sock:
            assert sock.getpeername() == ("127.0.0.1", origin.port)


async def test_the_next_address_is_tried_while_one_hangs():
    with weather.swallows() as hung:
        async with Origin() as origin:
            addresses = (("127.0.0.1", urlsplit(hung).port), ("127.0.0.1", origin.port))
            with await dial(asyncio.get_running_loop(), addresses) as sock:
                assert sock.getpeername() == addresses[1]


class HalfHung:
    """All addresses hang but 127.0.0.1."""

    def __init__(self, monkeypatch):
        self._connect = dialing._connect
        self.trying = self.most = 0
        monkeypatch.setattr(dialing, "_connect", self)

    async def __call__(self, loop, address):
        self.trying += 1
        self.most = max(self.most, self.trying)
        try:
            if address[0] != "127.0.0.1":
                await asyncio.Event().wait()
            return await self._connect(loop, address)
        finally:
            self.trying -= 1


@pytest.mark.parametrize("count", [3, 8, 40])
async def test_each_address_has_its_turn_in_the_time_that_there_is(monkeypatch, count):
    waits, wait = [], asyncio.wait

    async def counted(tasks, **how):
        waits.append(how["timeout"])
        return await wait(tasks, **how)

    monkeypatch.setattr(asyncio, "wait", counted)
    HalfHung(monkeypatch)
    async with Origin() as origin:
        hung = tuple((f"127.0.0.{number}", origin.port) for number in range(2, count + 1))
        with await dial(asyncio.get_running_loop(), (*hung, ("127.0.0.1", origin.port)), within=0.5) as sock:
            assert sock.getpeername()[0] == "127.0.0.1"
    assert sum(filter(None, waits)) < 0.5


async def test_only_so_many_addresses_are_tried_at_a_time(monkeypatch):
    """The oldest gives way, and is not forgotten: no socket is left."""
    async with Origin() as origin:
        connecting = HalfHung(monkeypatch)
        hung = tuple((f"127.0.0.{number}", origin.port) for number in range(2, 62))
        with await dial(asyncio.get_running_loop(), (*hung, ("127.0.0.1", origin.port)), within=0.1) as sock:
            assert sock.getpeername()[0] == "127.0.0.1"
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    assert connecting.most == 16
    assert connecting.trying == 0


async def test_two_hundred_addresses_of_which_the_last_one_answers():
    async with Origin() as origin:
        with hold_port("127.0.0.9") as dead:
            refused = (("127.0.0.9", dead.getsockname()[1]),) * 199
            with await dial(asyncio.get_running_loop(), (*refused, ("127.0.0.1", origin.port)), within=0.0) as sock:
                assert sock.getpeername()[0] == "127.0.0.1"


@pytest.mark.parametrize(
    ("number", "error"),
    [
        (errno.EACCES, ErrorType.DESTINATION_IP_UNROUTABLE),
        (errno.EINVAL, ErrorType.DESTINATION_IP_UNROUTABLE),
        (errno.EAFNOSUPPORT, ErrorType.DESTINATION_IP_UNROUTABLE),
        (errno.ENOBUFS, ErrorType.PROXY_INTERNAL_ERROR),
    ],
)
def test_a_place_that_cannot_be_gone_to_is_nothing_that_the_target_did(number, error):
    assert translate(OSError(number, "no"), connecting=True).error is error


@pytest.mark.parametrize(
    ("numbers", "error"),
    [
        ((errno.EMFILE, errno.ECONNREFUSED), ErrorType.CONNECTION_REFUSED),
        ((errno.ENETUNREACH, errno.ECONNREFUSED), ErrorType.CONNECTION_REFUSED),
        ((errno.ECONNREFUSED, errno.EADDRNOTAVAIL), ErrorType.CONNECTION_REFUSED),
        ((errno.EADDRNOTAVAIL, errno.EHOSTUNREACH), ErrorType.DESTINATION_IP_UNROUTABLE),
        ((errno.EMFILE,), ErrorType.CONNECTION_LIMIT_REACHED),
    ],
)
async def test_the_most_telling_failure_is_told(monkeypatch, numbers, error):
    async def fails(_loop, address):
        raise OSError(address[1], "no")

    monkeypatch.setattr("failover.dial._connect", fails)
    with pytest.raises(Fault) as failed:
        await dial(asyncio.get_running_loop(), tuple(("127.0.0.1", number) for number in numbers))
    assert failed.value.error is error


_DIALS = """
import os, socket, uvloop
from failover.dial import dial
with socket.create_server(("127.0.0.1", 0)) as server:
    loop = uvloop.new_event_loop()
    loop.run_until_complete(dial(loop, (server.getsockname(),))).close()
    print(len(os.listdir("/proc/self/task")))
"""


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="only Linux shows the threads of a process")
def test_no_thread_is_needed_to_connect():
    """One that could not be made would end the process: libuv aborts."""
    told = subprocess.run([sys.executable, "-c", _DIALS], capture_output=True, text=True, check=True)
    assert told.stdout == "1\n"


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM])
async def test_what_we_lack_ourselves_says_nothing_of_the_target_and_is_told_once(monkeypatch, number):
    def lacking(*_, **__):
        raise OSError(number, "lacking")

    async with Origin() as origin:
        with prober_for(f"http://127.0.0.1:{origin.port}") as (prober, made):
            with structlog.testing.capture_logs() as log:
                with monkeypatch.context() as lack:
                    lack.setattr("failover.dial.socket.socket", lacking)
                    results = [await prober.probe(made.primary, LONG) for _ in range(3)]
                assert {says_nothing(result.signal) for result in results} == {True}
                assert (await prober.probe(made.primary, LONG)).signal.good
            assert [line["action"] for line in log] == ["failover.shortage", "failover.shortage_over"]
