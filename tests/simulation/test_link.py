"""The connections that histories are made of behave as sockets do."""

import asyncio

import pytest

from simulation.clock import Clock, Process, VirtualLoop
from simulation.link import Line, pair
from simulation.network import Network


class Ear(asyncio.Protocol):
    def __init__(self, *, keeps_half=False):
        self.heard = []
        self.keeps_half = keeps_half

    def data_received(self, data):
        self.heard.append(data)

    def eof_received(self):
        self.heard.append("end")
        return self.keeps_half

    def connection_lost(self, exc):
        self.heard.append("lost" if exc is None else "reset")

    def pause_writing(self):
        self.heard.append("full")

    def resume_writing(self):
        self.heard.append("room")


class Wire:
    """Two ends, a second apart."""

    def __init__(self, *, window=1 << 30, pieces=None, keeps_half=False, process=None):
        network = Network()
        self.loop = network.loop = VirtualLoop(Clock(), network)
        line = Line(lambda: 1.0, window, pieces)
        self.near, self.far = pair(self.loop, line, process, None, near_name=("near", 1), far_name=("far", 2))
        self.near_ear, self.far_ear = Ear(keeps_half=keeps_half), Ear(keeps_half=keeps_half)
        self.near.begin(self.near_ear)
        self.far.begin(self.far_ear)


@pytest.fixture
def wire():
    made = []

    def make(**how):
        made.append(Wire(**how))
        return made[-1]

    yield make
    for one in made:
        one.loop.wind_up()


def test_bytes_take_their_time_and_stay_in_order(wire):
    w = wire(pieces=lambda: 2)
    w.near.write(b"abcde")
    w.loop.run_for(0.9)
    assert w.far_ear.heard == []
    w.loop.run_for(0.2)
    assert b"".join(w.far_ear.heard) == b"abcde"


def test_what_was_written_arrives_before_the_end(wire):
    w = wire()
    w.near.write(b"last words")
    w.near.close()
    w.loop.run_for(5)
    assert w.far_ear.heard == [b"last words", "end", "lost"]
    assert w.near_ear.heard == ["lost"]


def test_a_close_with_bytes_unread_is_a_reset(wire):
    w = wire()
    w.near.pause_reading()
    w.far.write(b"unread")
    w.loop.run_for(2)
    w.near.close()
    w.loop.run_for(2)
    assert w.far_ear.heard == ["reset"]


def test_bytes_for_who_has_closed_are_answered_by_a_reset(wire):
    w = wire(keeps_half=True)
    w.near.abort()
    w.loop.run_for(1.5)
    w.far.write(b"hello?")
    w.loop.run_for(3)
    assert w.far_ear.heard == ["end", "reset"]


def test_a_half_may_be_closed(wire):
    w = wire(keeps_half=True)
    w.near.write_eof()
    w.loop.run_for(2)
    w.far.write(b"answer")
    w.loop.run_for(2)
    assert w.near_ear.heard == [b"answer"]
    with pytest.raises(RuntimeError):
        w.near.write(b"more")


def test_a_slow_reader_fills_the_buffers(wire):
    w = wire(window=10)
    w.near.set_write_buffer_limits(20)
    w.far.pause_reading()
    w.near.write(b"." * 31)
    assert w.near_ear.heard == ["full"]
    assert w.near.get_write_buffer_size() == 21
    w.far.resume_reading()
    w.loop.run_for(10)
    assert w.near_ear.heard == ["full", "room"]
    assert len(b"".join(w.far_ear.heard)) == 31


def test_the_dead_hear_nothing_and_their_peers_hear_the_end(wire):
    process = Process("worker")
    w = wire(process=process)
    w.far.write(b"too late")
    process.kill()
    w.loop.run_for(5)
    assert w.near_ear.heard == []
    assert w.far_ear.heard == ["end", "lost"]


def test_no_time_passes_by_itself(wire):
    w = wire()
    seen = []
    w.loop.call_later(3600, lambda: seen.append(w.loop.time()))
    w.loop.run_for(7200)
    assert seen == [3600.0]
    assert w.loop.time() == 7200.0
