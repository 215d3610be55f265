"""All checks, targets beside each other, one thing at a time for each: a small app answers one request at a time."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from failover.core.model import ErrorType
from failover.core.words import CHECK, SENTENCE, lasting
from failover.doctor.alike import alike
from failover.doctor.base import Finding, Grade, fail, ok, warn
from failover.doctor.channels import channels
from failover.doctor.health import health_check
from failover.doctor.hosts import host_mode
from failover.doctor.leaks import leaks
from failover.doctor.look import Asker
from failover.doctor.machine import machine
from failover.doctor.methods import head, part, writes
from failover.doctor.reach import itself, way
from failover.faults import Fault

if TYPE_CHECKING:
    from collections.abc import Awaitable, Coroutine

    from failover.core.model import Target
    from failover.doctor.base import Means
    from failover.doctor.look import Answer
    from failover.settings.model import Settings

LONGEST = 90.0
"""Seconds for all of it: what has been found by then is told."""


async def examine(settings: Settings, means: Means, within: float = LONGEST) -> list[Finding]:
    """Look at everything. What goes wrong with a check is a finding, and keeps no other from being made."""
    loop = asyncio.get_running_loop()
    async with Asker(settings) as asker:
        targets = (settings.primary, *settings.backup)
        lists: dict[str, list[Finding]] = {
            name: [] for name in (*(target.alias for target in targets), "machine", "webhooks")
        }
        works: dict[str, Coroutine[None, None, object]] = {
            "targets": _targets(targets, asker, means, lists),
            "machine": _guarded("machine", "machine", machine(settings, means, asker.within), lists["machine"]),
            "webhooks": _guarded("webhook", "webhooks", channels(means.places, asker.within), lists["webhooks"]),
        }
        tasks = {loop.create_task(work): name for name, work in works.items()}
        _, late = await asyncio.wait(tasks, timeout=within)
        for task in late:
            task.cancel()
        ends = await asyncio.gather(*tasks, return_exceptions=True)
    found = [finding for several in lists.values() for finding in several]
    found += [_mistake("check", "check", end) for end in ends if isinstance(end, Exception)]
    if late:
        missed = ", ".join(tasks[task] for task in late)
        text = f"not all checks of {missed} ended within {lasting(within)}"
        found.append(fail("time", "check", text, "what answers so slowly? Give less time: --first-byte-timeout 3s"))
    return found


async def _targets(targets: tuple[Target, ...], asker: Asker, means: Means, lists: dict[str, list[Finding]]) -> None:
    pages = await asyncio.gather(*(_target(target, asker, means, lists[target.alias]) for target in targets))
    first = pages[0]
    for backup, page in zip(targets[1:], pages[1:], strict=True):
        if first is not None and page is not None:
            await _guarded("alike", backup.alias, alike(backup, first, page, asker), lists[backup.alias])


async def _target(target: Target, asker: Asker, means: Means, into: list[Finding]) -> Answer | None:
    """Everything about one target; its page, if there is one."""
    await _guarded("reach", target.alias, way(target, asker, means), into)
    if any(finding.grade is Grade.FAIL for finding in into):
        return None
    path = f"{target.base_path}/"
    try:
        page = await asker.ask(target, path)
    except Fault as fault:
        into.append(_fault("page", target.alias, fault))
        return None
    into.append(_page(target, page, asker))
    await _guarded("loop", target.alias, itself(target, asker), into)
    await _guarded("host", target.alias, host_mode(target, path, asker), into)
    await _guarded("health", target.alias, health_check(target, asker, means), into)
    into.extend(leaks(target, path, page, asker))
    await _guarded("head", target.alias, _one(head(target, path, page, asker)), into)
    await _guarded("range", target.alias, part(target, path, page, asker), into)
    await _guarded("writes", target.alias, writes(target, path, page, asker), into)
    return page


def _page(target: Target, page: Answer, asker: Asker) -> Finding:
    look = asker.look(target, page)
    title = f", “{look.title}”" if look.title else ""
    leads = f" to {look.location}" if look.location else ""
    text = f"{page.status}{leads} in {lasting(page.took)}, {look.media_type or 'no content type'}{title}"
    if page.status >= 500:
        return fail("page", target.alias, text, CHECK[ErrorType.HTTP_5XX])
    if page.status >= 400:
        return warn(
            "page", target.alias, text, "is that what visitors of / should see? Look at the address, and its path"
        )
    return ok("page", target.alias, text)


async def _one(work: Awaitable[Finding]) -> list[Finding]:
    return [await work]


async def _guarded(check: str, target: str, work: Awaitable[list[Finding]], into: list[Finding]) -> None:
    try:
        into.extend(await work)
    except Fault as fault:
        into.append(_fault(check, target, fault))
    except Exception as error:  # noqa: BLE001 - one check that breaks must not hide what the others found
        into.append(_mistake(check, target, error))


def _mistake(check: str, target: str, error: Exception) -> Finding:
    text = f"the check “{check}” could not be made: {type(error).__name__}"
    return fail(check, target, text, "this is a mistake of ours: please report it")


def _fault(check: str, target: str, fault: Fault) -> Finding:
    detail = f": {fault.detail}" if fault.detail else ""
    return fail(check, target, f"{SENTENCE[fault.error]}{detail}", CHECK[fault.error])
