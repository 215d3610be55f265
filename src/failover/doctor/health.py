"""Whether the health check can tell a healthy target from a broken one."""

from __future__ import annotations

import re
import secrets
from typing import TYPE_CHECKING

from failover.core.headers import host_to_send
from failover.core.model import PRIMARY
from failover.core.words import CHECK, failing, lasting
from failover.doctor.base import Finding, fail, ok, warn
from failover.faults import Fault
from failover.settings.secret import mask_text

if TYPE_CHECKING:
    from failover.core.model import Target
    from failover.doctor.base import Means, Probed
    from failover.doctor.look import Answer, Asker

_LARGEST_READ = 64 * 1024
_LOGIN = re.compile(r"(?i)log-?in|sign-?in|signon|sso|oauth|authori[sz]e|/auth\b|/saml")
_OWN_PATH = "--check-path with a path that only a working app answers, its database included"
_OPEN_PATH = f"{_OWN_PATH}, and that a stranger may see"


async def health_check(target: Target, asker: Asker, means: Means) -> list[Finding]:
    settings = asker.settings
    probed = await means.probe(target, settings.check_timeout)
    of_user = settings.check_path if target.alias == PRIMARY else None
    asked = f"health check {settings.check_method} {mask_text(of_user or target.base_path or '/')}"
    if not probed.signal.good:
        error, detail = probed.signal.error, probed.signal.detail
        text = f"{asked} fails: {failing('it', error, detail)}"
        return [fail("health", target.alias, text, CHECK[error] if error is not None else "")]
    findings = _doubts(target, asked, probed, asker)
    if of_user is not None:
        findings += await _proves_something(target, of_user, asker)
    return findings or [ok("health", target.alias, f"{asked} is good: {probed.status} in {_took(probed)}")]


def _doubts(target: Target, asked: str, probed: Probed, asker: Asker) -> list[Finding]:
    """Good, and yet not worth much."""
    limit = asker.settings.check_timeout
    status, location = probed.status, mask_text(probed.headers.get("Location", ""))
    found = []
    if 300 <= status < 400:
        where = "a login page" if _LOGIN.search(location) else "another page"
        text = f"{asked} is redirected to {where} ({location}): that answers while the app behind it may be broken"
        if where == "a login page" or asker.settings.check_path is not None:
            found.append(warn("health", target.alias, text, _OPEN_PATH))
    elif status >= 400 and asker.settings.check_expect is None:
        text = f"{asked} is answered {status}, which counts as good: it proves that something answers, and no more"
        found.append(
            warn("health", target.alias, text, _OPEN_PATH if target.alias == PRIMARY else "is its path right?")
        )
    if probed.signal.latency is not None and probed.signal.latency > limit / 2:
        text = f"{asked} takes {_took(probed)}, and --check-timeout is {lasting(limit)}: under load it would fail"
        found.append(
            warn("health", target.alias, text, "--check-path with a lighter path, or a longer --check-timeout")
        )
    if probed.length > _LARGEST_READ:
        text = f"{asked} is answered with {probed.length:,} bytes, each time; a probe reads 64 KiB of them"
        found.append(warn("health", target.alias, text, "--check-path with a small answer, or --check-method HEAD"))
    return found


async def _proves_something(target: Target, path: str, asker: Asker) -> list[Finding]:
    """A path that nobody has must be answered otherwise than the check path."""
    plain = path.partition("?")[0]
    nonsense = f"{plain.rpartition('/')[0]}/failover-check-{secrets.token_hex(6)}"
    host = host_to_send(target, asker.settings.host) or target.authority  # as a probe is sent
    try:
        real = await asker.ask(target, path, host=host)
        made_up = await asker.ask(target, nonsense, host=host)
    except Fault:
        return []
    if real.status != made_up.status or not _same(real, made_up):
        return []
    text = f"the check path proves nothing: a path that nobody has is answered the same as {plain}, {real.status}"
    return [
        warn("health", target.alias, text, "--check-path with a path that the app itself answers, not its fallback")
    ]


def _same(real: Answer, made_up: Answer) -> bool:
    title = real.page.title
    return real.body == made_up.body or (title != "" and title == made_up.page.title)


def _took(probed: Probed) -> str:
    return lasting(probed.signal.latency or 0.0)
