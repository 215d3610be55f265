"""Who may see the pages and who may change something: every rule of `guard`, with a clock of the test's own."""

import pytest

from failover.admin import guard as rules
from failover.admin.guard import (
    SESSION_S,
    TRIES,
    TRIES_WITHIN_S,
    Door,
    Guard,
    Request,
    Way,
    local_door,
    new_session,
    session_is_valid,
)

NOW = 1_800_000_000.0
TOKEN = "a-token-of-the-test"
OPEN = local_door("127.0.0.1", "", None)
LOCAL = local_door("127.0.0.1", TOKEN, "https://www.example.org/")
PUBLIC = Door(Way.PUBLIC, "/__failover", TOKEN)


def asks(method="GET", host="127.0.0.1:9090", client="192.0.2.1", **more):
    return Request(method=method, host=host, client=client, **more)


def bearer(token, client="192.0.2.1", **more):
    return asks(client=client, authorization=f"Bearer {token}", **more)


def status(denied):
    return None if denied is None else denied.status


# The Host


@pytest.mark.parametrize(
    "host",
    ["localhost", "localhost:1", "LocalHost:9090", "127.0.0.1", "127.0.0.1:65535", "[::1]", "[::1]:9090", "localhost."],
)
def test_the_names_of_this_machine_are_ours(host):
    assert Guard().check(OPEN, asks(host=host), NOW) is None


@pytest.mark.parametrize(
    "host",
    [
        "",
        ":9090",
        ".",
        "evil.example",
        "evil.example:9090",
        "evil.example.",
        "localhost.evil.example",
        "127.0.0.1.evil.example",
        "evil.example#localhost",
        "127.0.0.2",
        "[::1",
        "[::2]",
        "localhost:9090, evil.example",
        "www.example.org",
        "2130706433",
        "0.0.0.0",
    ],
)
def test_any_other_name_is_a_page_of_somebody_else(host):
    denied = Guard().check(OPEN, asks(host=host), NOW)
    assert status(denied) == 403
    assert "evil" not in denied.reason


def test_the_public_address_is_a_name_of_ours_as_well():
    door = local_door("localhost", "", "https://Www.Example.org:8443/shop")
    for host in ("www.example.org", "www.example.org:443", "WWW.EXAMPLE.ORG", "www.example.org."):
        assert Guard().check(door, asks(host=host), NOW) is None
    assert status(Guard().check(door, asks(host="example.org"), NOW)) == 403


@pytest.mark.parametrize("listening", ["127.0.0.2", "::1", "localhost"])
def test_an_address_of_this_machine_is_a_name_of_its_listener(listening):
    door = local_door(listening, "", None)
    assert listening in door.hosts
    assert status(Guard().check(door, asks(host="evil.example"), NOW)) == 403


@pytest.mark.parametrize("listening", ["0.0.0.0", "::", "192.0.2.7", "box.example"])
def test_what_is_reached_from_elsewhere_has_any_name_but_wants_the_token(listening):
    door = local_door(listening, TOKEN, None)
    assert door.hosts is None
    assert status(Guard().check(door, asks(host="any.example"), NOW)) == 401
    assert Guard().check(door, bearer(TOKEN, host="any.example"), NOW) is None


# The origin of a change


@pytest.mark.parametrize(
    "said",
    [
        {},
        {"origin": "http://127.0.0.1:9090"},
        {"origin": "HTTP://127.0.0.1:9090"},
        {"origin": "https://127.0.0.1:9090"},
        {"fetch_site": "same-origin"},
        {"fetch_site": "none"},
        {"fetch_site": "same-origin", "origin": "http://127.0.0.1:9090"},
    ],
)
def test_a_change_from_our_own_page_or_from_no_page_passes(said):
    assert Guard().check(OPEN, asks("POST", **said), NOW) is None


