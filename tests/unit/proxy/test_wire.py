"""Heads: what llhttp accepts we read as llhttp does, seen before or not."""

from __future__ import annotations

import contextlib
import string

import httptools
import pytest
from hypothesis import given
from hypothesis import strategies as st

from failover.proxy.fields import CHUNKED, UNTIL_CLOSE, Malformed
from failover.proxy.wire import MAX_HEAD, HeadReader

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


odd = st.lists(st.sampled_from(b'aZ_-: \t\r\n\0\x0b\x1f\x7f\x80\xff,;()"!~'), max_size=6).map(bytes)
known = st.sampled_from((b"x", b"Host", b"Via", b"X_Forwarded_For", b"Connection", b"Content-Type", b"Keep-Alive", b""))


@given(st.lists(st.tuples(known, odd, st.sampled_from((b":", b": ", b" :", b"")), odd).map(b"".join), max_size=4))
def test_no_line_is_taken_that_llhttp_refuses(lines):
    """Plain lines are not shown to it when they are new."""
    reader = HeadReader()
    for first, read, parser in (
        (b"GET / HTTP/1.1\r\nHost: a", reader.request, httptools.HttpRequestParser(Heard())),
        (b"HTTP/1.1 200 OK", reader.response, httptools.HttpResponseParser(Heard())),
    ):
        raw = b"\r\n".join([first, *lines, b"", b""])
        raw = raw[: raw.find(b"\r\n\r\n") + 4]
        with contextlib.suppress(Malformed, httptools.HttpParserUpgrade):
            read(raw)
            parser.feed_data(raw)


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


def test_the_memories_are_bounded():
    reader = HeadReader()
    lines = reader._request_lines
    for number in range(3000):
        reader.request(b"GET /%d HTTP/1.1\r\nHost: a\r\nX: %d%b\r\n\r\n" % (number, number, b"x" * 1000))
        reader.response(b"HTTP/1.1 200 OK\r\nX: %d\r\n\r\n" % number)
        assert sum(map(len, lines)) <= lines.MOST_BYTES
        for memory in (reader._first_lines, reader._requests, reader._responses):
            assert len(memory) <= memory.MOST
    long = b"X: " + b"a" * lines.LONGEST
    reader.request(b"GET / HTTP/1.1\r\nHost: a\r\n" + long + b"\r\n\r\n")
    assert long not in lines
    assert not any(long in raw for raw in reader._requests)


FIELDS = (
    b"Host: a\r\n\r\n",
    b"Host: b\r\nContent-Length: 3\r\n\r\n",
    b"Host: a\r\nConnection: close, x-y\r\nX-Y: 1\r\nX-Request-ID: one\r\n\r\n",
    b"Host: a\r\nTransfer-Encoding: chunked\r\nVia: 1.1 b\r\n\r\n",
    b"Host: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
    b"X-Forwarded-For: 1.1.1.1\r\nHost: a\r\n\r\n",
    b"Host: a\r\nHost: b\r\n\r\n",
    b"Accept: x\r\n\r\n",
    b"Host: a\r\n bent\r\n\r\n",
)
LINES = (
    b"GET / HTTP/1.1",
    b"POST /a%20b HTTP/1.1",
    b"GET http://c.example/x HTTP/1.1",
    b"GET / HTTP/1.0",
    b"OPTIONS * HTTP/1.1",
    b"HEAD /__failover HTTP/1.1",
    b"BREW /#x HTTP/1.1",
    b"GET  / HTTP/1.1",
    b"GET / HTTP/2.0",
)
BEHIND = (b"", b"abc", b"0\r\n\r\n", b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
SAID = ("method", "target", "safe", "plain", "http10", "keep_alive", "lines", "length", "upgrade", "host", "via")
SAID += ("request_id", "expects_continue", "forwarded", "size")


@given(st.lists(st.tuples(*map(st.sampled_from, (LINES, FIELDS, BEHIND))), min_size=1, max_size=12), st.data())
def test_what_was_read_before_changes_nothing_of_what_is_read(several, data):
    """Whatever came before, on this connection or another one, and whatever comes behind it in the same bytes."""
    warm = HeadReader()
    kin = None

    def told(reader: HeadReader, raw: bytes) -> object:
        nonlocal kin
        try:
            head = reader.request(raw, kin if reader is warm else None)
        except Malformed as error:
            return error.status, error.reason
        if reader is warm:
            kin = data.draw(st.sampled_from([None, head.kin]))
            head.request_id = head.request_id or b"given"
        else:
            head.request_id = head.request_id or b"given"
        return [getattr(head, name) for name in SAID]

    for line, fields, behind in several:
        raw = line + b"\r\n" + fields + behind
        assert told(warm, raw) == told(HeadReader(), raw)


@given(st.lists(st.tuples(st.sampled_from((b"200 OK", b"204 No", b"404 Go")), st.sampled_from(BEHIND)), max_size=9))
def test_an_answer_read_before_is_read_the_same(several):
    warm = HeadReader()
    for status, behind in several:
        raw = b"HTTP/1.1 " + status + b"\r\nContent-Length: 7\r\nETag: x\r\n\r\n" + behind
        for reader in (warm, HeadReader()):
            head = reader.response(raw)
            assert (head.status, head.size, head.body) == (
                int(status[:3]),
                len(raw) - len(behind),
                0 if status[:3] == b"204" else 7,
            )
            assert head.lines[0] == b"HTTP/1.1 " + status


def test_no_answer_begins_with_an_empty_line():
    with pytest.raises(Malformed):
        HeadReader().response(b"\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")


def test_a_head_whose_fields_are_known_may_be_no_larger_than_any_other():
    reader = HeadReader()
    kin = reader.request(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").kin
    for known in (kin, None):
        with pytest.raises(Malformed) as refused:
            reader.request(b"GET /" + b"a" * MAX_HEAD + b" HTTP/1.1\r\nHost: a\r\n\r\n", known)
        assert refused.value.status == 431


def test_a_part_of_a_head_is_none_yet_however_well_it_is_known():
    reader = HeadReader()
    request, response = b"GET / HTTP/1.1\r\nHost: a\r\nB: c\r\n\r\n", b"HTTP/1.1 200 OK\r\nB: c\r\n\r\n"
    for _ in range(2):
        kin = reader.request(request).kin
        reader.response(response)
        for end in range(len(request)):
            assert reader.request(request[:end], kin) is None
        for end in range(len(response)):
            assert reader.response(response[:end]) is None


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


@pytest.mark.parametrize(("said", "seconds"), [(b"timeout=5", 5), (b"timeout=0", 1), (b"max=9", 0), (b"timeout=-1", 0)])
def test_how_long_a_target_keeps_a_connection(said, seconds):
    """0 is that it said nothing of it; where it says 0, it is kept for no time, as one second less than that is."""
    head = HeadReader().response(b"HTTP/1.1 200 OK\r\nKeep-Alive: " + said + b"\r\nContent-Length: 0\r\n\r\n")
    assert head.keep_alive_timeout == seconds


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
