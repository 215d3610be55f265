"""The flags of all settings, made from the model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from failover.settings.facts import Group
from failover.settings.rows import SETTINGS, Setting

if TYPE_CHECKING:
    from collections.abc import Mapping


def settings_flags() -> list[click.Parameter]:
    """A flag for each setting. Values stay texts: the settings read and judge them."""
    return [_flag(setting) for setting in SETTINGS.values()]


def _flag(setting: Setting) -> click.Option:
    if setting.is_switch:
        return click.Option([f"{setting.flag}/{setting.flag.replace('--', '--no-', 1)}", setting.key], default=None)
    return click.Option(
        [setting.flag, setting.key], default=None, multiple=setting.several, metavar=setting.facts.form.metavar
    )


def given(values: Mapping[str, Any]) -> dict[str, object]:
    """What was really given of the values that click hands a command."""
    return {key: value for key, value in values.items() if value is not None and value != ()}


def write_flags(formatter: click.HelpFormatter) -> None:
    """All flags, by subject."""
    for group in Group:
        rows = [_help_row(setting) for setting in SETTINGS.values() if setting.facts.group is group]
        with formatter.section(group.value):
            formatter.write_dl(rows, col_max=34)


def _help_row(setting: Setting) -> tuple[str, str]:
    value = "" if setting.is_switch else f" {setting.facts.form.metavar}"
    shown = "required" if setting.required else setting.shown_default
    note = f" [{shown}]" if shown and not setting.is_switch else ""
    return f"{setting.flag}{value}", f"{setting.facts.meaning}{note}"
