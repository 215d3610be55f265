"""The dashboard of the real program in a real browser: it tells an outage, stays alive, and is usable by everybody."""

from __future__ import annotations

import re
import signal
from contextlib import contextmanager
from os import kill
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest
from selenium.webdriver.common.keys import Keys

from support.browser import browser, needs_browser
from support.load import Load
from support.page import Page, dashboard
from support.program import Program

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.origin import Origin

pytestmark = [pytest.mark.browser, needs_browser]

QUICK = ("--check-interval", "200ms", "--backup-check-interval", "200ms", "--ramp-step", "600ms")
ORDERS = ("backup", "primary", "auto", "hold", "drill", "stop-drill", "test")
SCHEMES = ("light", "dark")
TOKEN = "a-token-of-24-letters-or"


@contextmanager
def proxy(primary: Origin, backup: Origin, *more: str, admin: str = "127.0.0.1:0") -> Iterator[Program]:
    """It serves, and both sides have been probed."""
    given = ("--primary", primary.url, "--backup", backup.url, "--admin-listen", admin)
    with Program(*given, *QUICK, *more) as program:
        program.ready()
        for origin in (primary, backup):
            origin.wait_for(lambda seen: seen.answered)
        yield program


@contextmanager
def page_of(program: Program) -> Iterator[Page]:
    with browser() as driver:
        yield Page(driver, dashboard(program))


@contextmanager
def outage(program: Program, primary: Origin) -> Iterator[Load]:
    """The primary is gone, and visitors ask; it stays gone afterwards."""
    with Load(program.url, rate=30) as load:
        load.wait_for(answered=20)
        primary.stop()
        program.wait_for("switched to the backup")
        yield load


def count(told: str) -> int:
    return int(told.replace(",", "") or 0)


def test_the_page_tells_an_outage_from_beginning_to_end(primary: Origin, backup: Origin) -> None:
    with proxy(primary, backup) as program, page_of(program) as page:
        page.open("/")
        page.wait_for("#fresh", "live, as of")
        page.wait_for("#sentence", "The primary serves")
        assert "None so far" in page.text("#part-past")
        assert not page.text("#part-incident")
        page.watch()
        with outage(program, primary) as load:
            page.wait_for("#sentence", "The backup serves")
            page.wait_for(".headline .note", "rimary refused connections")
            page.wait_for(".card.bad", "primary down")
            assert "backup well serving" in page.text(".card.good h3")
            page.wait_for("#open-incident", "gone")
            first = count(page.text(".incident .number:nth-child(1) dd:nth-child(2)"))
            page.wait(lambda: count(hidden(page)) > first + 30, "more that is hidden")
            primary.start()
            page.wait_for("#sentence", "The primary is tried with")
            page.wait_for("#sentence", "The primary serves")
            page.wait(lambda: not page.text("#part-incident"), "the end of the incident")
        assert not load.tally.failures, load.tally
        page.wait_for("#part-past tbody", "The app was restarted")
        assert "(open)" not in page.text("#part-past tbody")
        page.wait_for(".card.good", "primary well serving")
        told = page.told

        sentences = list(dict.fromkeys(words(one["sentence"]) for one in told))
        assert sentences[:3] == [
            "The primary serves",
            "The backup serves",
            "The primary is tried with 5 % of the visitors",
        ]
        assert words(told[-1]["sentence"]) == "The primary serves"
        for one in told:
            assert words(one["title"]) == f"{words(one['sentence'])} · Failover"
        assert {one["failed"] for one in told} == {"0"}
        counts = [count(one["hidden"]) for one in told]
        grown = counts[: counts.index(max(counts)) + 1]
        assert grown == sorted(grown), "what is hidden became less"

        page.follow("#part-past tbody a")
        assert "/incidents/" in page.driver.current_url
        assert "The app was restarted" in page.driver.title
        assert "refused connections" in page.text("body")


def hidden(page: Page) -> str:
    return page.text(".incident .number:nth-child(1) dd:nth-child(2)")


def words(told: str) -> str:
    """Without the shape before it."""
    return re.sub(r"^\W+", "", " ".join(told.split()))


