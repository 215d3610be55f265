"""Histories from the command line.

python -m simulation.run --seed 12345 --verbose      one history, read aloud
python -m simulation.run --seeds 100000 --from 5000  a long hunt
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter

from simulation.stage import Stage


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--seed", type=int)
    options.add_argument("--seeds", type=int, default=1000)
    options.add_argument("--from", type=int, default=0, dest="first")
    options.add_argument("--verbose", action="store_true")
    options.add_argument("--most", type=int, default=5, help="breaches told of each invariant")
    given = options.parse_args()
    with Stage() as stage:
        return _one(stage, given) if given.seed is not None else _many(stage, given)


def _one(stage, given):
    world = stage.play(given.seed)
    if given.verbose or world.wrong:
        print(world.transcript())
    for name, sentence in world.wrong:
        print(f"{name}: {sentence}")
    print("wrong" if world.wrong else "all well")
    return 1 if world.wrong else 0


def _many(stage, given):
    began, told, seeds = time.process_time(), Counter(), Counter()
    for seed in range(given.first, given.first + given.seeds):
        wrong = stage.play(seed).wrong
        for name in {name for name, _ in wrong}:
            seeds[name] += 1
        for name, sentence in wrong:
            told[name] += 1
            if told[name] <= given.most:
                print(f"seed {seed}: {name}: {sentence}", flush=True)
    took = time.process_time() - began
    print(f"{given.seeds} histories in {took:.1f} s of one core, {given.seeds / took:.0f} a second")
    for name, count in seeds.most_common():
        print(f"{name}: {count} seeds")
    return 1 if seeds else 0


if __name__ == "__main__":
    sys.exit(main())
