"""Connections in memory: two ends, each a transport, and between them time, small pieces, bounded buffers.

An end behaves as a socket's transport does: what the kernel has taken travels on after a close; a close with bytes
unread, or with linger 0, is a reset; bytes for an end that is closed are answered by a reset.
"""

from __future__ import annotations

import asyncio
import errno
import itertools
import os
import select
import socket
import struct

from simulation.clock import WORLD

_HIGH_WATER = 64 * 1024
_FIRST_FD = 1 << 26  # no file of this process has such a number
_MOST_PIECES = 30  # enough to tear a head; a large body may go faster

EOF = "end of file"
RESET = "reset"


class Line:
    """How a connection is: `delay()` seconds a way, at most `window` bytes on their way, cut into `pieces` or not.

    `cut` says whether packets are being dropped: nothing arrives until that ends, and then everything does.
    """

    cut = False

    def __init__(self, delay, window=1 << 30, pieces=None):
        self.delay = delay
        self.window = window
        self.pieces = pieces


class FakeSocket:
    """A connected socket before it has a transport, and what `get_extra_info("socket")` gives afterwards."""

    def __init__(self, end):
        self._end = end

    async def attach(self, factory):
        """What `loop.create_connection(factory, sock=self)` does."""
        end = self._end
        protocol = factory()
        end.protocol = protocol
        protocol.connection_made(end)
        try:
            await asyncio.sleep(0)
        except BaseException:
            end.close()
            raise
        end.plan_read()  # whoever made the connection may write before anything is read from it
        return end, protocol

    def getpeername(self):
        return self._end.peername

    def fileno(self):
        return -1 if self._end.closed else self._end.fd

    def getsockopt(self, level, option, size):
        assert option == socket.SO_PEERCRED
        return struct.pack("iII", os.getpid(), os.geteuid(), os.getegid())  # all processes of a history are this one

    def setsockopt(self, level, option, value):
        if option == socket.SO_LINGER:
            self._end.lingers = False

    def close(self):
        if self._end.protocol is None:
            self._end.die()


