"""What must hold in every history. Each function yields one sentence for each breach, for a person to read."""

from __future__ import annotations

from failover.core.model import Kind, Verdict
from simulation.link import End
from simulation.target import field

_SMALL = 64 * 1024
_TICKS = 0.5  # a worker looks at its clock ten times a second
_WRITES_FROM = 50  # percent of the visitors
_FOR_BAD_REQUESTS = frozenset({400, 405, 408, 413, 431, 508})
PRIMARY = "primary"


def broken(world):
    """All breaches of a history, as (name of the invariant, sentence)."""
    return [(check.__name__, sentence) for check in INVARIANTS for sentence in check(world)]


def never_to_a_target_known_bad(world):
    """The first try of an exchange goes to no target that its worker was told to be bad while a good one exists."""
    visits = {visit.name: visit for visit in world.visits}
    seats = {seat.process.name: seat for seat in world.seats}
    seen = set()
    for at, name, alias, worker in world.tries:
        visit = visits[name]
        if name in seen:
            continue
        seen.add(name)
        since = min(visit.sent_at, at)
        if any(since <= when <= at and who == worker for when, who, _ in world.network.dial_failures):
            continue  # its first try may have been another one, which failed
        known = _told_between(seats[worker].told, since, at)
        if known and all(_is_bad(routing, alias, safe=visit.safe) for routing in known):
            told = known[-1]
            states = ", ".join(f"{t.alias} {'usable' if t.usable else 'down'}" for t in told.targets)
            yield f"{visit} went to {alias} first, at {at - world.began:.4f}: {told.verdict.name}, {states}"


def _told_between(told, since, until):
    """The routings a worker went by in that time."""
    before = [routing for at, routing in told if at <= since]
    return before[-1:] + [routing for at, routing in told if since < at <= until]


def _is_bad(routing, alias, *, safe):
    """Whether a better target was known for this request."""
    fit = [state for state in routing.targets[1:] if state.usable and (safe or state.kind is Kind.REPLICA)]
    out = routing.verdict is Verdict.BACKUP
    if alias == PRIMARY:
        to_come = not safe and routing.share < _WRITES_FROM
        return (out or to_come) and bool(fit)
    if alias in [state.alias for state in fit]:
        return routing.verdict is Verdict.PRIMARY
    return bool(fit) or not out


def never_a_write_twice(world):
    """A write reaches a target again only where the contract says so (spec section 5)."""
    visits = {visit.name: visit for visit in world.visits}
    entries = {}
    for host in world.hosts.values():
        for entry in host.ledger:
            entries.setdefault(entry.visit, []).append(entry)
    for name, row in entries.items():
        visit = visits[name]
        row.sort(key=lambda entry: entry.at)
        where = ", then ".join(f"{e.alias} at {e.at - world.began:.4f} ({_connection(e)})" for e in row)
        if len(row) > 3:
            yield f"{visit} was tried {len(row)} times: {where}"
        if visit.safe or len(row) < 2:
            pass
        elif visit.once:
            yield f"{visit} must never be sent twice, and reached {where}"
        elif not visit.keyed and (len(row) > 2 or row[0].fresh or row[0].said or not row[1].fresh):
            yield f"{visit} may go again on a fresh connection alone, after a reused one closed; it reached {where}"
        elif any(entry.answered for entry in row[:-1]):
            yield f"{visit} was sent again after an answer to it had begun: {where}"
        if odd := [entry for entry in row if entry.size != visit.size]:
            yield f"{visit} had a body of {visit.size} bytes, and {odd[0].alias} got {odd[0].size}"
    for visit in world.visits:
        done = [entry for entry in entries.get(visit.name, ()) if entry.performed]
        if not visit.safe and visit.ending == "answered" and visit.status == 200 and not done:
            yield f"{visit} was told to be done, and nobody has done it"


def _connection(entry):
    return "a fresh connection" if entry.fresh else f"request {entry.nth} of a kept one"


