"""What answers, and how: each fixture is broken in one way, and that one is found."""

import gzip
from dataclasses import replace

import pytest

from failover.doctor.alike import asset_paths
from failover.doctor.base import Grade
from failover.doctor.look import Answer as Seen
from failover.doctor.look import Asker
from failover.doctor.methods import head
from failover.settings.sources import load
from failover.targets import parse_target
from support.answer import Answer, Feed, Pattern, events, text
from support.origin import Origin
from support.program import clean_environment
from support.site import FILES, dressed, html

GOOD = {"webhook webhooks"}  # the one warning of a healthy pair: nobody has given a webhook


async def test_a_healthy_pair(examined, primary, backup):
    found = await examined(primary.url, backup.url, check_path="/healthz")
    assert found.bad(Grade.FAIL) == set()
    assert found.bad() == GOOD
    assert {"page", "host", "health", "head", "range", "alike", "assets", "writes"} <= {one.check for one in found}


async def test_nothing_that_could_change_anything_is_ever_sent(examined, primary, backup):
    await examined(primary.url, backup.url, check_path="/healthz")
    sent = {(seen.method, seen.header("Content-Length")) for seen in [*primary.requests, *backup.requests]}
    assert sent <= {("GET", None), ("HEAD", None), ("OPTIONS", None)}


async def test_the_password_of_the_address_is_sent_and_not_told(examined, primary, backup):
    found = await examined(primary.url.replace("//", "//me:hunter2@"), backup.url)
    assert all(seen.header("Authorization") == "Basic bWU6aHVudGVyMg==" for seen in primary.requests)
    assert "hunter2" not in str(found)


async def test_below_a_path_all_is_asked_for_there(examined, primary, backup):
    for path in ("/", "/style.css", "/app.js"):
        backup.routes[f"/copy{path}"] = backup.routes.pop(path)
    backup.routes["/copy"] = backup.routes["/copy/"]
    found = await examined(primary.url, f"{backup.url}/copy")
    assert found.bad() == GOOD
    assert found.only("assets", "backup").grade is Grade.OK


# Pages


async def test_an_app_that_is_broken(examined, primary, backup):
    primary.routes["/"] = html("Oops", status=500)
    found = await examined(primary.url, backup.url)
    assert found.bad(Grade.FAIL) == {"page primary", "health primary"}


async def test_an_app_that_answers_nothing(examined, primary, backup):
    primary.routes["/"] = Answer(fault="close")
    found = await examined(primary.url, backup.url)
    assert found.bad(Grade.FAIL) == {"page primary"}
    assert "closed the connection before it answered" in found.only("page", "primary").text


async def test_an_app_that_hangs(examined, primary, backup):
    primary.routes["/"] = Answer(fault="hang")
    found = await examined(primary.url, backup.url, first_byte_timeout="100ms")
    assert "did not answer in time" in found.only("page", "primary").text


async def test_a_server_of_another_language(examined, primary, backup):
    primary.answer = primary.routes["/"] = Answer(raw=b"SSH-2.0-OpenSSH_9.2p1\r\n")
    found = await examined(primary.url, backup.url)
    assert "not valid HTTP" in found.only("page", "primary").text


async def test_a_title_cannot_write_on_the_terminal(examined, primary, backup):
    primary.routes["/"] = backup.routes["/"] = html("a\x1b[31mred\u202e")
    found = await examined(primary.url, backup.url)
    assert "“a[31mred”" in found.only("page", "primary").text


async def test_a_page_that_comes_packed_is_read(examined, primary, backup):
    page = primary.routes["/"]
    packed = (*page.headers, ("Content-Encoding", "gzip"))
    backup.routes["/"] = Answer(200, gzip.compress(page.body), packed)
    found = await examined(primary.url, backup.url)
    assert found.bad() == GOOD


async def test_a_page_that_no_parser_understands(examined, primary, backup):
    primary.routes["/"] = backup.routes["/"] = Answer(200, b"<![x<![\n<!", (("Content-Type", "text/html"),))
    found = await examined(primary.url, backup.url)
    assert found.bad(Grade.FAIL) == set()


