"""Whether a backup looks like the primary to a visitor: the page, and what it is made of."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING
from urllib.parse import quote, urlsplit

from failover.core.alike import differences
from failover.core.words import count
from failover.doctor.base import Finding, ok, warn
from failover.faults import Fault

if TYPE_CHECKING:
    from failover.core.model import Target
    from failover.doctor.look import Answer, Asker

_MOST_ASSETS = 10
_AT_A_TIME = 4
_SHOWN = 5
_AS_IT_IS = "/%:@!$&'()*+,;=-._~?[]"
_COMPARE = "open both addresses: is the backup a copy of this site, and is it up to date?"
_COPY = "copy them to the backup: without them the page comes up broken"


async def alike(backup: Target, primarys: Answer, backups: Answer, asker: Asker) -> list[Finding]:
    """Compare what both answered for their own page."""
    primary = asker.settings.primary
    one, other = asker.look(primary, primarys), asker.look(backup, backups)
    findings = [warn("alike", backup.alias, text, _COMPARE) for text in differences(one, other)]
    if not findings:
        title = f", “{other.title}”" if other.title else ""
        kind = other.media_type or "no content type"
        findings.append(ok("alike", backup.alias, f"looks like the primary: {other.status}, {kind}{title}"))
    if one.status == 200 and primarys.is_page:
        findings += await _assets(backup, primarys, asker)
    return findings


def asset_paths(target: Target, answer: Answer, names: frozenset[str]) -> tuple[str, ...]:
    """Paths on the site that a browser fetches for this page, as visitors would ask for them."""
    found = []
    for url in answer.page.assets(f"{target.scheme}://{target.authority}{target.base_path}/"):
        parts = urlsplit(url)
        if parts.netloc.lower() not in names:
            continue  # another site's: it is up or down by itself
        path = parts.path
        if target.base_path and path.startswith(f"{target.base_path}/"):
            path = path[len(target.base_path) :]
        found.append(quote((path or "/") + (f"?{parts.query}" if parts.query else ""), safe=_AS_IT_IS))
    return tuple(dict.fromkeys(found))[:_MOST_ASSETS]


async def _assets(backup: Target, page: Answer, asker: Asker) -> list[Finding]:
    primary = asker.settings.primary
    names = frozenset({primary.authority, asker.host(primary).lower(), asker.public_host.lower()})
    paths = asset_paths(primary, page, names)
    turn = asyncio.Semaphore(_AT_A_TIME)

    async def lacks(path: str) -> bool:
        """What the primary has not got either is not missed."""
        async with turn:
            there = await _fetch(primary, path, asker)
            if there is None or there.status != 200:
                return False
            here = await _fetch(backup, path, asker)
            return here is None or here.status != 200 or (here.is_page and not there.is_page)

    missing = [
        path for path, is_missing in zip(paths, await asyncio.gather(*map(lacks, paths)), strict=True) if is_missing
    ]
    if missing:
        more = f" and {len(missing) - _SHOWN} more" if len(missing) > _SHOWN else ""
        shown = ", ".join(path.partition("?")[0] for path in missing[:_SHOWN]) + more
        text = f"lacks {len(missing)} of {count(len(paths), 'file')} that the primary's page is made of: {shown}"
        return [warn("assets", backup.alias, text, _COPY)]
    if paths:
        return [ok("assets", backup.alias, f"has {count(len(paths), 'file')} that the primary's page is made of")]
    return []


async def _fetch(target: Target, path: str, asker: Asker) -> Answer | None:
    try:
        return await asker.ask(target, target.base_path + path, body=False)
    except Fault:
        return None
