"""What the log says of each change, in words for a person; the action is for machines. One line a change."""

from __future__ import annotations

from typing import TYPE_CHECKING

from failover.core.model import Target, Verdict
from failover.core.ramp import STEPS
from failover.core.words import lasting
from failover.observe import log

if TYPE_CHECKING:
    from failover.controller.prober import Result
    from failover.controller.resolver import News
    from failover.core.document import Document
    from failover.core.drill import Plan
    from failover.core.events import NetworkChanged, TargetChanged, VerdictChanged
    from failover.core.facts import DrillEnded
    from failover.core.helm import Steer, Steered

_log = log.get("controller")


def verdict_changed(change: VerdictChanged, backups: tuple[str, ...]) -> None:
    """`backups` are the aliases that are not known bad, best first."""
    facts = {"reason": change.reason, "verdict": change.new.value}
    if change.new is Verdict.SUSPECT:
        _log.warning("primary is suspected", action="failover.suspected", error=change.error, **facts)
    elif change.old is change.new:
        what = "the primary is down, and the backup serves already"
        _log.warning(what, action="failover.switched", error=change.error, **facts)
    elif change.wanted is not None and change.new is Verdict.RAMP:
        what = f"the backup gets {change.wanted.share} % of the visitors"
        _log.info(what, action="failover.ramp", **facts)
    elif change.wanted is not None:
        _log.info(f"switched to {_first(backups)}", action="failover.switched", **facts)
    elif change.old is Verdict.RAMP and change.new is Verdict.BACKUP:
        what = "the primary failed on its way back, no visitor gets it any more"
        _log.warning(what, action="failover.relapsed", error=change.error, **facts)
    elif change.new is Verdict.BACKUP:
        if backups:
            _log.warning(f"switched to {_first(backups)}", action="failover.switched", error=change.error, **facts)
        else:
            what = "the primary is down and so is every backup, trying the primary anyway"
            _log.error(what, action="failover.switched", error=change.error, **facts)
    elif change.new is Verdict.RAMP:
        _log.info(_share(STEPS[0]), action="failover.ramp", **facts)
    elif change.old is Verdict.RAMP:
        _log.info("switched back to the primary", action="failover.recovered", **facts)
    else:
        _log.info("primary is no longer suspected", action="failover.cleared", **facts)


def _first(backups: tuple[str, ...]) -> str:
    return "the backup" if not backups or backups[0] == "backup" else backups[0]


def target_changed(change: TargetChanged) -> None:
    if change.usable:
        _log.info(f"{change.target} is usable", action="target.up", target=change.target, reason=change.reason)
    else:
        what = f"{change.target} is down"
        _log.warning(what, action="target.down", target=change.target, reason=change.reason, error=change.error)


def share_changed(share: int) -> None:
    _log.info(_share(share), action="failover.ramp", reason="it failed no visitor so far")


def _share(share: int) -> str:
    return f"the primary is tried with {share} % of the visitors"


def asked(wish: Steer) -> None:
    until = "" if wish.until is None else "for a time"
    _log.info(wish.told, action="failover.asked", reason=until or None, who=wish.who or None, wish=wish.wish.value)


def steered(change: Steered) -> None:
    _log.info(f"that is over: {change.wish.told}", action="failover.asked", reason="its time has passed")


def withheld(reason: str) -> None:
    what = "the backup would serve now if nobody had said to hold"
    _log.warning(what, action="failover.withheld", reason=reason)


def drill_began(plan: Plan) -> None:
    _log.info(plan.told, action="drill.began", reason=f"{plan.who} wants it", drill=plan.sort.value)


def drill_ended(plan: Plan, ended: DrillEnded) -> None:
    say = _log.info if ended.passed else _log.warning
    how = "passed" if ended.passed else "did not pass"
    say(f"the drill is over and {how}", action="drill.ended", reason=ended.reason, drill=plan.sort.value)


def ready_to_go_back(reason: str) -> None:
    what = "the primary is well and waits for a person: failover switch primary"
    _log.info(what, action="failover.waiting", reason=reason)


def network_changed(change: NetworkChanged) -> None:
    if change.cut:
        what = "our own network seems to be cut, nothing is switched"
        _log.error(what, action="network.cut", reason=change.reason)
    else:
        _log.info("our own network is back", action="network.back", reason=change.reason)


def turned_out_static(target: Target, server: str) -> None:
    _log.info(
        f"{target.alias} serves files only: writes, cookies and credentials are not sent there",
        action="target.static",
        target=target.alias,
        reason=f"it answers as {server}",
    )


def name_changed(news: News) -> None:
    who = " and ".join(news.aliases)
    if news.fault is not None:
        kept = (
            "its last addresses stay in use" if news.addresses else "check its spelling and this machine's name servers"
        )
        what = f"the name of {who} does not resolve, {kept}"
        say = _log.warning if news.addresses else _log.error
        say(what, action="dns.failed", reason=news.fault.detail, error=news.fault.error, target=news.aliases[0])
    elif news.again:
        reason = f"{news.host} is {', '.join(news.addresses)}"
        _log.info(f"the name of {who} resolves again", action="dns.resolved", target=news.aliases[0], reason=reason)
    elif news.before:
        what = f"the name of {who} has other addresses"
        reason = f"{news.host} was {', '.join(news.before)} and is {', '.join(news.addresses)}"
        _log.info(what, action="dns.changed", target=news.aliases[0], reason=reason)


def learned_from_workers(verdict: Verdict, age: float) -> None:
    reason = f"a worker knew the routing that it told last, {lasting(age)} ago"
    what = "the controller goes on where its predecessor was"
    _log.info(what, action="controller.reborn", verdict=verdict.value, reason=reason)


def learned_from_store(verdict: Verdict, age: float) -> None:
    reason = f"it was written down {lasting(age)} ago, before the proxy stopped"
    _log.info("the verdict goes on where it was", action="controller.resumed", verdict=verdict.value, reason=reason)


def incident(told: Document) -> None:
    kind = "incident" if told.exercise is None else "the record of drill"
    what = f"{kind} {told.id} is {'over' if told.resolved else 'open'}"
    facts = {"reason": told.summary, "incident": told.id, "severity": told.severity.value}
    if told.resolved:
        _log.info(what, action="incident.resolved", **facts)
    else:
        _log.warning(what, action="incident.opened", **facts)


def recording_failed(error: BaseException) -> None:
    _log.error("something of the incident could not be written down", action="incident.unwritten", exc_info=error)


def probed(result: Result) -> None:
    signal = result.signal
    took = {phase: round(seconds * 1000, 1) for phase, seconds in result.took.items()}
    what = f"{signal.target} answered a probe" if signal.good else f"{signal.target} failed a probe"
    _log.debug(what, target=signal.target, status=result.status, error=signal.error, detail=signal.detail, took_ms=took)


def mistake(error: BaseException) -> None:
    _log.error("a probe ended by a mistake in the program", exc_info=error)