async def test_a_secret_in_a_redirect_is_masked(examined, primary, backup):
    primary.routes["/"] = Answer(302, headers=(("Location", "/in?token=s3cret"),))
    backup.routes["/"] = Answer(302, headers=(("Location", "https://a.example/in?token=s3cret"),))
    found = await examined(primary.url, backup.url)
    assert "/in?token=***" in found.only("page", "primary").text
    assert "s3cret" not in str(found)


async def test_a_page_without_an_end_is_not_waited_for(examined, primary, backup):
    primary.routes["/"] = backup.routes["/"] = events(Feed())
    found = await examined(primary.url, backup.url)
    assert found.only("page", "primary").grade is Grade.OK


# Host


async def test_a_target_that_knows_its_own_name_alone(examined, primary, backup):
    primary.script = lambda seen: None if seen.header("Host") == f"127.0.0.1:{primary.port}" else text("who?", 404)
    found = await examined(primary.url, backup.url, public_url="https://www.shop.example")
    assert "answers 404 with Host www.shop.example" in found.only("host", "primary").text
    assert found.only("host", "primary").grade is Grade.FAIL
    assert found.only("host", "primary").remedy == "--host target"


async def test_with_a_name_that_was_made_up_it_is_only_a_doubt(examined, primary, backup):
    primary.script = lambda seen: None if seen.header("Host") == f"127.0.0.1:{primary.port}" else text("who?", 421)
    found = await examined(primary.url, backup.url)
    assert found.only("host", "primary").grade is Grade.WARN
    assert "--public-url" in found.only("host", "primary").remedy


async def test_a_target_that_knows_the_public_name_alone(examined, primary, backup):
    primary.script = lambda seen: None if seen.header("Host") == "www.shop.example" else text("who?", 403)
    found = await examined(primary.url, backup.url, public_url="https://www.shop.example", host="target")
    assert found.only("host", "primary").grade is Grade.FAIL
    assert found.only("host", "primary").remedy == "--host client"


async def test_another_site_under_the_other_name(examined, primary, backup):
    primary.script = lambda seen: html("Welcome to nginx!") if "shop" in (seen.header("Host") or "") else None
    found = await examined(primary.url, backup.url, public_url="https://www.shop.example")
    assert "“Welcome to nginx!”" in found.only("host", "primary").text
    assert found.only("host", "primary").grade is Grade.WARN


# Health checks


async def test_a_check_path_that_any_path_would_do_for(examined, primary, backup):
    primary.answer = primary.routes["/healthz"] = primary.routes["/"]
    found = await examined(primary.url, backup.url, check_path="/healthz?full=1")
    assert "proves nothing" in found.only("health", "primary").text
    assert found.only("health", "primary").grade is Grade.WARN


async def test_a_check_path_that_fails(examined, primary, backup):
    found = await examined(primary.url, backup.url, check_path="/health")
    assert found.bad(Grade.FAIL) == {"health primary"}
    assert "answered 404" in found.only("health", "primary").text


async def test_a_check_path_that_needs_a_login(examined, primary, backup):
    primary.routes["/healthz"] = Answer(302, headers=(("Location", "/login?next=%2Fhealthz&token=secret"),))
    found = await examined(primary.url, backup.url, check_path="/healthz")
    assert "a login page (/login?next=***&token=***)" in found.only("health", "primary").text


async def test_a_health_check_that_is_good_because_something_answers(examined, primary, backup):
    primary.routes["/"] = backup.routes["/"] = html("Not here", status=404)
    found = await examined(primary.url, backup.url)
    assert "404, which counts as good" in found.only("health", "primary").text


async def test_a_health_check_that_answers_much(examined, primary, backup):
    primary.routes["/healthz"] = Answer(200, Pattern(65_537))
    found = await examined(primary.url, backup.url, check_path="/healthz")
    assert "65,537 bytes" in found.only("health", "primary").text


async def test_a_health_check_that_is_nearly_too_slow(examined, primary, backup):
    primary.routes["/healthz"] = replace(primary.routes["/healthz"], delay=0.6)
    found = await examined(primary.url, backup.url, check_path="/healthz", check_timeout="1s")
    slow = found.only("health", "primary")
    assert "--check-timeout is 1 s" in slow.text or slow.grade is Grade.FAIL  # on a machine that is very busy


# Alike


