"""Addresses of targets as a person writes them (`targets`).

1. Nothing but ValueError is raised, with a whole sentence of ours that has nobody's password.
2. What is accepted can be sent: host, path, query and authorization are ASCII without blanks and control characters,
   and so is the Host that the target gets.
3. What is accepted can be written and read again as the same.
"""

from __future__ import annotations

import re

from failover.core.headers import host_to_send, is_internal, location_rewriter
from failover.proxy.fields import host_is_valid
from failover.targets import parse_target
from fuzz.parts import taken_apart, text

DICTIONARY = "addresses"
_SENT = re.compile(r"[\x21-\x7e]*")


def one(data):
    data, _ = taken_apart(data)
    url = text(data)
    try:
        target = parse_target(url, "primary")
    except ValueError as error:
        assert type(error) is ValueError, error
        before, mark, behind = url.rpartition("@")
        shown = before.partition("://")[0] + behind if "://" in before else behind
        assert "hunter2" in shown or not mark or "hunter2" not in str(error)
        return
    secret = target.authorization.removeprefix("Basic ")
    for part in (target.host, target.base_path, target.query, target.authority, secret):
        assert _SENT.fullmatch(part), part
    assert host_is_valid(target.authority.encode()), target.authority
    assert 0 < target.port < 65536
    host_to_send(target, "auto")
    is_internal(target.host)
    location_rewriter(target)(b"http://x/", b"https", b"site")
    again = parse_target(target.url, "primary")
    assert (again.host, again.port, again.scheme) == (target.host, target.port, target.scheme)
    assert again.base_path == target.base_path
