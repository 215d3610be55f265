# One-word chores. None needs the environment to be activated; ./verify.sh does all of check and test at once.
.POSIX:
PY = .venv/bin/python

all: check test

check: environment
	./scripts/check.sh

test: environment
	$(PY) -m pytest -n auto --maxprocesses 4 --dist worksteal

bench: environment
	$(PY) bench/run.py

instructions: environment
	$(PY) bench/instructions.py

chaos: environment
	$(PY) tests/chaos/run.py

docs: environment
	$(PY) -m failover.settings.reference >docs/reference/settings.md.new
	mv docs/reference/settings.md.new docs/reference/settings.md
	$(PY) -m failover.reports.machine >docs/reference/incident.schema.json.new
	mv docs/reference/incident.schema.json.new docs/reference/incident.schema.json

package: environment
	rm -rf dist && $(PY) -m build --installer uv

executable: environment
	$(PY) -m PyInstaller --distpath dist --workpath build/executable --log-level WARN packaging/failover.spec

environment:
	@. ./scripts/environment.sh && environment . test

clean:
	rm -rf .venv build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find src tests bench -name __pycache__ -prune -exec rm -rf {} +

.PHONY: all check test bench instructions chaos docs package executable environment clean