async def test_a_backup_with_another_title(examined, primary, backup):
    backup.routes["/"] = html("Error", FILES)
    found = await examined(primary.url, backup.url)
    assert found.bad() == {*GOOD, "alike backup"}
    assert found.only("alike", "backup").text == "the title is “Shop” on the primary and “Error” on the backup"


async def test_a_backup_without_the_files_of_the_page(examined, primary, backup):
    del backup.routes["/app.js"]
    found = await examined(primary.url, backup.url)
    assert found.bad() == {*GOOD, "assets backup"}
    assert found.only("assets", "backup").text.endswith(
        "lacks 1 of 2 files that the primary's page is made of: /app.js"
    )


async def test_a_backup_that_answers_a_page_for_every_file(examined, primary, backup):
    backup.answer = backup.routes["/"]
    del backup.routes["/app.js"]
    found = await examined(primary.url, backup.url)
    assert "/app.js" in found.only("assets", "backup").text


async def test_what_the_primary_lacks_as_well_is_not_missed(examined, primary, backup):
    del primary.routes["/app.js"]
    del backup.routes["/app.js"]
    found = await examined(primary.url, backup.url)
    assert found.bad() == GOOD


async def test_each_backup_is_compared(examined, primary, backup):
    with Origin("third") as third:
        dressed(third)
        third.routes["/"] = html("Sorry", FILES)
        found = await examined(primary.url, f"{backup.url},{third.url}")
    assert found.only("alike", "backup").grade is Grade.OK
    assert found.only("alike", "backup-2").grade is Grade.WARN


def test_only_files_of_the_site_itself_are_looked_for():
    links = (
        '<img src="/a b.png?x=é\r\nHost: x">'
        '<base href="/shop/app/"><link rel="canonical" href="/x"><link rel="Shortcut ICON" href="icon.png">'
        '<img src="https://cdn.example/a.png"><img src="data:image/gif;base64,AA=="><img src="//[">'
        '<script src="https://app.example/shop/b.js?v=1#top"></script><script src="/c.js"></script><script></script>'
    )
    page = Seen(200, {"content-type": "text/html"}, body=links.encode())
    target = parse_target("https://app.example/shop", "primary")
    assert asset_paths(target, page, frozenset({"app.example"})) == (
        "/a%20b.png?x=%C3%A9Host:%20x",
        "/app/icon.png",
        "/b.js?v=1",
        "/c.js",
    )


# Leaks


@pytest.mark.parametrize(
    ("location", "said"),
    [
        ("https://www.shop.example/", "visitors leave the proxy"),
        ("//www.shop.example/en", "www.shop.example is not this target"),
        ("http://127.0.0.1:{port}/", "for ever"),
        ("/", "for ever"),
        ("/en", None),
        ("en", None),
        ("?", "for ever"),
        ("http://127.0.0.1:{port}/en", None),
    ],
)
async def test_redirects(examined, primary, backup, location, said):
    fields = (("Location", location.format(port=primary.port)),)
    primary.routes["/"] = backup.routes["/"] = Answer(302, headers=fields)
    found = await examined(primary.url, backup.url)
    told = found.of("redirect", "primary")
    assert [one.grade for one in told] == ([Grade.WARN] if said else [])
    assert all(said in one.text for one in told)


@pytest.mark.parametrize(("path", "warned"), [("/", True), ("/en", False)])
async def test_redirects_to_the_public_name(examined, primary, backup, path, warned):
    primary.routes["/"] = backup.routes["/"] = Answer(301, headers=(("Location", f"https://www.shop.example{path}"),))
    found = await examined(primary.url, backup.url, public_url="https://www.shop.example")
    assert len(found.of("redirect", "primary")) == warned


async def test_a_backup_that_leads_to_the_primary(examined, primary, backup):
    primary.routes["/"] = Answer(302, headers=(("Location", "/en"),))
    backup.routes["/"] = Answer(302, headers=(("Location", f"http://localhost:{primary.port}/en"),))
    found = await examined(primary.url.replace("127.0.0.1", "localhost"), backup.url)
    assert "the primary's own name" in found.only("redirect", "backup").text
    assert found.of("alike")[0].grade is Grade.WARN


