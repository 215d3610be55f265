"""Known vulnerabilities of what constraints.txt pins: `audit.py`, or `audit.py --daily` as scripts/check.sh does.

The exit code is 1 for a vulnerability that is known, and 0 where nobody can be asked: then a line says so. News come
from outside and not from our commits, so once a day is enough for the same pins; a fresh clone always asks. What was
found is told at every check until the pin is raised.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
PINS = ROOT / "constraints.txt"
WITHIN_S = 20.0
COMMAND = (
    *(sys.executable, "-m", "pip_audit", "--requirement", str(PINS), "--no-deps", "--disable-pip"),
    *("--format", "json", "--progress-spinner", "off", "--timeout", "5"),
)


def main() -> int:
    stamp = ROOT / ".venv" / "stamp-audit"
    today = f"{datetime.now(UTC):%Y-%m-%d} {hashlib.sha256(PINS.read_bytes()).hexdigest()}"
    if "--daily" in sys.argv[1:] and stamp.is_file() and stamp.read_text(encoding="ascii") == today:
        return 0
    said, is_well = judge(*ask())
    print("\n".join(f"audit: {line}" for line in said), file=sys.stderr)
    if is_well and stamp.parent.is_dir():
        stamp.write_text(today, encoding="ascii")
    return 0 if is_well else 1


def ask() -> tuple[str, str]:
    """What pip-audit found, as JSON, and why it found nothing out, if it did not."""
    try:
        done = subprocess.run(COMMAND, capture_output=True, text=True, check=False, timeout=WITHIN_S)
    except subprocess.TimeoutExpired:
        return "", f"no answer within {WITHIN_S:g} s"
    return done.stdout, "pip-audit is not installed" if "No module named" in done.stderr else "no answer"


def judge(found: str, why_not: str) -> tuple[list[str], bool]:
    """What to say, and whether all is well as far as anybody knows."""
    try:
        packages: list[dict[str, Any]] = json.loads(found)["dependencies"]
    except (ValueError, KeyError, TypeError):
        return [f"skipped, nobody could be asked for known vulnerabilities: {why_not}"], True
    known = [one for one in packages if "skip_reason" not in one]
    if not known:
        return [f"skipped, the package index here knows no advisories (asked for {len(packages)} packages)"], True
    bad = [_row(one, each) for one in known for each in one["vulns"]]
    unknown = f"; {len(packages) - len(known)} are not known there" if len(known) < len(packages) else ""
    return bad or [f"no known vulnerability in {len(known)} packages{unknown}"], not bad


def _row(package: dict[str, Any], one: dict[str, Any]) -> str:
    fixed = ", ".join(one["fix_versions"]) or "no version yet"
    return f"{package['name']} {package['version']} has {one['id']}; mended in {fixed}"


if __name__ == "__main__":
    sys.exit(main())
