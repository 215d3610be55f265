"""The real app of tests/apps as a process, and a visit to it with a real browser."""

from __future__ import annotations

import json
import os
import random
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from support.origin_process import Mortal

if TYPE_CHECKING:
    from selenium.webdriver import Chrome

_APP = Path(__file__).parents[1] / "apps" / "guestbook.py"
# What a proxy may add, what belongs to one connection, and what is new each time.
_NOT_COMPARED = {"via", "forwarded", "x-request-id", "connection", "keep-alive", "sec-websocket-key"}


class Guestbook(Mortal):
    """`requests` are what it was asked so far; killed and started again, it goes on with the same file."""

    def __init__(self, folder: Path, name: str = "primary") -> None:
        self.file = folder / f"{name}.requests"
        self.folder = folder / "files"
        self.folder.mkdir(exist_ok=True)
        noise = self.folder / "noise.bin"
        noise.write_bytes(random.Random(1).randbytes(1_000_000))
        os.utime(noise, (1_700_000_000, 1_700_000_000))  # its ETag and Last-Modified come from it
        options = ["--port", "{port}", "--file", str(self.file), "--folder", str(self.folder), "--name", name]
        super().__init__([sys.executable, str(_APP), *options], "guestbook on")

    def requests(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.file.read_text().splitlines()] if self.file.exists() else []

    def essence(self) -> list[str]:
        """What it was asked by people, without what a proxy may add or what is new each time; sorted."""
        told = []
        for request in self.requests():
            headers = [
                [name.lower(), plain(value)]
                for name, value in request["headers"]
                if name.lower() not in _NOT_COMPARED and not name.lower().startswith("x-forwarded-")
            ]
            if not any(value.startswith("Mozilla/") for _, value in headers):
                continue  # a probe
            told.append(json.dumps(request | {"headers": sorted(headers)}, ensure_ascii=False, sort_keys=True))
        return sorted(told)


def plain(text: str) -> str:
    """A text without what differs from one visit to the next: ports, and the boundaries of forms."""
    text = re.sub(r"(127\.0\.0\.1|localhost):\d+", r"\1:PORT", text)
    return re.sub(r"----WebKitFormBoundary\w+", "BOUNDARY", text)


class Visit:
    """A visit of a real browser. `sights` is all that a person sees, one entry a page."""

    def __init__(self, driver: Chrome, url: str, folder: Path) -> None:
        self.driver, self.url, self.sights = driver, url, []
        self._upload = folder / "grüße.bin"
        self._upload.write_bytes(random.Random(3).randbytes(3_000_000))

    def look(self, what: str) -> None:
        cookies = [
            {name: value for name, value in cookie.items() if name != "expiry"} | {"expires": "expiry" in cookie}
            for cookie in self.driver.get_cookies()
        ]
        self.sights.append(
            {
                "what": what,
                "url": plain(self.driver.current_url),
                "title": self.driver.title,
                "text": plain(self._find("body").text),
                "cookies": sorted(cookies, key=lambda cookie: (cookie["name"], cookie["path"])),
                "status": self.driver.execute_script(
                    "return performance.getEntriesByType('navigation')[0].responseStatus"
                ),
                "protocol": self.driver.execute_script(
                    "return performance.getEntriesByType('navigation')[0].nextHopProtocol"
                ),
            }
        )

    def _find(self, selector: str) -> Any:
        return self.driver.find_element("css selector", selector)

    def _press(self, selector: str) -> None:
        """Press a button, and wait until its page has made way for the next."""
        from selenium.common.exceptions import WebDriverException
        from selenium.webdriver.support.ui import WebDriverWait

        before = self._find("html")

        def is_gone(_driver: object) -> bool:
            try:
                before.is_enabled()
            except WebDriverException:  # stale, or in the very moment of going "does not belong to the document"
                return True
            return False

        self._find(selector).click()
        WebDriverWait(self.driver, 30, 0.02).until(is_gone)
        WebDriverWait(self.driver, 30, 0.02).until(
            lambda driver: driver.execute_script("return document.readyState") == "complete"
        )

    def log_in(self, password: str) -> None:
        self._find("[name=user]").send_keys("ada")
        self._find("[name=password]").send_keys(password)
        self._press("#go")

    def whole(self) -> None:
        """Everything that can be done there."""
        self.driver.get(f"{self.url}/")
        self.look("redirected to the log-in")
        self.log_in("wrong")
        self.look("refused")
        self.log_in("löve & <lace>")
        self.look("logged in")
        for entry in ("Grüße & <b>kisses</b>", "two\nlines"):
            self._find("[name=entry]").send_keys(entry)
            self._press("#write")
            self.look("written")
        self._find("[name=comment]").send_keys("a file, größer")
        self._find("[name=file]").send_keys(str(self._upload))
        self._press("#upload")
        self.look("uploaded")
        self.driver.get(f"{self.url}/home?again=1")
        self.driver.refresh()
        self.use_script()
        self.look("script has run")
        self._press("#leave")
        self.look("left")
        self.driver.get(f"{self.url}/home")
        self.look("is a stranger again")
        self.driver.get(f"{self.url}/nowhere")
        self.look("nothing there")
        self.driver.back()
        self.look("back")

    def use_script(self) -> None:
        """Let the page's script use the files, the methods, the WebSocket and the event stream, to its end."""
        from selenium.webdriver.support.ui import WebDriverWait

        self.driver.execute_script("journey()")
        done = WebDriverWait(self.driver, 60, 0.05)
        done.until(lambda _driver: self._find("#done").text == "done", f"stuck: {self._find('#log').text[-2000:]}")