@pytest.mark.parametrize(
    "said",
    [
        {"origin": "http://evil.example"},
        {"origin": "http://127.0.0.1:9091"},
        {"origin": "http://127.0.0.1"},
        {"origin": "http://localhost:9090"},
        {"origin": "http://127.0.0.1:9090.evil.example"},
        {"origin": "http://user@127.0.0.1:9090"},
        {"origin": "null"},
        {"origin": "http://["},
        {"origin": "nonsense"},
        {"fetch_site": "cross-site"},
        {"fetch_site": "same-site"},
        {"fetch_site": "nonsense"},
        {"fetch_site": "cross-site", "origin": "http://127.0.0.1:9090"},
        {"fetch_site": "same-origin", "origin": "http://evil.example"},
    ],
)
@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "NONSENSE"])
def test_a_change_from_anybody_elses_page_does_not(method, said):
    for door in (OPEN, LOCAL, PUBLIC):
        assert status(Guard().check(door, asks(method, authorization=f"Bearer {TOKEN}", **said), NOW)) == 403


@pytest.mark.parametrize(("origin", "allowed"), [("https://127.0.0.1:9090", None), ("http://127.0.0.1:9090", 403)])
def test_what_came_over_tls_is_not_changed_by_a_page_that_did_not(origin, allowed):
    asked = bearer(TOKEN, method="POST", host="127.0.0.1:9090", origin=origin, https=True)
    assert status(Guard().check(PUBLIC, asked, NOW)) == allowed


@pytest.mark.parametrize("origin", ["null", "nonsense", "file://"])
def test_an_origin_without_a_name_is_not_that_of_a_request_without_one(origin):
    assert status(Guard().check(PUBLIC, bearer(TOKEN, method="POST", host="", origin=origin), NOW)) == 403


def test_a_link_from_elsewhere_may_show_a_page():
    assert Guard().check(OPEN, asks(fetch_site="cross-site"), NOW) is None


# The token


@pytest.mark.parametrize("door", [LOCAL, PUBLIC], ids=["local", "public"])
@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (f"Bearer {TOKEN}", None),
        (f"bearer   {TOKEN} ", None),
        ("Bearer wrong", 401),
        (f"Bearer {TOKEN}x", 401),
        (f"Bearer {TOKEN[:-1]}", 401),
        (f"Bearer x {TOKEN}", 401),
        ("Bearer", 401),
        ("Bearer ", 401),
        (f"Basic {TOKEN}", 401),
        (TOKEN, 401),
        ("", 401),
        ("Bearer \udcff\udcfe", 401),
        ("Bearer ü", 401),
    ],
)
def test_a_token_is_right_or_it_is_not(door, given, expected):
    assert status(Guard().check(door, asks(authorization=given), NOW)) == expected


def test_where_no_token_is_set_nobody_has_the_right_one():
    assert status(Guard().try_token(OPEN, "192.0.2.1", "", NOW)) == 401


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "OPTIONS"])
def test_with_a_token_everything_wants_it(method):
    assert status(Guard().check(LOCAL, asks(method), NOW)) == 401


def test_a_cookie_is_as_good_as_the_token_until_it_ends():
    cookie = new_session(TOKEN, NOW)
    assert Guard().check(PUBLIC, asks(cookie=cookie), NOW + SESSION_S - 1) is None
    assert status(Guard().check(PUBLIC, asks(cookie=cookie), NOW + SESSION_S + 1)) == 401
    assert TOKEN not in cookie


@pytest.mark.parametrize(
    "cookie",
    [
        "",
        ".",
        "nonsense",
        new_session("another-token", NOW),
        new_session("", NOW),
        new_session(TOKEN, NOW - SESSION_S - 1),
        new_session(TOKEN, NOW).replace("18000432", "18000433"),
        new_session(TOKEN, NOW)[:-1],
        new_session(TOKEN, NOW) + "0",
        new_session(TOKEN, NOW).partition(".")[0],
        f"{NOW + 60:.0f}.",
        f"-{NOW + 60:.0f}.{'0' * 64}",
        f"{'9' * 13}.{'0' * 64}",
        f"١٨٠٠٠٤٣٢٠٠.{'0' * 64}",
        f"{NOW + 60:.0f}.\udcff",
        f"{NOW + 60:.0f}.ü",
    ],
)
def test_no_other_cookie_opens(cookie):
    assert not session_is_valid(TOKEN, cookie, NOW)
    assert status(Guard().check(PUBLIC, asks(cookie=cookie), NOW)) == 401


# One who guesses


def guessed(guard, times, client="192.0.2.1", now=NOW):
    return [status(guard.check(PUBLIC, bearer(f"wrong-{number}", client), now)) for number in range(times)]


