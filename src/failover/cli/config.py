"""`failover config show` and `failover config schema`."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import click

from failover.cli.flags import given, settings_flags, write_flags
from failover.cli.words import Command, Group, SettingsCommand, mistakes, print_help
from failover.settings.rows import SETTINGS
from failover.settings.schema import json_schema
from failover.settings.sources import load

if TYPE_CHECKING:
    from failover.settings.sources import Loaded

_AS_JSON = click.Option(["--json", "as_json"], is_flag=True, help="Print JSON.")


class Show(SettingsCommand):
    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - click's
        with formatter.section("Output"):
            formatter.write_dl([("--json", "Print JSON.")])
        write_flags(formatter)


def _show(*, as_json: bool, **values: Any) -> None:
    loaded = load(given(values), os.environ, mistakes())
    print(_json(loaded) if as_json else _table(loaded))


def _json(loaded: Loaded) -> str:
    written = {
        key: {
            "value": value if isinstance(value := getattr(loaded.settings, key), bool | int) else setting.write(value),
            "source": str(loaded.sources[key]),
        }
        for key, setting in SETTINGS.items()
    }
    return json.dumps(written, indent=2, ensure_ascii=False)


def _table(loaded: Loaded) -> str:
    rows = [("setting", "value", "source")]
    for key, setting in SETTINGS.items():
        written = setting.write(getattr(loaded.settings, key))
        value = ", ".join(written) if isinstance(written, list) else written
        rows.append((key, value or "none", str(loaded.sources[key])))
    widths = [max(len(row[column]) for row in rows) for column in (0, 1)]
    return "\n".join(f"{key:<{widths[0]}}  {value:<{widths[1]}}  {source}" for key, value, source in rows)


def _schema() -> None:
    print(json.dumps(json_schema(), indent=2, ensure_ascii=False))


config = Group(
    "config",
    callback=print_help,
    invoke_without_command=True,
    help="The settings.",
    commands=[
        Show(
            "show",
            callback=_show,
            params=[_AS_JSON, *settings_flags()],
            help="Print every setting and the place it came from, secrets masked. Takes the flags of run.",
        ),
        Command("schema", callback=_schema, help="Print the JSON Schema of the configuration file."),
    ],
)
