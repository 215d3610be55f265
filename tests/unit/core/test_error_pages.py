"""Whose page it is. The pages themselves are in `tests/evidence`; here is what must not be taken for one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from failover.core.error_pages import recognise


@pytest.mark.parametrize(
    ("status", "headers", "body", "who"),
    [
        (503, {"Server": "Cowboy"}, "Application Error", "Heroku"),
        (502, {"Server": "Heroku"}, "Application error in line 7 of my.rb", None),
        (500, {"Server": "Vercel"}, "Internal Server Error", None),
        (500, {"Server": "Vercel"}, "A server error has occurred\nFUNCTION_INVOCATION_FAILED\nfra1::x", "Vercel"),
        (503, {"Server": "Fly/1 (2025)"}, "", "Fly.io"),
        (503, {"Server": "Fly/1 (2025)"}, "the app says so itself", None),
        (404, {"X-Railway-Fallback": "true"}, "", "Railway"),
        (502, {"Server": "railway-edge", "X-Railway-Edge": "x"}, "my own words", None),
        (200, {"Server": "awselb/2.0"}, "", None),
        (504, {"Server": "awselb/2.0"}, "", "AWS load balancer"),
        (500, {"Server": "cloudflare"}, "Internal Server Error", None),
        (502, {"Server": "cloudflare"}, "error code: 502", "Cloudflare"),
        (524, {}, "", "Cloudflare"),
        (404, {"Server": "nginx"}, "404 Not Found\nnginx", None),
        (502, {"Server": "openresty"}, "502 Bad Gateway\nopenresty/1.21.4.3", "nginx"),
        (502, {"Server": "gunicorn"}, "The bad gateway of Moria", None),
        (502, {"Via": "1.1 something"}, "Bad Gateway", "A proxy"),
        (
            503,
            {"Server": "Microsoft-IIS/10.0"},
            "Service Unavailable\nHTTP Error 503. The service is unavailable.",
            "IIS",
        ),
        (503, {"Server": "Caddy"}, "busy", None),
        (0, {}, "", None),
    ],
)
def test_whose_page_it_is(status, headers, body, who):
    page = recognise(status, headers, body)
    assert (page.who if page is not None else None) == who


def test_words_from_outside_are_no_template():
    page = recognise(500, {"X-Vercel-Error": "FUNCTION{who.platform}"}, "{code}")
    assert page.says == "error code FUNCTION"


@given(st.integers(), st.dictionaries(st.sampled_from(["Server", "Via", "X-Vercel-Error"]), st.text()), st.text())
def test_any_page_is_somebody_s_or_nobody_s(status, headers, body):
    page = recognise(status, headers, body)
    assert page is None or (page.who and page.says and page.check)