def test_after_ten_wrong_ones_even_the_right_one_has_to_wait():
    guard = Guard()
    assert guessed(guard, TRIES + 1) == [401] * TRIES + [429]
    denied = guard.check(PUBLIC, bearer(TOKEN), NOW + 1)
    assert denied.status == 429
    assert denied.retry_after == TRIES_WITHIN_S - 1
    assert str(denied.retry_after) in denied.reason


def test_a_minute_later_it_is_forgotten():
    guard = Guard()
    guessed(guard, TRIES)
    assert status(guard.check(PUBLIC, bearer(TOKEN), NOW + TRIES_WITHIN_S - 0.1)) == 429
    assert guard.check(PUBLIC, bearer(TOKEN), NOW + TRIES_WITHIN_S) is None
    assert guessed(guard, TRIES + 1, now=NOW + TRIES_WITHIN_S) == [401] * TRIES + [429]


def test_tries_while_one_has_to_wait_do_not_make_it_longer():
    guard = Guard()
    guessed(guard, TRIES)
    guessed(guard, 50, now=NOW + 30)
    assert guard.check(PUBLIC, bearer(TOKEN), NOW + TRIES_WITHIN_S) is None


def test_one_that_is_right_meanwhile_does_not_buy_ten_more():
    guard = Guard()
    guessed(guard, TRIES - 1)
    assert guard.check(PUBLIC, bearer(TOKEN), NOW) is None
    assert guessed(guard, 2) == [401, 429]


def test_who_has_a_cookie_is_not_kept_out_by_a_neighbour_who_guesses():
    guard = Guard()
    guessed(guard, TRIES)
    assert guard.check(PUBLIC, asks(cookie=new_session(TOKEN, NOW)), NOW) is None


@pytest.mark.parametrize(
    ("other", "expected"),
    [("192.0.2.2", None), ("192.0.2.1", 429), ("", None), ("2001:db8::1", None)],
)
def test_another_client_is_another_one(other, expected):
    guard = Guard()
    guessed(guard, TRIES)
    assert status(guard.check(PUBLIC, bearer(TOKEN, other), NOW)) == expected


def test_all_addresses_of_a_household_are_one():
    guard = Guard()
    tries = [guard.check(PUBLIC, bearer("wrong", f"2001:db8:0:7::{number:x}"), NOW) for number in range(TRIES + 1)]
    assert [one.status for one in tries] == [401] * TRIES + [429]
    assert status(guard.check(PUBLIC, bearer(TOKEN, "2001:db8:0:7:ffff::1"), NOW)) == 429
    assert guard.check(PUBLIC, bearer(TOKEN, "2001:db8:0:8::1"), NOW) is None


def test_an_ipv4_address_written_as_ipv6_is_that_one_and_not_all_of_them():
    guard = Guard()
    guessed(guard, TRIES, "::ffff:192.0.2.1")
    assert status(guard.check(PUBLIC, bearer(TOKEN, "192.0.2.1"), NOW)) == 429
    assert guard.check(PUBLIC, bearer(TOKEN, "::ffff:192.0.2.2"), NOW) is None


def test_the_table_of_clients_has_an_end(monkeypatch):
    monkeypatch.setattr(rules, "_MOST_CLIENTS", 20)
    guard = Guard()
    for number in range(50):
        guessed(guard, TRIES, f"192.0.2.{number}")
    assert len(guard._wrong) == 20
    assert status(guard.check(PUBLIC, bearer(TOKEN, "192.0.2.49"), NOW)) == 429
    assert guard.check(PUBLIC, bearer(TOKEN, "192.0.2.0"), NOW) is None


def test_who_only_asks_whether_he_may_leaves_no_trace():
    guard = Guard()
    for number in range(50):
        guard.check(PUBLIC, asks(client=f"192.0.2.{number}"), NOW)
        guard.check(PUBLIC, bearer(TOKEN, f"192.0.2.{number}"), NOW)
    assert not guard._wrong


# The socket


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_who_can_open_the_socket_may_do_all(method):
    door = Door(Way.SOCKET, token=TOKEN)
    asked = asks(method, host="", origin="http://evil.example", fetch_site="cross-site", authorization="Bearer wrong")
    assert Guard().check(door, asked, NOW) is None
