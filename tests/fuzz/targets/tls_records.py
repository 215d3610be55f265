"""TLS on one connection (`proxy/tls`), both ends in this process, with a stranger in the middle.

1. A callback never raises, whatever comes, before, in and after the handshake.
2. `ready` is called once; what is above hears of bytes only after the handshake.
3. What is above gets a beginning of what was sent, whatever is done to the records on their way: nothing else.
"""

from __future__ import annotations

import asyncio
import ssl

import trustme

from failover.proxy.tls import Tls
from fuzz.parts import pieces, taken_apart

_ca = trustme.CA()
SERVER = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
_ca.issue_cert("site.example").configure_cert(SERVER)
CLIENT = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
_ca.configure_trust(CLIENT)
DICTIONARY = "http"
PLAINLY = b"HTTP/1.1 400 Bad Request\r\n\r\n"


class Wire:
    """The transport below; what is written waits until somebody carries it over."""

    def __init__(self):
        self.written = bytearray()
        self.closed = False

    def write(self, data):
        if not self.closed:
            self.written += data

    def writelines(self, several):
        self.write(b"".join(several))

    def write_eof(self):
        pass

    def is_closing(self):
        return self.closed

    def close(self):
        self.closed = True

    abort = close

    def taken(self):
        data = bytes(self.written)
        self.written.clear()
        return data


class App(asyncio.Protocol):
    def __init__(self):
        self.got = b""
        self.lost = 0

    def data_received(self, data):
        self.got += data

    def connection_lost(self, exc):
        self.lost += 1


class End:
    def __init__(self, *, server):
        self.app, self.wire, self.ready = App(), Wire(), []
        context = SERVER if server else CLIENT
        name = None if server else "site.example"
        self.tls = Tls(self.app, context, self.ready.append, server_side=server, server_hostname=name, plainly=PLAINLY)
        self.tls.connection_made(self.wire)

    def take(self, data):
        if data and not self.wire.closed:
            self.tls.data_received(data)

    def end(self):
        self.tls.eof_received()
        self.tls.connection_lost(None)
        assert len(self.ready) == 1, self.ready
        assert self.app.lost == 1


def joined():
    client, server = End(server=False), End(server=True)
    for _ in range(4):
        server.take(client.wire.taken())
        client.take(server.wire.taken())
    assert client.ready == server.ready == [None]
    return client, server


def one(data):
    data, numbers = taken_apart(data)
    stranger = End(server=True)
    for part in pieces(data, numbers):
        stranger.take(part)
    assert not stranger.app.got
    stranger.end()
    client, server = joined()
    client.tls.write(data)
    sent = bytearray(client.wire.taken())
    if len(numbers) > 1 and sent:
        sent[(numbers[0] * 257 + numbers[1]) % len(sent)] ^= numbers[-1]
    for part in pieces(bytes(sent), numbers[2:]):
        server.take(part)
    assert data.startswith(server.app.got)
    if numbers[-1:] in ([], [0]):
        assert server.app.got == data
    server.take(data)
    assert data.startswith(server.app.got) or server.app.got == data
    client.take(data)
    assert not client.app.got
    server.end()
    client.end()
