"""An `Incidents` that is told what happens, at a time, and what it wanted of it."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec

from failover.core.document import ProbeFact
from failover.core.events import ShareChanged, Tick, VerdictChanged
from failover.core.facts import Met, Probed
from failover.core.incident import Incidents, Want
from failover.core.model import ErrorType, Verdict
from failover.core.record import Record

REFUSED = ErrorType.CONNECTION_REFUSED
WALL = 1_800_000_000.0
PRIMARY, SUSPECT, BACKUP, RAMP = Verdict.PRIMARY, Verdict.SUSPECT, Verdict.BACKUP, Verdict.RAMP


class Story:
    """Tells an `Incidents` what happens and remembers what it wanted. `clock_jumps` moves the wall clock alone."""

    def __init__(self, backups=("backup",)):
        self.life = Incidents("https://myapp.com", backups)
        self.wanted = []
        self.clock_jumps = 0.0
        self.verdict = PRIMARY
        self.first_bad = None

    def at(self, now, fact):
        while (due := self.life.wake_at()) is not None and due <= now:
            self._handle(Tick(), due)
        return self._handle(fact, now)

    def _handle(self, fact, now):
        want = self.life.handle(fact, now, WALL + now + self.clock_jumps)
        if want is not Want.NOTHING:
            self.wanted.append((now, want))
        return want

    def until(self, now):
        self.at(now, Tick())

    def probe(self, now, error="", target="primary", **more):
        return self.at(
            now, Probed(ProbeFact(at=datetime.fromtimestamp(0, UTC), target=target, error=error, **more), 0.01)
        )

    def move(self, now, new, error=None):
        if new is SUSPECT:
            self.first_bad = now
        change = VerdictChanged(self.verdict, new, "because", error=error, first_bad=self.first_bad)
        self.verdict = new
        return self.at(now, change)

    def fails(self, now):
        """Refused, suspected and switched, all within 80 ms."""
        self.probe(now, REFUSED)
        self.move(now, SUSPECT, REFUSED)
        self.at(now + 0.02, Met(REFUSED, "connection refused"))
        self.move(now + 0.08, BACKUP, REFUSED)

    def recovers(self, now):
        """Two good probes, a ramp of six seconds, and everybody."""
        self.probe(now, status=200)
        self.probe(now + 1, status=200)
        self.move(now + 1, RAMP)
        self.at(now + 3, ShareChanged(25))
        self.move(now + 7, PRIMARY)

    @property
    def told(self):
        return [now for now, want in self.wanted if want is Want.TELL]

    @property
    def texts(self):
        return [line.text for line in self.life.record.lines]


def encoded(story):
    return msgspec.msgpack.decode(msgspec.msgpack.encode(story.life.kept), type=Record)