def test_the_page_says_that_it_hears_nothing_and_comes_back_by_itself(primary: Origin, backup: Origin) -> None:
    with browser() as driver:
        with proxy(primary, backup) as program:
            page = Page(driver, dashboard(program))
            page.open("/")
            page.wait_for("#fresh", "live, as of")
            page.watch()
            kill(program.controller(), signal.SIGSTOP)
            try:
                said = page.wait_for("#fresh", "connection lost, data from ")
                assert re.search(r"from \d+:\d\d:\d\d", said)
                assert page.script("return document.documentElement.matches('.stale')")
            finally:
                kill(program.controller(), signal.SIGCONT)
            page.wait_for("#fresh", "live, as of")
            assert not page.script("return document.documentElement.matches('.stale')")
            began = page.text("#part-about p time")
            again = urlsplit(page.url).netloc
        page.wait_for("#fresh", "connection lost, data from ")
        with proxy(primary, backup, admin=again):
            page.wait_for("#fresh", "live, as of")
            page.wait(lambda: page.text("#part-about p time") != began, "the start of the new one")
        assert page.told


def test_everything_works_without_a_script(primary: Origin, backup: Origin) -> None:
    with proxy(primary, backup) as program, page_of(program) as page:
        page.driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
        page.open("/")
        assert page.script("return document.querySelector('noscript meta[http-equiv=refresh]') !== null")
        assert page.driver.title == "The primary serves · Failover"
        assert page.text("#fresh").startswith("as of ")
        headings = "Targets Now What happened last Incidents 30 days Who is told This proxy"
        assert page.text("#main h2") == headings
        assert page.text(".card h3") == "● primary well serving app ● backup well replica"

        page.open("/")
        page.follow("#order-backup")
        page.driver.find_element("id", "who").send_keys("Ada L.")
        page.follow("button.main")
        assert page.text(".said.good") == "The backup serves until you say otherwise (failover switch auto)."
        program.wait_for(r"Ada L\. wants the backup to serve")
        page.wait_for("#sentence", "The backup serves")  # the page has refreshed itself
        assert page.text(".headline .note") == "Ada L. wants the backup to serve."
        page.wait_for("#part-activity", "Ada L. wants the backup to serve")
        page.wait(lambda: not page.text(".said"), "a page that does not say again what it has said")


def test_the_keyboard_is_enough(primary: Origin, backup: Origin) -> None:
    with proxy(primary, backup) as program, page_of(program) as page:
        page.open("/")
        page.wait_for("#traffic-table", "as a table")  # it is the last control to come
        reached = []
        page.type(Keys.TAB)
        while focused := page.focused():
            assert focused["visible"], f"nobody sees that {focused['name']} has the focus"
            reached.append(focused["name"])
            page.type(Keys.TAB)
        assert reached[0] == "#main"
        assert reached == page.controls()

        page.open("/")
        page.tab_to("order-hold")
        page.type(Keys.ENTER)
        page.wait_for("h1", "Hold?")
        page.tab_to("for")
        page.type("10m")
        page.tab_to("who")
        page.type("Grace", Keys.ENTER)
        page.wait_for(".said.good", "The primary goes on serving, whatever happens, for 10 m")
        page.wait_for(".headline .note", "Grace wants nothing to be switched")


def test_an_update_takes_nothing_from_the_hand(primary: Origin, backup: Origin) -> None:
    """Open details, the focus, and the order that has it."""
    with proxy(primary, backup) as program, page_of(program) as page, Load(program.url, rate=20):
        page.open("/")
        page.wait_for("#fresh", "live, as of")
        page.script("document.querySelector('#probes-primary summary').focus()")
        page.type(Keys.ENTER)
        page.watch()
        probes = page.text("#probes-primary tbody")
        page.wait(lambda: len({one["fresh"] for one in page.told}) > 3, "three updates")
        page.wait(lambda: page.text("#probes-primary tbody") != probes, "new probes")
        assert page.script("return document.querySelector('#probes-primary').open")
        assert page.script("return document.activeElement.closest('details').id") == "probes-primary"

        page.script("document.getElementById('order-hold').focus()")
        primary.stop()
        page.wait_for("#part-steering", "Switch to the primary")
        focused = page.focused()
        assert focused is not None
        assert focused["name"] == "order-hold", "another order has got under the finger"
        assert page.script("return document.querySelector('#probes-primary').open")


