"""The faulty origin as the lab holds it: told what to do, killed, stopped, continued; and the faults by name."""

from __future__ import annotations

import sys
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from support.origin_process import Mortal

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


class FaultyOrigin(Mortal):
    """See `chaos.faulty`. Killed and started again, it is well, and goes on with the same file."""

    def __init__(self, name: str, folder: Path) -> None:
        self.name = name
        self._file = folder / f"{name}.performed"
        options = ["--name", name, "--port", "{port}", "--file", str(self._file)]
        super().__init__([sys.executable, "-m", "chaos.faulty", *options], "origin on", orders=True)

    def be(self, mode: str) -> None:
        """Change its mode, and wait until that holds."""
        assert self.process is not None, "not started"
        mark = self.process.mark
        self.process.tell(mode)
        self.process.wait_for(f"^mode {mode}$", after=mark)

    def performed(self) -> Counter[str]:
        """How often each id was performed."""
        return Counter(self._file.read_text().split()) if self._file.exists() else Counter()


@dataclass(frozen=True, slots=True)
class Fault:
    begin: Callable[[FaultyOrigin], object]
    end: Callable[[FaultyOrigin], object]


def _mode(name: str) -> Fault:
    return Fault(lambda origin: origin.be(name), lambda origin: origin.be("well"))


FAULTS = {
    "kill": Fault(FaultyOrigin.kill, FaultyOrigin.start),
    "stop": Fault(FaultyOrigin.hang, FaultyOrigin.go_on),
    **{name: _mode(name) for name in ("unavailable", "late", "slam", "reset", "reset-when-done", "cut", "flap")},
}
