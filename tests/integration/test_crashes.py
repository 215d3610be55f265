"""`kill -9` of anybody, at random moments of an outage's life: one incident, told to its end once (stories 18, 20, 21).

A seed is one history. `make crashes` plays many; a failing one is played again with `CRASHES=1 CRASH_SEED=N`.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from support.fakes import FakeReceiver
from support.load import Load
from support.origin import Origin
from support.program import Process, Program, free_port

if TYPE_CHECKING:
    from support.fakes import Request

QUICK = ("--check-interval", "100ms", "--backup-check-interval", "500ms", "--ramp-step", "50ms", "--workers", "2")
FIRST = int(os.environ.get("CRASH_SEED", "1"))
SEEDS = range(FIRST, FIRST + int(os.environ.get("CRASHES", "1")))
VICTIMS = ("worker", "controller", "controller twice", "worker and controller", "supervisor", "everything")


class Crashing:
    """The program on one port with one folder, killed and, where nobody is left, started again."""

    def __init__(self, *flags: str, chance: random.Random) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.killed: Counter[str] = Counter()
        self._flags = flags
        self._chance = chance
        self.logs: list[str] = []
        self.start()

    def start(self) -> None:
        self.program = Program(*self._flags, listen=f"127.0.0.1:{self.port}").start().ready()

    def kill(self) -> None:
        """Somebody, whom chance chooses."""
        victim = self._chance.choice(VICTIMS)
        self.killed[victim] += 1
        program, mark = self.program, self.program.mark
        if victim in {"supervisor", "everything"}:
            children = [*program.workers(), program.controller()] if victim == "everything" else []
            for pid in (program.pid, *children):
                os.kill(pid, signal.SIGKILL)
            program.wait()
            program.wait_for_silence()  # children of a dead supervisor finish and leave
            self.end()
            self.start()
            return
        for part in victim.replace(" twice", "").split(" and "):
            for _ in range(2 if "twice" in victim else 1):
                os.kill(program.controller() if part == "controller" else program.workers()[0], signal.SIGKILL)
                program.wait_for(f"{'controller' if part == 'controller' else 'worker 0'} is back", after=mark)
                mark = program.mark if "twice" in victim else mark

    def end(self) -> None:
        self.program.end()
        self.logs += self.program.lines


def kind(request: Request) -> str:
    return request.payload["type"]


@pytest.mark.parametrize("seed", SEEDS)
def test_one_outage_is_one_incident_and_its_end_is_told_once_whoever_is_killed(seed: int, tmp_path: Path) -> None:
    chance = random.Random(seed)
    with FakeReceiver() as anybody, Origin("primary") as primary, Origin("backup") as backup:
        hook = ("--webhook-url", anybody.url, "--webhook-format", "generic", "--webhook-secret", anybody.secret)
        where = ("--state-dir", str(tmp_path), "--primary", primary.url, "--backup", backup.url)
        crashing = Crashing(*QUICK, *hook, *where, chance=chance)
        with Load(crashing.url, rate=100) as load:

            def a_moment() -> None:
                load.wait_for(answered=chance.randrange(1, 60))

            try:
                a_moment()
                if chance.random() < 0.3:
                    crashing.kill()
                in_mid_delivery = chance.random() < 0.5
                if in_mid_delivery:
                    anybody.hold()
                primary.stop()
                if chance.random() < 0.5:
                    a_moment()
                    crashing.kill()
                if in_mid_delivery:
                    anybody.wait_for_seen(1)
                    crashing.kill()
                    anybody.release()
                anybody.wait_for(1)
                for _ in range(chance.randrange(1, 3)):
                    a_moment()
                    crashing.kill()
                primary.start()
                if chance.random() < 0.5:
                    a_moment()
                    crashing.kill()
                with anybody._told:
                    assert anybody._told.wait_for(
                        lambda: any(kind(one).endswith("resolved") for one in anybody.taken), 40
                    )
                if chance.random() < 0.5:
                    crashing.kill()
                a_moment()
                port = crashing.program.port
            finally:
                load.stop()
                crashing.end()
                print("killed", dict(crashing.killed), "and", load.tally)
        told = [(kind(one), one.payload["data"]["id"], one.headers["webhook-id"]) for one in anybody.taken]
    assert crashing.program.exit_code == 0
    assert len({incident for _, incident, _ in told}) == 1, told
    assert len({name for what, _, name in told if what.endswith("resolved")}) == 1, told
    assert len({name for what, _, name in told if what.endswith("opened")}) <= 1, told
    assert not [line for line in crashing.logs if "Traceback" in line]
    # Nothing is left of those that were killed.
    assert not Path(f"/run/failover/{port}.sock").exists()
    assert {one.name for one in tmp_path.iterdir()} <= {"failover.db", "lock"}
    listed = [sys.executable, "-m", "failover", "incidents", "list", "--json", "--state-dir", str(tmp_path)]
    with Process(listed) as process:
        assert process.wait() == 0
        process.wait_for_silence()
    (incident,) = json.loads(process.log)
    assert incident["status"] == "resolved"
