#!/bin/sh
# Lint, format, types, and once a day the known vulnerabilities of what is pinned, all of them whatever the first one
# says; exit code 0 when all is well.
cd -- "$(dirname -- "$0")/.." || exit 1
wrong=0
.venv/bin/python -m ruff check --quiet src tests scripts bench packaging || wrong=1
.venv/bin/python -m ruff format --check --quiet src tests scripts bench packaging || wrong=1
.venv/bin/python -m mypy || wrong=1
.venv/bin/python scripts/audit.py --daily || wrong=1
exit "$wrong"
