"""The Dockerfile carried out without an engine: `unshare --mount python -m support.image FOLDER [WORDS...]`, as root.

Each stage is a folder with this machine's /usr, its Python and nothing else of it; instructions run there one by one
(chroot). Then it becomes what `docker run --read-only --cap-drop ALL --tmpfs /tmp IMAGE WORDS...` runs: the image's
user, its variables and those in IMAGE_ENV (JSON), a file system that cannot be written to but for the state and /tmp.
The mounts end with the process.

pip installs the project for real, from no index; what the project stands on is linked from the environment of the
tests, those packages alone that its requirements lead to, each in the version that constraints.txt says.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[2]
_SYSTEM = ("usr", "bin", "sbin", "lib", "lib64", "etc")
_PIP = f"""#!/bin/sh
exec {sys.prefix}/bin/python /shim/pip.py "$@"
"""


@dataclass
class Stage:
    """One FROM with what follows it. Words that are JSON in the file are lists here."""

    folder: Path
    env: dict[str, str] = field(default_factory=dict)
    workdir: str = "/"
    user: str = "0:0"
    entrypoint: list[str] = field(default_factory=list)
    command: list[str] = field(default_factory=list)
    health: list[str] = field(default_factory=list)

    def inside(self, path: str) -> Path:
        return self.folder / path.lstrip("/") if path.startswith("/") else self.inside(f"{self.workdir}/{path}")

    def furnish(self) -> None:
        """What stands for the base image: this machine's programs, and its Python under the names of the image."""
        self.folder.mkdir(parents=True)
        _mount("--bind", self.folder, self.folder)
        for name in _SYSTEM:
            there = Path("/", name)
            if there.is_symlink():
                (self.folder / name).symlink_to(there.readlink())
            elif there.exists():
                self._bind(there)
        for there in (Path("/proc"), Path("/dev"), Path(sys.base_prefix), Path(sys.prefix)):
            if not there.is_relative_to("/usr"):
                self._bind(there)
        for name in ("tmp", "var/lib", "opt", "shim/environment"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        # What is linked is linked from here: the environment's own place may be one that gets hidden, as /tmp is.
        _mount("--bind", Path(sys.prefix), self.folder / "shim/environment")
        (self.folder / "tmp").chmod(0o1777)
        version = f"python{sys.version_info.major}.{sys.version_info.minor}"
        (self.folder / "shim/python").symlink_to(Path(sys.base_prefix, "bin", version))
        (self.folder / "shim/pip").write_text(_PIP)
        (self.folder / "shim/pip").chmod(0o755)
        shutil.copy(Path(__file__).with_name("image_pip.py"), self.folder / "shim/pip.py")
        self.env["PATH"] = "/shim:/usr/local/bin:/usr/bin:/bin"

    def _bind(self, there: Path) -> None:
        here = self.folder / str(there).lstrip("/")
        here.mkdir(parents=True, exist_ok=True)
        _mount("--rbind", there, here)

    def run(self, script: str) -> None:
        env = [f"{name}={value}" for name, value in self.env.items()]
        inner = f"cd {shlex.quote(self.workdir)} && {script}"
        subprocess.run(["chroot", self.folder, "/usr/bin/env", "-i", *env, "/bin/sh", "-ec", inner], check=True)

    def say(self, word: str, rest: str) -> bool:
        """An instruction that only says something about the image; False for one that does something."""
        match word:
            case "ENV":
                pairs = dict(pair.split("=", 1) for pair in shlex.split(rest))
                self.env |= {name: value.replace("$PATH", self.env["PATH"]) for name, value in pairs.items()}
            case "USER":
                self.user = rest
            case "ENTRYPOINT":
                self.entrypoint = json.loads(rest)
            case "CMD":
                self.command = json.loads(rest)
            case "HEALTHCHECK":
                self.health = json.loads(rest.partition(" CMD ")[2])
            case _:
                return word in {"EXPOSE", "STOPSIGNAL"}
        return True

    def seal(self) -> None:
        """From now on only the state and /tmp can be written to."""
        state = self.inside(self.env["FAILOVER_STATE_DIR"])
        _mount("--bind", state, state)
        _mount("-t", "tmpfs", "-o", "size=16m,mode=1777", "tmpfs", self.folder / "tmp")
        _mount("-o", "remount,bind,ro", self.folder)

    def words(self, command: list[str]) -> list[str]:
        """What runs a command in it as its user, with no capability but root's."""
        user, group = self.user.split(":")
        drop = ["setpriv", f"--reuid={user}", f"--regid={group}", "--clear-groups", "--no-new-privs"]
        if user != "0":
            drop += ["--bounding-set=-all", "--inh-caps=-all"]
        env = [f"{name}={value}" for name, value in self.env.items()]
        return ["chroot", os.fspath(self.folder), *drop, "/usr/bin/env", "-i", *env, *command]


def _mount(*words: str | Path) -> None:
    subprocess.run(["mount", *words], check=True)


def instructions(text: str) -> list[tuple[str, str]]:
    """The instructions of a Dockerfile, each with all of its words."""
    lines = "\n".join(line for line in text.splitlines() if not line.startswith("#"))
    return [tuple(line.split(None, 1)) for line in lines.replace("\\\n", "").splitlines() if line.strip()]


def build(folder: Path) -> Stage:
    """Carry it out; the last stage."""
    stages: dict[str, Stage] = {}
    stage = Stage(folder)
    for word, rest in instructions((ROOT / "Dockerfile").read_text()):
        match word:
            case "FROM":
                base, _, name = rest.partition(" AS ")
                assert re.fullmatch(r"python:3\.\d+-slim-[a-z]+", base), "a base with Python in it"
                stage = stages[name] = Stage(folder / (name or "final"))
                stage.furnish()
            case "WORKDIR":
                stage.workdir = rest
                stage.inside(rest).mkdir(parents=True)
            case "COPY":
                _copy(stages, stage, rest.split())
            case "RUN":
                stage.run(rest)
            case _:
                assert stage.say(word, rest), f"{word} is nothing that this knows"
    return stage


def _copy(stages: dict[str, Stage], stage: Stage, words: list[str]) -> None:
    source: Path | None = ROOT
    if words[0].startswith("--from="):
        other = stages[words.pop(0).removeprefix("--from=")]
        source = None
    *names, to = words
    for name in names:
        there = other.inside(name) if source is None else source / name
        here = stage.inside(to)
        if there.is_dir():
            shutil.copytree(there, here, symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(there, here if not to.endswith("/") else here / there.name)


def beside(pid: int, folder: Path, more: dict[str, str], words: list[str] | None = None, user: str = "") -> list[str]:
    """What runs further words of the image, or its HEALTHCHECK, in the container of `pid`: as `docker exec` does.

    `user`: another one than the image's; root has his capabilities, as with `docker run --user 0`.
    """
    stage = Stage(folder / "final", {"PATH": "/usr/bin:/bin"})
    last = (ROOT / "Dockerfile").read_text().rpartition("\nFROM ")[2].partition("\n")[2]
    for word, rest in instructions(last):
        stage.say(word, rest)
    stage.env |= more
    stage.user = user or stage.user
    inner = stage.health if words is None else [*stage.entrypoint, *words]
    return ["nsenter", f"--target={pid}", "--mount", *stage.words(inner)]


def main() -> None:
    stage = build(Path(sys.argv[1]))
    stage.seal()
    stage.env |= json.loads(os.environ["IMAGE_ENV"])
    words = stage.words([*stage.entrypoint, *(sys.argv[2:] or stage.command)])
    os.execvp(words[0], words)


if __name__ == "__main__":
    main()
