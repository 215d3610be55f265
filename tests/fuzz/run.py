"""Fuzzing: `make fuzz` runs each target for FUZZ_SECONDS (60), one after the other, and says what it found.

    python tests/fuzz/run.py [TARGET …] [--seconds N] [--merge] [--keep FOLDER]

What an input is judged by stands on the first lines of each file in `tests/fuzz/targets`. New inputs are kept in a
folder beside the fixed corpus (`.fuzz/`, never committed); with `--merge`, those that reach more code than the fixed
ones are added to them. An input that breaks an invariant is left in `.fuzz/found` and its traceback is printed; the
exit code is 1.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import os
import re
import shlex
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
CORPUS = HERE / "corpus"
DICTIONARIES = HERE / "dictionaries"
TARGETS = sorted(path.stem for path in (HERE / "targets").glob("*.py"))
LONGEST_INPUT = 4096
ONE_INPUT_S = 20


def begin(name, options):
    """In a process of its own: libFuzzer takes over, and never returns."""
    import atheris  # the extra `fuzz`

    sys.setrecursionlimit(1000)
    with atheris.instrument_imports(include=["failover"], enable_loader_override=False):
        target = importlib.import_module(f"fuzz.targets.{name}")
    myself = shlex.join([sys.executable, __file__, "--begin", name, "--"])  # a merge starts it again, through a shell
    atheris.Setup([myself, *options], target.one)
    atheris.Fuzz()


def fuzz(name, seconds, work, *, merge):
    """One target for so many seconds; whether nothing was found."""
    known, fresh, found = CORPUS / name, work / "corpus" / name, work / "found"
    for folder in (known, fresh, found):
        folder.mkdir(parents=True, exist_ok=True)
    began, before = time.monotonic(), {path.name for path in found.iterdir()}
    target = importlib.import_module(f"fuzz.targets.{name}")
    dictionary = [f"-dict={DICTIONARIES / target.DICTIONARY}.dict"]
    limits = [f"-max_total_time={seconds}", f"-timeout={ONE_INPUT_S}", f"-max_len={LONGEST_INPUT}"]
    code, out = said(name, [str(fresh), str(known), *dictionary, *limits, f"-artifact_prefix={found}/{name}-"])
    executions = re.findall(r"^#(\d+)\s", out, re.MULTILINE)
    coverage = re.findall(r"cov: (\d+) ft: (\d+)", out)
    crashed = sorted({path.name for path in found.iterdir()} - before) or [f"exit code {code}"] * bool(code)
    lines, features = coverage[-1] if coverage else ("0", "0")
    print(
        f"{name:18} {int(executions[-1]) if executions else 0:>10,} executions in {time.monotonic() - began:4.0f} s, "
        f"{lines} edges, {features} features, {len(list(fresh.iterdir()))} inputs: "
        + (f"FOUND {', '.join(crashed)}" if crashed else "nothing found"),
        flush=True,
    )
    if crashed:
        print(out[out.find("=== Uncaught") :][:4000], flush=True)
    elif merge:
        said(name, ["-merge=1", f"-max_len={LONGEST_INPUT}", str(known), str(fresh)])
    return not crashed


def said(name, options):
    environ = os.environ | {"PYTHONPATH": os.pathsep.join((str(ROOT / "src"), str(ROOT / "tests")))}
    command = [sys.executable, __file__, "--begin", name, "--", *options]
    done = subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, check=False)
    return done.returncode, (done.stdout + done.stderr).decode("utf-8", "replace")


def main():
    if sys.argv[1:2] == ["--begin"]:
        begin(sys.argv[2], sys.argv[4:])
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=", ".join(TARGETS))
    parser.add_argument("--seconds", type=int, default=int(os.environ.get("FUZZ_SECONDS") or 60))
    parser.add_argument("--merge", action="store_true", help="add to the fixed corpus what reaches more code")
    parser.add_argument("--keep", type=Path, default=ROOT / ".fuzz", metavar="FOLDER", help="new inputs and findings")
    asked = parser.parse_args()
    if unknown := set(asked.targets) - set(TARGETS):
        parser.error(f"there is no target {', '.join(sorted(unknown))}")
    if importlib.util.find_spec("atheris") is None:
        sys.exit("fuzz: this needs the extra: .venv/bin/python -m pip install -e '.[fuzz]'")
    well = [fuzz(name, asked.seconds, asked.keep, merge=asked.merge) for name in asked.targets or TARGETS]
    sys.exit(not all(well))


if __name__ == "__main__":
    sys.path[:0] = [str(ROOT / "src"), str(ROOT / "tests")]
    main()
