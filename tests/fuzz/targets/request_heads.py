"""Heads of requests, from anybody (`proxy/wire`, `proxy/heads`).

1. Nothing but Malformed is ever raised; its status is one that a client can be answered with.
2. A head is read alike whatever was read before it: by a reader that is new, by one that knows it, beside its own kin,
   and with bytes behind it.
3. Whatever is accepted is read alike by llhttp and by h11: method, fields, length of the body.
4. What a target is told of it is one request for llhttp, with the same method and the same length of its body.
5. A client that is not trusted says nothing of itself that is believed.
6. No field of one hop goes on, nor one that Connection names; and to a static backup no secret.
"""

from __future__ import annotations

import httptools

from failover.proxy.fields import CHUNKED, Malformed
from failover.proxy.heads import for_target
from failover.proxy.wire import HeadReader
from fuzz.parts import HOP_BY_HOP, VIA, Proxy, taken_apart
from fuzz.reference import by_llhttp, request_by_h11

DICTIONARY = "http"
SAID = ("method", "target", "safe", "plain", "http10", "keep_alive", "lines", "length", "upgrade", "host", "via")
SAID += ("request_id", "expects_continue", "forwarded", "size")
KNOWN_METHODS = {b"GET", b"HEAD", b"OPTIONS", b"POST", b"PUT", b"DELETE", b"PATCH"}
STATUSES = {400, 405, 417, 431, 505}
KNOWN = b"GET / HTTP/1.1\r\nHost: a\r\nAccept: */*\r\n\r\n"


def told(reader, data, kin=None):
    try:
        head = reader.request(data, kin)
    except Malformed as refused:
        assert refused.status in STATUSES, refused.status
        return refused.status, None
    return ([getattr(head, name) for name in SAID] if head is not None else None), head


def one(data):
    data, numbers = taken_apart(data)
    if not data:
        return
    cold, head = told(HeadReader(), data)
    warm = HeadReader()
    kin = warm.request(KNOWN).kin
    for _ in range(3):
        again, same = told(warm, data, kin)
        assert again == cold, (again, cold)
        kin = same.kin if same is not None and same.kin is not None else kin
    if cold is None:
        assert b"\r\n\r\n" not in data
        return
    if head is None:
        return
    raw = data[: head.size]
    assert raw.endswith(b"\r\n\r\n")
    assert raw.index(b"\r\n\r\n") == len(raw) - 4
    behind = bytes(numbers)
    assert told(HeadReader(), raw + behind)[0] == cold
    assert told(warm, raw + behind, kin)[0] == cold
    read_alike(raw, head)
    goes_on(raw, head)


def read_alike(raw, head):
    shown = raw if head.method in KNOWN_METHODS else b"POST" + raw[len(head.method) :]
    heard = by_llhttp(shown, httptools.HttpRequestParser)
    assert heard is not None, "llhttp refuses what we take"
    carried = [(line.partition(b":")[0], line.partition(b":")[2].strip(b" \t")) for line in head.lines]
    assert [field for field in heard.fields if field in carried] == carried or len(carried) != len(set(carried))
    names = [name.lower() for name, _ in heard.fields]
    lengths = [value for name, value in heard.fields if name.lower() == b"content-length"]
    if b"transfer-encoding" in names:
        assert head.length == CHUNKED
        assert not lengths
    else:
        assert head.length == int(lengths[0] if lengths else 0)
        assert len(lengths) < 2
    other = request_by_h11(raw)
    assert other is not None, "h11 refuses what we take"
    assert other[0] == head.method
    assert [(name, value.strip(b" \t")) for name, value in other[2]] == heard.fields


def goes_on(raw, head):
    proxy = Proxy()
    named = {
        option.strip()
        for line in raw.split(b"\r\n")
        if line.lower().startswith(b"connection:")
        for option in line[11:].lower().split(b",")
    } - {b"close", b"keep-alive", b"upgrade", b"te", b"content-length", b"", b"host", b"via", b"x-request-id"}
    primary, backup = proxy.primary, proxy.backup
    for pool, client in ((primary, proxy.stranger), (primary, proxy.trusted), (backup, proxy.trusted)):
        mine = proxy.heads.request(raw)
        out = for_target(mine, pool, client)
        assert out.index(b"\r\n\r\n") == len(out) - 4
        first, *lines = out[:-4].split(b"\r\n")
        method, target, version = first.split(b" ")
        assert (method, version) == (head.method, b"HTTP/1.1")
        assert target == (pool.base_path if head.target != b"*" else b"") + head.target
        fields = [(line.partition(b":")[0].lower(), line.partition(b":")[2].strip()) for line in lines]
        values = {}
        for name, value in fields:
            values.setdefault(name, []).append(value)
        assert len(values[b"host"]) == len(values[b"via"]) == len(values[b"x-request-id"]) == 1
        assert VIA in values[b"via"][0]
        expected = {}
        if head.length == CHUNKED:
            expected[b"transfer-encoding"] = [b"chunked"]
        if head.upgrade:
            expected |= {b"connection": [b"upgrade"], b"upgrade": [head.upgrade]}
        assert {name: value for name, value in values.items() if name in HOP_BY_HOP} == expected
        ours = {b"x-forwarded-for", b"x-forwarded-proto", b"x-forwarded-host", b"transfer-encoding", b"connection"}
        ours |= {b"authorization"} if pool is proxy.backup else set()
        stayed = {name for name in named & set(values) if not name.startswith(b"x-forwarded-")} - ours - set(expected)
        assert not stayed, stayed
        for said in (client.nearest(mine), client.scheme(mine), client.host(mine)):
            assert not set(said) & set(b"\r\n\0")
        assert 0 <= client.number(mine) < 1 << 32
        if client is proxy.stranger:
            assert (client.nearest(mine), client.scheme(mine)) == (b"192.0.2.7", b"http")
            assert values[b"x-forwarded-for"] == [b"192.0.2.7"]
        if pool is proxy.backup:
            assert b"cookie" not in values
            assert values[b"authorization"] == [pool.authorization]
        shown = out if method in KNOWN_METHODS else b"POST" + out[len(method) :]
        heard = by_llhttp(shown, httptools.HttpRequestParser)
        assert heard is not None, "llhttp refuses what we send"
        assert heard.heads == 1
        again = HeadReader().request(out)
        assert (again.method, again.target, again.length, again.size) == (head.method, target, head.length, len(out))