@pytest.mark.parametrize(
    ("cookie", "public", "warned"),
    [
        ("id=s3cret; Domain=.shop.example; Path=/", None, True),
        ("id=s3cret; domain=shop.example", "https://www.shop.example", False),
        ("id=s3cret; domain=other.example", "https://www.shop.example", True),
        ("id=s3cret; Domain=127.0.0.1", None, False),
        ("id=s3cret; Path=/", None, False),
    ],
)
async def test_cookies_of_another_domain(examined, primary, backup, cookie, public, warned):
    primary.routes["/"] = html("Shop", FILES, fields=(("Set-Cookie", cookie),))
    found = await examined(primary.url, backup.url, **({"public_url": public} if public else {}))
    assert len(found.of("cookie", "primary")) == warned
    assert "s3cret" not in str(found)


async def test_files_that_are_fetched_past_the_proxy(examined, primary, backup):
    primary.routes["/"] = html("Shop", f'{FILES}<img src="http://127.0.0.1:{primary.port}/a.png">')
    found = await examined(primary.url, backup.url)
    assert "fetches 1 file from 127.0.0.1 by name" in found.only("links", "primary").text


# HEAD, parts, writes


def of_method(method, answer):
    return lambda seen: answer if seen.method == method and "check" in (seen.header("User-Agent") or "") else None


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (text("no", 405), "HEAD is answered 405, and GET 200"),
        (Answer(fault="close"), "closed the connection"),
        (Answer(raw=b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc"), "HEAD is answered with a body"),
        (Answer(raw=b"HTTP/1.1 103 Early\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n"), None),
        (Answer(raw=b"nonsense\r\n\r\n"), "not valid HTTP"),
    ],
    ids=["differs", "closes", "has a body", "told early", "no HTTP"],
)
async def test_head(examined, primary, backup, answer, said):
    primary.script = of_method("HEAD", answer)
    found = await examined(primary.url, backup.url)
    assert found.only("head", "primary").grade is (Grade.WARN if said else Grade.OK)
    assert (said or "") in found.only("head", "primary").text
    assert found.only("head", "backup").grade is Grade.OK


async def test_a_head_that_hangs(primary):
    primary.script = of_method("HEAD", Answer(fault="hang"))
    target = parse_target(primary.url, "primary")
    given = {"primary": primary.url, "backup": "http://b.example", "first_byte_timeout": "50ms"}
    async with Asker(load(given, clean_environment()).settings) as asker:
        asker.know(target, ("127.0.0.1",))
        found = await head(target, "/", Seen(200), asker)
    assert found.grade is Grade.WARN
    assert "did not answer in time" in found.text


@pytest.mark.parametrize(("status", "grade"), [(206, Grade.OK), (200, Grade.OK), (416, Grade.WARN), (500, Grade.WARN)])
async def test_a_part_of_a_file(examined, primary, backup, status, grade):
    primary.script = lambda seen: text("t", status) if seen.header("Range") else None
    found = await examined(primary.url, backup.url)
    assert found.only("range", "primary").grade is grade


async def test_writes_of_a_static_backup(examined, primary, backup):
    found = await examined(primary.url, backup.url, backup_kind="static")
    assert "writes are held and then refused" in found.only("writes", "backup").text
    assert found.only("writes", "backup").grade is Grade.WARN


@pytest.mark.parametrize(
    ("kind", "grade", "remedy"),
    [("replica", Grade.WARN, "--backup-kind static"), ("auto", Grade.WARN, "a second app as backup")],
)
async def test_a_store_of_files_is_no_second_app(examined, primary, backup, kind, grade, remedy):
    backup.routes["/"] = html("Shop", FILES, fields=(("Server", "AmazonS3"),))
    found = await examined(primary.url, backup.url, backup_kind=kind)
    assert found.only("writes", "backup").grade is grade
    assert found.only("writes", "backup").remedy.startswith(remedy)


async def test_a_store_that_refuses_to_say_what_it_takes(examined, primary, backup):
    refusal = Answer(403, b"<Error/>", (("Content-Type", "application/xml"),))
    backup.script = lambda seen: refusal if seen.method == "OPTIONS" else None
    found = await examined(primary.url, backup.url)
    assert "OPTIONS is answered 403" in found.only("writes", "backup").text


async def test_an_app_that_knows_no_options_is_still_an_app(examined, primary, backup):
    backup.script = lambda seen: text("no", 405) if seen.method == "OPTIONS" else None
    found = await examined(primary.url, backup.url)
    assert found.only("writes", "backup").grade is Grade.OK
