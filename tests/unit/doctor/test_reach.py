"""The way to a target: every step that can fail is told as itself."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from failover.doctor.base import Grade
from failover.doctor.reach import is_here, lasts, own_address, readable, resolve
from failover.faults import Fault
from failover.settings.types import Listen
from failover.targets import parse_target
from support.origin import Origin, hold_port
from support.program import Program
from support.tls import Authority, self_signed

NOW = datetime(2026, 11, 23, tzinfo=UTC)


async def test_a_port_that_nobody_listens_on(examined, primary):
    with hold_port() as dead:
        found = await examined(primary.url, f"http://127.0.0.1:{dead.getsockname()[1]}")
    assert found.bad(Grade.FAIL) == {"tcp backup"}
    assert "refused connections" in found.only("tcp", "backup").text
    assert found.only("tcp", "backup").remedy
    assert not found.of("alike")


async def test_a_name_that_does_not_exist(examined, primary):
    found = await examined("http://nobody.invalid", primary.url)
    assert found.bad(Grade.FAIL) == {"dns primary"}
    assert found.only("dns", "primary").text.startswith("nobody.invalid does not resolve")


async def test_a_name_that_exists_is_told_with_its_addresses(examined, primary, backup):
    found = await examined(primary.url.replace("127.0.0.1", "localhost"), backup.url)
    assert "127.0.0.1" in found.only("dns", "primary").text
    assert not found.bad(Grade.FAIL)


async def test_a_name_is_not_waited_for_longer_than_it_may_take():
    with pytest.raises(Fault):
        await resolve("nobody.invalid", 0)


async def test_an_address_needs_no_name_server():
    assert await resolve("::1", 0) == ("::1",)


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("expired", "expired: it is for 127.0.0.1"),
        ("wrong name", "wrong name: it is for shop.example"),
        ("unknown authority", "unknown authority: it is for 127.0.0.1"),
    ],
)
async def test_a_certificate_that_is_not_to_be_trusted(examined, backup, tmp_path, kind, said):
    authority = Authority(tmp_path)
    context = authority.server("shop.example" if kind == "wrong name" else "127.0.0.1", expired=kind == "expired")
    known = Authority(tmp_path, "other") if kind == "unknown authority" else authority
    with Origin("primary", tls=context) as primary:
        found = await examined(primary.url, backup.url, upstream_ca=str(known.pem))
        assert not primary.requests  # nothing is asked where nobody is trusted
    assert found.bad(Grade.FAIL) == {"tls primary"}
    assert said in found.only("tls", "primary").text


async def test_a_certificate_that_vouches_for_itself(examined, backup, tmp_path):
    with Origin("primary", tls=self_signed(tmp_path, "localhost")) as primary:
        found = await examined(primary.url.replace("127.0.0.1", "localhost"), backup.url)
    assert "self-signed: it is for localhost" in found.only("tls", "primary").text
    assert "--upstream-ca" in found.only("tls", "primary").remedy


async def test_a_port_that_does_not_speak_tls(examined, primary, backup):
    found = await examined(primary.url.replace("http:", "https:"), backup.url, connect_timeout="200ms")
    assert "primary" in {one.target for one in found if one.grade is Grade.FAIL and one.check in {"tcp", "tls"}}


async def test_a_good_certificate(examined, backup, tmp_path):
    authority = Authority(tmp_path)
    with Origin("primary", tls=authority.server("127.0.0.1")) as primary:
        primary.answer = backup.answer = backup.routes["/"]
        found = await examined(primary.url, backup.url, upstream_ca=str(authority.pem))
    assert found.only("tls", "primary").grade is Grade.OK
    assert "more, until" in found.only("tls", "primary").text
    assert not found.bad(Grade.FAIL)


@pytest.mark.parametrize(
    ("life", "left", "grade"),
    [(90, 30, Grade.OK), (90, 13, Grade.WARN), (90, 2, Grade.FAIL), (6, 3, Grade.OK), (6, 1, Grade.FAIL)],
)
def test_days_left(life, left, grade):
    until = NOW + timedelta(days=left)
    details = {
        "notAfter": until.strftime("%b %d %H:%M:%S %Y GMT"),
        "notBefore": (until - timedelta(days=life)).strftime("%b %d %H:%M:%S %Y GMT"),
    }
    assert lasts("primary", details, NOW, 0.01).grade is grade


@pytest.mark.parametrize(
    ("url", "address", "warned"),
    [
        ("http://app.example", "93.184.215.14", True),
        ("https://app.example", "93.184.215.14", False),
        ("http://app.internal", "10.0.0.7", False),
        ("http://app.example", "2606:2800:21f::1", True),
        ("http://app.example", "fe80::1%eth0", False),
    ],
)
def test_plain_http_at_a_public_address(url, address, warned):
    assert [one.grade for one in readable(parse_target(url, "primary"), (address,))] == [Grade.WARN] * warned


# Loops


@pytest.mark.parametrize(
    ("listen", "address", "loops"),
    [
        (Listen("0.0.0.0", 8080), "127.0.0.2", True),
        (Listen("::", 8080), "::1", True),
        (Listen("127.0.0.2", 8080), "127.0.0.2", True),
        (Listen("localhost", 8080), "127.0.0.1", True),
        (Listen("127.0.0.1", 8080), "127.0.0.2", False),
        (Listen("0.0.0.0", 8081), "127.0.0.2", False),
        (Listen("0.0.0.0", 0), "127.0.0.2", False),
        (Listen("0.0.0.0", 8080), "192.0.2.7", False),
    ],
)
def test_the_port_of_this_proxy_on_an_address_of_this_machine(listen, address, loops):
    target = parse_target("http://app.example:8080", "primary")
    assert [one.grade for one in own_address(target, (address,), listen)] == [Grade.FAIL] * loops


def test_an_address_of_another_machine_is_not_here():
    assert not is_here("192.0.2.7")
    assert is_here("127.3.2.1")


async def test_a_target_that_is_another_failover(examined, primary, backup):
    with Program("--primary", primary.url, "--backup", backup.url) as program:
        url = program.ready().url
        found = await examined(url, f"{backup.url}/elsewhere")
    assert "is a failover itself" in found.only("loop", "primary").text
    assert found.only("loop", "primary").grade is Grade.WARN


async def test_a_target_that_is_this_very_failover(examined, primary, backup):
    with hold_port("0.0.0.0") as held:
        port = held.getsockname()[1]
    with Program("--primary", f"http://127.0.0.2:{port}", "--backup", backup.url, listen=f"0.0.0.0:{port}") as program:
        await asyncio.to_thread(program.ready)
        found = await examined(f"http://127.0.0.2:{port}", backup.url, host="target")
    assert "requests would go round" in found.only("loop", "primary").text
    assert found.only("loop", "primary").grade is Grade.FAIL


async def test_an_app_that_says_ok_to_everything_is_no_failover(examined, primary, backup):
    primary.routes["/__failover/health"] = primary.routes["/__failover/state"] = primary.routes["/healthz"]
    found = await examined(primary.url, backup.url)
    assert not found.of("loop")
