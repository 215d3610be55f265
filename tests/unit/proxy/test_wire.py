"""Heads: what llhttp accepts we read as llhttp does, seen before or not."""

from __future__ import annotations

import contextlib
import string

import httptools
import pytest
from hypothesis import given
from hypothesis import strategies as st

from failover.proxy.fields import CHUNKED, UNTIL_CLOSE, Malformed
from failover.proxy.wire import HeadReader

TOKEN = string.ascii_letters + string.digits + "!#$%&'*+-.^_`|~"
names = st.text(TOKEN, min_size=1, max_size=12).filter(lambda name: name.lower() not in {"connection", "upgrade", "te"})
values = st.text([chr(code) for code in range(0x20, 0x7F)], max_size=20)


class Heard:
    def __init__(self) -> None:
        self.fields: list[tuple[bytes, bytes]] = []

    def on_header(self, name: bytes, value: bytes) -> None:
        self.fields.append((name, value))


def heard_by_llhttp(raw: bytes) -> list[tuple[bytes, bytes]] | None:
    heard = Heard()
    try:
        httptools.HttpRequestParser(heard).feed_data(raw)
    except httptools.HttpParserError:
        return None
    return heard.fields


@given(st.lists(st.tuples(names, values), max_size=8))
def test_what_we_carry_over_is_what_llhttp_heard(fields):
    lines = [f"{name}: {value}".encode() for name, value in fields]
    raw = b"\r\n".join([b"GET / HTTP/1.1", b"Host: a", *lines, b"", b""])
    heard = heard_by_llhttp(raw)
    reader = HeadReader()
    for _ in range(2):  # the second time from memory
        try:
            head = reader.request(raw)
        except Malformed:
            continue  # stricter than llhttp is fine
        assert heard is not None, "never laxer than llhttp"
        carried = [(line.partition(b":")[0], line.partition(b":")[2].strip(b" \t")) for line in head.lines]
        told = [(name, value.strip(b" \t")) for name, value in heard]
        assert [pair for pair in told if pair in carried] == carried


@given(st.binary(max_size=60))
def test_no_bytes_make_the_reader_do_anything_but_refuse(noise):
    reader = HeadReader()
    for raw in (noise + b"\r\n\r\n", b"GET / HTTP/1.1\r\nHost: a\r\n" + noise + b"\r\n\r\n"):
        if raw.find(b"\r\n\r\n") != len(raw) - 4:
            continue
        for read in (reader.request, reader.response):
            with contextlib.suppress(Malformed):
                read(raw)


@given(st.binary(min_size=1, max_size=20))
def test_a_line_is_remembered_only_from_a_well_formed_head(noise):
    """However a line came to be known, a head with it is judged as by a reader that never saw it."""
    raw = b"GET / HTTP/1.1\r\nHost: a\r\nX: " + noise + b"\r\n\r\n"
    if raw.find(b"\r\n\r\n") != len(raw) - 4:
        return
    warm = HeadReader()

    def verdict(reader: HeadReader) -> str:
        try:
            return repr(reader.request(raw).lines)
        except Malformed as error:
            return str(error.status)

    first = verdict(warm)
    assert verdict(warm) == first == verdict(HeadReader())


def test_the_memory_is_bounded():
    reader = HeadReader()
    memory = reader._requests
    for number in range(memory.MOST * 2):
        reader.request(b"GET / HTTP/1.1\r\nHost: a\r\nX: %d\r\n\r\n" % number)
    assert len(memory.known) <= memory.MOST
    long = b"X: " + b"a" * memory.LONGEST
    reader.request(b"GET / HTTP/1.1\r\nHost: a\r\n" + long + b"\r\n\r\n")
    assert long not in memory.known


@pytest.mark.parametrize(
    ("head", "length", "keep_alive"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 7", 7, True),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked", CHUNKED, True),
        (b"HTTP/1.1 200 OK", UNTIL_CLOSE, True),
        (b"HTTP/1.1 200 OK\r\nConnection: close", UNTIL_CLOSE, False),
        (b"HTTP/1.0 200 OK\r\nContent-Length: 7", 7, False),
        (b"HTTP/1.0 200 OK\r\nConnection: Keep-Alive\r\nContent-Length: 7", 7, True),
    ],
)
def test_where_an_answer_ends(head, length, keep_alive):
    reader = HeadReader()
    for _ in range(2):
        read = reader.response(head + b"\r\n\r\n")
        assert (read.length, read.keep_alive) == (length, keep_alive)


def test_a_head_is_carried_over_line_by_line():
    raw = b"GET /a?b HTTP/1.1\r\nHost: x:80\r\nAccept: */*\r\nConnection: keep-alive\r\nCookie: a=1\r\n\r\n"
    head = HeadReader().request(raw)
    assert head.lines == [b"Accept: */*", b"Cookie: a=1"]
    assert (head.method, head.target, head.host, head.safe) == (b"GET", b"/a?b", b"x:80", True)
    assert head.field(b"cookie") == b"a=1"
    assert head.field(b"nothing") == b""


def test_fields_named_by_connection_go_and_framing_stays():
    head = HeadReader().request(
        b"POST / HTTP/1.1\r\nHost: a\r\nConnection: close, X-A, Content-Length\r\nX-A: 1\r\nContent-Length: 3\r\n\r\n",
    )
    assert head.lines == [b"Content-Length: 3"]
    assert not head.keep_alive


def test_a_field_that_may_name_the_target_is_flagged():
    reader = HeadReader()
    assert reader.response(b"HTTP/1.1 302 Found\r\nLocation: /\r\n\r\n").may_name_target
    assert reader.response(b"HTTP/1.1 200 OK\r\nSet-Cookie: a=1; Domain=x\r\n\r\n").may_name_target
    assert not reader.response(b"HTTP/1.1 200 OK\r\nSet-Cookie: a=1; Path=/\r\n\r\n").may_name_target
