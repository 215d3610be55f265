"""Thousands of histories, each of one seed: the real worker and controller in a simulated world.

What fails is replayed, and read aloud, by `python -m simulation.run --seed N` (with src and tests on PYTHONPATH).
HISTORIES=20000 in the environment plays that many.
"""

import os

import pytest

from simulation.history import make
from simulation.seeds import KNOWN, REGRESSIONS
from simulation.stage import Stage

HISTORIES = int(os.environ.get("HISTORIES", "2000"))
BATCH = 100


def play(stage, seed):
    world = stage.play(seed)
    if world.wrong:
        breaches = "\n".join(f"{name}: {sentence}" for name, sentence in world.wrong)
        pytest.fail(f"seed {seed}\n{breaches}\n\n{world.transcript()}", pytrace=False)


@pytest.mark.parametrize("first", range(0, HISTORIES, BATCH))
def test_histories(first):
    with Stage() as stage:
        for seed in range(first, first + BATCH):
            if seed not in KNOWN:
                play(stage, seed)


@pytest.mark.parametrize("seed", REGRESSIONS)
def test_seeds_that_failed_once(seed):
    with Stage() as stage:
        play(stage, seed)


def test_a_seed_is_one_history():
    with Stage() as stage:
        for seed in range(20):
            first = stage.play(seed).transcript()
            ballast = [object() for _ in range(seed * 100)]  # other places in memory
            assert stage.play(seed).transcript() == first
            del ballast


def test_the_wall_clock_changes_nothing():
    with Stage() as stage:
        for seed in [seed for seed in range(100) if make(seed).jumps][:15]:
            assert stage.play(seed).transcript() == stage.play(seed, jumps=False).transcript()


def test_the_clocks_are_put_back():
    from time import monotonic

    from failover.controller import prober

    with Stage() as stage:
        assert prober.monotonic == stage.clock.monotonic
        assert prober.Course().began == stage.clock.now
    assert prober.monotonic is monotonic
    assert abs(prober.Course().began - monotonic()) < 60
