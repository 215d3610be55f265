"""How facts become evidence: each is written into the record, and the first of its kind into the story."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from failover.core.document import Happening, ProbeFact
from failover.core.model import PRIMARY, ErrorType
from failover.core.words import failing, lasting

if TYPE_CHECKING:
    from failover.core.facts import Met, Seen
    from failover.core.findings import NameFact
    from failover.core.record import Record

_SEEN_AS = {
    "rescued": (Happening.RESCUED, "the first request was rescued"),
    "failed": (Happening.FAILED, "the first request failed, and its user saw it"),
    "refused": (Happening.FAILED, "the first write was told to come back later"),
}


def met(record: Record, fact: Met, after: float) -> None:
    """A request met the failing primary."""
    record.go_bad(after)
    first = not record.requests
    record.requests[fact.error] = record.requests.get(fact.error, 0) + 1
    status = fact.detail.removeprefix("answered ")
    if status.isascii() and status.isdigit():
        record.error_statuses[int(status)] = record.error_statuses.get(int(status), 0) + 1
    if first:
        record.tell(after, Happening.FAILING, f"a request failed: {failing(PRIMARY, fact.error, fact.detail)}")
    if not record.error:
        record.error, record.detail = fact.error.value, fact.detail


def probed(record: Record, fact: ProbeFact, after: float) -> None:
    """A probe of the primary has ended."""
    fact = replace(fact, at=record.moment(after))
    new = record.phase(after, fact.error or "ok", fact.status)
    record.last = fact
    if not fact.error:
        record.good_since += 1
        if new or record.bad_since is not None:
            record.go_good(after)
            record.tell(after, Happening.ANSWERING, "primary answers probes", f"{fact.status} in {_took(fact)}")
        return
    record.go_bad(after)
    record.good_probes += record.good_since
    record.good_since = 0
    record.probes[fact.error] = record.probes.get(fact.error, 0) + 1
    record.first = record.first or fact
    record.body = record.body or fact.body
    if not record.error:
        record.error, record.detail = fact.error, fact.detail
    if new:
        sentence = failing(PRIMARY, ErrorType(fact.error), fact.detail)
        record.tell(after, Happening.FAILING, f"a probe failed: {sentence}", _where(fact))


def saw(record: Record, seen: Seen, after: float, backup_ok: float | None, *, ramp: bool) -> None:
    """A worker has told what its users saw. `backup_ok` is when a backup answered one of them well, as an age."""
    for outcome, path, status, number in seen.rows:
        if outcome in _SEEN_AS and not record.outcomes.get(outcome):
            what, text = _SEEN_AS[outcome]
            record.tell(after, what, text, f"{path}, {status or 'cut'}")
        record.count(outcome, path, status, number, ramp=ramp)
        if outcome != "aborted":
            record.flow(after, outcome, number)
    record.held += seen.held
    record.delivered += seen.delivered
    record.clients += seen.clients
    record.body = record.body or seen.body
    for sample in seen.samples:
        record.sample(sample)
    if backup_ok is not None and record.first_backup_ok is None:
        record.first_backup_ok = max(backup_ok, 0.0)


def named(record: Record, name: NameFact, after: float) -> None:
    """The primary's name does not resolve any more, or to other addresses."""
    record.named(replace(name, after=after))
    if name.error:
        record.tell(after, Happening.NAME, f"the name {name.host} does not resolve", name.detail)
    else:
        evidence = f"{', '.join(name.before) or 'none'} before, {', '.join(name.addresses)} now"
        record.tell(after, Happening.NAME, f"the name {name.host} has other addresses", evidence)


def _where(fact: ProbeFact) -> str:
    """What a probe that failed rests on: where it went, how far it got."""
    parts = [fact.address, str(fact.status) if fact.status else "", f"after {_took(fact)}" if fact.took else ""]
    return ", ".join(part for part in parts if part)


def _took(fact: ProbeFact) -> str:
    return lasting(sum(fact.took.values()) / 1000)
