"""What is to be read in a page: its title, and what a browser would fetch with it."""

from __future__ import annotations

import contextlib
from html.parser import HTMLParser
from typing import TYPE_CHECKING
from urllib.parse import urljoin, urlsplit

if TYPE_CHECKING:
    from collections.abc import Sequence

# Links that a browser fetches by itself; `canonical`, `alternate` and the like only name another page.
_FETCHED = frozenset({"stylesheet", "icon", "preload", "modulepreload", "manifest", "apple-touch-icon"})
_LONGEST_TITLE = 200


class Page(HTMLParser):
    """Read what HTML says; of broken HTML what can be read."""

    def __init__(self, body: bytes) -> None:
        super().__init__(convert_charrefs=True)
        self.links: list[str] = []
        self._base = ""
        self._title: list[str] = []
        self._in_title = False
        self._has_title = False
        with contextlib.suppress(AssertionError):  # its own word for markup that it cannot read
            self.feed(body.decode("utf-8", errors="replace"))
            self.close()

    @property
    def title(self) -> str:
        return " ".join("".join(self._title).split())[:_LONGEST_TITLE]

    def assets(self, url: str) -> tuple[str, ...]:
        """Full addresses of what the page is made of, each once, for a page that was found at `url`."""
        found = []
        for link in self.links:
            try:
                full = urljoin(urljoin(url, self._base), link.strip())
                parts = urlsplit(full)
            except ValueError:  # no address, whatever it is
                continue
            if parts.scheme in {"http", "https"}:
                found.append(full.partition("#")[0])
        return tuple(dict.fromkeys(found))

    def handle_starttag(self, tag: str, attrs: Sequence[tuple[str, str | None]]) -> None:
        said = {name: value or "" for name, value in attrs}
        if tag == "title" and not self._has_title:
            self._in_title = self._has_title = True  # the first one: pictures in SVG have titles too
        elif tag == "base" and not self._base:
            self._base = said.get("href", "")
        elif tag == "link":
            if _FETCHED & set(said.get("rel", "").lower().split()):
                self._take(said.get("href"))
        elif tag in {"script", "img"}:
            self._take(said.get("src"))

    def handle_endtag(self, tag: str) -> None:
        if tag == "title":
            self._in_title = False

    def handle_data(self, data: str) -> None:
        if self._in_title:
            self._title.append(data)

    def _take(self, link: str | None) -> None:
        if link:
            self.links.append(link)
