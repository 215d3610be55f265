"""`failover run`, or `failover` alone: read the settings and start the proxy."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

from failover.cli.flags import given, settings_flags, write_flags
from failover.cli.words import SettingsCommand, mistakes
from failover.errors import SettingsError
from failover.settings.sources import Loaded, load

if TYPE_CHECKING:
    import click

_HINT = """\
failover answers for your app when it is down. Tell it where the app is, and what stands in for it:
  failover --primary https://myapp.com --backup https://myapp-backup.s3.amazonaws.com
See it happen without an app: failover demo. Everything that can be set: failover --help
"""


class Run(SettingsCommand):
    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - click's
        write_flags(formatter)


def _run(**values: Any) -> int:
    environ, flags = dict(os.environ), given(values)

    def reload() -> Loaded:
        return load(flags, environ)

    try:
        loaded = load(flags, environ, mistakes())
    except SettingsError as error:
        if not flags and {mistake.where for mistake in error.mistakes} == {"--primary", "--backup"}:
            print(_HINT, file=sys.stderr)
        raise
    from failover import app  # noqa: PLC0415 - the proxy itself, of no use to bad settings

    return app.run(loaded, reload)


run = Run("run", callback=_run, params=settings_flags(), help="Run the proxy.")