def every_exchange_ends_once(world):
    """Who stays gets one whole answer, the one to what was asked, or sees that it is cut."""
    for visit in world.visits:
        stayed = visit.whole_at >= 0 and visit.ending != "left" and visit.worker not in world.dead
        if not stayed:
            continue
        if not visit.ending:
            yield f"{visit} has never been answered"
        elif visit.ending == "closed":
            yield f"{visit} was closed without a word, at {visit.ended_at - world.began:.4f}"
        elif visit.ending == "cut" and b"\r\n\r\n" not in visit.head:
            yield f"{visit} was cut within a head"
        elif visit.status in _FOR_BAD_REQUESTS:
            yield f"{visit} was refused, and nothing was wrong with it"
        elif visit.ending == "answered" and not _is_its_own(visit):
            yield f"{visit} got another body than its own: {visit.body[:60]!r}"


def _is_its_own(visit):
    """Whether a body is the one that its target made for this visit, to the last byte."""
    target = field(visit.head, b"x-target")
    if visit.status != 200 or visit.method == "HEAD":
        return True
    wanted = b"%s for %s" % (target, visit.name.encode())
    return visit.body.startswith(wanted) and not visit.body[len(wanted) :].strip(b".")


def nothing_for_who_has_left(world):
    """A write that is held is dropped when its visitor leaves (spec section 10). Who has closed its half may still wait
    for an answer, so a try that is under way goes on, and so does what was pipelined.
    """
    longest = 0.5 + 3 * world.settings.connect_timeout
    visits = {visit.name: visit for visit in world.visits}
    for name, (at, alias, worker) in _first_tries(world).items():
        visit = visits[name]
        is_here_whole = visit.size <= _SMALL  # while the rest of it is not read, nobody sees who leaves
        if (
            not visit.safe
            and is_here_whole
            and visit.ending == "left"
            and visit.turn_at >= 0
            and at > visit.ended_at + longest
        ):
            late = at - visit.ended_at
            yield f"{visit} was sent to {alias} by {worker} {late:.1f} s after its visitor had left"


def _first_tries(world):
    """When each visit was written to a target first, to which, and by whom."""
    return {name: (at, alias, worker) for at, name, alias, worker in reversed(world.tries)}


def nothing_is_left(world):
    """In the end no worker holds an exchange, a connection in use, a place in the budget or a task."""
    for seat in world.workers():
        name, worker = seat.process.name, seat.subject
        if seat.draining:
            if not worker.stopped.done():
                yield f"{name} was told to drain and has not stopped"
            continue
        if worker._rescues:
            yield f"{name} still counts {worker._rescues} rescues"
        if held := [d for d in worker.crowd.downstreams if d.exchange is not None]:
            yield f"{name} still holds {len(held)} exchanges"
        if worker.crowd.downstreams:
            yield f"{name} still holds {len(worker.crowd.downstreams)} connections of visitors, who have all left"
        if worker.hold.waiting:
            yield f"{name} still keeps {len(worker.hold.waiting)} writes"
        if waiting := [task for task in seat.process.tasks if not task.done()]:
            yield f"{name} still has tasks: {', '.join(task.get_coro().__qualname__ for task in waiting)}"
        if open_files := [file for file in seat.process.files if not file.closed]:
            yield f"{name} still has {len(open_files)} files of bodies open"
        for end in seat.process.ends:
            if isinstance(end, End) and end.peername in world.network.hosts:
                yield f"{name} still has a connection to {world.network.hosts[end.peername].alias}"


def one_switch_a_hold_down(world):
    """From a switch to the backup to the way back takes the hold-down at least, whoever is the controller."""
    since = until = None
    for at, change in world.reference.changes:
        if change.new is Verdict.BACKUP:
            since, until = at, at + change.hold_down
        elif change.old is Verdict.BACKUP and until is not None and at < until:
            yield f"back {at - since:.3f} s after the switch, and the way was closed for {until - since:.0f} s"


def verdicts_are_explained(world):
    """The verdict is what the contract makes of the signals, told by an independent model."""
    yield from world.reference.differences


