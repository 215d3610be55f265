# One-word chores. None needs the environment to be activated; ./verify.sh does all of check and test at once.
.POSIX:
PYTHON = .venv/bin/python

all: check test

check: environment
	./scripts/check.sh

test: environment
	$(PYTHON) -m pytest

bench: environment
	$(PYTHON) bench/run.py

instructions: environment
	$(PYTHON) bench/instructions.py

siege: environment
	$(PYTHON) bench/siege.py

chaos: environment
	$(PYTHON) tests/chaos/run.py

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

.PHONY: all check test bench instructions siege chaos docs environment clean
