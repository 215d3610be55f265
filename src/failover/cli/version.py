"""`failover version`."""

from __future__ import annotations

from failover import __version__
from failover.cli.words import Command


def _version() -> None:
    print(f"failover {__version__}")


version = Command("version", callback=_version, help="Print the version.")
