"""`failover notify test`: whether incidents arrive where they are to be told, in the destination's own words."""

from __future__ import annotations

import asyncio
import os
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from failover.cli.flags import given, settings_flags, write_flags
from failover.cli.words import Group, SettingsCommand, mistakes, print_help
from failover.core.document import Occasion, Rung, Telling
from failover.errors import Mistake, SettingsError
from failover.notify.channels import channels
from failover.notify.formats import destination
from failover.notify.sample import sample
from failover.notify.schedule import Schedule
from failover.notify.verdict import Refusal, Then
from failover.settings.sources import load

if TYPE_CHECKING:
    import aiohttp

    from failover.notify.channels import Channel

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
    document = sample(settings.primary, settings.backup, datetime.now(UTC))
    telling = Telling(occasion=Occasion.TEST, document=document)
    return 0 if all(asyncio.run(_tell_all(chosen, telling))) else 1


async def _tell_all(chosen: tuple[Channel, ...], telling: Telling) -> list[bool]:
    from failover.notify.post import session  # noqa: PLC0415 - loads aiohttp

    async with session(Schedule().try_for) as http:
        return await asyncio.gather(*(_tell(http, channel, telling) for channel in chosen))


async def _tell(http: aiohttp.ClientSession, channel: Channel, telling: Telling) -> bool:
    """Down the ladder as a real message, but without a second try."""
    what = f"{channel.name} ({channel.format})"
    try:
        receipt = await destination(channel.format).deliver(http, channel, telling, "")
    except Refusal as refusal:
        verdict, said = refusal.verdict, channel.masked(refusal.verdict.told)
        if verdict.then in {Then.PLAINER, Then.DOUBTFUL} and telling.rung is not Rung.LINE:
            print(f"{what}: does not take this form ({said}), a plainer one follows")
            return await _tell(http, channel, replace(telling, rung=Rung(telling.rung + 1)))
        again = "; a real message would be tried again" if verdict.then is Then.RETRY else ""
        print(f"{what}: not delivered, {said}{again}")
        return False
    said = f", it said: {channel.masked(receipt.words)}" if receipt.words else ""
    print(f"{what}: delivered{said}")
    return True


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
