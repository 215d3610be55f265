"""The channel between the processes (`channel`, `controller/crew`): bytes of a neighbour that has lost its mind.

1. A callback never raises, whatever comes.
2. However the bytes are split, the same messages are heard, up to the first that cannot be read.
3. After that one, or after somebody has closed the line, nothing more is heard, and the connection is ended once.
4. Who has not proved to be ours is heard by nobody.
5. A message that we send is read as it was.
"""

from __future__ import annotations

import asyncio
import os
import struct
from types import SimpleNamespace

from failover.channel import Failure, Hello, Peer, Saw, Told
from failover.controller.crew import Crew
from failover.core.model import ErrorType, Kind, Routing, TargetState, Verdict
from fuzz.parts import pieces, taken_apart

DICTIONARY = "msgpack"
TOKEN = "the token of this supervisor"
US = frozenset((os.geteuid(),))
_loop = asyncio.new_event_loop()

STATE = TargetState("primary", True, (("::1", 80),), Kind.REPLICA)
ROUTING = Routing(Verdict.SUSPECT, 1.0, 1, 0, (STATE,), memory=b"\0")
SENT = {
    "controller": [
        Hello(TOKEN, 0, 7, ROUTING),
        Failure("primary", ErrorType.SLOW, "why", 1.0),
        Saw(0, [("ok", "/", 200, 1)], 0, 0, [1], [], b"", None),
    ],
    "worker": [Told(ROUTING)],
}


class Wire:
    """The transport below a peer: keeps what is written and how often it is ended."""

    def __init__(self):
        self.written = b""
        self.aborts = 0

    def get_extra_info(self, _):
        return self

    def getsockopt(self, *_):
        return struct.pack("iII", os.getpid(), os.geteuid(), os.getegid())  # the neighbour runs as we do

    def is_closing(self):
        return bool(self.aborts)

    def get_write_buffer_size(self):
        return 0

    def write(self, data):
        self.written += data

    def abort(self):
        self.aborts += 1


def heard(side, parts, *, leave_after=None):
    messages = []

    def on_message(peer, message):
        messages.append(message)
        if len(messages) == leave_after:
            peer.close()

    peer = Peer(side, US, on_message, lambda _: None)
    wire = Wire()
    peer.connection_made(wire)
    for part in parts:
        if wire.aborts:
            break
        peer.data_received(part)
    assert wire.aborts < 2
    return messages, wire.aborts


def one(data):
    data, numbers = taken_apart(data)
    parts = pieces(data, numbers)
    for side, sent in SENT.items():
        whole = heard(side, [data])
        assert repr(whole) == repr(heard(side, parts))  # nan is not nan
        if whole[0]:
            assert repr(heard(side, [data], leave_after=1)) == repr((whole[0][:1], 1))
        wire = Wire()
        peer = Peer(side, US, lambda *_: None, lambda _: None)
        peer.connection_made(wire)
        for message in sent:
            peer.send(message)
        assert heard(side, [wire.written + data])[0][: len(sent)] == sent
    strangers(data)


def strangers(data):
    launch = SimpleNamespace(token=TOKEN, ancestor="the token of an ancestor", peers=US)
    told = []
    crew = Crew(launch, _loop, lambda _, message: told.append(message), lambda _: None)
    peer = crew.came()
    peer.connection_made(Wire())
    peer.data_received(data)
    assert not told or TOKEN.encode() in data
    crew.close()
