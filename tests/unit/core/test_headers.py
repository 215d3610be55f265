"""What names the target names the public site afterwards, and nothing else changes."""

from __future__ import annotations

import pytest

from failover.core.headers import host_to_send, is_internal, location_rewriter, rewrite_cookie, rewrite_refresh
from failover.targets import parse_target


@pytest.mark.parametrize(
    ("url", "mode", "host"),
    [
        ("https://myapp.com", "auto", "myapp.com"),
        ("http://bucket.s3-website-eu-west-1.amazonaws.com", "auto", "bucket.s3-website-eu-west-1.amazonaws.com"),
        ("https://myapp.com:8443", "auto", "myapp.com:8443"),
        ("http://127.0.0.1:3000", "auto", None),
        ("http://[::1]:3000", "auto", None),
        ("http://localhost:3000", "auto", None),
        ("http://web:3000", "auto", None),
        ("http://app.internal", "auto", None),
        ("http://127.0.0.1:3000", "target", "127.0.0.1:3000"),
        ("https://myapp.com", "client", None),
        ("https://myapp.com", "shop.example", "shop.example"),
    ],
)
def test_which_host_a_target_is_told(url, mode, host):
    assert host_to_send(parse_target(url, "primary"), mode) == host


@pytest.mark.parametrize("name", ["db", "a.local", "x.svc.cluster.local", "10.0.0.1", "fe80::1"])
def test_private_names(name):
    assert is_internal(name)


@pytest.mark.parametrize(
    ("target", "value", "out"),
    [
        ("https://app.example", b"https://app.example/login?a=1", b"http://site/login?a=1"),
        ("https://app.example", b"http://APP.example/x", b"http://site/x"),
        ("https://app.example", b"//app.example/x", b"http://site/x"),
        ("https://app.example", b"https://app.example", b"http://site"),
        ("https://app.example", b"https://app.example.evil/x", b"https://app.example.evil/x"),
        ("https://app.example", b"https://other.example/app.example", b"https://other.example/app.example"),
        ("https://app.example", b"/x", b"/x"),
        ("https://app.example", b"x", b"x"),
        ("http://127.0.0.1:3000", b"http://127.0.0.1:3000/x", b"http://site/x"),
        ("http://127.0.0.1:3000", b"http://127.0.0.1:4000/x", b"http://127.0.0.1:4000/x"),
        ("https://app.example/base", b"https://app.example/base/x", b"http://site/x"),
        ("https://app.example/base", b"/base", b"/"),
        ("https://app.example/base", b"/base?x", b"/?x"),
        ("https://app.example/base", b"/baseline", b"/baseline"),
    ],
)
def test_locations(target, value, out):
    assert location_rewriter(parse_target(target, "primary"))(value, b"http", b"site") == out


@pytest.mark.parametrize(
    ("target", "public", "value", "out"),
    [
        (
            "https://app.example",
            b"www.site.com",
            b"a=1; Domain=app.example; Path=/",
            b"a=1; Domain=www.site.com; Path=/",
        ),
        ("https://app.example", b"www.site.com:8080", b"a=1; domain=.app.example", b"a=1; Domain=www.site.com"),
        ("https://app.example", b"localhost:8080", b"a=1; Domain=app.example; Secure", b"a=1; Secure"),
        ("https://app.example", b"10.1.1.1", b"a=1; Domain=app.example", b"a=1"),
        ("https://app.site.com", b"www.site.com", b"a=1; Domain=site.com", b"a=1; Domain=site.com"),
        ("https://app.example", b"www.site.com", b"a=1; Domain=else.com", b"a=1; Domain=else.com"),
        ("https://app.example/base", b"site", b"a=1; Path=/base/x; Secure", b"a=1; Path=/x; Secure"),
        ("https://app.example/base", b"site", b"a=1; path=/base", b"a=1; path=/"),
        ("https://app.example/base", b"site", b"a=1; path=/bases", b"a=1; path=/bases"),
    ],
)
def test_cookies(target, public, value, out):
    assert rewrite_cookie(value, parse_target(target, "primary"), public) == out


def test_refresh():
    assert rewrite_refresh(b"5; url=https://a/x", lambda url: url.replace(b"https://a", b"")) == b"5; url=/x"
    assert rewrite_refresh(b"5", lambda _: b"never") == b"5"


def test_no_refresh_of_blanks_costs_more_than_its_length():
    """64 KiB of them took half a minute once, in which a worker did nothing else."""
    blanks = b" " * 60_000
    for value in (b"0;url=/a" + blanks + b"b", b"0" + blanks + b"b", b"0;url=/a" + b"' " * 30_000 + b"b"):
        assert rewrite_refresh(value, lambda url: url) == value
    assert rewrite_refresh(b"0; url='/a'" + blanks, lambda _: b"/b") == b"0; url='/b'" + blanks
