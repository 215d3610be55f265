"""`deploy/quick-deploy.sh` as a person without a terminal runs it, with stand-ins for the platforms' tools.

    wizard = Wizard(tmp_path)
    done = wizard.run("fly", primary, backup, "--yes")
    wizard.calls        # what the tools were asked, in order: words and standard input

The stand-ins are the only tools that it finds, so that nothing is ever deployed.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from support.program import clean_environment

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "deploy/quick-deploy.sh"
TOOLS = ("docker", "railway", "fly", "doctl", "heroku", "kubectl", "git")
_NEEDED = ("sh", "awk", "cat", "chmod", "cmp", "cp", "cut", "diff", "dirname", "find", "mkdir", "mktemp", "mv", "od",
           "rm", "sed", "sort", "stty", "tr")  # fmt: skip

_STAND_IN = """\
#!{python}
import json, sys
said = "" if sys.stdin.isatty() else sys.stdin.read()
with open({calls!r}, "a") as file:
    file.write(json.dumps([[{name!r}, *sys.argv[1:]], said]) + "\\n")
sys.exit({code})
"""


@dataclass
class Call:
    words: list[str]
    said: str


class Wizard:
    """See above. `has`: the tools that are there; `check`: the exit code of `failover check`, None where it is not."""

    def __init__(self, folder: Path, has: tuple[str, ...] = TOOLS, check: int | None = 0) -> None:
        self.folder = folder / "where it is run"
        self.bin = folder / "bin"
        self._calls = folder / "calls"
        self.folder.mkdir()
        self.bin.mkdir()
        for name in _NEEDED:
            found = shutil.which(name)
            assert found, name
            (self.bin / name).symlink_to(found)
        for name in has:
            self.stand_in(name)
        if check is not None:
            self.stand_in("failover", check)
        self.env = clean_environment({"PATH": os.fspath(self.bin), "TMPDIR": os.fspath(folder)})

    def stand_in(self, name: str, code: int = 0) -> None:
        path = self.bin / name
        path.unlink(missing_ok=True)
        path.write_text(_STAND_IN.format(python=sys.executable, calls=os.fspath(self._calls), name=name, code=code))
        path.chmod(0o755)

    @property
    def calls(self) -> list[Call]:
        if not self._calls.exists():
            return []
        return [Call(*json.loads(line)) for line in self._calls.read_text().splitlines()]

    def command(self, *words: str) -> list[str]:
        return [os.fspath(self.bin / "sh"), os.fspath(SCRIPT), *words]

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.command(*words), cwd=self.folder, env=self.env, stdin=subprocess.DEVNULL, capture_output=True,
            text=True, check=False,
        )  # fmt: skip

    def write(self, platform: str, primary: str, backup: str, *words: str) -> subprocess.CompletedProcess[str]:
        """Everything given, what the platform wants besides included."""
        besides = {
            "digitalocean": ["--repository", "https://github.com/you/failover.git"],
            "kubernetes": ["--image", "registry.example.com/failover:7"],
        }
        given = ["--platform", platform, "--primary", primary, "--backup", backup]
        return self.run(*given, *besides.get(platform, []), *words)

    def written(self, platform: str) -> Path:
        return self.folder / f"failover-{platform}"

    def left(self) -> list[str]:
        """Whatever lies where it was run, and where it puts things aside."""
        places = (self.folder, self.bin.parent)
        known = {self.bin.name, self.folder.name, self._calls.name}
        return sorted(path.name for place in places for path in place.iterdir() if path.name not in known)

    def given(self, platform: str) -> dict[str, str]:
        """What the platform's tool was told of variables."""
        told: dict[str, str] = {}
        for call in self.calls:
            match call.words:
                case ["railway", "add", *words] | ["heroku", "config:set", *words]:
                    told |= dict(word.split("=", 1) for word in words if "=" in word and not word.startswith("--"))
                case ["fly", "secrets", "import", *_]:
                    told |= dict(line.split("=", 1) for line in call.said.splitlines())
                case ["kubectl", "create", "secret", *words]:
                    found = [
                        word.removeprefix("--from-literal=") for word in words if word.startswith("--from-literal=")
                    ]
                    told |= dict(word.split("=", 1) for word in found)
        return told
