"""`failover notify test`: whether incidents arrive where they are to be told, in the destination's own words."""

from __future__ import annotations

import asyncio
import os
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from failover.cli.flags import given, settings_flags, write_flags
from failover.cli.words import Group, SettingsCommand, mistakes, print_help
from failover.errors import Mistake, SettingsError
from failover.notify.channels import channels
from failover.notify.trial import try_all
from failover.settings.sources import load

if TYPE_CHECKING:
    from collections.abc import Iterator

    from failover.notify.trial import Trial

_CHANNEL = click.Option(
    ["--channel"], metavar="NUMBER", type=click.IntRange(1, 100), help="Only this one, counted as they are given."
)


class Test(SettingsCommand):
    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - click's
        with formatter.section("Which"):
            formatter.write_dl([("--channel NUMBER", _CHANNEL.help or "")])
        write_flags(formatter)


def _test(*, channel: int | None, **values: Any) -> int:
    settings = load(given(values), os.environ, mistakes()).settings
    found = channels(settings.webhook_url, settings.webhook_format, settings.webhook_secret)
    if not found:
        how = "is missing; give it as --webhook-url https://hooks.slack.com/services/… or as WEBHOOK_URL"
        raise SettingsError([Mistake("--webhook-url", how)])
    if channel is not None and channel > len(found):
        raise SettingsError([Mistake("--channel", f"is {channel}, and there are {len(found)} channels")])
    chosen = found if channel is None else found[channel - 1 : channel]
    told = asyncio.run(try_all(chosen, settings.primary, settings.backup, datetime.now(UTC)))
    for trial in told:
        print("\n".join(_lines(trial)))
    return 0 if all(trial.delivered for trial in told) else 1


def _lines(trial: Trial) -> Iterator[str]:
    what = f"{trial.channel} ({trial.format})"
    for said in trial.refused:
        yield f"{what}: does not take this form ({said}), a plainer one follows"
    if trial.delivered:
        yield f"{what}: delivered{f', it said: {trial.said}' if trial.said else ''}"
    else:
        yield f"{what}: not delivered, {trial.said}"


notify = Group(
    "notify",
    callback=print_help,
    invoke_without_command=True,
    help="Where incidents are told.",
    commands=[
        Test(
            "test",
            callback=_test,
            params=[_CHANNEL, *settings_flags()],
            help="Send a sample that says so to every webhook, once, and print what each of them said. Takes the flags "
            "of run.",
        ),
    ],
)
