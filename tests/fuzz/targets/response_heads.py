"""Heads of answers, from a target that may be anything (`proxy/wire`, `proxy/heads`).

1. Nothing but Malformed is ever raised.
2. A head is read alike by a reader that is new and by one that knows it, whatever comes behind it.
3. Whatever is accepted is read alike by llhttp: status, fields, length of the body.
4. What a client is told of it is one answer for llhttp, with the same status and length; no field of one hop goes on,
   nor one that Connection names; a static backup sets no cookie, and its pages and misses are not kept by anybody.
"""

from __future__ import annotations

import httptools

from failover.proxy.fields import CHUNKED, UNTIL_CLOSE, Malformed
from failover.proxy.heads import for_client
from failover.proxy.wire import HeadReader
from fuzz.parts import HOP_BY_HOP, Proxy, taken_apart
from fuzz.reference import by_llhttp

DICTIONARY = "http"
SAID = ("body", "cors", "event_stream", "http10", "keep_alive", "keep_alive_timeout", "length", "lines", "raw", "size")
SAID += ("may_name_target", "status", "upgrade", "wants_upgrade")


def told(reader, data):
    try:
        head = reader.response(data)
    except Malformed:
        return "refused", None
    return ([getattr(head, name) for name in SAID] if head is not None else None), head


def one(data):
    data, numbers = taken_apart(data)
    cold, head = told(HeadReader(), data)
    warm = HeadReader()
    warm.response(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n")
    for _ in range(3):
        assert told(warm, data)[0] == cold
    if cold is None:
        assert b"\r\n\r\n" not in data
    if head is None:
        return
    raw = data[: head.size]
    assert raw.index(b"\r\n\r\n") == len(raw) - 4
    for reader in (HeadReader(), warm):
        assert told(reader, raw + bytes(numbers))[0] == cold
    assert 100 <= head.status <= 999
    heard = by_llhttp(raw, httptools.HttpResponseParser)
    assert heard is not None, "llhttp refuses what we take"
    assert heard.parser.get_status_code() == head.status
    assert head.lines[0].startswith(b"HTTP/1.1 %d" % head.status)
    lengths = [value for name, value in heard.fields if name.lower() == b"content-length"]
    coded = any(name.lower() == b"transfer-encoding" for name, _ in heard.fields)
    assert head.length == (CHUNKED if coded else int(lengths[0]) if lengths else UNTIL_CLOSE)
    if head.status >= 200:  # others go on as they are, or become a tunnel
        goes_on(raw, head)


def goes_on(raw, head):
    named = {
        option.strip()
        for line in raw.split(b"\r\n")
        if line.lower().startswith(b"connection:")
        for option in line[11:].lower().split(b",")
    } - {b"close", b"keep-alive", b"upgrade", b"te", b"content-length", b""}
    proxy = Proxy()
    request = proxy.heads.request(b"GET / HTTP/1.1\r\nHost: site.example.org\r\n\r\n")
    for pool in (proxy.primary, proxy.backup):
        out = for_client(head, pool, request, proxy.stranger, rescued=b"", closing=False)
        assert out.index(b"\r\n\r\n") == len(out) - 4
        _, *lines = out[:-4].split(b"\r\n")
        names = [line.partition(b":")[0].lower() for line in lines]
        assert not HOP_BY_HOP.difference({b"proxy-authorization", b"http2-settings", b"forwarded"}) & set(names)
        assert not (named - {b"via", b"proxy-status", b"cache-control"}) & set(names), named & set(names)
        assert names.count(b"content-length") == (head.length >= 0 and head.status != 204)
        if pool is proxy.backup:
            assert b"set-cookie" not in names
            assert head.status not in {403, 404} or b"cache-control: no-store" in map(bytes.lower, lines)
        heard = by_llhttp(out, httptools.HttpResponseParser)
        assert heard is not None, "llhttp refuses what we send"
        assert heard.heads == 1
        assert heard.parser.get_status_code() == head.status
