"""Fields of answers that name the target (`core/headers`): Location, Refresh and Set-Cookie, with any value and Host.

1. Nothing is raised.
2. What comes out has no control byte that did not go in.
3. It is longer by no more than the public scheme and name.
4. What does not name the target stays as it is, byte for byte.
"""

from __future__ import annotations

from failover.core.headers import location_rewriter, rewrite_cookie, rewrite_refresh
from failover.proxy.fields import host_is_valid
from failover.targets import parse_target
from fuzz.parts import taken_apart

DICTIONARY = "http"
TARGETS = [
    parse_target(url, "primary")
    for url in (
        "http://app.example.com:8000",
        "https://app.example.com/base",
        "http://[2001:db8::1]/",
        "http://10.0.0.1",
    )
]
REWRITERS = [location_rewriter(target) for target in TARGETS]
NAMES = (b"app.example.com", b"example.com", b"2001:db8::1", b"10.0.0.1", b"/base", b"com", b"10.0.0", b"0.0.1", b"1")


def one(data):
    data, numbers = taken_apart(data)
    value, _, host = data.partition(b"\n")
    value = bytes(byte for byte in value if byte >= 0x20 or byte == 9).strip(b" \t")
    host = host if host_is_valid(host) else b"site.example.org"
    n = (numbers or [0])[0] % len(TARGETS)
    target, rewrite = TARGETS[n], REWRITERS[n]
    for scheme in (b"http", b"https"):
        for out in (
            rewrite(value, scheme, host),
            rewrite_refresh(value, lambda url, scheme=scheme: rewrite(url, scheme, host)),
            rewrite_cookie(value, target, host),
        ):
            assert set(out) <= set(value) | set(scheme + b":///; Domain=" + host.lower() + host), out
            assert len(out) <= len(value) + len(host) + len(b"; Domain=https:///"), out
            if not any(name in value.lower() for name in NAMES) and not value.lower().count(b"domain"):
                assert out == value
