"""From evidence to what probably happened. Rules, not guesses: each rests on facts, and says how sure it is.

It is never called the root cause: why a process ended is not to be seen from outside.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from failover.core import cause_answers as answers
from failover.core import cause_reach as reach
from failover.core import cause_tls as tls
from failover.core import cause_who as who
from failover.core.cause_scene import Scene, did
from failover.core.document import Cause, Confidence

if TYPE_CHECKING:
    from collections.abc import Callable

    from failover.core.findings import Findings

RULES: tuple[Callable[[Scene], Cause | None], ...] = (
    # ourselves first
    reach.own_network,
    reach.own_limits,
    answers.proxy_loop,
    # what changed, before what it led to
    reach.dns_changed,
    reach.dns_gone,
    tls.certificate,
    tls.handshake,
    reach.deploy_or_restart,
    # who sees it: the check alone, some paths, users alone
    who.probe_only,
    who.partial_outage,
    who.users_only,
    # nobody there
    reach.process_gone,
    reach.host_or_firewall,
    # an answer, and whose it is
    answers.page_of_others,
    answers.maintenance,
    answers.overload,
    answers.dependency_gone,
    answers.app_errors,
    # no answer, or half of one
    answers.hung,
    answers.slow,
    answers.cut_answers,
    answers.not_http,
    answers.wrong_page,
)
"""The first rule that finds something wins, so what says more stands above what says less."""


def suspect(findings: Findings) -> Cause | None:
    """What probably happened, or None when the evidence says nothing. Texts are one line and bounded."""
    scene = Scene(findings)
    found = next((cause for rule in RULES if (cause := rule(scene)) is not None), None)
    if found is not None and found.kind == "own_network":
        return found
    return _both_down(scene, found) or found


def _both_down(scene: Scene, primary: Cause | None) -> Cause | None:
    """No target is left. What is known of the primary alone stays, as a fact."""
    down = scene.findings.backups_down
    if not down or len(down) < scene.findings.backups or not (scene.bad_probes or scene.bad_requests):
        return None
    ours = scene.main_error()
    alike = set(down.values()) == {ours}
    many = len(down) > 1
    whole = scene.cause(
        "both_down",
        scene.say(f"The primary and {'every' if many else 'the'} backup {{are|were}} down"),
        (ours,),
        (
            "both fail in the same way" if alike else "",
            f"the primary {did(ours)}",
            *(f"{alias} {did(error)}" for alias, error in sorted(down.items())),
            f"of the primary alone: {primary.title}" if primary is not None else "",
            *(primary.facts if primary is not None else ()),
        ),
        "What do they share: a provider, a database, a domain, the last change? "
        + (f"Then: {primary.check}" if primary is not None else ""),
    )
    return whole if alike or whole.confidence is not Confidence.HIGH else replace(whole, confidence=Confidence.MEDIUM)
