"""The reference page of all settings: `python -m failover.settings.reference > docs/reference/settings.md`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from failover.settings.facts import Group
from failover.settings.rows import SETTINGS, Setting

if TYPE_CHECKING:
    from collections.abc import Iterator

_HEAD = """\
# Settings

Made from the settings model by `python -m failover.settings.reference > docs/reference/settings.md`; a test holds it
up to date.

Every setting can be given as a flag, as a variable or as a key of the YAML file that `--config` names. A flag wins over
a variable, a variable over the file, the file over the default. An empty variable counts as unset. `failover config
show` prints every value with the place it came from, and `failover config schema` the JSON Schema of the file.

**Durations** are written `250ms`, `2s`, `1m30s`, `1h`, or as a bare number of seconds.
**Sizes** are written `10MB` (10,000,000 bytes), `10MiB` (10,485,760 bytes), `512KB`, or as a bare number of bytes.
**Several values** stand in a list in the file, behind the flag given several times, and anywhere with commas between.
**On and off** are `true` and `false` (also `yes`, `no`, `on`, `off`, `1`, `0`); as a flag, `--json-logs` and
`--no-json-logs`.

`PORT`, which many platforms set, moves the port of the default listen address and nothing that you chose yourself.
In the file, keys that start with `x-` are ignored: a place for YAML anchors.

Mistakes are told all at once, each with its place (`config.yaml:3:17`), and end the program with exit code 2.
"""


def page() -> str:
    """The whole page as Markdown."""
    return "\n".join([_HEAD, *(line for group in Group for line in _section(group))])


def _section(group: Group) -> Iterator[str]:
    yield f"## {group.value}\n"
    yield "| flag | YAML key | variables | default | meaning |"
    yield "| --- | --- | --- | --- | --- |"
    for setting in SETTINGS.values():
        if setting.facts.group is group:
            yield f"| {' | '.join(_cells(setting))} |"
    yield ""


def _cells(setting: Setting) -> Iterator[str]:
    value = "" if setting.is_switch else f" {setting.facts.form.metavar}"
    yield f"`{setting.flag}{value}`".replace("|", "\\|")
    yield f"`{setting.key}`" if setting.facts.in_file else "none"
    yield ", ".join(f"`{name}`" for name in [*setting.variables, *(["PORT"] if setting.key == "listen" else [])])
    if setting.required:
        yield "required"
    else:
        shown = setting.shown_default
        yield (shown if " " in shown else f"`{shown}`") if shown else "none"
    yield setting.facts.meaning + (" A secret: shown masked." if setting.facts.secret else "")


if __name__ == "__main__":
    sys.stdout.write(page())
