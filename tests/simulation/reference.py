"""The verdict as the contract has it (spec sections 8 and 9), told anew from the whole log of signals at each step.

Slow, plain, and made without a look at the switch: where the two differ, one of them is wrong. It knows the verdict on
the primary alone, in three words: it is trusted, suspected or out.
"""

from __future__ import annotations

from dataclasses import dataclass

from failover.core.events import Signal, VerdictChanged
from failover.core.model import ErrorType, Verdict

_CALM = 2.0
_HEALTHY = 600.0
_NO_EVIDENCE = {
    ErrorType.CONNECTION_LIMIT_REACHED,
    ErrorType.HTTP_429,
    ErrorType.HTTP_REQUEST_ERROR,
    ErrorType.PROXY_INTERNAL_ERROR,
    ErrorType.PROXY_LOOP_DETECTED,
}


@dataclass(frozen=True, slots=True)
class Noted:
    """One signal about the primary, as it counts."""

    at: float
    probe: bool
    good: bool
    what: str
    good_before: int

    def __str__(self):
        return f"{self.at:.3f} {'probe' if self.probe else 'request'} {self.what}"


class Reference:
    """Follows the switches of one history: a controller's, and its successors'."""

    def __init__(self, settings, world):
        self._fail = settings["fail_threshold"]
        self._recover = settings["recover_threshold"]
        self._world = world
        self._log = []
        self._moves = []  # (time, verdict reached), the first of them at birth
        self._kept = {}
        self.differences = []
        self.changes = []  # (time, VerdictChanged), over all controllers

    # -- told by the stage

    def born(self, switch, now):
        self._log = []
        self._moves = [(now, Verdict.PRIMARY)]

    def remembered(self, memory):
        """The controller's memory goes to the workers: a successor will know no more than this."""
        self._kept[self._key(memory)] = (tuple(self._log), tuple(self._moves))

    def reborn(self, memory):
        log, moves = self._kept[self._key(memory)]
        self._log, self._moves = list(log), list(moves)

    def _key(self, memory):
        return (memory.taken, memory.verdict, len(memory.healths), repr(memory.healths["primary"]))

    def handled(self, switch, event, now, effects):
        """The switch took an event and gave its effects: would the contract have done the same?"""
        if isinstance(event, Signal) and event.target == "primary" and (event.good or event.error not in _NO_EVIDENCE):
            what = "good" if event.good else f"{event.error} {event.detail}"
            self._log.append(Noted(now, event.source.value == "probe", event.good, what, event.good_before))
        before = len(self._moves)
        while (verdict := self._next(now)) is not None:
            self._moves.append((now, verdict))
        expected = [verdict for _, verdict in self._moves[before:]]
        changes = [effect for effect in effects if isinstance(effect, VerdictChanged)]
        self.changes += [(now, change) for change in changes]
        if expected != [change.new for change in changes]:
            seen = ", ".join(change.new.name for change in changes) or "nothing"
            wanted = ", ".join(verdict.name for verdict in expected) or "nothing"
            row = "; ".join(map(str, self._log[-6:]))
            at = now - self._world.began
            self.differences.append(f"at {at:.4f} the switch said {seen}, the contract says {wanted} (signals: {row})")
            self._moves.append((now, switch.verdict))

    # -- the contract

    @property
    def _verdict(self):
        return self._moves[-1][1]

    def _next(self, now):
        row = self._bad_row()
        down = len(row) >= self._fail and any(noted.probe for noted in row)
        if self._verdict is Verdict.BACKUP:
            proven = len(self._good_probes()) >= self._recover
            return Verdict.PRIMARY if proven and now >= self._moves[-1][0] + self.hold_down() else None
        if down:
            return Verdict.BACKUP
        if self._verdict is Verdict.PRIMARY:
            return Verdict.SUSPECT if row else None
        bad = [noted.at for noted in self._log if not noted.good]
        calm = not row and self._good_probes() and (not bad or now >= bad[-1] + _CALM)
        return Verdict.PRIMARY if calm else None

    def _bad_row(self):
        """The bad signals in a row up to now."""
        row = []
        for noted in self._log:
            if noted.good or noted.good_before:
                row = []
            if not noted.good:
                row.append(noted)
        return row

    def _good_probes(self):
        """The good probes since the last bad signal."""
        probes = []
        for noted in self._log:
            if not noted.good:
                probes = []
            elif noted.probe:
                probes.append(noted)
        return probes

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
