"""This machine, and the webhooks."""

import shutil
import socket
from types import SimpleNamespace

import pytest

from failover.doctor import machine as doctor_machine
from failover.doctor.base import Grade, Means
from failover.doctor.machine import certificate, disk, files, port
from failover.settings.types import Listen
from support.origin import hold_port
from support.program import Program
from support.tls import Files

MB = 1_000_000


def means(folder=None, why="", *, on_purpose=False):
    return Means(probe=None, describe=None, folder=folder, why_none=why, on_purpose=on_purpose)


# Disk


@pytest.mark.parametrize(("free", "grade"), [(9 * MB, Grade.FAIL), (99 * MB, Grade.WARN), (100 * MB, Grade.OK)])
def test_room_for_incidents(monkeypatch, tmp_path, free, grade):
    monkeypatch.setattr(shutil, "disk_usage", lambda _place: SimpleNamespace(free=free))
    (found,) = disk(means(tmp_path))
    assert found.grade is grade
    assert f"{free // MB} MB free" in found.text


def test_a_folder_is_tried_and_left_as_it_was(tmp_path):
    (there,) = disk(means(tmp_path))
    (to_be_made,) = disk(means(tmp_path / "a" / "b"))
    assert (there.grade, to_be_made.grade) == (Grade.OK, Grade.OK)
    assert "is writable" in there.text
    assert "can be made" in to_be_made.text
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").touch()
    (found,) = disk(means(tmp_path / "file" / "state"))
    assert found.grade is Grade.FAIL
    assert "cannot be made" in found.text


def test_a_folder_that_cannot_be_written_to(monkeypatch, tmp_path):
    def refuse(**_how):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(doctor_machine.tempfile, "TemporaryFile", refuse)  # root may write everywhere
    (found,) = disk(means(tmp_path))
    assert found.grade is Grade.FAIL
    assert found.text.endswith("cannot be written to: permission denied")


@pytest.mark.parametrize(("on_purpose", "grade"), [(True, Grade.OK), (False, Grade.WARN)])
def test_no_folder_at_all(on_purpose, grade):
    (found,) = disk(means(None, "there is no home directory", on_purpose=on_purpose))
    assert found.grade is grade
    assert "there is no home directory" in found.text


# Files


@pytest.mark.parametrize(
    ("possible", "wanted", "grade"),
    [
        (16, 16, Grade.WARN),
        (1023, 1023, Grade.WARN),
        (1024, 1024, Grade.OK),
        (20_000, 20_001, Grade.WARN),
        (20_000, 100, Grade.OK),
        (100_000, 1_000_000, Grade.OK),
    ],
)
def test_open_files(monkeypatch, possible, wanted, grade):
    monkeypatch.setattr(doctor_machine, "default_connections", lambda _workers: possible)
    (found,) = files(SimpleNamespace(workers=1, max_connections=wanted))
    assert found.grade is grade


# The certificate that clients are shown


@pytest.mark.parametrize(
    ("days", "grade", "said"),
    [
        (90, Grade.OK, "for site.test, 127.0.0.1, good for 89 days more"),
        (13, Grade.WARN, "good for 12 days more"),
        (-1, Grade.FAIL, "has expired"),
    ],
)
def test_how_long_the_certificate_is_good(tmp_path, days, grade, said):
    (found,) = certificate(SimpleNamespace(tls_cert=Files(tmp_path, days=days).both, tls_key=None))
    assert found.grade is grade
    assert said in found.text


def test_without_tls_there_is_no_certificate_to_look_at():
    assert list(certificate(SimpleNamespace(tls_cert=None))) == []


# The port


async def test_a_free_port():
    with hold_port() as held:
        number = held.getsockname()[1]
    assert (await port(Listen("127.0.0.1", number), 5)).grade is Grade.OK
    assert (await port(Listen("127.0.0.1", 0), 5)).grade is Grade.OK


async def test_a_port_of_another_program(primary):
    found = await port(Listen("127.0.0.1", primary.port), 5)
    assert found.grade is Grade.FAIL
    assert "another program" in found.text


async def test_the_port_of_a_running_failover(primary, backup):
    with Program("--primary", primary.url, "--backup", backup.url) as program:
        found = await port(Listen("127.0.0.1", program.ready().port), 5)
    assert found.grade is Grade.OK
    assert "a failover listens on" in found.text


async def test_the_port_of_a_running_failover_that_speaks_tls(primary, backup, tmp_path):
    cert = str(Files(tmp_path).both)
    with Program("--primary", primary.url, "--backup", backup.url, "--tls-cert", cert) as program:
        found = await port(Listen("127.0.0.1", program.ready().port), 5, tls=True)
    assert found.grade is Grade.OK
    assert "a failover listens on" in found.text


@pytest.mark.parametrize("host", ["192.0.2.1", "nobody.invalid"])
async def test_an_address_that_is_not_of_this_machine(host):
    assert (await port(Listen(host, 8080), 5)).grade is Grade.FAIL


# Webhooks


async def test_no_webhook(examined, primary, backup):
    found = await examined(primary.url, backup.url)
    assert found.only("webhook", "webhooks").grade is Grade.WARN
    assert "nobody is told" in found.only("webhook", "webhooks").text


async def test_webhooks_are_reached_and_sent_nothing(examined, primary, backup):
    with hold_port() as dead, socket.create_server(("127.0.0.1", 0)) as alive:
        there = f"http://127.0.0.1:{alive.getsockname()[1]}/very-secret-words"
        urls = f"{there},http://127.0.0.1:{dead.getsockname()[1]}/x,http://nobody.invalid/x,json://localhost/x"
        found = await examined(primary.url, backup.url, webhook_url=urls)
        connection, _ = alive.accept()
        with connection:
            assert connection.recv(1) == b""
    assert [one.grade for one in found.of("webhook")] == [Grade.OK, Grade.FAIL, Grade.FAIL, Grade.OK]
    assert "refused connections" in found.of("webhook")[1].text
    assert "does not resolve" in found.of("webhook")[2].text or "no name server" in found.of("webhook")[2].text
    assert "very-secret-words" not in str(found)


async def test_behind_a_proxy_only_the_proxy_is_reached(examined, monkeypatch, primary, backup):
    with socket.create_server(("127.0.0.1", 0)) as proxy:
        monkeypatch.setenv("https_proxy", f"http://127.0.0.1:{proxy.getsockname()[1]}")
        found = await examined(primary.url, backup.url, webhook_url="https://nobody.invalid/x")
    (told,) = found.of("webhook")
    assert told.grade is Grade.OK
    assert "through the proxy 127.0.0.1" in told.text
