"""Whether the places that incidents are told to can be reached. Nothing is sent to them."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from failover.core.words import CHECK, failing, lasting
from failover.doctor.base import Finding, fail, ok, warn
from failover.doctor.reach import connects
from failover.faults import Fault

if TYPE_CHECKING:
    from failover.doctor.base import Place

_PORTS = {"http": 80, "https": 443}
_NOBODY = "webhooks"
_SAMPLE = "failover notify test sends a sample"


async def channels(places: tuple[Place, ...], within: float) -> list[Finding]:
    if not places:
        text = "nobody is told when the primary fails"
        return [
            warn(
                "webhook",
                _NOBODY,
                text,
                "--webhook-url with the address of a channel in Slack, Discord or Teams, or of any webhook",
            )
        ]
    return list(await asyncio.gather(*(_channel(place, within) for place in places)))


async def _channel(place: Place, within: float) -> Finding:
    parts = urlsplit(place.url)
    if parts.scheme not in _PORTS or not parts.hostname:
        return ok("webhook", place.name, f"is not looked at, only Apprise knows where it leads; {_SAMPLE}")
    through = "" if proxy_bypass(parts.hostname) else getproxies().get(parts.scheme, "")
    via = ""
    if through:  # then only the proxy needs to be within reach
        parts = urlsplit(through if "://" in through else f"http://{through}")
        via = f", through the proxy {parts.hostname},"
    host, port = parts.hostname or "", parts.port or _PORTS.get(parts.scheme, 80)
    try:
        took = await connects(host, port, tls=parts.scheme == "https", within=within)
    except Fault as fault:
        text = f"cannot be reached{via}: {failing(host, fault.error, fault.detail)}"
        return fail("webhook", place.name, text, CHECK[fault.error])
    return ok("webhook", place.name, f"is within reach{via} in {lasting(took)}; {_SAMPLE}")
