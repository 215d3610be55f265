"""What scripts of other origins may read of our own answers: what the same site gave the same origin, and no more."""

from __future__ import annotations

from failover.proxy.cors import Cors
from failover.proxy.wire import HeadReader

_ALLOWED = b"Access-Control-Allow-Origin: https://app.example"


def request(path=b"/api", host=b"a.example", origin=b"https://app.example", method=b"GET", more=b""):
    lines = b"Origin: %b\r\n" % origin if origin else b""
    return HeadReader().request(b"%b %b HTTP/1.1\r\nHost: %b\r\n%b%b\r\n" % (method, path, host, lines, more))


def answer(lines=_ALLOWED, status=b"200 OK"):
    return HeadReader().response(b"HTTP/1.1 %b\r\nServer: x\r\n%b\r\nContent-Length: 0\r\n\r\n" % (status, lines))


def taught(**asked):
    cors = Cors()
    cors.learn(request(**asked), answer())
    return cors


def test_the_same_route_gets_the_same_fields():
    assert taught().fields(request()) == [_ALLOWED, b"Vary: Origin"]
    assert taught().fields(request(path=b"/api?page=2")) == [_ALLOWED, b"Vary: Origin"]


def test_a_route_that_was_never_seen_gets_those_of_another():
    assert taught().fields(request(path=b"/other")) == [_ALLOWED, b"Vary: Origin"]


def test_nobody_else_gets_them():
    assert taught().fields(request(origin=b"https://evil.example")) == []
    assert taught().fields(request(origin=b"")) == []
    assert taught().fields(request(host=b"b.example")) == []


def test_an_error_teaches_nothing():
    cors = Cors()
    cors.learn(request(), answer(status=b"403 Forbidden"))
    assert cors.fields(request()) == []


def test_a_preflight_is_known_by_route_and_method():
    asks = b"Access-Control-Request-Method: PUT\r\n"
    cors = taught(method=b"OPTIONS", more=asks)
    assert cors.preflight(request(method=b"OPTIONS", more=asks))[0] == _ALLOWED
    assert cors.preflight(request(method=b"OPTIONS", more=asks.replace(b"PUT", b"DELETE"))) == []
    assert cors.preflight(request(method=b"OPTIONS", more=asks, path=b"/other")) == []
    assert cors.preflight(request(method=b"OPTIONS", more=asks, host=b"b.example")) == []
    assert cors.preflight(request(method=b"OPTIONS")) == []
    assert cors.fields(request()) == [], "a preflight says nothing of other requests"


def test_the_memory_is_bounded():
    cors = Cors()
    for number in range(5000):
        cors.learn(request(path=b"/%d" % number), answer())
    assert len(cors._known) <= 1001