def no_safe_request_fails(world):
    """With a healthy backup all the time, no safe request fails, except where its answer was already flowing."""
    if not world.history.calm_backups:
        return
    for visit in world.visits:
        if not visit.safe or visit.worker in world.dead or visit.whole_at < 0:
            continue
        own_mistake = visit.status == 500 and field(visit.head, b"x-target") == b"primary"
        if visit.ending == "answered" and visit.status >= 500 and not own_mistake:
            yield f"{visit} failed at {visit.ended_at - world.began:.4f}, and the backup was well all the time"
        elif visit.ending == "closed":
            yield f"{visit} got nothing, and the backup was well all the time"
        elif visit.ending == "cut" and 0 < int(field(visit.head, b"content-length") or b"0") <= _SMALL:
            yield f"{visit} was cut in a small answer, which is passed on whole or not at all"


def no_safe_request_waits_long(world):
    """As above, none waits for longer than it takes to find a hung primary out, whatever the first-byte time-out is.

    Not where probes are answered in time and pages are not: nothing but that time-out tells a hung page from a slow
    one; so it is with a page that a primary took and forgot before it answered again. Nor while there is no controller.
    """
    history = world.history
    happened = {args[1] if what == "turn" else what for _, what, args in history.events}
    if not history.calm_backups or happened & {"pages hung", "slow", "the controller dies"}:
        return
    longest = world.settings.check_timeout + 1.5
    for visit in world.visits:
        flowing = len(visit.body) > _SMALL or field(visit.head, b"transfer-encoding")
        stayed = visit.ending == "answered" and visit.worker not in world.dead
        if visit.safe and stayed and visit.took > longest and not flowing:
            asked = visit.ended_at - visit.took
            if any(asked < at < visit.ended_at - longest / 2 for at in world.reference.good_probes()):
                continue
            yield f"{visit} waited for {visit.took:.1f} s, and the backup was well all the time"


def no_write_is_refused(world):
    """With a healthy replica all the time, no write is told that nobody can take it; with a static backup, not before
    it was held for as long as it may.
    """
    if not world.history.calm_backups:
        return
    replica = world.settings.backup[0].kind is Kind.REPLICA
    for visit in world.visits:
        if visit.safe or visit.status != 503 or field(visit.head, b"x-target") or visit.worker in world.dead:
            continue
        if visit.method in ("PUT", "DELETE") and not visit.keyed:
            continue
        if replica:
            yield f"{visit} was refused at {visit.ended_at - world.began:.4f}, and the replica was well all the time"
        elif (held := visit.ended_at - max(visit.turn_at, visit.sent_at)) < world.settings.hold_writes - _TICKS:
            yield f"{visit} was refused after {held:.1f} s, without having been held for as long as it may"


def no_write_is_held_too_long(world):
    """A write that is held is sent, or refused, when its time is over (spec section 10)."""
    longest = world.settings.hold_writes + 3 * world.settings.connect_timeout + _TICKS
    for name, (at, alias, _) in _first_tries(world).items():
        visit = world.visits[int(name[1:])]
        waited = at - max(visit.turn_at, visit.whole_at)
        if not visit.safe and visit.turn_at >= 0 and visit.whole_at >= 0 and waited > longest:
            yield f"{visit} was sent to {alias} after {waited:.1f} s"


def nothing_goes_wrong(world):
    """No callback raises, no task dies unheard, nobody is answered without having asked."""
    yield from world.faults
    for mishap in world.loop.mishaps:
        yield f"{mishap.get('message')}: {mishap.get('exception')!r}"


INVARIANTS = (
    never_to_a_target_known_bad,
    never_a_write_twice,
    every_exchange_ends_once,
    nothing_for_who_has_left,
    nothing_is_left,
    one_switch_a_hold_down,
    verdicts_are_explained,
    no_safe_request_fails,
    no_safe_request_waits_long,
    no_write_is_refused,
    no_write_is_held_too_long,
    nothing_goes_wrong,
)
