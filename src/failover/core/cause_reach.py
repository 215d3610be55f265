"""Causes that lie before an answer: our own network, the name, the host, the process. Pure, one rule a function."""

from __future__ import annotations

from typing import TYPE_CHECKING

from failover.core.cause_scene import did, few, moment, span
from failover.core.model import ErrorType
from failover.core.words import CHECK

if TYPE_CHECKING:
    from failover.core.cause_scene import Scene
    from failover.core.document import Cause
    from failover.core.findings import NameFact

_REFUSED = (ErrorType.CONNECTION_REFUSED,)
_BROKEN_OFF = (ErrorType.CONNECTION_TERMINATED, ErrorType.HTTP_RESPONSE_INCOMPLETE)
_UNREACHABLE = (ErrorType.CONNECTION_TIMEOUT, ErrorType.DESTINATION_IP_UNROUTABLE)
_NAMELESS = (ErrorType.DNS_ERROR, ErrorType.DNS_TIMEOUT)
_OURS = (ErrorType.CONNECTION_LIMIT_REACHED, ErrorType.PROXY_INTERNAL_ERROR)
_NETWORK = frozenset((*_NAMELESS, *_UNREACHABLE))

_SHORTLY_BEFORE = 600.0
_NOTICED_LATE = 20.0  # names are asked for every 15 s: the news of a change may come after the first bad signal
_SHORT_RESTART = 120.0

_VERSIONS = ("Server", "X-Powered-By", "X-Version", "X-App-Version", "X-Release")


def own_network(scene: Scene) -> Cause | None:
    found = scene.findings
    theirs = set(found.backups_down.values())
    alone = found.backups > 0 and len(found.backups_down) >= found.backups
    all_silent = alone and scene.mostly(_NETWORK) and theirs <= _NETWORK
    if not found.network_cut and not all_silent:
        return None
    backups = ", ".join(f"{alias} {did(error)}" for alias, error in sorted(found.backups_down.items()))
    return scene.cause(
        "own_network",
        scene.say("The network of this proxy {is|was} cut"),
        _NETWORK,
        (
            *scene.counted(_NETWORK, "not let out of here, or not answered by anybody"),
            f"neither could the backups be reached: {backups}" if backups else "",
        ),
        "Look at the network and the name servers of the machine that runs failover.",
        sure=1 if found.network_cut else -1,
    )


def own_limits(scene: Scene) -> Cause | None:
    if not scene.mostly(_OURS):
        return None
    return scene.cause(
        "own_limits",
        scene.say("This machine {is|was} at its limits"),
        _OURS,
        scene.counted(_OURS, "not sent, for want of connections, files or time of our own"),
        "Look at the load, the open files and the ports of the machine that runs failover.",
    )


def dns_changed(scene: Scene) -> Cause | None:
    """The new addresses must be those that fail. Names of a CDN change all the time and prove nothing."""
    found = scene.findings
    changes = [one for one in found.names if one.before and one.addresses and not one.error]
    change = next((one for one in changes if -_SHORTLY_BEFORE <= one.after <= _NOTICED_LATE), None)
    if change is None or not _fails_at(scene, change) or "expired" in scene.detail((ErrorType.TLS_CERTIFICATE_ERROR,)):
        return None
    error = scene.main_error()
    when = f"{span(-change.after)} before" if change.after < 0 else f"{span(change.after)} after"
    return scene.cause(
        "dns_changed",
        scene.say("The name {points|pointed} to another address, which {fails|failed}"),
        (error,),
        (
            f"{change.host} was {few(change.before)} and is {few(change.addresses)}",
            f"that was noticed {when} the first bad signal",
            *scene.counted((error,), "sent to the new address and failed"),
            f"since then the primary {did(error)}",
        ),
        "Was the DNS record meant to change? Look at it, and at whether the app runs at the new address.",
        sure=(0 if change.after >= -60 else -1) - (len(changes) > 2),
    )


def _fails_at(scene: Scene, change: NameFact) -> bool:
    """Whether it is at the new addresses that probes fail, as far as they tell where they were."""
    facts = [fact for fact in (scene.findings.first, scene.findings.last) if fact is not None]
    bad = [_host(fact.address) for fact in facts if fact.error and fact.address]
    good = [_host(fact.address) for fact in facts if not fact.error and fact.address and fact.at > facts[0].at]
    kept = set(change.before) & set(change.addresses)
    fails = not bad or any(host in change.addresses and host not in kept for host in bad)
    return bool(scene.main_error()) and fails and not set(good) & (set(change.addresses) - kept)


def _host(address: str) -> str:
    return address.rpartition(":")[0].strip("[]")


