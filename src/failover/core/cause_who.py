"""Causes that show in who is affected: the check alone, some pages, users alone. Pure, one rule a function."""

from __future__ import annotations

from typing import TYPE_CHECKING

from failover.core.cause_scene import did, to_check
from failover.core.model import ErrorType
from failover.core.words import CHECK

if TYPE_CHECKING:
    from failover.core.cause_scene import Scene
    from failover.core.document import Cause, PathCount

_SERVER = (ErrorType.HTTP_5XX,)
_ANSWERED = (ErrorType.HTTP_5XX, ErrorType.HTTP_429, ErrorType.DESTINATION_UNAVAILABLE, ErrorType.BAD_BODY)
_SLOW = (ErrorType.HTTP_RESPONSE_TIMEOUT, ErrorType.CONNECTION_READ_TIMEOUT, ErrorType.SLOW)


def probe_only(scene: Scene) -> Cause | None:
    """The check fails and users are well, so it is the check that is to be looked at."""
    found = scene.findings
    if scene.bad_probes < 1 or not scene.probes((*_ANSWERED, *_SLOW)) * 2 > scene.bad_probes:
        return None
    users_are_well = found.good_requests >= 5 and scene.bad_requests * 20 <= found.good_requests
    refused = scene.mostly((ErrorType.DESTINATION_UNAVAILABLE,)) and not scene.bad_requests and scene.whose is None
    if not users_are_well and not refused:
        return None
    error = scene.main_error()
    challenged = bool(scene.headers.get("CF-Mitigated"))
    well = f"{found.good_requests} requests of users were answered well by the primary meanwhile"
    answered = f"the check was answered {scene.status}" if scene.status else f"the check: the primary {did(error)}"
    title = "{fails|failed}, users {are|were} fine" if users_are_well else "{is|was} turned away"
    return scene.cause(
        "probe_only",
        scene.say(f"The health check {title}"),
        (error,),
        (
            *scene.counted((error,), "bad"),
            well if users_are_well else "",
            answered,
            "Cloudflare asked the check to prove that it is a browser" if challenged else "",
            scene.quoted(),
        ),
        "Let the health check past Cloudflare's challenge, or give another --check-path."
        if challenged
        else CHECK[ErrorType.DESTINATION_UNAVAILABLE],
        sure=0 if users_are_well else -1,
    )  # fmt: skip


def partial_outage(scene: Scene) -> Cause | None:
    """Errors under some paths while others are fine."""
    healthy = [one for one in scene.findings.healthy if one.requests > 0]
    well = {one.path for one in healthy}
    failing = [one for one in scene.findings.failing if one.path not in well and one.requests > 0]
    good, bad = sum(one.requests for one in healthy), sum(one.requests for one in failing)
    if not failing or len(well) < 2 or bad < 3 or good < max(5, bad / 4) or not scene.bad_requests:
        return None
    if scene.bad_probes > 3 * scene.findings.good_probes and not scene.mostly((*_SERVER, *_SLOW)):
        return None
    failing.sort(key=lambda one: -one.requests)
    where = _common(failing, well)
    others = ", ".join(one.path for one in sorted(healthy, key=lambda one: -one.requests)[:3])
    error = max(scene.findings.requests, key=lambda one: scene.findings.requests[one])
    return scene.cause(
        "partial_outage",
        scene.say("Only a part of the app {fails|failed}: ") + where,
        scene.findings.requests,
        (
            *(f"{one.requests} failed at {one.path}" for one in failing[:3]),
            f"{good} were answered well meanwhile, at {others}",
            f"there the primary {did(error)}",
            scene.quoted(),
        ),
        f"Look at what the pages under {where} need and the others do not: a service, a table, the last change.",
        sure=0 if scene.findings.good_probes >= scene.bad_probes else -1,
    )


def _common(failing: list[PathCount], well: set[str]) -> str:
    """The longest beginning that all failing paths have and no healthy one has, or their names."""
    parts = [one.path.split("/") for one in failing]
    shared = 0
    while all(len(part) > shared and part[shared] == parts[0][shared] for part in parts):
        shared += 1
    prefix = "/".join(parts[0][:shared])
    if len(parts) > 1 and prefix and not any(path == prefix or path.startswith(prefix + "/") for path in well):
        return prefix
    return ", ".join(one.path for one in failing[:3])


def users_only(scene: Scene) -> Cause | None:
    found = scene.findings
    if scene.bad_requests < 3 or found.good_probes < 2 or scene.bad_probes * 4 > found.good_probes:
        return None
    error = max(found.requests, key=lambda one: found.requests[one])
    return scene.cause(
        "users_only",
        scene.say("Probes {are|were} fine, but requests of users {fail|failed}"),
        (error,),
        (
            f"{found.good_probes} probes were good meanwhile, {scene.bad_probes} bad",
            *scene.counted((error,), "bad"),
            f"to users the primary {did(error)}",
            scene.by_status(),
            scene.quoted(),
        ),
        f"{to_check(error)} Let --check-path ask for a page that does what users do.",
    )
