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

chaos: environment
	$(PYTHON) tests/chaos/run.py

docs: environment
	$(PYTHON) -m failover.settings.reference >docs/reference/settings.md.new
	mv docs/reference/settings.md.new docs/reference/settings.md
	$(PYTHON) -m failover.cli.reference >docs/reference/commands.md.new
	mv docs/reference/commands.md.new docs/reference/commands.md
	$(PYTHON) -m failover.reports.machine >docs/reference/incident.schema.json.new
	mv docs/reference/incident.schema.json.new docs/reference/incident.schema.json

site: environment
	NO_MKDOCS_2_WARNING=1 $(PYTHON) -m mkdocs build --strict  # --quiet would hide what it is strict about

environment:
	@. ./scripts/environment.sh && environment . test

clean:
	rm -rf .venv build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find src tests bench -name __pycache__ -prune -exec rm -rf {} +

.PHONY: all check test bench instructions chaos docs site environment clean
