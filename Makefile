# One-word chores. None needs the environment to be activated; ./verify.sh does all of check and test at once.
.POSIX:
PY = .venv/bin/python

all: check test

check: environment
	./scripts/check.sh

audit: environment
	$(PY) scripts/audit.py

test: environment
	$(PY) -m pytest -n auto --maxprocesses 4 --dist worksteal

bench: environment
	$(PY) bench/run.py

instructions: environment
	$(PY) bench/instructions.py

siege: environment
	$(PY) bench/siege.py

chaos: environment
	$(PY) tests/chaos/run.py

crashes: environment
	CRASHES=100 $(PY) -m pytest tests/integration/test_crashes.py

fuzz: environment
	$(PY) tests/fuzz/run.py
	HYPOTHESIS_PROFILE=explore $(PY) -m pytest -m hypothesis tests/unit tests/integration/test_whole_exchanges.py

docs: environment
	$(PY) -m failover.settings.reference >docs/reference/settings.md.new
	mv docs/reference/settings.md.new docs/reference/settings.md
	$(PY) -m failover.cli.reference >docs/reference/commands.md.new
	mv docs/reference/commands.md.new docs/reference/commands.md
	$(PY) -m failover.reports.machine >docs/reference/incident.schema.json.new
	mv docs/reference/incident.schema.json.new docs/reference/incident.schema.json

site: environment
	NO_MKDOCS_2_WARNING=1 $(PY) -m mkdocs build --strict  # --quiet would hide what it is strict about

package: environment
	rm -rf dist && $(PY) -m build --installer uv

executable: environment
	$(PY) -m PyInstaller --distpath dist --workpath build/executable --log-level WARN packaging/failover.spec
	EXECUTABLE=dist/failover $(PY) -m pytest tests/integration/test_package.py -k executable

environment:
	@. ./scripts/environment.sh && environment . test

clean:
	rm -rf .venv build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find src tests bench -name __pycache__ -prune -exec rm -rf {} +

.PHONY: all check audit test bench instructions siege chaos crashes fuzz docs site package executable environment clean
