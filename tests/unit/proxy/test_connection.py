"""How long a client has, by what it owes; the connection is a real one, all that is around it is not."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from failover.proxy.downstream import Downstream
from failover.proxy.flow import NEVER
from failover.proxy.tunnel import Tunnel
from failover.proxy.wire import HeadReader

IDLE, LEAST = 60.0, 14_400


class Transport:
    """Nothing but what a connection asks of it. `unsent` is what its peer has not taken."""

    def __init__(self):
        self.unsent = 0
        self.ends = []

    def set_write_buffer_limits(self, high):
        pass

    def get_extra_info(self, _name):
        return None

    def get_write_buffer_size(self):
        return self.unsent

    def can_write_eof(self):
        return True

    def write_eof(self):
        self.ends.append("eof")

    def write(self, data):
        pass

    def close(self):
        self.ends.append("close")

    def abort(self):
        self.ends.append("reset")

    def is_closing(self):
        return False

    def pause_reading(self):
        pass

    resume_reading = pause_reading


@pytest.fixture
def worker():
    crowd = SimpleNamespace(join=lambda _: None, leave=lambda _: None)
    return SimpleNamespace(
        now=1000.0,
        idle_timeout=IDLE,
        least_progress=LEAST,
        draining=False,
        settings=SimpleNamespace(head_timeout=10.0),
        clients=SimpleNamespace(at=lambda address: SimpleNamespace(network=address, kin=None)),
        crowd=crowd,
        heads=HeadReader(),
    )


@pytest.fixture
def client(worker):
    downstream = Downstream(worker)
    downstream.connection_made(Transport())
    return downstream


def pass_deadline(client):
    client.worker.now = client.deadline + 0.1
    client.expire()


def test_who_reads_the_end_of_an_answer_slowly_has_the_time_of_a_slow_reader(client):
    """At 1 kB a second, four times the least, the last 200 kB take minutes."""
    began = client.worker.now
    client.close_after = True
    client.done()
    for _ in range(3):
        client.transport.unsent = int(200_000 - 1000 * (client.deadline - began))
        pass_deadline(client)
    assert client.transport.ends == ["eof"]


def test_who_does_not_read_the_end_of_an_answer_is_cut(client):
    client.close_after = True
    client.transport.unsent = 200_000
    client.done()
    pass_deadline(client)
    pass_deadline(client)
    assert client.transport.ends == ["eof", "reset"]


def test_half_of_an_empty_line_is_no_request_that_a_place_is_kept_for(client):
    client.data_received(b"\r")
    assert client.owes_head_since() == client.worker.now


def test_a_request_that_waits_for_its_turn_keeps_its_place(client):
    client.worker.loop = SimpleNamespace(call_soon=lambda _: None)
    client.exchange = SimpleNamespace(upload_done=True, parted=False)
    client.data_received(b"GET / HTTP/1.1\r\n\r\n")
    client.done()
    assert client.owes_head_since() == NEVER


def test_a_worker_that_drains_leaves_a_slow_reader_his_time(client):
    client.transport.unsent = 200_000
    client.pause_writing()
    client.drain()
    assert client.deadline == client.worker.now + IDLE


def test_a_tunnel_whose_target_serves_no_more_has_an_end_where_neither_side_reads(worker):
    ends = Transport(), Transport()
    tunnel = Tunnel(SimpleNamespace(worker=worker), SimpleNamespace(network=""))
    worker.settings.idle_timeout = IDLE
    for end in ends:
        end.unsent = 100_000
        end.set_protocol = lambda _: None
    tunnel.join(*ends)
    tunnel.leave()
    assert tunnel.deadline == worker.now + IDLE
    worker.now = tunnel.deadline + 0.1
    tunnel.expire()
    assert [end.ends for end in ends] == [["close", "reset"]] * 2
