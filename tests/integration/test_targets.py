"""Targets of every kind that a user may have: TLS, routing by Host, base paths, ladders, files only."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

import pytest

from support import weather
from support.answer import Answer
from support.load import ask
from support.names import own_files
from support.origin import Origin
from support.program import Process, Program
from support.tls import Authority, self_signed

if TYPE_CHECKING:
    import ssl
    from pathlib import Path

    from support.origin_wire import Seen


async def state_of(program: Program) -> dict[str, Any]:
    return json.loads((await ask(program.url, path="/__failover/state")).body)


def page(seen: Seen) -> bool:
    return seen.path.endswith("/page")


# -- TLS


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
async def test_an_https_primary_with_its_own_authority(tmp_path: Path, backup: Origin, host: str) -> None:
    authority = Authority(tmp_path)
    with (
        Origin("primary", tls=authority.server(host)) as primary,
        Program(
            "--primary", f"https://{host}:{primary.port}", "--backup", backup.url, "--upstream-ca", str(authority.pem)
        ) as program,
    ):
        url = program.ready().url
        reply = await ask(url, "POST", body=b"over TLS")
        assert (reply.status, reply.header("X-Origin")) == (200, "primary")
        seen = primary.wait_for(page)
        assert seen.body == b"over TLS"
        assert seen.header("X-Forwarded-Proto") == "http"
        if host == "localhost":
            assert set(primary.server_names) == {"localhost"}  # SNI; an address is never one (RFC 6066 section 3)
        big = await ask(url, path="/page")
        assert big.status == 200
    assert backup.requests == [] or not any(map(page, backup.requests))


@pytest.mark.parametrize("flaw", ["unknown authority", "other authority", "self-signed", "wrong name", "expired"])
async def test_no_traffic_goes_over_tls_that_cannot_be_verified(tmp_path: Path, backup: Origin, flaw: str) -> None:
    authority, other = Authority(tmp_path), Authority(tmp_path, "other")
    context: ssl.SSLContext = {
        "unknown authority": lambda: authority.server("localhost"),
        "other authority": lambda: other.server("localhost"),
        "self-signed": lambda: self_signed(tmp_path, "localhost"),
        "wrong name": lambda: authority.server("elsewhere.example"),
        "expired": lambda: authority.server("localhost", expired=True),
    }[flaw]()
    trusted = [] if flaw == "unknown authority" else ["--upstream-ca", str(authority.pem)]
    with (
        Origin("primary", tls=context) as primary,
        Program("--primary", f"https://localhost:{primary.port}", "--backup", backup.url, *trusted) as program,
    ):
        url = program.ready().url
        for _ in range(3):
            reply = await ask(url, "POST", headers=[("Cookie", "secret=1")], body=b"secret")
            assert (reply.status, reply.header("X-Origin")) == (200, "backup")
        await program.seen("switched to the backup")
        assert (await state_of(program))["on_backup"]
        assert (await ask(url)).header("X-Origin") == "backup"
    assert primary.requests == []
    assert "certificate" in program.log


# -- Host


async def test_a_backup_that_routes_by_host_gets_its_own_name(backup: Origin) -> None:
    """`--host target`: each target is asked for by its own name, as a bucket or a platform needs it."""
    name = f"localhost:{backup.port}"
    backup.script = lambda seen: None if seen.header("Host") == name else NO_SUCH_BUCKET
    with (
        weather.refuses() as down,
        Program("--primary", down, "--backup", f"http://{name}", "--host", "target") as program,
    ):
        reply = await ask(program.ready().url)
        assert (reply.status, reply.body) == (200, b"backup\n")


@pytest.mark.parametrize(
    ("mode", "expected"),
    [("auto", "{public}"), ("client", "{public}"), ("target", "{target}"), ("app.example", "app.example")],
)
async def test_the_host_that_a_target_is_told(primary: Origin, backup: Origin, mode: str, expected: str) -> None:
    with Program("--primary", primary.url, "--backup", backup.url, "--host", mode) as program:
        await ask(program.ready().url)
        public, target = f"127.0.0.1:{program.port}", f"127.0.0.1:{primary.port}"
        seen = primary.wait_for(page)
        assert seen.all("Host") == [expected.format(public=public, target=target)]
        assert seen.all("X-Forwarded-Host") == [public]


NO_SUCH_BUCKET = Answer(
    404,
    b"<?xml version='1.0'?><Error><Code>NoSuchBucket</Code></Error>",
    (("Content-Type", "application/xml"), ("Server", "AmazonS3")),
)


def _own_names(tmp_path: Path) -> list[str]:
    """A command before a command that gives it a hosts file of its own, where this system allows it."""
    hosts = tmp_path / "hosts"
    hosts.write_text("127.0.0.1 localhost my-site.s3.amazonaws.com\n")
    return own_files({"/etc/hosts": hosts})


async def test_an_s3_bucket_is_known_and_treated_as_one(tmp_path: Path) -> None:
    """Its real name over TLS: right Host and SNI with no setting, nobody's secrets, misses that nobody may keep."""
    prefix, authority, name = _own_names(tmp_path), Authority(tmp_path), "my-site.s3.amazonaws.com"

    def bucket(seen: Seen) -> Answer | None:
        if (seen.header("Host") or "").partition(":")[0] != name:
            return NO_SUCH_BUCKET
        if seen.method != "GET":
            return Answer(405, b"<Error><Code>MethodNotAllowed</Code></Error>")
        return None if seen.path in ("/", "/page") else MISSING

    with weather.refuses() as down, Origin("backup", tls=authority.server(name)) as backup:
        backup.script = bucket
        command = [*prefix, sys.executable, "-m", "failover", "--listen", "127.0.0.1:0"]
        flags = ["--primary", down, "--backup", f"https://{name}:{backup.port}", "--upstream-ca", str(authority.pem)]
        with Process([*command, *flags, "--hold-writes", "100ms"]) as program:
            url = program.wait_for(r"listening on (http://\S+)")[1]
            program.wait_for(r"\bready\b")
            headers = [("Cookie", "session=1"), ("Authorization", "Basic Zm9v"), ("Accept", "text/html")]
            kept = await ask(url, headers=headers)
            assert (kept.status, kept.header("X-Origin")) == (200, "backup")
            missing = await ask(url, path="/elsewhere", headers=headers)
            written = await ask(url, "POST", headers=headers, body=b"a=1")
    assert (missing.status, missing.header("Cache-Control")) == (503, "no-store")
    assert missing.header("Retry-After")
    assert written.status == 503
    assert set(backup.server_names) == {name}
    for seen in backup.requests:
        assert (seen.header("Host") or "").partition(":")[0] == name
        assert seen.header("Cookie") is None
        assert seen.header("Authorization") is None
        assert seen.method == "GET"


