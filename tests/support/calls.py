"""Calls of our programs in the texts of pages: what is wrong in them, and which flags of others a page may name.

    wrong_words("failover state --josn")    # ["failover state has no --josn"]
    wrong_flags("`--primry`")               # ["--primry"]

Our programs are `failover` (also behind `sudo`, a folder, `docker run … failover`), `install.sh` and `quick-deploy.sh`.
"""

from __future__ import annotations

import re
import shlex
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import click

from failover.cli import reference
from failover.settings.rows import SETTINGS

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
COMMANDS = dict(reference.commands())
VARIABLES = {name for setting in SETTINGS.values() for name in setting.variables}
OTHERS_VARIABLES = {"FAILOVER_SERVICE_HOST"}  # what Kubernetes sets for a service of that name
SCRIPTS = ("install.sh", "deploy/quick-deploy.sh")

OTHERS_FLAGS = {"--cache-control", "--content-type", "--key"}
"""Of other programs, where a page names one without the program (`--key value`: of any)."""
OTHERS = {"aws", "certbot", "chrt", "curl", "docker", "doctl", "fly", "git", "heroku", "kubectl", "make", "pip", "pipx",
          "python3", "railway", "ss", "systemctl", "systemd-analyze", "uv", "uvx"}  # fmt: skip
"""Other programs whose calls stand in the text: their flags are their own."""

_BEFORE = {"sudo", "exec"}


def flags_of(command: click.Command) -> set[str]:
    named = {name for one in command.params if isinstance(one, click.Option)
             for name in [*one.opts, *one.secondary_opts]}  # fmt: skip
    return named | {"--help", "--version", "-h", "-V"}


@cache
def flags_of_script(name: str) -> frozenset[str]:
    """What the usage of a script of ours names."""
    usage = re.search(r"^usage\(\) \{\n(.*?)^\}", (ROOT / name).read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    assert usage is not None
    return frozenset(re.findall(r"(?<![\w-])--[a-z][a-z0-9-]*", usage[1])) | {"--help"}


def every_flag() -> set[str]:
    """All flags that a page may name without saying whose they are."""
    ours = {flag for command in COMMANDS.values() for flag in flags_of(command)}
    return ours.union(OTHERS_FLAGS, *(flags_of_script(name) for name in SCRIPTS if (ROOT / name).exists()))


def calls(text: str) -> Iterator[list[str]]:
    """Each call of a program of ours, from the program's name on."""
    for line in text.replace("\\\n", " ").splitlines():
        for part in re.split(r"&&|;|\|(?!\w)|[()]", line.split(" #")[0]):
            try:
                words = shlex.split(part)
            except ValueError:  # half of a quotation: what stands before it can be read
                words = part.split()
            while words and (words[0] in _BEFORE or re.fullmatch(r"\w+=.*", words[0])):
                del words[0]
            if words[:1] == ["docker"] or words[:1] == ["uvx"]:  # after its own words, those of the image or package
                words = _from_the_program(words, last=words[1:2] == ["run"])
            if words and Path(words[0]).name in {"failover", *(Path(name).name for name in SCRIPTS)}:
                yield [Path(words[0]).name, *words[1:]]


def _from_the_program(words: list[str], *, last: bool) -> list[str]:
    """`docker run --name failover failover --primary=…`, `docker exec failover failover state`, `uvx … failover …`."""
    at = [place for place, word in enumerate(words) if word == "failover"]
    if words[1:2] == ["exec"]:
        at = at[1:]
    return words[at[-1] if last else at[0]:] if at else []  # fmt: skip


def wrong_words(text: str) -> list[str]:
    """What is wrong in the calls of our programs that a text of shell has, and in the variables that it sets."""
    wrong = [one for words in calls(text) for one in _wrong_call(words)]
    named = re.findall(r"\bFAILOVER_[A-Z_]+", text)
    return wrong + [f"there is no {name}" for name in named if name not in VARIABLES | OTHERS_VARIABLES]


def _wrong_call(words: list[str]) -> list[str]:
    program, *rest = words
    said = [word.partition("=")[0] for word in rest if re.match(r"--[a-z]", word)]
    if program != "failover":
        known = flags_of_script(next(name for name in SCRIPTS if name.endswith(program)))
        return [f"{program} has no {flag}" for flag in said if flag not in known]
    command = next((name for name in (" ".join(rest[:2]), " ".join(rest[:1])) if name in COMMANDS), "run")
    group = any(name.startswith(f"{rest[0]} ") for name in COMMANDS) if rest else False
    if command == "run" and rest and re.match(r"[a-z]", rest[0]) and rest[0] != "run" and not group:
        return [f"there is no failover {rest[0]}"]
    return [f"failover {command} has no {flag}" for flag in said if flag not in flags_of(COMMANDS[command])]


def wrong_flags(prose: str) -> list[str]:
    """Flags in the `code` of a text that nobody has, and what is wrong in the calls that stand there."""
    known, wrong = every_flag(), []
    for code in re.findall(r"`([^`\n]+)`", re.sub(r"```.*?```", "", prose, flags=re.DOTALL)):
        if next(calls(code), None) is not None:
            wrong += wrong_words(code)
        elif not OTHERS & {Path(word).name for word in code.split()[:2]}:
            wrong += [flag for flag in re.findall(r"(?<![\w-])--[a-z][a-z0-9-]+", code) if flag not in known]
    return wrong
