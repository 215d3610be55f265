"""Where a value was given, and the texts as they were found there."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from failover.errors import Mistake


class SourceKind(StrEnum):
    FLAG = "flag"
    VARIABLE = "variable"
    FILE = "file"
    DEFAULT = "default"


@dataclass(frozen=True, slots=True)
class Source:
    """`where` is what a person looks up: `--listen`, `PORT`, `config.yaml:3:17`, `default`."""

    kind: SourceKind
    where: str

    def __str__(self) -> str:
        return self.where


DEFAULT = Source(SourceKind.DEFAULT, "default")


@dataclass(frozen=True, slots=True)
class Found:
    """One text and its source. A setting that may be given several times has several of them."""

    text: str
    source: Source


@dataclass(slots=True)
class FileContents:
    """What a file gives.

    `meant` holds the keys that somebody tried to give in it, so that they are not called missing as well; `whole` is
    false when the file could not be read to its end, and then nothing may be called missing.
    """

    found: dict[str, tuple[Found, ...]] = field(default_factory=dict)
    mistakes: list[Mistake] = field(default_factory=list)
    meant: set[str] = field(default_factory=set)
    whole: bool = True