MISSING = Answer(
    403,
    b"<?xml version='1.0'?><Error><Code>AccessDenied</Code></Error>",
    (("Content-Type", "application/xml"), ("Server", "AmazonS3")),
)


# -- files only


async def test_a_static_backup_gets_no_secrets_and_gives_no_traces(backup: Origin) -> None:
    cookie = ("Set-Cookie", "tracked=1; Path=/")
    backup.routes["/page"] = Answer(200, b"kept copy\n", (cookie, ("Content-Type", "text/html")))
    backup.routes["/missing"] = Answer(404, b"no such file\n", (cookie, ("Cache-Control", "public, max-age=3600")))
    secrets = [("Cookie", "session=1"), ("Authorization", "Bearer x")]
    with (
        weather.refuses() as down,
        Program(
            "--primary", down, "--backup", backup.url, "--backup-kind", "static", "--hold-writes", "100ms",
        ) as program,
    ):  # fmt: skip
        url = program.ready().url
        for _ in range(2):  # while it is found out, and once it is known
            kept = await ask(url, headers=[*secrets, ("Accept", "text/html,*/*")])
            assert (kept.status, kept.body, kept.header("Set-Cookie")) == (200, b"kept copy\n", None)
            missing = await ask(url, path="/missing", headers=[*secrets, ("Accept", "text/html,*/*")])
            assert (missing.status, missing.header("Cache-Control"), missing.header("Set-Cookie")) == (
                503,
                "no-store",
                None,
            )
            assert missing.header("Retry-After")
            image = await ask(url, path="/missing", headers=[*secrets, ("Accept", "image/*")])
            assert (image.status, image.header("Set-Cookie")) == (404, None)
            for method in ("POST", "PUT", "PATCH", "DELETE"):
                written = await ask(url, method, headers=secrets, body=b"a=1")
                assert (written.status, written.header("Cache-Control")) == (503, "no-store")
                assert written.header("Retry-After")
            upgrade = [("Connection", "Upgrade"), ("Upgrade", "websocket")]
            assert (await ask(url, headers=[*secrets, *upgrade])).status == 503
            await program.seen("switched to the backup")
    assert backup.requests
    for seen in backup.requests:
        assert seen.method in ("GET", "HEAD")
        assert seen.header("Cookie") is None
        assert seen.header("Authorization") is None


# -- base paths and the names of targets


