"""What stands for pip in `support.image`: the same words, and nothing is fetched."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.metadata import distribution
from pathlib import Path

from packaging.requirements import Requirement


def closure(wanted: list[Requirement]) -> dict[str, str]:
    """Every package that these lead to, with its version."""
    found: dict[str, str] = {}
    waiting = [(one, extra) for one in wanted for extra in (one.extras or {""})]
    while waiting:
        one, extra = waiting.pop()
        if one.marker and not one.marker.evaluate({"extra": extra}):
            continue
        there = distribution(one.name)
        assert there.version in one.specifier, f"{one} is not what is here"
        if there.metadata["Name"] not in found:
            found[there.metadata["Name"]] = there.version
            waiting += [(Requirement(line), "") for line in there.requires or ()]
    return found


def link(python: Path, requirements: str, constraints: str) -> None:
    pinned = dict(line.split("==") for line in Path(constraints).read_text().split())
    known = {name.lower().replace("-", "_"): version for name, version in pinned.items()}
    (site,) = python.glob("lib/python3.*/site-packages")
    for name, version in closure([Requirement(line) for line in Path(requirements).read_text().splitlines()]).items():
        assert known[name.lower().replace("-", "_")] == version, f"{name} is not pinned to what is here"
        there = distribution(name)
        tops = {file.parts[0] for file in there.files or () if file.parts[0] not in {"..", "__pycache__"}}
        for top in tops:
            here = site / top
            if not here.exists():
                here.symlink_to("/shim/environment" / Path(str(there.locate_file(top))).relative_to(sys.prefix))


def main(words: list[str]) -> None:
    assert words[0] == "--python"
    python = Path(words[1])
    assert words[2] == "install"
    if "-r" in words:
        link(python, words[words.index("-r") + 1], words[words.index("-c") + 1])
    else:
        # A build in isolation would fetch the backend, so the wheel is made by the one that is here.
        assert words.pop() == "."
        subprocess.run([sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", "/tmp/wheel"], check=True)
        wheels = map(os.fspath, Path("/tmp/wheel").iterdir())
        os.execv(sys.executable, [sys.executable, "-m", "pip", *words, "--quiet", "--no-index", *wheels])


if __name__ == "__main__":
    main(sys.argv[1:])
