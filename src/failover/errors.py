"""The one exception tree: the type says whose fault it is, and the exit code follows from it.

FailoverError          ends a command with a sentence on stderr, never with a traceback
├── SettingsError      the user's: what was configured cannot be meant (exit 2)
├── StartError         the machine's: the settings are fine and yet it cannot start, say a taken port (exit 1)
├── UnreachableError   the running proxy's: it gave a command no usable answer (exit 1)
└── StoreError         the machine's: the store of incidents cannot be read or written (exit 1)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from collections.abc import Iterable


@dataclass(frozen=True, slots=True)
class Mistake:
    """One thing that is wrong in what the user configured.

    `where` is the place to go to: `config.yaml:3:17`, `FAIL_THRESHOLD`, `--fail-threshold`. `key` is the setting meant,
    empty where there is none; `names_key` says that the place alone does not tell it.
    """

    where: str
    what: str
    key: str = ""
    names_key: bool = False

    def __str__(self) -> str:
        key = f"{self.key}: " if self.names_key and self.key else ""
        return f"{self.where}: {key}{self.what}"


class FailoverError(Exception):
    """Ends a command; its text is one or more whole sentences for a person."""

    exit_code: ClassVar[int] = 1

    @property
    def lines(self) -> tuple[str, ...]:
        """What to print, one line each."""
        return (str(self),)


class SettingsError(FailoverError):
    """Everything that is wrong in the settings, told at once."""

    exit_code = 2

    def __init__(self, mistakes: Iterable[Mistake]) -> None:
        self.mistakes = list(mistakes)
        super().__init__("; ".join(map(str, self.mistakes)))

    @property
    def lines(self) -> tuple[str, ...]:
        return tuple(map(str, self.mistakes))


class StartError(FailoverError):
    """The settings are fine, but this machine does not let the proxy start."""


class UnreachableError(FailoverError):
    """A command asked the running proxy and got no usable answer."""


class StoreError(FailoverError):
    """The store of incidents could not be read or written."""
