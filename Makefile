# One-word chores. None needs the environment to be activated; ./verify.sh does all of check and test at once.
.POSIX:
PYTHON = .venv/bin/python

all: check test

check: environment
	./scripts/check.sh

audit: environment
	$(PYTHON) scripts/audit.py

test: environment
	$(PYTHON) -m pytest -n auto --maxprocesses 4 --dist worksteal

bench: environment
	$(PYTHON) bench/run.py

instructions: environment
	$(PYTHON) bench/instructions.py

siege: environment
	$(PYTHON) bench/siege.py

chaos: environment
	$(PYTHON) tests/chaos/run.py

crashes: environment
	CRASHES=100 $(PYTHON) -m pytest tests/integration/test_crashes.py

fuzz: environment
	$(PYTHON) tests/fuzz/run.py
	HYPOTHESIS_PROFILE=explore $(PYTHON) -m pytest -m hypothesis tests/unit tests/integration/test_whole_exchanges.py

docs: environment
	$(PYTHON) -m failover.settings.reference >docs/reference/settings.md.new
	mv docs/reference/settings.md.new docs/reference/settings.md
	$(PYTHON) -m failover.reports.machine >docs/reference/incident.schema.json.new
	mv docs/reference/incident.schema.json.new docs/reference/incident.schema.json

environment:
	@. ./scripts/environment.sh && environment . test

clean:
	rm -rf .venv build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find src tests bench -name __pycache__ -prune -exec rm -rf {} +


.PHONY: all check audit test bench instructions siege chaos crashes fuzz docs environment clean
