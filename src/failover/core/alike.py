"""Whether two answers to the same question look alike: what a visitor would notice if one came instead of the other.

Pure, and true of any path. Whoever asked makes a `Look` of each answer; `differences` says in sentences what differs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_TIMES_LONGER = 5
_TOO_SHORT_TO_JUDGE = 256
_HTML = frozenset({"text/html", "application/xhtml+xml"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What is to be seen of an answer. `length` is that of the body, or -1 where nobody knows it.

    `location` is where a redirect leads, as a visitor would be told it: what names the target itself is a path.
    """

    status: int
    content_type: str = ""
    title: str = ""
    length: int = -1
    location: str = ""
    server: str = ""

    @property
    def media_type(self) -> str:
        """`text/html` of `text/html; charset=utf-8`."""
        return self.content_type.partition(";")[0].strip().lower()

    @property
    def is_page(self) -> bool:
        return self.media_type in _HTML

    @property
    def is_good(self) -> bool:
        """An answer that is no error, whatever it says."""
        return 200 <= self.status < 400


def differences(primary: Look, backup: Look) -> tuple[str, ...]:
    """What differs, a sentence each, the most telling first; nothing for two that look alike.

    Who served (`server`) is not compared: no visitor sees it.
    """
    return tuple(_differences(primary, backup))


def _differences(primary: Look, backup: Look) -> Iterator[str]:
    same_class = primary.status // 100 == backup.status // 100
    if not same_class:
        yield f"the status is {primary.status} on the primary and {backup.status} on the backup"
    if same_class and primary.status // 100 == 3 and primary.location != backup.location:
        there, here = _quoted(primary.location), _quoted(backup.location)
        yield f"the redirect leads to {there} on the primary and to {here} on the backup"
    if primary.media_type != backup.media_type:
        there, here = primary.media_type or "not named", backup.media_type or "not named"
        yield f"the content type is {there} on the primary and {here} on the backup"
    if primary.is_page and backup.is_page and _squeezed(primary.title) != _squeezed(backup.title):
        there, here = _quoted(primary.title), _quoted(backup.title)
        yield f"the title is {there} on the primary and {here} on the backup"
    yield from _lengths(primary.length, backup.length)


def _lengths(primary: int, backup: int) -> Iterator[str]:
    if min(primary, backup) < 0 or max(primary, backup) < _TOO_SHORT_TO_JUDGE:
        return
    if max(primary, backup) > _TIMES_LONGER * min(primary, backup):
        yield f"the body has {primary:,} bytes on the primary and {backup:,} on the backup"


def _quoted(text: str) -> str:
    return f"“{_squeezed(text)}”" if text.strip() else "empty"


def _squeezed(text: str) -> str:
    return " ".join(text.split())
