"""Addresses as people write them."""

from __future__ import annotations

import pytest

from failover.core.model import Kind
from failover.targets import parse_target


def test_everything_an_address_may_hold():
    target = parse_target("https://us%40er:p%3Aw@MyApp.com:8443/base/?a=1", "primary")
    assert (target.host, target.port, target.base_path, target.query) == ("myapp.com", 8443, "/base", "a=1")
    assert target.authorization == "Basic dXNAZXI6cDp3"
    assert target.url == "https://myapp.com:8443/base", "shown without user, password and query"
    assert "p:w" not in repr(target)


@pytest.mark.parametrize(
    ("url", "authority"),
    [
        ("http://a", "a"),
        ("http://a:80", "a"),
        ("https://a:443/", "a"),
        ("https://a:80", "a:80"),
        ("http://[::1]:8080", "[::1]:8080"),
        ("http://bücher.example", "xn--bcher-kva.example"),
    ],
)
def test_authority(url, authority):
    assert parse_target(url, "primary").authority == authority


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("", "is empty"),
        ("myapp.com", "has no scheme; write http://myapp.com or https://myapp.com"),
        ("ftp://a", "ftp:// is not supported"),
        ("http://", "has no host"),
        ("http://a:0", "port 0"),
        ("http://a:99999", "has a port that is not a number from 1 to 65535"),
        ("http://a b", "has a space"),
        ("http://a/#x", "has a #fragment"),
        ("http://[::g]", "cannot be read as an address"),
        ("http://a_b!c", "characters that no name may have"),
    ],
)
def test_mistakes_are_told_in_a_sentence(url, says):
    with pytest.raises(ValueError, match=r".") as error:
        parse_target(url, "primary")
    assert says in str(error.value)


@pytest.mark.parametrize(
    ("url", "kind"),
    [
        ("https://bucket.s3.amazonaws.com", Kind.STATIC),
        ("http://bucket.s3-website-eu-west-1.amazonaws.com", Kind.STATIC),
        ("https://bucket.s3.eu-west-1.amazonaws.com", Kind.STATIC),
        ("https://me.github.io", Kind.STATIC),
        ("https://site.netlify.app", Kind.STATIC),
        ("https://backup.example", Kind.REPLICA),
        ("https://nots3.amazonaws.com.evil.example", Kind.REPLICA),
    ],
)
def test_known_hosts_of_files_are_static(url, kind):
    assert parse_target(url, "backup").kind is kind
    assert parse_target(url, "backup", "replica").kind is Kind.REPLICA


@pytest.mark.parametrize(
    "url",
    [
        "http://user:pa/ss@host:0/",
        "http://user:pass word@host/",
        'http://user:pa"ss@host:0/',
        "user:pass@host",
        "http://user:p@ss@host:99999",
    ],
)
def test_a_password_is_never_told_with_a_mistake(url):
    with pytest.raises(ValueError, match=r".") as error:
        parse_target(url, "primary")
    assert "ss" not in str(error.value).replace("address", "")


def test_a_query_is_written_so_that_a_probe_can_ask_for_it():
    assert parse_target("http://h/?q=日本&a=%20b", "primary").query == "q=%E6%97%A5%E6%9C%AC&a=%20b"
