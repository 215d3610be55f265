import contextlib
import os
import socket
import sys

import pytest

from failover.errors import StartError
from failover.settings.types import Listen
from failover.supervisor import systemd
from failover.supervisor.sockets import open_channel, open_public, url_of


@contextlib.contextmanager
def opened(host, port=0):
    public = open_public(Listen(host, port))
    try:
        yield public
    finally:
        for one in public:
            one.close()


def connects(host, port):
    with socket.create_connection((host, port), timeout=5):
        return True


def test_port_0_becomes_a_real_port():
    with opened("127.0.0.1") as (public,):
        port = public.getsockname()[1]
        assert url_of(public) == f"http://127.0.0.1:{port}"
        assert url_of(public, tls=True) == f"https://127.0.0.1:{port}"
        assert port > 0
        assert connects("127.0.0.1", port)
        assert not public.getblocking()
        assert not public.get_inheritable()


@pytest.mark.skipif(not socket.has_dualstack_ipv6(), reason="this machine has no IPv6")
def test_two_colons_serve_both_families():
    with opened("::") as (public,):
        port = public.getsockname()[1]
        assert url_of(public) == f"http://[::]:{port}"
        assert connects("127.0.0.1", port)
        assert connects("::1", port)


def test_a_name_is_served_on_all_its_addresses_with_one_port():
    with opened("localhost") as public:
        assert len({one.getsockname()[1] for one in public}) == 1
        assert all(connects(*one.getsockname()[:2]) for one in public)


def test_a_taken_port_is_named_with_a_way_out():
    with opened("127.0.0.1") as (public,):
        port = public.getsockname()[1]
        with pytest.raises(StartError, match=rf"^cannot listen on 127\.0\.0\.1:{port}: another process .*--listen"):
            open_public(Listen("127.0.0.1", port))


def test_an_address_of_another_machine():
    with pytest.raises(StartError, match=r"192\.0\.2\.7 is not an address of this machine; use --listen 0\.0\.0\.0:0"):
        open_public(Listen("192.0.2.7", 0))


def test_a_name_that_does_not_resolve():
    with pytest.raises(StartError, match=r"the name nowhere\.invalid does not resolve"):
        open_public(Listen("nowhere.invalid", 8080))


def test_a_privileged_port(monkeypatch):
    def refuse(_self, _address):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(socket.socket, "bind", refuse)
    with pytest.raises(StartError, match=r"may not use port 80; .*CAP_NET_BIND_SERVICE"):
        open_public(Listen("127.0.0.1", 80))


@pytest.mark.parametrize("platform", ["linux", "darwin"])
def test_the_channel_can_be_reached_and_leaves_nothing_behind(platform, monkeypatch):
    if platform == "linux" and sys.platform != "linux":
        pytest.skip("abstract names are Linux's own")
    monkeypatch.setattr("sys.platform", platform)
    end = open_channel()
    try:
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(end.address)
        if end.directory is not None:
            assert end.directory.stat().st_mode & 0o777 == 0o700
    finally:
        end.remove()
    assert end.directory is None or not end.directory.exists()


def test_notifications_reach_the_service_manager(monkeypatch, tmp_path):
    address = os.fspath(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(address)
        monkeypatch.setenv("NOTIFY_SOCKET", address)
        systemd.notify("READY=1", "STATUS=Serving")
        assert manager.recv(4096) == b"READY=1\nSTATUS=Serving"
        systemd.reloading()
        first, second = manager.recv(4096).decode().splitlines()
        assert first == "RELOADING=1"
        assert second.removeprefix("MONOTONIC_USEC=").isdecimal()


@pytest.mark.parametrize("address", ["", "/nowhere/at/all", "@failover-test-nobody", "vsock:2:1"])
def test_a_manager_that_does_not_listen_changes_nothing(address, monkeypatch):
    monkeypatch.setenv("NOTIFY_SOCKET", address)
    systemd.notify("READY=1")


def test_without_a_descriptor_the_service_manager_is_not_told_and_nothing_else_happens(monkeypatch, tmp_path):
    resource = pytest.importorskip("resource")
    address = os.fspath(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(address)
        manager.setblocking(False)
        monkeypatch.setenv("NOTIFY_SOCKET", address)
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
        try:
            with pytest.raises(OSError, match="Too many open files"):
                os.dup(0)
            systemd.notify("READY=1")
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        with pytest.raises(BlockingIOError):
            manager.recv(4096)


def test_sockets_meant_for_another_process_are_left_alone(monkeypatch):
    monkeypatch.setenv("LISTEN_PID", str(os.getpid() + 1))
    monkeypatch.setenv("LISTEN_FDS", "1")
    assert systemd.activated() == ()
    assert "LISTEN_FDS" not in os.environ


def test_what_is_passed_must_be_a_listening_tcp_socket():
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as wrong,
        pytest.raises(StartError, match="not a listening TCP socket"),
    ):
        systemd._adopt(os.dup(wrong.fileno()))
    with opened("127.0.0.1") as (public,):
        passed = systemd._adopt(os.dup(public.fileno()))
        assert passed.getsockname() == public.getsockname()
        passed.close()


def test_a_descriptor_that_is_no_socket_is_told():
    read, write = os.pipe()
    os.close(write)
    try:
        with pytest.raises(StartError, match="which is no socket"):
            systemd._adopt(read)
    finally:
        os.close(read)
