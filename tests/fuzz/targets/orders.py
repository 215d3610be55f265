"""What is said over the control socket and the admin listener: orders to the proxy, and answers to a command.

1. An order that cannot be read is a 400 or 415 and nothing else (`admin/api`).
2. What is kept of a name or a note is one printable line of UTF-8.
3. An answer that cannot be read ends a command with UnreachableError and nothing else (`cli/ask`, `cli/control`), and
   nothing of it moves the cursor of a terminal.
"""

from __future__ import annotations

import asyncio
import unicodedata
from types import SimpleNamespace

from aiohttp import web

from failover.admin import api
from failover.cli.ask import exchange
from failover.cli.control import Proxy
from failover.errors import UnreachableError
from fuzz.parts import taken_apart, text

DICTIONARY = "json"
INVISIBLE = {"Cc", "Cf", "Cs", "Zl", "Zp"}
ORDERS = (api.SwitchOrder, api.HoldOrder, api.DrillOrder, api.NoteOrder, api.Order)
_loop = asyncio.new_event_loop()


def request(data, kind):
    async def read():
        return data

    return SimpleNamespace(content_type=kind, read=read)


class Connection:
    """A socket whose other end says this, and closes."""

    def __init__(self, data):
        self._data = data

    def sendall(self, data):
        pass

    def settimeout(self, seconds):
        pass

    def recv(self, size):
        data, self._data = self._data[:size], self._data[size:]
        return data

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass


def one(data):
    data, _ = taken_apart(data)
    named = api.Api(SimpleNamespace(who=lambda _: text(data)))._who(None, "")  # by a header, as aiohttp reads it
    named.encode()
    assert named.isprintable()
    for kind in ORDERS:
        try:
            order = _loop.run_until_complete(api._read(request(data, "application/json"), kind))
            api._seconds(getattr(order, "length", None), 1, 100)
        except (web.HTTPBadRequest, web.HTTPUnsupportedMediaType) as refused:
            assert refused.text
            continue
        for kept in (order.who, getattr(order, "text", "")):
            line = api.plain(kept)
            line.encode()
            assert line.isprintable()
    for raw in (data, b"HTTP/1.0 200 OK\r\n\r\n" + data, b"HTTP/1.0 409 No\r\n\r\n" + data):
        proxy = Proxy(("127.0.0.1", 1), None, 1.0)
        proxy._connect = lambda raw=raw: Connection(raw)
        try:
            said = proxy.get("/")
        except UnreachableError as error:
            harmless(str(error))
        else:
            harmless(said)
        try:
            status, _ = exchange(Connection(raw), b"", 1.0, "a name")
            assert isinstance(status, int)
        except UnreachableError:
            pass


def harmless(said):
    if isinstance(said, dict):
        for name, value in said.items():
            harmless(name)
            harmless(value)
    elif isinstance(said, list):
        for value in said:
            harmless(value)
    elif isinstance(said, str):
        assert not [sign for sign in said if sign != "\n" and unicodedata.category(sign) in INVISIBLE], said
