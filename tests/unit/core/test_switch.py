"""The switch against random histories: whatever happens, in whatever order, its law holds."""

import math
from dataclasses import dataclass, field
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from failover.core.events import (
    Doubt,
    Effect,
    Event,
    Probe,
    RoutingChanged,
    Signal,
    Source,
    TargetChanged,
    Tick,
    VerdictChanged,
)
from failover.core.model import PRIMARY, ErrorType, Verdict
from failover.core.pace import Rules
from failover.core.switch import Switch
from failover.core.table import TABLE, Sign, diagram

VERDICTS_PAGE = Path(__file__).parents[3] / "docs" / "verdicts.md"
BACKUPS = ("backup", "backup-2")
BAD = (
    ErrorType.CONNECTION_REFUSED,
    ErrorType.CONNECTION_TIMEOUT,
    ErrorType.HTTP_RESPONSE_TIMEOUT,
    ErrorType.HTTP_5XX,
)

targets = st.sampled_from((PRIMARY, PRIMARY, PRIMARY, *BACKUPS))
answers = st.builds(
    lambda target, good, error, latency: ("answer", target, good, error, latency),
    targets,
    st.booleans(),
    st.sampled_from(BAD),
    st.floats(0.001, 2.0),
)
requests = st.builds(
    lambda target, good, error, before: ("request", target, good, error, before),
    targets,
    st.sampled_from((False, False, False, True)),
    st.sampled_from(BAD),
    st.sampled_from((0, 0, 0, 3)),
)
doubts = st.builds(lambda target, before: ("overdue", target, before), targets, st.sampled_from((0, 0, 0, 3)))
waits = st.one_of(
    st.just(("wake",)),
    st.builds(lambda seconds: ("wait", seconds), st.one_of(st.floats(0, 0.3), st.floats(0, 40), st.floats(500, 700))),
)
histories = st.lists(st.one_of(answers, answers, requests, doubts, waits, waits), max_size=120)
rules = st.builds(
    Rules,
    fail_threshold=st.integers(1, 5),
    recover_threshold=st.integers(1, 3),
    check_interval=st.floats(0.01, 10),
    check_timeout=st.floats(0.01, 5),
    backup_check_interval=st.floats(0.01, 60),
)


@dataclass
class Story:
    """Plays a history. `before(event)` and `after(event, effects)` are where a test looks."""

    rules: Rules
    switch: Switch = field(init=False)
    now: float = 100.0
    open_probes: dict[str, int] = field(default_factory=dict)
    effects: list[tuple[float, Effect]] = field(default_factory=list)

    def __post_init__(self):
        self.switch = Switch(self.rules, BACKUPS, self.now)
        self.handle(Tick())

    def handle(self, event: Event) -> tuple[Effect, ...]:
        effects = self.switch.handle(event, self.now)
        for effect in effects:
            self.effects.append((self.now, effect))
            if isinstance(effect, Probe):
                self.open_probes[effect.target] = self.open_probes.get(effect.target, 0) + 1
        return effects

    def event(self, step) -> Event | None:
        """The event of one step, or None where there is nothing to answer or to wait for."""
        match step:
            case ("answer", target, good, error, latency):
                if not self.open_probes.get(target):
                    return None
                self.open_probes[target] -= 1
                return Signal(Source.PROBE, target, good, None if good else error, latency=latency if good else None)
            case ("request", target, good, error, before):
                last_good = self.now if before or good else -math.inf
                return Signal(Source.LIVE, target, good, None if good else error, last_good=last_good)
            case ("overdue", target, before):
                return Doubt(target, self.now if before else -math.inf)
            case ("wait", seconds):
                self.now += seconds
                return Tick()
            case ("wake",):
                wake = self.switch.wake_at()
                if wake is None:
                    return None
                self.now = max(wake, self.now)
                return Tick()
        raise AssertionError(step)

    def play(self, history):
        """Each event in turn, with what it brought about."""
        for step in history:
            event = self.event(step)
            if event is not None:
                yield event, self.handle(event)

    def verdicts(self) -> list[tuple[float, VerdictChanged]]:
        return [(at, effect) for at, effect in self.effects if isinstance(effect, VerdictChanged)]


@given(rules, histories)
def test_every_move_is_in_the_table_and_has_a_reason(given_rules, history):
    story = Story(given_rules)
    verdict = Verdict.PRIMARY
    for _event, effects in story.play(history):
        for effect in effects:
            if isinstance(effect, VerdictChanged):
                assert effect.old is verdict
                assert effect.new in {new for (old, _sign), new in TABLE.items() if old is effect.old}
                assert effect.reason
                verdict = effect.new
        assert story.switch.verdict is verdict


