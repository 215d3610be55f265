"""What the doctor finds, and what it is given by rooms that it does not know."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

from failover.reports.words import plain
from failover.settings.secret import mask_text

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Awaitable, Mapping
    from pathlib import Path

    from failover.core.document import Certificate
    from failover.core.events import Signal
    from failover.core.model import Address, Target

MACHINE = "this machine"
_LONGEST = 400


class Grade(StrEnum):
    """`WARN`: it works, and there will be trouble. `FAIL`: it does not work, or not when it is needed."""

    OK = "OK"
    WARN = "WARN"
    FAIL = "FAIL"


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of what was found. All of it is plain text with secrets masked; `remedy` is empty for what is well."""

    check: str
    target: str
    grade: Grade
    text: str
    remedy: str = ""


def ok(check: str, target: str, text: str) -> Finding:
    return Finding(check, target, Grade.OK, _clean(text))


def warn(check: str, target: str, text: str, remedy: str) -> Finding:
    return Finding(check, target, Grade.WARN, _clean(text), _clean(remedy))


def fail(check: str, target: str, text: str, remedy: str) -> Finding:
    return Finding(check, target, Grade.FAIL, _clean(text), _clean(remedy))


def _clean(text: str) -> str:
    """Much of it was said by others: one line, without what a terminal would obey, and without secrets."""
    return plain(mask_text(text), _LONGEST)


class Probed(Protocol):
    """What a probe brought home, as far as the doctor reads it."""

    @property
    def signal(self) -> Signal: ...
    @property
    def status(self) -> int: ...
    @property
    def headers(self) -> Mapping[str, str]: ...
    @property
    def length(self) -> int: ...


class Probe(Protocol):
    """One probe, exactly as the running proxy makes it."""

    def __call__(self, target: Target, within: float) -> Awaitable[Probed]: ...


class Describe(Protocol):
    """A look at a certificate that was not accepted."""

    def __call__(
        self,
        loop: asyncio.AbstractEventLoop,
        addresses: tuple[Address, ...],
        server_hostname: str,
        within: float,
        words: str,
    ) -> Awaitable[Certificate | None]: ...


@dataclass(frozen=True, slots=True)
class Place:
    """Where incidents are told: `name` for people, `url` to connect to."""

    name: str
    url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Means:
    """What other rooms lend. `folder` is that of the state, or None for the reason in `why_none`.

    `on_purpose`: that there is no folder is what the user wants.
    """

    probe: Probe
    describe: Describe
    folder: Path | None
    why_none: str = ""
    on_purpose: bool = False
    places: tuple[Place, ...] = ()
