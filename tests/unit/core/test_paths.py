"""Many requests of one kind are one path, and nobody is found in it."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from failover.core.paths import folded


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/", "/"),
        ("", "/"),
        ("*", "*"),
        ("/about", "/about"),
        ("/about/", "/about"),
        ("//a///b", "/a/b"),
        ("/search?q=secret#top", "/search"),
        ("https://kim:pw@shop.example/cart?x=1", "/cart"),
        ("/api/v2/items/7", "/api/v2/items/:id"),
        ("/api/items/7/parts/9/edit", "/api/items/:id/parts/…"),
        ("/orders/123e4567-e89b-12d3-a456-426614174000", "/orders/:id"),
        ("/blobs/deadbeef01", "/blobs/:id"),
        ("/words/deadbeef", "/words/deadbeef"),
        ("/runs/01ARZ3NDEKTSV4RRFFQ69G5FAV", "/runs/:id"),
        ("/customers/cus_9s6XKzkNRiz8i3", "/customers/:id"),
        ("/join/V1StGXR8_Z5jdHi6B-myT", "/join/:id"),
        ("/reset/eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.dozjgNryP4J3jVmNHl0w5N", "/reset/:id"),
        ("/users/ada@example.com/mails", "/users/:id/mails"),
        ("/users/ada%40example.com", "/users/:id"),
        ("/call/+4915112345", "/call/:id"),
        ("/archive/2026-11-23", "/archive/:id"),
        ("/2026/11/23/how-we-lost-the-database", "/:id/:id/:id/how-we-lost-the-database"),
        ("/map/48.137,11.575", "/map/:id"),
        ("/how-to-write-a-long-and-readable-title", "/how-to-write-a-long-and-readable-title"),
        ("/top-10", "/top-10"),
        ("/photos/123.jpg", "/photos/:id.jpg"),
        ("/assets/app.3f2a9c1b.js", "/assets/app.:id.js"),
        ("/assets/index-BfX3k29a.css", "/assets/index-:id.css"),
        ("/_next/static/chunks/main-9f86d081884c7d65.js", "/_next/static/chunks/main-:id.js"),
        ("/assets/bootstrap.min.css", "/assets/bootstrap.min.css"),
        ("/robots.txt", "/robots.txt"),
        ("/cart;jsessionid=8F2A9C1B4D", "/cart"),
        ("/a%20b/%0d%0a", "/a%20b/%0d%0a"),
        ("/a b\r\n\x1b[31m<script>", "/a%20b%0D%0A%1B[31m%3Cscript%3E"),
        ("/caf\u00e9\u202e", "/caf%C3%A9%E2%80%AE"),
        ("/%2e%2e/%2F/etc", "/%2e%2e/%2F/etc"),
        ("/%31%32", "/:id"),
        ("/" + "word-" * 30, "/" + ("word-" * 30)[:78] + "…"),
    ],
)
def test_folding(path, expected):
    assert folded(path) == expected


_PIECES = st.sampled_from(
    ["/", "?", ";", ".", "…", "%", "%4", "@", ":id", "deadbeef01", "7", "a.b", "js", "-", "é", "\n"]
)


@given(st.one_of(st.text(), st.lists(_PIECES, max_size=60).map("".join)))
@example('"000000.A')
@example("/a/b/c/d/e")
@example("/" + "x" * 200 + "/y")
@example("\ud800/1")
def test_what_was_folded_stays_as_it_is(path):
    once = folded(path)
    assert folded(once) == once


@given(st.one_of(st.text(), st.lists(_PIECES, max_size=200).map("".join)))
def test_it_is_short_and_harmless(path):
    short = folded(path)
    assert len(short) <= 80
    assert short.count("/") <= 5
    assert all("!" <= one <= "~" or one == "…" for one in short)
    assert not set(short) & set("\"'<>`{}|\\^?#;")