class Row:
    """The primary's row of bad signals as the contract has it: a plain model to hold the switch against."""

    def __init__(self):
        self.row: list[tuple[Source, ErrorType | None]] = []
        self.doubts = 0
        self.began = self.latest = -math.inf

    def take(self, event, now):
        if not isinstance(event, Signal | Doubt) or event.target != PRIMARY:
            return
        good = isinstance(event, Signal) and event.good
        if (good and event.source is Source.PROBE) or event.last_good > self.latest:
            self.row, self.doubts = [], 0
        if good:
            return
        if not self.row and not self.doubts:
            self.began = now
        if isinstance(event, Doubt) and Source.PROBE not in self.sources:
            self.doubts += 1
        elif isinstance(event, Doubt):
            self.row.append((Source.LIVE, None))
        else:
            self.row.append((event.source, event.error))
            if event.source is Source.PROBE:
                self.row += [(Source.LIVE, None)] * self.doubts
                self.doubts = 0
        self.latest = now

    @property
    def sources(self):
        return [source for source, _ in self.row]


def is_switch(effect) -> bool:
    return isinstance(effect, VerdictChanged) and effect.new is Verdict.BACKUP and effect.old is not Verdict.RAMP


@given(rules, histories)
def test_never_backup_without_enough_bad_signals_in_a_row_and_one_of_a_probe(given_rules, history):
    story, row = Story(given_rules), Row()
    for event, effects in story.play(history):
        row.take(event, story.now)
        for effect in filter(is_switch, effects):
            assert len(row.row) >= given_rules.fail_threshold
            assert Source.PROBE in row.sources
            assert (effect.probes, effect.requests) == (row.sources.count(Source.PROBE), row.sources.count(Source.LIVE))


@given(rules, histories)
def test_what_our_own_network_could_have_made_is_no_verdict_before_somebody_else_was_heard(given_rules, history):
    story, row = Story(given_rules), Row()
    heard_at = 0.0
    for event, effects in story.play(history):
        row.take(event, story.now)
        if isinstance(event, Signal) and event.target != PRIMARY and event.error is not ErrorType.CONNECTION_TIMEOUT:
            heard_at = story.now
        for _effect in filter(is_switch, effects):
            errors = {error for _, error in row.row} - {None}
            assert heard_at >= row.began or errors != {ErrorType.CONNECTION_TIMEOUT}


@given(rules, histories)
def test_the_ramp_goes_up_step_by_step_and_never_faster_than_it_may(given_rules, history):
    story = Story(given_rules)
    share, since = story.switch.share, 0.0
    for _event, _effects in story.play(history):
        now = story.switch.share
        if now != share and story.switch.verdict is Verdict.RAMP:
            assert (share, now) in {(0, 5), (5, 25), (25, 50), (50, 100)}
            assert share == 0 or story.now >= since + 2
            since = story.now
        share = now


@given(rules, histories)
def test_never_back_within_a_hold_down_nor_without_enough_good_probes(given_rules, history):
    story = Story(given_rules)
    good = 0
    closed_until = 0.0
    for event, effects in story.play(history):
        if isinstance(event, Signal) and event.target == PRIMARY:
            good = 0 if not event.good else good + (event.source is Source.PROBE)
        for effect in effects:
            if isinstance(effect, VerdictChanged) and effect.new is Verdict.BACKUP:
                closed_until = story.now + effect.hold_down
            elif isinstance(effect, VerdictChanged) and effect.old is Verdict.BACKUP:
                assert story.now >= closed_until
                assert good >= given_rules.recover_threshold


@given(rules, histories)
def test_a_primary_that_flaps_costs_one_switch_back_per_hold_down(given_rules, history):
    story = Story(given_rules)
    list(story.play(history))
    back = [at for at, change in story.verdicts() if change.old is Verdict.BACKUP]
    there = [(at, change.hold_down) for at, change in story.verdicts() if change.new is Verdict.BACKUP]
    for at, hold_down in there:
        assert not [1 for other in back if at < other < at + hold_down]
    for at, hold_down in there[1:]:
        recovered = max(other for other in back if other <= at)
        assert hold_down >= 15 or at - recovered >= 600


@given(rules, histories)
def test_the_deadline_lies_ahead_and_whoever_keeps_it_gets_on(given_rules, history):
    story = Story(given_rules)
    for _event, _effects in story.play(history):
        wake = story.switch.wake_at()
        assert wake is None or wake > story.now
    # Each tick at the deadline does something, until all that is left to do is to wait for answers.
    for _ in range(20):
        wake = story.switch.wake_at()
        if wake is None:
            assert all(story.open_probes.values())
            break
        story.now = wake
        assert story.handle(Tick()), "woke for nothing"


@given(rules, histories)
def test_few_probes_are_in_flight(given_rules, history):
    story = Story(given_rules)
    for _event, effects in story.play(history):
        assert all(story.open_probes.get(alias, 0) <= 1 for alias in BACKUPS)
        if Probe in map(type, effects):
            assert story.open_probes[PRIMARY] <= 4