class End(asyncio.Transport):
    """One end of a connection. `process` is whose it is, None for a target's or a visitor's."""

    numbers = itertools.count(_FIRST_FD)

    def __init__(self, loop, line, process, peername):
        super().__init__()
        self.loop = loop
        self.line = line
        self.process = process
        self.peername = peername
        self.fd = next(End.numbers)
        self.socket = FakeSocket(self)
        self.protocol = None
        self.peer = None
        self.made_at = 0.0  # when a connection that was asked for was there
        self.is_fresh = False  # the latest request was written to it in that moment, and not later
        self.lingers = True
        self.closed = False  # the file is closed: the peer hears nothing more from us, and we nothing from it
        self.on_write = self.on_read = None
        # sending
        self._unsent = bytearray()
        self._travelling = 0  # sent, and not yet read by the peer
        self._on_the_way = 0  # sent, and not yet with the peer
        self._arrives = 0.0
        self._pieces = 0
        self._high, self._low = _HIGH_WATER, _HIGH_WATER // 4
        self._full = False
        self._eof_wanted = self._eof_sent = False
        self._closing = False
        # receiving
        self.inbox = []
        self._reading = True
        self._read_planned = False
        self._eof_read = False
        loop.network.ends[self.fd] = self
        if process is not None:
            process.ends.add(self)

    def begin(self, protocol):
        """From now on it belongs to a protocol."""
        self.protocol = protocol
        protocol.connection_made(self)
        self.plan_read()

    # -- as asyncio's transports have it

    def get_extra_info(self, name, default=None):
        return {"socket": self.socket, "peername": self.peername}.get(name, default)

    def is_closing(self):
        return self._closing

    def set_protocol(self, protocol):
        self.protocol = protocol

    def get_protocol(self):
        return self.protocol

    def set_write_buffer_limits(self, high=None, low=None):
        self._high = _HIGH_WATER if high is None else high
        self._low = self._high // 4 if low is None else low

    def get_write_buffer_size(self):
        return len(self._unsent)

    def get_write_buffer_limits(self):
        return self._low, self._high

    def is_reading(self):
        return self._reading and not self._closing

    def pause_reading(self):
        self._reading = False

    def resume_reading(self):
        if not self._reading:
            self._reading = True
            self.plan_read()

    def write(self, data):
        if self._eof_wanted:
            raise RuntimeError("Cannot call write() after write_eof()")
        if self._closing or not data:
            return
        if self.on_write is not None:
            self.on_write(data)
        self._unsent += data
        self._send()
        if len(self._unsent) > self._high and not self._full:
            self._full = True
            self.protocol.pause_writing()

    def writelines(self, lines):
        self.write(b"".join(lines))

    def can_write_eof(self):
        return True

    def write_eof(self):
        if not self._eof_wanted and not self._closing:
            self._eof_wanted = True
            self._send()

    def close(self):
        if not self._closing:
            self._closing = True
            if not self._unsent:
                self._finish(None)

    def abort(self):
        if not self.closed:
            self._closing = True
            self._unsent.clear()
            self._finish(None)

    # -- the kernel's part

    @property
    def unacknowledged(self):
        """Bytes that the kernel has taken and the peer's kernel has not."""
        return self._on_the_way

    def has_news(self, events):
        """Whether a poll for these events would find something."""
        return bool(self.inbox) if events & select.POLLIN else any(item in {EOF, RESET} for item in self.inbox)

    def die(self):
        """The process is gone, and its files are closed."""
        if not self.closed:
            self._unsent.clear()
            self.protocol = None
            self._close_file()

    def _send(self):
        room = self.line.window - self._travelling
        while self._unsent and room > 0:
            size = min(len(self._unsent), room)
            if self.line.pieces is not None and self._pieces < _MOST_PIECES:
                self._pieces += 1
                size = min(size, self.line.pieces())
            piece = bytes(self._unsent[:size])
            del self._unsent[:size]
            room -= size
            self._travelling += size
            self._on_the_way += size
            self._depart(piece)
        if not self._unsent and self._eof_wanted and not self._eof_sent:
            self._eof_sent = True
            self._depart(EOF)

    def _depart(self, item):
        self._arrives = max(self._arrives, self.loop.clock.now + self.line.delay())
        self.loop.call_at(self._arrives, self.peer.arrive, item, context=WORLD)

    def arrive(self, item):
        """Something has come over the line."""
        if self.line.cut:
            self.loop.network.held.append((self, item))
            return
        if not isinstance(item, str):
            self.peer.arrived(len(item))
        if self.closed:
            if item is not RESET and item is not EOF:
                self._depart(RESET)
        else:
            self.inbox.append(item)
            self.plan_read()

    def plan_read(self):
        if self.inbox and self.protocol is not None and not self._read_planned:
            self._read_planned = True
            self._soon(self._read)

    def _read(self):
        self._read_planned = False
        while self.inbox and not self.closed:
            if self.inbox[0] is RESET:
                self.inbox.clear()
                self._closing = True
                self._unsent.clear()
                self._finish(ConnectionResetError(errno.ECONNRESET, "Connection reset by peer"))
            elif self._closing or not self._reading:
                if RESET not in self.inbox:
                    return  # nobody reads; only a reset comes through
                self.inbox = [RESET]
            elif self.inbox[0] is EOF:
                self.inbox.pop(0)
                self._eof_read = True
                if not self.protocol.eof_received():
                    self.close()
            else:
                data = self._take()
                self.peer.acknowledged(len(data))
                self.protocol.data_received(data)
                if self.on_read is not None:
                    self.on_read()

    def _take(self):
        """What one call of recv gives: all bytes that are here."""
        if len(self.inbox) == 1:
            return self.inbox.pop()
        count = next((n for n, item in enumerate(self.inbox) if isinstance(item, str)), len(self.inbox))
        data, self.inbox = b"".join(self.inbox[:count]), self.inbox[count:]
        return data

    def arrived(self, size):
        self._on_the_way -= size

    def acknowledged(self, size):
        """The peer has taken bytes: there is room for more."""
        self._travelling -= size
        if self._unsent and not self.closed:
            self._soon(self._go_on)

    def _go_on(self):
        if self.closed:
            return
        self._send()
        if self._full and len(self._unsent) <= self._low:
            self._full = False
            self.protocol.resume_writing()
        if self._closing and not self._unsent:
            self._finish(None)

    def _finish(self, exc):
        if self.closed:
            return
        self._close_file(was_reset=exc is not None)
        if self.protocol is not None:
            self._soon(self._lost, exc)

    def _lost(self, exc):
        if self.protocol is not None:
            self.protocol.connection_lost(exc)

    def _soon(self, callback, *args):
        self.loop.call_soon(callback, *args, context=WORLD if self.process is None else self.process.context)

    def _close_file(self, *, was_reset=False):
        unread = any(not isinstance(item, str) for item in self.inbox)
        self.closed = self._closing = True
        self.loop.network.ends.pop(self.fd, None)
        if self.process is not None:
            self.process.ends.discard(self)
        if was_reset:
            return
        if unread or not self.lingers:
            self._depart(RESET)
        elif not self._eof_sent:
            self._eof_sent = True
            self._depart(EOF)


def pair(loop, line, near, far, *, near_name, far_name):
    """Two ends of a new connection, for the processes `near` and `far` (None for the world's own)."""
    one, other = End(loop, line, near, far_name), End(loop, line, far, near_name)
    one.peer, other.peer = other, one
    return one, other


class Listening:
    """A listening socket that the supervisor holds: processes come and go, connections wait for one that accepts."""

    def __init__(self, loop, chance):
        self._loop = loop
        self._chance = chance
        self._servers = []
        self._waiting = []

    def serve(self, factory, process):
        server = Server(self, factory, process)
        self._servers.append(server)
        while self._waiting:
            self._accept(self._waiting.pop(0))
        return server

    def connect(self, line, near, near_name):
        """A connection to whoever accepts: its near end."""
        one, other = pair(self._loop, line, near, None, near_name=near_name, far_name=("here", 0))
        self._loop.at(self._loop.time() + line.delay(), self._accept, other)
        return one

    def _accept(self, end):
        self._servers = [server for server in self._servers if server.process.alive]
        if end.closed:
            return
        if not self._servers:
            self._waiting.append(end)
            return
        server = self._chance.choice(self._servers)
        end.process = server.process
        server.process.ends.add(end)
        self._loop.call_soon(server.accept, end, context=server.process.context)

    def left(self, server):
        if server in self._servers:
            self._servers.remove(server)


class Server:
    """What `create_server` gives."""

    def __init__(self, listening, factory, process):
        self._listening = listening
        self._factory = factory
        self.process = process

    def accept(self, end):
        if not end.closed:
            end.begin(self._factory())

    def close(self):
        self._listening.left(self)