@pytest.mark.parametrize("base", ["/app/v1", "/app/v1/"])
async def test_a_target_with_a_base_path(primary: Origin, backup: Origin, base: str) -> None:
    def app(seen: Seen) -> Answer | None:
        if not seen.target.startswith("/app/v1"):
            return Answer(404)
        to = {
            "/app/v1/absolute": f"{primary.url}/app/v1/next?a=1",
            "/app/v1/relative": "/app/v1/next",
            "/app/v1/away": "/app/v2",
        }
        if seen.path in to:
            cookie = ("Set-Cookie", "a=b; Path=/app/v1/x; HttpOnly")
            return Answer(302, headers=(("Location", to[seen.path]), cookie))
        return None

    primary.script = app
    with Program("--primary", primary.url + base, "--backup", backup.url) as program:
        url = program.ready().url
        for path in ("/page", "/page?x=/y&z", "/", "/?q"):
            assert (await ask(url, path=path)).header("X-Origin") == "primary"
            assert primary.wait_for(lambda seen, path=path: seen.target == "/app/v1" + path)
        for path, location in (("/absolute", f"{url}/next?a=1"), ("/relative", "/next"), ("/away", "/app/v2")):
            reply = await ask(url, path=path)
            assert (reply.status, reply.header("Location")) == (302, location)
            assert reply.header("Set-Cookie") == "a=b; Path=/x; HttpOnly"
        assert not (await state_of(program))["on_backup"]
    assert all(seen.target.startswith("/app/v1") for seen in primary.requests), "a probe went past the base path"


@pytest.mark.parametrize(
    ("name", "sent", "received"),
    [
        ("Location", "{target}/next?a=1#b", "{public}/next?a=1#b"),
        ("Location", "//{target_host}/next", "{public}/next"),
        ("Location", "/next", "/next"),
        ("Location", "next", "next"),
        ("Location", "https://elsewhere.example/next", "https://elsewhere.example/next"),
        ("Location", "http://127.0.0.1:1/next", "http://127.0.0.1:1/next"),
        ("Content-Location", "{target}/this", "{public}/this"),
        ("Refresh", "5; url={target}/again", "5; url={public}/again"),
        ("Link", "<{target}/a.css>; rel=preload", "<{target}/a.css>; rel=preload"),
        ("Set-Cookie", "a=b; Path=/; Domain=127.0.0.1; HttpOnly", "a=b; Path=/; Domain=127.0.0.1; HttpOnly"),
        ("Set-Cookie", "a=b; Domain=.elsewhere.example", "a=b; Domain=.elsewhere.example"),
    ],
)
async def test_a_target_is_never_shown_by_its_own_name(
    primary: Origin, backup: Origin, name: str, sent: str, received: str
) -> None:
    with Program("--primary", primary.url, "--backup", backup.url) as program:
        words = {"target": primary.url, "target_host": f"127.0.0.1:{primary.port}", "public": program.ready().url}
        primary.routes["/page"] = Answer(302, headers=((name, sent.format(**words)),))
        assert (await ask(program.url)).header(name) == received.format(**words)


async def test_a_cookie_for_the_targets_name_becomes_one_for_the_public_name(primary: Origin, backup: Origin) -> None:
    primary.routes["/page"] = Answer(200, headers=(("Set-Cookie", "a=b; Domain=localhost; Path=/"),))
    with Program("--primary", f"http://localhost:{primary.port}", "--backup", backup.url) as program:
        url = program.ready().url
        named = await ask(url, headers=[("Host", "www.shop.example")])
        assert named.header("Set-Cookie") == "a=b; Domain=www.shop.example; Path=/"
        bare = await ask(url)  # an address can have no Domain: the cookie is its own without one
        assert bare.header("Set-Cookie") == "a=b; Path=/"


# -- ladders


async def test_the_first_backup_is_dead_and_the_second_serves(primary: Origin) -> None:
    with (
        weather.refuses() as dead,
        Origin("second") as second,
        Program("--primary", primary.url, "--backup", dead, "--backup", second.url, "--ramp-step", "0") as program,
    ):
        url = program.ready().url
        await program.seen("backup is down")  # told before it is needed
        assert (await ask(url)).header("X-Origin") == "primary"
        primary.stop()
        for method in ("GET", "POST", "GET"):
            reply = await ask(url, method, body=b"x" if method == "POST" else None)
            assert (reply.status, reply.header("X-Origin")) == (200, "second")
        await program.seen("switched to backup-2")
        state = await state_of(program)
        assert state["on_backup"]
        usable = {target["alias"]: target["usable"] for target in state["targets"]}
        assert usable == {"primary": False, "backup": False, "backup-2": True}
        primary.start()
        await program.seen("switched back to the primary")
        assert (await ask(url)).header("X-Origin") == "primary"


async def test_a_backup_that_comes_back_goes_before_the_next_one(backup: Origin) -> None:
    with (
        weather.refuses() as down,
        Origin("second") as second,
        Program(
            "--primary", down, "--backup", backup.url, "--backup", second.url, "--backup-check-interval", "100ms"
        ) as program,
    ):
        url = program.ready().url
        await program.seen("switched to the backup")
        assert (await ask(url)).header("X-Origin") == "backup"
        backup.stop()
        assert (await ask(url)).header("X-Origin") == "second"
        await program.seen("backup is down")
        backup.start()
        await program.seen("backup is usable")
        assert (await ask(url)).header("X-Origin") == "backup"