def test_axe_finds_nothing_wrong(primary: Origin, backup: Origin) -> None:
    with proxy(primary, backup, "--webhook-url", f"{backup.url}/hook") as program, page_of(program) as page:
        flaws = {}
        for scheme in SCHEMES:
            page.open("/", scheme)
            page.wait_for("#fresh", "live, as of")
            page.script("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
            flaws["calm", scheme] = page.flaws()
            for order in ORDERS:
                page.open(f"/confirm?order={order}", scheme)
                flaws[order, scheme] = page.flaws()
        with outage(program, primary):
            for scheme in SCHEMES:
                page.open("/", scheme)
                page.wait_for("#open-incident", "gone")
                flaws["outage", scheme] = page.flaws()
    assert not {where: found for where, found in flaws.items() if found}


def test_axe_finds_nothing_wrong_with_a_report(primary: Origin, backup: Origin) -> None:
    with proxy(primary, backup) as program, page_of(program) as page, outage(program, primary):
        page.open("/")
        page.wait_for("#open-incident", "gone")
        page.follow(".incident p a")
        assert "/incidents/" in page.driver.current_url
        for scheme in SCHEMES:
            page.media("prefers-color-scheme", scheme)
            assert page.flaws() == []


def test_axe_finds_nothing_wrong_at_the_door(primary: Origin, backup: Origin) -> None:
    with proxy(primary, backup, "--admin-token", TOKEN) as program, page_of(program) as page:
        for scheme in SCHEMES:
            page.open("/", scheme)
            assert page.driver.current_url.endswith("/login")
            assert page.flaws() == []
        page.type("a wrong one", Keys.ENTER)
        page.wait_for(".said.bad", "token")
        assert page.flaws() == []
        page.type(TOKEN, Keys.ENTER)
        page.wait_for("#fresh", "live, as of")
        assert page.flaws() == []
        page.follow(".top button")
        page.wait_for("label", "Admin token")


def test_all_of_it_works_on_the_public_port(primary: Origin, backup: Origin) -> None:
    """Where a platform gives one port only: under a prefix, with the token."""
    with proxy(primary, backup, "--admin-token", TOKEN, admin="off") as program, browser() as driver:
        page = Page(driver, f"{program.url}/__failover")
        page.open()
        page.type(TOKEN, Keys.ENTER)
        page.wait_for("#fresh", "live, as of")
        with outage(program, primary):
            page.wait_for("#open-incident", "gone")
        page.follow("#order-hold")
        page.driver.find_element("id", "who").send_keys("Ada")
        page.follow("button.main")
        page.wait_for(".said.good", "The backup goes on serving")
        page.wait_for(".headline .note", "Ada wants nothing to be switched.")
        page.wait_for(".incident .timeline", "Ada")
        page.follow("#part-past tbody a")
        assert "/__failover/incidents/" in driver.current_url
        assert "Ada" in page.text("body")


@pytest.mark.parametrize("width", [390, 320])
def test_it_fits_a_phone(primary: Origin, backup: Origin, width: int) -> None:
    long = f"{backup.url}/{'hooks-of-a-long-name-' * 8}"
    with proxy(primary, backup, "--webhook-url", long) as program, page_of(program) as page:
        wide, small = {}, {}

        def look(name: str) -> None:
            page.script("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
            wide[name] = page.script("return document.documentElement.scrollWidth")
            small[name] = page.script(
                "return [...document.querySelectorAll('button, .button, summary, .choice, input:not([type=radio])')]"
                ".filter((one) => one.checkVisibility() && one.getBoundingClientRect().height < 44)"
                ".map((one) => one.outerHTML)"
            )

        for order in ORDERS:
            page.open(f"/confirm?order={order}", width=width)
            look(order)
        page.open("/confirm?order=hold")
        page.driver.find_element("id", "who").send_keys("x" * 80)
        page.follow("button.main")
        page.wait_for(".headline .note", "xxx wants")
        look("held")
        page.open("/confirm?order=auto")
        page.follow("button.main")
        page.wait_for(".said.good", "The signals decide")
        with outage(program, primary):
            page.wait_for("#open-incident", "gone")
            look("outage")
        errors = [one for one in page.driver.get_log("browser") if one["level"] == "SEVERE"]
    assert all(seen <= width for seen in wide.values()), wide
    assert not any(small.values()), small
    assert not errors, errors


def test_nothing_moves_for_those_who_do_not_want_it(primary: Origin, backup: Origin) -> None:
    with proxy(primary, backup) as program, page_of(program) as page:
        page.open("/")
        moves = "return getComputedStyle(document.querySelector('.card')).transitionDuration"
        assert page.script(moves) != "0s"
        page.media("prefers-reduced-motion", "reduce")
        assert page.script(moves) == "0s"
