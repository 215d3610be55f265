"""Which Host a target is sent, and whether it would answer better to the other one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from failover.core.headers import host_to_send
from failover.doctor.base import Finding, fail, ok, warn
from failover.doctor.look import ANYBODY
from failover.faults import Fault

if TYPE_CHECKING:
    from failover.core.model import Target
    from failover.doctor.look import Answer, Asker

_ASKS_FOR_MORE = frozenset({401, 429})  # it knows the name, and wants something else


async def host_mode(target: Target, path: str, asker: Asker) -> list[Finding]:
    """Ask with both names: the one that the proxy sends, and the one that it would send with another `--host`."""
    mode = asker.settings.host
    visitors = asker.public_host or ANYBODY
    sent = host_to_send(target, mode)
    takes_clients = sent is None
    sent = sent or visitors
    other = target.authority if takes_clients or mode not in {"auto", "target"} else visitors
    remedy = "--host target" if other == target.authority else "--host client"
    whose = "the visitor's" if takes_clients else "its own name" if sent == target.authority else "as you chose"
    if sent == other:
        return [ok("host", target.alias, f"is sent Host {sent}, which is its own name and the visitor's")]
    first, second = await _ask(target, path, sent, asker), await _ask(target, path, other, asker)
    if _is_good(first) and _is_good(second) and first is not None and second is not None:
        here, there = first.page.title, second.page.title
        if here != there:
            text = f"the title is “{here}” with Host {sent} ({whose}), which is sent, and “{there}” with {other}"
            return [warn("host", target.alias, text, f"which of them is your site? If it is the second: {remedy}")]
        return [ok("host", target.alias, f"is sent Host {sent} ({whose}), and answers alike to {other}")]
    if _is_good(first):
        text = f"is sent Host {sent} ({whose}), which is right: with {other} it {_said(second)}"
        return [ok("host", target.alias, text)]
    if not _is_good(second):
        return []  # the name is not what is wrong: other checks tell
    text = f"{_said(first)} with Host {sent} ({whose}), which is sent, but {_said(second)} with {other}"
    if sent == ANYBODY:  # made up by us: the app may know the real one
        real = "--public-url with the name that visitors use, so that it is asked for; if it still fails, " + remedy
        return [warn("host", target.alias, text, real)]
    return [fail("host", target.alias, text, remedy)]


async def _ask(target: Target, path: str, host: str, asker: Asker) -> Answer | None:
    try:
        return await asker.ask(target, path, host=host)
    except Fault:
        return None


def _is_good(answer: Answer | None) -> bool:
    return answer is not None and (answer.status < 400 or answer.status in _ASKS_FOR_MORE)


def _said(answer: Answer | None) -> str:
    return "does not answer" if answer is None else f"answers {answer.status}"