def dns_gone(scene: Scene) -> Cause | None:
    """Nameless probes, or a name that went away while the last addresses that it had fail as well."""
    news = next((one for one in scene.findings.names if one.error and one.after <= _NOTICED_LATE), None)
    nameless = scene.mostly(_NAMELESS)
    if not nameless and not (news is not None and scene.mostly((*_UNREACHABLE, *_REFUSED))):
        return None
    silent = scene.main_error() == ErrorType.DNS_TIMEOUT or (news is not None and news.error == ErrorType.DNS_TIMEOUT)
    title = "No name server {answers|answered} for the name" if silent else "The name {does|did} not resolve any more"
    errors = _NAMELESS if nameless else (*_UNREACHABLE, *_REFUSED)
    return scene.cause(
        "dns_gone",
        scene.say(title),
        errors,
        (
            (news.detail or f"{news.host}: {did(news.error)}") if news is not None else scene.detail(_NAMELESS),
            *scene.counted(_NAMELESS, "without an address to go to"),
            "" if nameless else f"its last addresses are kept in use, and there the primary {did(scene.main_error())}",
        ),
        CHECK[ErrorType.DNS_TIMEOUT if silent else ErrorType.DNS_ERROR],
        sure=0 if nameless else -1,
    )


def deploy_or_restart(scene: Scene) -> Cause | None:
    """Known afterwards only: refused, then an error while it starts, then well; or refused for a moment; or changed."""
    found = scene.findings
    gone = (*_REFUSED, *_BROKEN_OFF)
    states = [phase.state for phase in found.phases]
    if not found.resolved or "ok" not in states[1:] or not scene.mostly((*gone, ErrorType.HTTP_5XX)):
        return None
    starting = next((n for n, state in enumerate(states) if state in gone), None)
    starts = starting is not None and ErrorType.HTTP_5XX in states[starting:]
    changed = _changed(scene)
    was_short = scene.down_for <= _SHORT_RESTART
    if not starts and not (changed and scene.down_for <= 5 * _SHORT_RESTART) and not (was_short and scene.mostly(gone)):
        return None
    facts = [*scene.counted(_REFUSED, "refused"), f"it lasted {span(scene.down_for)}"]
    if starts:
        facts.insert(0, "it refused connections, then answered with errors, then was well")
    return scene.cause(
        "deploy_or_restart",
        "The app was deployed anew or restarted" if changed else "The app was restarted or deployed",
        (*gone, ErrorType.HTTP_5XX),
        (*facts, *changed),
        "Was it meant to be? Then restart without a gap, one process after the other; else look why it ended.",
        sure=0 if starts or changed else -1,
    )


def _changed(scene: Scene) -> list[str]:
    """What the app says of itself, where that is another thing now than before."""
    before, after = scene.findings.before, scene.findings.last
    if before is None or after is None or after.error:
        return []
    told = [
        f"{name} was {before.headers[name]} and is {after.headers[name]}"
        for name in _VERSIONS
        if name in before.headers and name in after.headers and before.headers[name] != after.headers[name]
    ]
    if told and before.length and after.length and before.length != after.length:
        told.append(f"the page has {after.length} bytes, and had {before.length}")
    return told


def process_gone(scene: Scene) -> Cause | None:
    if not scene.mostly(_REFUSED):
        return None
    return scene.cause(
        "process_gone",
        scene.say("The app's process {is|was} gone"),
        (*_REFUSED, *_BROKEN_OFF) if scene.requests(_REFUSED) else _REFUSED,
        (
            *scene.counted(_REFUSED, "refused"),
            "the host itself answered: it is up, and nobody listens on the port",
            *scene.counted(_BROKEN_OFF, "broken off, as when a process ends"),
        ),
        f"{CHECK[ErrorType.CONNECTION_REFUSED]} Read its log{_before(scene)}.",
    )


def _before(scene: Scene) -> str:
    return f" from just before {moment(scene.began)}" if scene.began is not None else ""


def host_or_firewall(scene: Scene) -> Cause | None:
    if not scene.mostly(_UNREACHABLE) or accepted(scene):
        return None
    no_route = scene.mostly((ErrorType.DESTINATION_IP_UNROUTABLE,))
    title = (
        "There {is|was} no route to the host"
        if no_route
        else "The host {is|was} gone, or a firewall {drops|dropped} us"
    )
    return scene.cause(
        "host_or_firewall",
        scene.say(title),
        _UNREACHABLE,
        (
            *scene.counted(_UNREACHABLE, "answered by nobody: neither accepted nor refused"),
            "a backup is up, so it is not our own network"
            if len(scene.findings.backups_down) < scene.findings.backups
            else "",
        ),
        CHECK[ErrorType.DESTINATION_IP_UNROUTABLE if no_route else ErrorType.CONNECTION_TIMEOUT],
    )


def accepted(scene: Scene) -> bool:
    """Whether a bad probe had its connection accepted, and waited in vain for the handshake of TLS."""
    facts = (scene.findings.last, scene.findings.first)
    return any(fact is not None and fact.error in _UNREACHABLE and "tcp" in fact.took for fact in facts)
