"""Error pages as a person reads them, and nobody's secret in them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from failover.controller.readable import readable

HEROKU = b"""<!DOCTYPE html>
<html><head><meta charset="utf-8"><title>Application Error</title>
<style media="screen">html,body,iframe { margin: 0; }</style></head>
<body><iframe src="//www.herokucdn.com/error-pages/application-error.html"></iframe></body></html>"""

NGINX = b"""<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body>\r\n<center><h1>502 Bad Gateway</h1></center>
<hr><center>nginx/1.25.3</center>\r\n</body>\r\n</html>\r\n<!-- a padding to disable MSIE -->\r\n"""


@pytest.mark.parametrize(
    ("body", "content_type", "text"),
    [
        (b"", "", ""),
        (b"server is starting\n", "text/plain", "server is starting"),
        (NGINX, "text/html", "502 Bad Gateway\n502 Bad Gateway\nnginx/1.25.3"),
        (HEROKU, "text/html", "Application Error\n//www.herokucdn.com/error-pages/application-error.html"),
        (b"<p>a &lt;b&gt; &amp; <b>c</b>d</p>", "text/html", "a <b> & cd"),
        (b'{"a": "<1>"}', "application/json", '{"a": "<1>"}'),
        (b"<script>var x = 1 < 2", "text/html", ""),
        (b"caf\xe9", "text/plain; charset=latin-1", "caf\u00e9"),
        (b"caf\xc3\xa9 \xff", "text/plain; charset=nonsense", "caf\u00e9 \ufffd"),
        (b"41", "text/plain; charset=hex", "41"),
        (b"\x1b[31mred\x00\r\n\r\n\r\nnext\xe2\x80\xae", "text/plain", "[31mred\nnext"),
    ],
)
def test_what_is_readable(body, content_type, text):
    assert readable(body, content_type) == text


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (
            "could not connect to postgres://app:hunter2@db.internal:5432/x?sslkey=abc",
            "could not connect to postgres://***@db.internal:5432/x?sslkey=***",
        ),
        ("Authorization: Bearer abc.def", "Authorization: Bearer ***"),
        ('{"api_key": "k-123", "next": 1}', '{"api_key": "***", "next": 1}'),
        ("password=hunter2 failed", "password=*** failed"),
        ("sent by ada.l+x@mail.example to 203.0.113.10", "sent by *** to 203.0.113.10"),
        ("token eyJhbGciOi.eyJzdWIiOi.c2ln seen", "token *** seen"),
        ("key sk_live_4eC39HqLyjWDarjtT1", "key ***"),
        ("hash 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08", "hash ***"),
        ("ID: bom1::mhp76-1733494531544-de5962421606", "ID: bom1::mhp76-1733494531544-de5962421606"),
        ("Reference #18.2d351ab8.1557333295.a4e16ab", "Reference #18.2d351ab8.1557333295.a4e16ab"),
        ("Request ID: 123e4567-e89b-12d3", "Request ID: 123e4567-e89b-12d3"),
        ("GET /reset?code=abc&to=1 failed", "GET /reset?code=***&to=*** failed"),
        ("key dQw4w9WgXcQ-r8sT0uVwXyZ1a2B3c4D5e6F7g8H9", "key ***"),
        ("password: ", "password:"),
    ],
)
def test_what_is_masked(body, text):
    assert readable(body.encode(), "text/plain") == text


def test_markup_before_the_words_does_not_count():
    body = b"<html><style>" + b"a{}" * 2000 + b"</style><h1>Bad gateway</h1>" + b"word " * 1000
    text = readable(body, "text/html")
    assert text.startswith("Bad gateway\nword word")
    assert len(text) == 1024


@given(st.binary(max_size=2000), st.sampled_from(["", "text/html", "text/html; charset=utf-16", "a;charset=euc-kr"]))
def test_any_body_gives_short_printable_text(body, content_type):
    text = readable(body, content_type)
    assert len(text) <= 1024
    assert all(one.isprintable() or one == "\n" for one in text)


@pytest.mark.parametrize("piece", [b"<", b"a", b"<!--", b"<script", b"a.", b"a1", b"<iframe ", b"token:", b"1_", b"a@"])
def test_hostile_pages_end_soon(piece):
    assert len(readable(piece * 4096, "text/html")) <= 1024
