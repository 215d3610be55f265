"""The verdict as the contract has it (spec sections 8 and 9), told anew from the whole log of signals at each step.

Slow, plain, and made without a look at the switch: where the two differ, one of them is wrong. It follows the verdict
on the primary alone; of the backups it needs to know when they were heard.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from failover.core.events import Signal, VerdictChanged
from failover.core.model import NETWORK_ERRORS, ErrorType, Verdict

_CALM = 2.0
_HEALTHY = 600.0
_LAST_STEP = 3
_STALL, _LONGEST_STALL, _STALL_REMEMBERED = 0.3, 2.0, 600.0
_PROOF_LASTS = 2.0
_SILENCE = {
    ErrorType.CONNECTION_READ_TIMEOUT,
    ErrorType.CONNECTION_TIMEOUT,
    ErrorType.DNS_TIMEOUT,
    ErrorType.HTTP_RESPONSE_TIMEOUT,
}
_TIMEOUTS = {
    ErrorType.HTTP_RESPONSE_TIMEOUT,
    ErrorType.CONNECTION_READ_TIMEOUT,
    ErrorType.HTTP_RESPONSE_INCOMPLETE,
}
_NO_EVIDENCE = {
    ErrorType.CONNECTION_LIMIT_REACHED,
    ErrorType.HTTP_429,
    ErrorType.HTTP_REQUEST_ERROR,
    ErrorType.PROXY_INTERNAL_ERROR,
}


@dataclass(frozen=True, slots=True)
class Noted:
    """One event about the primary, as it counts. `sort` is probe, request, or doubt (which may mean nothing); void is a
    probe that says nothing, stale is the moment at which proof is too old.
    """

    at: float
    sort: str
    good: bool
    error: ErrorType | None
    last_good: float
    began: float = math.inf

    def __str__(self):
        return f"{self.at:.3f} {self.sort} {'good' if self.good else self.error or ''}"


@dataclass(frozen=True, slots=True)
class Row:
    """What a log comes to: the bad signals in a row, doubts that came true among them; the good probes since the last
    bad signal; whether the primary is down; when it was last bad, and when the row began.
    """

    bad: tuple = ()
    good_probes: int = 0
    down: bool = False
    last_bad: float | None = None
    began: float = 0.0


class Reference:
    """Follows the switches of one history: a controller's, and its successors'."""

    def __init__(self, settings, world):
        self._fail = settings["fail_threshold"]
        self._recover = settings["recover_threshold"]
        self._world = world
        self._log = []
        self._moves = []  # (time, verdict reached), the first of them at birth
        self._heard = {}
        self._step = (0, 0.0, False)  # of the ramp: its number, since when, and whether the primary has answered in it
        self._kept = {}
        self.differences = []
        self.changes = []  # (time, VerdictChanged), over all controllers

    # -- told by the stage

    def born(self, now):
        self._log, self._moves, self._heard = [], [(now, Verdict.PRIMARY)], {}

    def remembered(self, memory):
        """The controller's memory goes to the workers: a successor will know no more than this."""
        self._kept[self._key(memory)] = (tuple(self._log), tuple(self._moves), self._step, dict(self._heard))

    def reborn(self, memory, now):
        log, moves, self._step, self._heard = self._kept[self._key(memory)]
        self._log, self._moves, self._heard = list(log), list(moves), dict(self._heard)
        if now - memory.taken > _PROOF_LASTS:
            self._log.append(Noted(now, "stale", False, None, -math.inf))
            self._step = (self._step[0], now, False)

    def _key(self, memory):
        return (memory.taken, memory.verdict, repr(memory.healths["primary"]))

    def handled(self, switch, event, now, effects):
        """The switch took an event and gave its effects: would the contract have done the same?"""
        self._note(event, now)
        before = len(self._moves)
        while (verdict := self._next(now)) is not None:
            self._moves.append((now, verdict))
            self._step = (0, now, False)
        self._climb(now)
        expected = [verdict for _, verdict in self._moves[before:]]
        changes = [effect for effect in effects if isinstance(effect, VerdictChanged)]
        self.changes += [(now, change) for change in changes]
        if expected != [change.new for change in changes]:
            self._differs("said", [change.new for change in changes], expected, now)
            self._moves.append((now, switch.verdict))
        hold_downs = [change.hold_down for change in changes if change.new is Verdict.BACKUP]
        if hold_downs and hold_downs[-1] != self.hold_down() and self._verdict is Verdict.BACKUP:
            self._differs("closed the way back for", hold_downs[-1:], [self.hold_down()], now)

    def _differs(self, what, seen, wanted, now):
        row = "; ".join(map(str, self._log[-6:]))
        told = ", ".join(map(str, seen)) or "nothing", ", ".join(map(str, wanted)) or "nothing"
        at = now - self._world.began
        self.differences.append(
            f"at {at:.4f} the switch {what} {told[0]}, the contract says {told[1]} (signals: {row})"
        )

    def _note(self, event, now):
        target = getattr(event, "target", None)
        sort = "doubt" if not isinstance(event, Signal) else "probe" if event.source.value == "probe" else "request"
        if target == "primary":
            if sort == "doubt":
                self._log.append(Noted(now, sort, False, None, event.last_good))
            elif event.good or event.error not in _NO_EVIDENCE:
                self._log.append(Noted(now, sort, event.good, event.error, event.last_good, event.began))
            elif sort == "probe":
                self._log.append(Noted(now, "void", False, None, -math.inf))
            if sort == "request" and event.good:
                self._step = (*self._step[:2], True)
        elif target is not None and sort != "doubt":
            quiet = event.error in _NO_EVIDENCE or _network_like(sort, event.error)
            if event.good or not quiet:
                self._heard[target] = now

    def good_probes(self):
        """When the primary answered a probe well."""
        return [noted.at for noted in self._log if noted.good and noted.sort == "probe"]

    # -- the contract

    @property
    def _verdict(self):
        return self._moves[-1][1]

    def _next(self, now):
        row = self._row()
        if self._verdict is Verdict.BACKUP:
            proven = row.good_probes >= self._recover
            back = now >= self._moves[-1][0] + self.hold_down()
            return Verdict.RAMP if proven and back else None
        if row.down and self._is_full(row) and not self._may_be_our_network(row):
            return Verdict.BACKUP
        if self._verdict is Verdict.PRIMARY:
            return Verdict.SUSPECT if row.bad else None
        if self._verdict is Verdict.SUSPECT:
            calm = row.last_bad is None or now >= row.last_bad + _CALM
            return Verdict.PRIMARY if calm and row.good_probes and not row.bad and not row.down else None
        if row.bad:
            return Verdict.BACKUP  # a ramp ends with the first failure
        return Verdict.PRIMARY if self._step[0] == _LAST_STEP and self._step_is_over(now) else None

    def _row(self):
        """The whole log, read from its beginning."""
        bad, doubts, good_probes, down, last_bad, began = [], [], 0, False, None, 0.0
        in_doubt, stall, stall_at, answered = False, 0.0, -math.inf, -math.inf
        for noted in self._log:
            if noted.sort == "stale":
                good_probes = 0
                continue
            if noted.sort == "void":
                doubts = []
                continue
            answered = max(answered, noted.at if noted.good and noted.sort == "probe" else noted.last_good)
            proof = noted.good and noted.sort == "probe"
            if proof or (noted.last_good > max((one.at for one in (*bad, *doubts)), default=math.inf)):
                # It is good, or a worker had a good answer after all of them.
                silence = noted.at - began
                if bad and in_doubt and silence <= _LONGEST_STALL:
                    recent = stall if noted.at - stall_at < _STALL_REMEMBERED else 0.0
                    stall, stall_at = max(recent, silence), noted.at
                bad, doubts, in_doubt = [], [], False
            if noted.good:
                good_probes += noted.sort == "probe"
                down = down and good_probes < self._recover
                continue
            waited = noted.error in NETWORK_ERRORS or noted.error in _TIMEOUTS
            if noted.sort != "doubt" and waited and answered > noted.began:
                continue  # somebody else was answered while this probe waited
            if noted.sort == "doubt" and not any(one.sort == "probe" for one in bad):
                doubts.append(noted)  # counts when a probe confirms it
                continue
            if not bad:
                in_doubt = bool(doubts) and noted.sort == "probe"
                began = doubts[0].at if in_doubt else noted.at
            in_doubt = in_doubt and (noted.sort == "doubt" or noted.error in _SILENCE)
            bad.append(noted)
            if noted.sort != "doubt":
                good_probes = 0
            if noted.sort == "probe":
                bad, doubts = bad + doubts, []
            last_bad = noted.at
            recent = stall if noted.at - stall_at < _STALL_REMEMBERED else 0.0
            lasts = not in_doubt or noted.at - began >= min(max(_STALL, 1.25 * recent), _LONGEST_STALL)
            down = down or (lasts and self._is_full(Row(tuple(bad))))
        return Row(tuple(bad), good_probes, down, last_bad, began)

    def _is_full(self, row):
        return len(row.bad) >= self._fail and any(noted.sort == "probe" for noted in row.bad)

    def _may_be_our_network(self, row):
        """Nobody was heard since the row began, and a cut of our own would look just the same."""
        network = all(noted.sort == "doubt" or _network_like(noted.sort, noted.error) for noted in row.bad)
        return network and not any(heard >= row.began for heard in self._heard.values())

    def _climb(self, now):
        """The next step of the ramp."""
        if self._verdict is Verdict.RAMP and self._step[0] < _LAST_STEP and self._step_is_over(now):
            self._step = (self._step[0] + 1, now, False)

    def _step_is_over(self, now):
        length = self._world.settings.ramp_step
        return now >= self._step[1] + length * (1 if self._step[2] else 2)

    def hold_down(self):
        """How long the way back is closed after the latest switch to the backup."""
        steps, recovered, out = 0, None, False
        for at, verdict in self._moves:
            if verdict is Verdict.BACKUP:
                if recovered is not None:
                    healthy = at - recovered
                    steps = max(steps - int(healthy // _HEALTHY), 0) + (healthy < _HEALTHY)
                out = True
            elif out:
                recovered, out = at, False
        return min(15.0 * 2 ** (steps - 1), 600.0) if steps else 0.0


def _network_like(sort, error):
    """Our own network could have made it just as well; a kept connection tells of that by its silence."""
    return error in NETWORK_ERRORS or (sort == "request" and error in _TIMEOUTS)
