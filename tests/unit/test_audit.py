"""What the audit makes of the answers of pip-audit, among them those of an index that knows nothing."""

import importlib.util
import json
from pathlib import Path

import pytest

FILE = Path(__file__).parents[2] / "scripts" / "audit.py"
_spec = importlib.util.spec_from_file_location("audit", FILE)
audit = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(audit)

WELL = {"name": "h11", "version": "0.16.0", "vulns": []}
BAD = {"name": "jinja2", "version": "3.1.0", "vulns": [{"id": "PYSEC-1", "fix_versions": ["3.1.6"], "aliases": []}]}
HOPELESS = {"name": "old", "version": "1", "vulns": [{"id": "PYSEC-2", "fix_versions": [], "aliases": []}]}
SKIPPED = {"name": "uvloop", "skip_reason": "Dependency not found on PyPI and could not be audited: uvloop (0.23.0)"}


@pytest.mark.parametrize(
    ("packages", "said", "well"),
    [
        ([WELL], ["no known vulnerability in 1 packages"], True),
        ([WELL, SKIPPED], ["no known vulnerability in 1 packages; 1 are not known there"], True),
        ([WELL, BAD, SKIPPED], ["jinja2 3.1.0 has PYSEC-1; mended in 3.1.6"], False),
        ([HOPELESS], ["old 1 has PYSEC-2; mended in no version yet"], False),
        ([SKIPPED], ["skipped, the package index here knows no advisories (asked for 1 packages)"], True),
    ],
)
def test_what_is_found_fails_and_what_cannot_be_asked_is_said(packages, said, well):
    assert audit.judge(json.dumps({"dependencies": packages, "fixes": []}), "") == (said, well)


@pytest.mark.parametrize("found", ["", "{}", "nonsense", "[]", "null"])
def test_no_answer_is_a_line_and_no_failure(found):
    said, well = audit.judge(found, "no answer within 20 s")
    assert well
    assert said == ["skipped, nobody could be asked for known vulnerabilities: no answer within 20 s"]
