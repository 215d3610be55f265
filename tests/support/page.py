"""The dashboard in a real browser: what stands on it, and waiting for what it is to say.

Everything is read in one go by a script, so that an update in between cannot pull away what is read.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from selenium.common.exceptions import StaleElementReferenceException
from selenium.webdriver import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import WebDriverWait

from support.program import PATIENCE

if TYPE_CHECKING:
    from collections.abc import Callable

    from selenium.webdriver import Chrome

    from support.program import Program

# Each thing that the page says on its way, once: what a test that only looks now and then would miss.
_WATCH = """
window.told = [];
new MutationObserver(() => {
  const value = (path) => document.querySelector(path)?.textContent ?? '';
  const seen = {
    sentence: document.getElementById('sentence').textContent.trim(),
    title: document.title,
    failed: value('.incident .number:nth-child(2) dd') || '0',
    hidden: value('.incident .number:nth-child(1) dd') || '0',
    fresh: value('#fresh'),
  };
  window.told.push(seen);
}).observe(document.documentElement, {subtree: true, childList: true, characterData: true});
"""

# What a control is called here: nothing that an update changes.
_NAME = """
const name = (one) => one.id || one.closest('summary')?.parentElement.id || one.getAttribute('href')
  || one.getAttribute('aria-label') || one.textContent.trim();
"""

# What the tab key must reach, in this order. A radio group is one stop.
_CONTROLS = """
return [...document.querySelectorAll('a[href], button, summary, input:not([type=hidden]), [tabindex="0"]')]
  .filter((one) => one.checkVisibility() && (one.type !== 'radio' || one.checked))
  .map(name);
"""

_FOCUSED = """
const one = document.activeElement;
if (one === document.body) return null;
const style = getComputedStyle(one), box = one.getBoundingClientRect();
return {
  name: name(one),
  visible: one.matches(':focus-visible') && style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 2
    && box.left >= 0 && box.top >= 0 && box.right <= innerWidth && box.bottom <= innerHeight,
};
"""

_AXE = """
const done = arguments[arguments.length - 1];
axe.run().then(
  (found) => done({
    violations: found.violations.map((one) => one.id + ': ' + one.nodes.map((node) => node.html).join(' | ')),
    passes: found.passes.length,
  }),
  (error) => done({violations: [String(error)], passes: 0}),
);
"""


class Page:
    """The page at this address. It is opened by `open`."""

    def __init__(self, driver: Chrome, url: str) -> None:
        self.driver = driver
        self.url = url

    def open(self, path: str = "", scheme: str = "", width: int = 0) -> None:
        if scheme:
            self.media("prefers-color-scheme", scheme)
        if width:
            size = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": True}
            self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        self.driver.get(f"{self.url}{path}")

    def media(self, name: str, value: str) -> None:
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [{"name": name, "value": value}]})

    # -- what it says

    def script(self, written: str) -> Any:
        return self.driver.execute_script(written)

    def text(self, selector: str) -> str:
        """All that stands there, as one line; empty where nothing is."""
        found = f"[...document.querySelectorAll({json.dumps(selector)})].map((one) => one.textContent).join(' ')"
        return " ".join(str(self.script(f"return {found}")).split())

    def wait(self, reached: Callable[[], Any], what: str) -> Any:
        def why() -> str:
            return f"waited for {what}; the page says: {self.text('#main')!r:.2000}"

        waiting = WebDriverWait(self.driver, PATIENCE, poll_frequency=0.05)
        try:
            return waiting.until(lambda _driver: reached())
        except Exception as error:
            raise AssertionError(why()) from error

    def wait_for(self, selector: str, words: str) -> str:
        """Wait until this stands there."""
        self.wait(lambda: words in self.text(selector), f"{words!r} in {selector}")
        return self.text(selector)

    def watch(self) -> None:
        self.script(_WATCH)

    @property
    def told(self) -> list[dict[str, str]]:
        """What the page has said since `watch`, without what it said twice; fails where it was loaded anew."""
        told = self.script("return window.told")
        assert told is not None, "the page was loaded anew"
        return [one for place, one in enumerate(told) if not place or one != told[place - 1]]

    # -- what is done to it

    def click(self, selector: str) -> None:
        self.driver.find_element(By.CSS_SELECTOR, selector).click()

    def follow(self, selector: str) -> None:
        """Click on what leads to another page, and wait until that one is there."""
        self.script("window.left = false")
        self.wait(lambda: self._clicked(selector), f"a click on {selector}")
        self.wait(
            lambda: self.script("return !('left' in window) && document.readyState === 'complete'"), "what follows"
        )

    def _clicked(self, selector: str) -> bool:
        try:
            self.click(selector)
        except StaleElementReferenceException:  # an update has just put another one there
            return False
        return True

    def type(self, *keys: str) -> None:
        ActionChains(self.driver).send_keys(*keys).perform()

    def tab_to(self, name: str) -> None:
        for _ in range(60):
            self.type(Keys.TAB)
            focused = self.focused()
            if focused and focused["name"] == name:
                return
        raise AssertionError(f"the tab key does not reach {name!r}")

    def focused(self) -> dict[str, Any] | None:
        return self.script(_NAME + _FOCUSED)

    def controls(self) -> list[str]:
        return self.script(_NAME + _CONTROLS)

    def flaws(self) -> list[str]:
        """What axe finds wrong."""
        self.script(_axe())
        found = self.driver.execute_async_script(_AXE)
        assert found["passes"] or found["violations"], "axe looked at nothing"
        return found["violations"]


def dashboard(program: Program) -> str:
    """The address of its dashboard, without the slash at the end."""
    return program.wait_for(r"dashboard on (http://[^\s\"]+)/")[1]


@cache
def _axe() -> str:
    import axe_core_python

    return (Path(axe_core_python.__file__).parent / "axe.min.js").read_text(encoding="utf-8")