@given(rules, histories)
def test_a_probe_may_take_a_quarter_of_a_second_or_as_long_as_is_allowed(given_rules, history):
    story = Story(given_rules)
    list(story.play(history))
    timeouts = [effect.timeout for _, effect in story.effects if isinstance(effect, Probe)]
    assert all(min(0.25, given_rules.check_timeout) <= one <= given_rules.check_timeout for one in timeouts)


@given(rules, histories)
def test_the_workers_are_told_when_and_only_when_something_they_know_changed(given_rules, history):
    story = Story(given_rules)

    def known():
        switch = story.switch
        targets = [(switch.usable(alias), switch.error(alias) is None) for alias in (PRIMARY, *BACKUPS)]
        return (switch.verdict, switch.fail_count, switch.recover_count, switch.share, targets)

    before = known()
    for _event, effects in story.play(history):
        assert (RoutingChanged() in effects) == (known() != before)
        before = known()


@given(rules, histories)
def test_a_dead_backup_is_told_once_and_a_living_one_too(given_rules, history):
    story = Story(given_rules)
    usable = dict.fromkeys(BACKUPS, True)
    for _event, effects in story.play(history):
        for effect in effects:
            if isinstance(effect, TargetChanged):
                assert effect.usable is not usable[effect.target]
                usable[effect.target] = effect.usable
        assert all(story.switch.usable(alias) is usable[alias] for alias in BACKUPS)


def near(one: object, other: object) -> bool:
    """Equal, but for the last digits of times that were added and taken away again."""
    if isinstance(one, float) and isinstance(other, float):
        return abs(one - other) < 1e-6
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(near(one[key], other[key]) for key in one)
    if hasattr(one, "__dataclass_fields__"):
        return all(near(getattr(one, name), getattr(other, name)) for name in one.__dataclass_fields__)
    return one == other


@given(rules, histories, st.floats(0, 1.9))
def test_a_successor_knows_all_that_the_dead_one_knew(given_rules, history, gap):
    story = Story(given_rules)
    list(story.play(history))
    memory = story.switch.snapshot(story.now)
    at_once = Switch.restore(given_rules, BACKUPS, memory, story.now)
    assert near(at_once.snapshot(story.now), memory)
    later = story.now + gap
    assert near(Switch.restore(given_rules, BACKUPS, memory, later).snapshot(later), story.switch.snapshot(later))


@given(rules, histories, histories)
def test_a_successor_decides_as_the_dead_one_would_have(given_rules, history, afterwards):
    story = Story(given_rules)
    list(story.play(history))
    successor = Switch.restore(given_rules, BACKUPS, story.switch.snapshot(story.now), story.now)
    for step in afterwards:
        event = story.event(step)
        if event is None or isinstance(event, Tick):
            continue  # at the very moment of a deadline a last digit would decide
        ours = [effect for effect in story.handle(event) if isinstance(effect, VerdictChanged | TargetChanged)]
        theirs = [
            effect
            for effect in successor.handle(event, story.now)
            if isinstance(effect, VerdictChanged | TargetChanged)
        ]
        assert [getattr(one, "new", None) or one.usable for one in ours] == [
            getattr(one, "new", None) or one.usable for one in theirs
        ]


def test_old_proof_is_no_proof():
    story = Story(Rules())
    list(story.play([("answer", PRIMARY, True, None, 0.1)] * 1 + [("wait", 0.1)]))
    assert story.switch.snapshot(story.now).healths[PRIMARY].good_probes == 1
    later = story.now + 60
    successor = Switch.restore(Rules(), BACKUPS, story.switch.snapshot(story.now), later)
    assert successor.snapshot(later).healths[PRIMARY].good_probes == 0


def test_a_memory_from_before_a_reboot_counts_as_fresh():
    switch = Switch(Rules(), BACKUPS, 5000.0)
    memory = switch.snapshot(9000.0)
    assert Switch.restore(Rules(), BACKUPS, memory, 10.0).snapshot(10.0).age == memory.age


def test_a_memory_of_a_backup_that_is_gone_is_dropped():
    memory = Switch(Rules(), BACKUPS, 0.0).snapshot(1.0)
    assert set(Switch.restore(Rules(), ("backup",), memory, 1.0).snapshot(1.0).healths) == {PRIMARY, "backup"}


def test_a_signal_about_nobody_we_know_is_dropped():
    switch = Switch(Rules(), BACKUPS, 0.0)
    switch.handle(Tick(), 0.0)
    stranger = Signal(Source.LIVE, "backup-9", good=False, error=ErrorType.CONNECTION_REFUSED)
    assert switch.handle(stranger, 0.1) == ()


def test_every_sign_and_verdict_is_in_the_table():
    assert {sign for _verdict, sign in TABLE} == set(Sign)
    assert {verdict for verdict, _sign in TABLE} == set(TABLE.values()) == set(Verdict)


def test_the_page_shows_the_table_as_it_is():
    assert f"```mermaid\n{diagram()}\n```" in VERDICTS_PAGE.read_text()
