"""Clients that speak TLS to the proxy: what they are given, what targets are told, and who never gets that far."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import re
import signal
import socket
import ssl
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
import websockets

from support.load import Visitor
from support.program import PATIENCE, Program, clean_environment
from support.raw import RawOrigin, Wire, dial, ok
from support.tls import Files, trusting_all

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

GET = b"GET / HTTP/1.1\r\nHost: site.test\r\n\r\n"
TOKEN = "a-token-of-some-length"
QUIET = ("--check-interval", "1h")
BIG = bytes(range(256)) * 16384  # 4 MiB


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path)


@pytest.fixture
def origin() -> Iterator[RawOrigin]:
    with RawOrigin() as origin:
        yield origin


def run(origin: RawOrigin, files: Files, *args: str, workers: int = 1) -> Program:
    cert = ("--tls-cert", str(files.cert), "--tls-key", str(files.key), "--workers", str(workers))
    return Program("--primary", origin.url, "--backup", f"{origin.url}/backup", *QUIET, *cert, *args)


def secure(port: int, context: ssl.SSLContext | None = None, session: ssl.SSLSession | None = None) -> Wire:
    sock = socket.create_connection(("127.0.0.1", port), PATIENCE)
    return Wire((context or trusting_all()).wrap_socket(sock, server_hostname="site.test", session=session))


def https(program: Program) -> contextlib.closing[http.client.HTTPSConnection]:
    port = program.ready().port
    return contextlib.closing(http.client.HTTPSConnection("127.0.0.1", port, timeout=PATIENCE, context=trusting_all()))


def failed_handshakes(program: Program) -> int:
    with https(program) as client:
        client.request("GET", "/__failover/metrics", headers={"Authorization": f"Bearer {TOKEN}"})
        page = client.getresponse().read().decode()
    found = re.search(r"^failover_failed_handshakes_total (\S+)$", page, re.MULTILINE)
    return int(float(found[1])) if found else 0  # the pages come a moment after the first request


def wait_for_failed_handshakes(program: Program, count: int) -> None:
    """Workers tell what they have counted once a second."""
    while failed_handshakes(program) < count:
        pass
    assert failed_handshakes(program) == count


# -- what clients are given


def test_requests_follow_each_other_on_one_connection(origin, files):
    with run(origin, files) as program, https(program) as client:
        assert program.url.startswith("https://127.0.0.1:")
        ports = set()
        for path in ("/a", "/b", "/c"):
            client.request("GET", path)
            ports.add(client.sock.getsockname()[1])
            answer = client.getresponse()
            assert (answer.status, answer.read()) == (200, b"ok")
        assert client.sock.version() == "TLSv1.3"
        assert client.sock.selected_alpn_protocol() == "http/1.1"
        assert client.sock.getpeercert(binary_form=True) == files.der
    assert [head.split(b" ")[1] for head in origin.heads] == [b"/a", b"/b", b"/c"]
    assert len(ports) == 1
    assert program.exit_code == 0


def test_the_key_may_stand_in_the_file_of_the_certificate(origin, files):
    program = Program(
        "--primary", origin.url, "--backup", f"{origin.url}/backup", *QUIET, "--tls-cert", str(files.both)
    )
    with program, secure(program.ready().port) as client:
        client.send(GET)
        assert client.read_answer()[1] == b"ok"


@pytest.mark.parametrize(("version", "spoken"), [(ssl.TLSVersion.TLSv1_1, None), (ssl.TLSVersion.TLSv1_2, "TLSv1.2")])
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_old_versions_are_not_spoken(origin, files, version, spoken):
    context = trusting_all()
    context.set_ciphers("DEFAULT:@SECLEVEL=0")
    context.minimum_version = ssl.TLSVersion.TLSv1
    context.maximum_version = version
    with run(origin, files) as program:
        port = program.ready().port
        if spoken is None:
            with pytest.raises((ssl.SSLError, ConnectionResetError)):
                secure(port, context)
        else:
            with secure(port, context) as client:
                assert client.sock.version() == spoken
                assert client.sock.cipher()[0].startswith("ECDHE-")


def test_a_session_is_resumed_by_any_worker(origin, files):
    context = trusting_all()
    context.maximum_version = ssl.TLSVersion.TLSv1_2  # whose ticket comes with the handshake
    with run(origin, files, workers=3) as program:
        with secure(program.ready().port, context) as client:
            session = client.sock.session
        for _ in range(12):
            with secure(program.port, context, session) as client:
                assert client.sock.session_reused


def test_large_bodies_pass_both_ways(origin, files):
    def echo(wire, head):
        size = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
        wire.send(ok(wire.read_exactly(size)))

    origin.script = echo
    with run(origin, files) as program, https(program) as client:
        for _ in range(2):
            client.request("POST", "/", BIG)
            assert client.getresponse().read() == BIG


def test_chunked_bodies_pass_both_ways(origin, files):
    def script(wire, _head):
        assert wire.read_until(b"0\r\n\r\n").count(b"piece") == 3
        wire.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        for _ in range(3):
            wire.send(b"5\r\npiece\r\n")
        wire.send(b"0\r\n\r\n")

    origin.script = script
    with run(origin, files) as program, https(program) as client:
        client.request("POST", "/", iter([b"piece"] * 3), encode_chunked=True)
        assert client.getresponse().read() == b"piece" * 3


def test_an_answer_that_ends_with_the_connection_comes_whole(origin, files):
    origin.script = lambda wire, _head: (wire.send(b"HTTP/1.1 200 OK\r\n\r\n", BIG), wire.close())
    with run(origin, files) as program, secure(program.ready().port) as client:
        client.send(b"GET / HTTP/1.0\r\nHost: site.test\r\n\r\n")
        assert client.read_all().endswith(BIG)


def test_a_body_that_is_too_large_is_refused_and_the_client_hears_it(origin, files):
    with run(origin, files, "--max-body", "1kB") as program, secure(program.ready().port) as client:
        client.send(b"POST / HTTP/1.1\r\nHost: site.test\r\nContent-Length: 100000\r\n\r\n", bytes(50_000))
        assert client.read_answer()[0].startswith(b"HTTP/1.1 413 ")


async def test_websockets(origin, files):
    async def echo(socket):
        async for message in socket:
            await socket.send(message[::-1])

    async with websockets.serve(echo, "127.0.0.1", 0) as app:
        port = app.sockets[0].getsockname()[1]
        cert = ("--tls-cert", str(files.both))
        primary = f"http://127.0.0.1:{port}"
        async with Program("--primary", primary, "--backup", origin.url, *QUIET, *cert) as program:
            await program.seen("ready")
            address = program.url.replace("https:", "wss:")
            async with websockets.connect(address, ssl=trusting_all(), max_size=None) as client:
                for message in ("abc", "x" * 1_000_000 + "y"):
                    await client.send(message)
                    assert await client.recv() == message[::-1]
    assert "eof_received" not in program.log


def test_clients_that_leave_leave_no_line(origin, files):
    def answer(wire, head):
        if b"/big" in head:
            wire.send(ok(BIG * 5))
            return
        wire.send(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
        wire.read_all()

    origin.script = answer
    with run(origin, files) as program:
        with secure(program.ready().port) as client:
            client.send(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
            client.read_head()
            with contextlib.suppress(OSError):
                client.sock.unwrap()
        for leave in (lambda client: client.sock.unwrap(), Wire.reset):
            with secure(program.port) as client:
                client.send(b"GET /big HTTP/1.1\r\nHost: a\r\n\r\n")
                client.read_head()
                with contextlib.suppress(OSError):
                    leave(client)
    assert "warning" not in program.log
    assert program.exit_code == 0


# -- what targets are told, and what comes back


def test_targets_are_told_of_https_and_their_own_addresses_become_https(origin, files):
    extra = b"Location: %b/next\r\nSet-Cookie: a=b; Path=/\r\n" % origin.url.encode()
    origin.script = lambda wire, _head: wire.send(ok(b"", extra))
    with run(origin, files, "--host", "target") as program, secure(program.ready().port) as client:
        client.send(GET)
        head, _ = client.read_answer()
    assert b"X-Forwarded-Proto: https\r\n" in origin.heads[0]
    assert b"Location: https://site.test/next\r\n" in head


@pytest.mark.parametrize(("trusted", "told"), [((), b"https"), (("--trusted-proxies", "loopback"), b"http")])
def test_only_a_trusted_proxy_says_otherwise(origin, files, trusted, told):
    with run(origin, files, *trusted) as program, secure(program.ready().port) as client:
        client.send(b"GET / HTTP/1.1\r\nHost: site.test\r\nX-Forwarded-Proto: http\r\n\r\n")
        client.read_answer()
    assert b"X-Forwarded-Proto: %b\r\n" % told in origin.heads[0]


# -- who never gets that far


def test_plain_http_is_told_where_it_is_and_nothing_is_logged(origin, files):
    with run(origin, files, "--admin-token", TOKEN) as program:
        with dial(program.ready().port) as client:
            client.send(GET)
            head, body = client.read_answer()
            assert head.startswith(b"HTTP/1.1 400 ")
            assert b"https://" in body
            assert client.is_closed()
        with dial(program.port) as client:
            client.send(b"\x16 is how a handshake begins, and this is none")
            assert client.is_closed()
        with dial(program.port) as client:
            client.send(b"\x16\x03\x01")
            client.reset()
        wait_for_failed_handshakes(program, 3)
        assert not [line for line in program.lines if "warning" in line or "error" in line or "Traceback" in line]
    assert origin.heads == []
    assert program.exit_code == 0


@pytest.mark.parametrize("said", [b"", b"\x16\x03\x01\x02\x00"])
def test_a_handshake_that_is_never_finished_ends_after_the_time_for_a_head(origin, files, said):
    with run(origin, files, "--head-timeout", "200ms", "--admin-token", TOKEN) as program:
        with dial(program.ready().port) as client:
            client.send(said)
            assert client.is_closed()
        wait_for_failed_handshakes(program, 1)
        assert not [line for line in program.lines if "warning" in line or "error" in line]


def test_a_client_that_is_silent_after_its_handshake_is_closed_too(origin, files):
    with run(origin, files, "--head-timeout", "200ms") as program, secure(program.ready().port) as client:
        assert client.is_closed()


def test_who_has_not_finished_a_handshake_counts_as_a_connection(origin, files):
    with run(origin, files, "--max-connections", "2") as program:
        port = program.ready().port
        with dial(port) as first, dial(port) as second:
            first.send(b"\x16\x03\x01\x02\x00")
            with secure(port) as third:
                third.send(GET)
                assert third.read_answer()[0].startswith(b"HTTP/1.1 503 ")
            second.close()
        while True:  # it has gone as soon as the proxy has seen it
            with secure(port) as again:
                again.send(GET)
                if again.read_answer()[1] == b"ok":
                    break


# -- reloads and ends


def shown(port: int) -> bytes:
    with secure(port) as client:
        return client.sock.getpeercert(binary_form=True)


def test_a_reload_takes_a_renewed_certificate_and_keeps_requests_in_hand(origin, files):
    old, arrived = files.der, []

    def script(wire, head):
        if b"/slow" in head:
            arrived.append(1)
            program.wait_for("reloaded")
        wire.send(ok())

    origin.script = script
    with run(origin, files) as program, secure(program.ready().port) as client:
        client.send(b"GET /slow HTTP/1.1\r\nHost: a\r\n\r\n")
        while not arrived:
            assert shown(program.port) == old
        new = files.renew()
        assert shown(program.port) == old
        program.signal(signal.SIGHUP)
        assert client.read_answer()[1] == b"ok"
        while shown(program.port) != new:
            pass  # the old worker may have accepted it in its last moment
    assert program.exit_code == 0


def test_a_worker_that_dies_comes_back_with_the_certificate_that_the_others_show(origin, files):
    old = files.der
    with run(origin, files) as program:
        (worker,) = program.ready().workers()
        files.key.unlink()
        files.cert.write_text("half a file")
        os.kill(worker, signal.SIGKILL)
        program.wait_for("worker 0 is back")
        assert shown(program.port) == old


def test_a_reload_with_a_wrong_file_changes_nothing(origin, files):
    old = files.der
    with run(origin, files) as program:
        program.ready()
        good = files.key.read_bytes()
        files.key.write_text("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n")
        program.signal(signal.SIGHUP)
        program.wait_for("reload refused, nothing has changed: --tls-key: .* holds a key that cannot be read")
        assert shown(program.port) == old
        files.key.write_bytes(good)
        program.signal(signal.SIGHUP)
        program.wait_for("reloaded")


def test_https_does_not_come_by_a_reload_of_the_same_port(origin, files, tmp_path):
    config = tmp_path / "failover.yaml"
    config.write_text(f"primary: {origin.url}\nbackup: {origin.url}/backup\n")
    with Program("--config", str(config), *QUIET) as program:
        program.ready()
        with config.open("a") as file:
            file.write(f"tls_cert: {files.both}\n")
        program.signal(signal.SIGHUP)
        program.wait_for("reload refused, nothing has changed: https cannot come or go")
        assert program.url.startswith("http://")
        with dial(program.port) as client:
            client.send(GET)
            assert client.read_answer()[1] == b"ok"


@pytest.mark.parametrize(("days", "said"), [(10, "the certificate ends soon"), (-1, "the certificate has expired")])
def test_a_certificate_that_ends_soon_is_told_once(origin, tmp_path, days, said):
    files = Files(tmp_path, days=days)
    with run(origin, files) as program:
        program.ready()
        program.wait_for(f"{said}.*renew it and send SIGHUP")
        files.renew()
        mark = program.mark
        program.signal(signal.SIGHUP)
        program.wait_for("reloaded", after=mark)
        assert len([line for line in program.lines if said in line]) == 1


def test_an_idle_client_is_let_go_at_the_end_and_one_in_a_handshake_too(origin, files):
    with (
        run(origin, files, "--drain-timeout", "1h") as program,
        secure(program.ready().port) as idle,
        dial(program.port) as half,
        dial(program.port),
    ):
        idle.send(GET)
        idle.read_answer()
        half.send(b"\x16\x03\x01\x02\x00")
        program.signal(signal.SIGTERM)
        assert program.wait() == 0


# -- wrong files


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda files: files.cert.unlink(), "--tls-cert: .* cannot be read: No such file"),
        (lambda files: files.key.unlink(), "--tls-key: .* cannot be read: No such file"),
        (lambda files: files.cert.write_text("hello"), "--tls-cert: .* holds no PEM certificate"),
        (lambda files: files.key.write_text("hello"), "--tls-key: .* holds no PEM key"),
        (
            lambda files: files.key.write_bytes(Files(files.folder, "b").key.read_bytes()),
            "--tls-key: .* does not belong",
        ),
        (lambda files: encrypt(files.key), "--tls-key: .* is encrypted"),
    ],
)
def test_wrong_files_are_told_before_anything_starts(origin, files, change, said):
    change(files)
    with run(origin, files) as program:
        program.wait_for(f"^failover: {said}")
        assert program.wait() == 2
        assert "listening" not in program.log


def encrypt(key: Path) -> None:
    from cryptography.hazmat.primitives import serialization as form

    read = form.load_pem_private_key(key.read_bytes(), None)
    how = form.BestAvailableEncryption(b"secret")
    key.write_bytes(read.private_bytes(form.Encoding.PEM, form.PrivateFormat.PKCS8, how))


# -- commands and pages


@pytest.mark.parametrize("env", [{}, {"FAILOVER_TLS_CERT": "said"}])
def test_the_health_check_and_the_state_find_it(origin, files, env):
    with run(origin, files) as program:
        place = ("--listen", str(program.ready().port))
        for command in ("healthcheck", "state"):
            done = subprocess.run(
                [sys.executable, "-m", "failover", command, *place],
                env=clean_environment(env),
                capture_output=True,
                text=True,
                check=False,
                timeout=60,
            )
            assert (done.returncode, done.stderr) == (0, "")


def test_the_state_names_https(origin, files):
    with run(origin, files, "--admin-token", TOKEN) as program, https(program) as client:
        client.request("GET", "/__failover/api/v1/state", headers={"Authorization": f"Bearer {TOKEN}"})
        assert json.loads(client.getresponse().read())["listening"] == [program.url]


async def log_in(program: Program, origin: str) -> tuple[int, str]:
    visitor = Visitor(program.url, tls=trusting_all())
    form = [("Content-Type", "application/x-www-form-urlencoded"), ("Origin", origin)]
    try:
        reply = await visitor.ask("POST", "/__failover/login", form, f"token={TOKEN}".encode())
        return reply.status, reply.header("Set-Cookie") or ""
    finally:
        visitor.leave()


async def test_the_cookie_of_the_pages_is_secure_and_a_plain_page_cannot_log_in(origin, files):
    async with run(origin, files, "--admin-token", TOKEN) as program:
        await program.seen("listening to commands")
        status, cookie = await log_in(program, program.url)
        assert status == 303
        assert "Secure" in cookie.split("; ")
        status, cookie = await log_in(program, program.url.replace("https:", "http:"))
        assert (status, cookie) == (403, "")
