"""Other readers of HTTP/1.1, to compare with: llhttp with callbacks, h11, and a decoder of chunks written for this."""

from __future__ import annotations

import re

import h11
import httptools


class Heard:
    """What llhttp says of one message: its head, where its body began and ended, whether it was whole."""

    def __init__(self):
        self.fields = []
        self.heads = self.wholes = 0
        self.body = b""
        self.url = b""
        self.keep_alive = None
        self.parser = None

    def on_url(self, url):
        self.url += url

    def on_header(self, name, value):
        self.fields.append((name, value.strip(b" \t")))

    def on_headers_complete(self):
        self.heads += 1
        self.keep_alive = self.parser.should_keep_alive()

    def on_body(self, body):
        self.body += body

    def on_message_complete(self):
        self.wholes += 1


def by_llhttp(raw, kind):
    """What llhttp hears, or None when it refuses. `kind` is its class of parser."""
    heard = Heard()
    heard.parser = kind(heard)
    try:
        heard.parser.feed_data(raw)
    except httptools.HttpParserUpgrade:
        pass
    except httptools.HttpParserError:
        return None
    return heard


def request_by_h11(raw):
    """(method, target, fields, body length or 'chunked'), or None when h11 refuses."""
    connection = h11.Connection(h11.SERVER, max_incomplete_event_size=1 << 20)
    connection.receive_data(raw)
    try:
        event = connection.next_event()
    except h11.RemoteProtocolError:
        return None
    if not isinstance(event, h11.Request):
        return None
    fields = [(bytes(name), bytes(value)) for name, value in event.headers.raw_items()]
    return bytes(event.method), bytes(event.target), fields


_SIZE = re.compile(rb"[0-9A-Fa-f]+")


class Chunks:
    """A chunked body read whole, byte by byte from the RFC (9112 section 7.1): `payload`, `trailers`, `rest`.

    `whole` is false while more must come. Raises ValueError where the grammar is broken.
    """

    def __init__(self, data):
        self.payload = b""
        self.trailers = []
        self.rest = b""
        self.whole = False
        at = 0
        while True:
            line, at = _line(data, at)
            if line is None:
                return
            size = _SIZE.match(line)
            if size is None or line[size.end() :].lstrip(b" \t")[:1] not in {b"", b";"}:
                raise ValueError(f"no size: {line!r}")
            if line[size.end() :] and b";" not in line:
                raise ValueError(f"blanks behind the size: {line!r}")
            length = int(size[0], 16)
            if not length:
                break
            self.payload += data[at : at + length]
            at += length
            if len(data) < at + 2:
                if not b"\r\n".startswith(data[at:]):
                    raise ValueError("a chunk is longer than it says")
                return
            if data[at : at + 2] != b"\r\n":
                raise ValueError("a chunk is longer than it says")
            at += 2
        while True:
            line, at = _line(data, at)
            if line is None:
                return
            if not line:
                self.whole = True
                self.rest = data[at:]
                return
            self.trailers.append(line)


def _line(data, at):
    end = data.find(b"\r\n", at)
    return (None, at) if end < 0 else (data[at:end], end + 2)
