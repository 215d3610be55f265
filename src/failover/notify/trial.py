"""Whether a channel takes what we say: a marked sample, down the ladder as a real message, but without a second try."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from failover.core.document import Occasion, Rung, Telling
from failover.notify.formats import destination
from failover.notify.sample import sample
from failover.notify.schedule import Schedule
from failover.notify.verdict import Refusal, Then

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    import aiohttp

    from failover.core.model import Target
    from failover.notify.channels import Channel


@dataclass(frozen=True, slots=True)
class Trial:
    """How it went in one channel: `said` in the destination's own words, `refused` what it said of richer forms."""

    channel: str
    format: str
    delivered: bool
    said: str
    refused: tuple[str, ...] = ()


async def try_all(
    channels: Sequence[Channel], primary: Target, backups: tuple[Target, ...], now: datetime
) -> list[Trial]:
    """Tell all of them at once. Never raises for what a destination does."""
    if not channels:
        return []
    from failover.notify.post import session  # noqa: PLC0415 - loads aiohttp

    telling = Telling(occasion=Occasion.TEST, document=sample(primary, backups, now))
    async with session(Schedule().try_for) as http:
        return await asyncio.gather(*(_try(http, channel, telling) for channel in channels))


async def _try(http: aiohttp.ClientSession, channel: Channel, telling: Telling, refused: tuple[str, ...] = ()) -> Trial:
    try:
        receipt = await destination(channel.format).deliver(http, channel, telling, "")
    except Refusal as refusal:
        verdict, said = refusal.verdict, channel.masked(refusal.verdict.told)
        if verdict.then in {Then.PLAINER, Then.DOUBTFUL} and telling.rung is not Rung.LINE:
            return await _try(http, channel, replace(telling, rung=Rung(telling.rung + 1)), (*refused, said))
        again = "; a real message would be tried again" if verdict.then is Then.RETRY else ""
        return Trial(channel.name, channel.format, False, f"{said}{again}", refused)
    return Trial(channel.name, channel.format, True, channel.masked(receipt.words) if receipt.words else "", refused)
