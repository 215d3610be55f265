"""Who may see the pages (`admin/guard`): fields of requests, cookies, sessions, tokens.

1. Nothing is raised, whatever a header holds.
2. Nobody passes a door that wants a token without it, or a session made with it that is not over.
3. A page of another site changes nothing: an Origin that is not ours is refused at both listeners.
4. No session is valid but what was signed: changed by one character it is none.
"""

from __future__ import annotations

from failover.admin.guard import Door, Guard, Request, Way, local_door, new_session, session_is_valid
from fuzz.parts import taken_apart, text

DICTIONARY = "http"
TOKEN = "correct horse battery staple"
NOW = 1_700_000_000.0
DOORS = (
    Door(Way.PUBLIC, "/__failover", TOKEN),
    local_door("127.0.0.1", TOKEN, None),
    local_door("0.0.0.0", TOKEN, "https://status.example.com"),
    local_door("localhost", "", "http://[::1]:80"),
)
SESSION = new_session(TOKEN, NOW)
UNREAD = dict.fromkeys(map(ord, "\t\r"))  # as browsers read addresses; no header has the second one
FIELDS = ("method", "host", "client", "origin", "fetch_site", "authorization", "cookie")


def one(data):
    data, numbers = taken_apart(data)
    values = [text(value) for value in data.split(b"\n")]
    given = dict(zip(FIELDS, values, strict=False))
    given = {"method": "POST", "host": ""} | given
    guard = Guard()
    knows = TOKEN in given.get("authorization", "") or given.get("cookie", "") == SESSION
    for https in (False, True):
        request = Request(**given, https=https)
        for door in DOORS:
            denied = guard.check(door, request, NOW)
            if denied is not None:
                assert denied.status in {401, 403, 429}
                assert denied.reason
                continue
            assert not door.token or knows
            if request.origin and request.method not in {"GET", "HEAD", "OPTIONS"}:
                assert request.host.lower() in request.origin.lower().translate(UNREAD)
    cookie = given.get("cookie", "")
    assert not session_is_valid(TOKEN, cookie, NOW) or cookie == SESSION
    if numbers:
        at = numbers[0] % len(SESSION)
        changed = SESSION[:at] + chr(numbers[-1]) + SESSION[at + 1 :]
        assert changed == SESSION or not session_is_valid(TOKEN, changed, NOW)
