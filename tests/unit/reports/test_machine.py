import json
from datetime import datetime
from pathlib import Path

import jsonschema
import msgspec
import pytest

from failover.core.document import Document
from failover.reports import machine
from support.incidents import ALL, resolved

ROOT = Path(__file__).parents[3]


def rfc3339(text):
    """Whether it is a moment with a zone; what is no text is judged by its type elsewhere."""
    if not isinstance(text, str):
        return True
    return "T" in text and datetime.fromisoformat(text).tzinfo is not None


FORMATS = jsonschema.FormatChecker()
FORMATS.checks("date-time", raises=ValueError)(rfc3339)
VALIDATOR = jsonschema.Draft202012Validator(machine.schema(), format_checker=FORMATS)


def written(**changed):
    return json.loads(machine.render(resolved())) | changed


@pytest.mark.parametrize("sample", ALL)
def test_what_is_written_is_valid_and_read_back_as_it_was(sample):
    document = ALL[sample]()
    text = machine.render(document)
    VALIDATOR.validate(json.loads(text))
    assert msgspec.json.decode(text, type=Document) == document


def test_the_schema_is_itself_valid():
    jsonschema.Draft202012Validator.check_schema(machine.schema())


@pytest.mark.parametrize(
    "wrong",
    [
        {"severity": "bad"},
        {"schema": "failover.incident/v2"},
        {"counts": {"total": "many"}},
        {"updated": "yesterday"},
        {"updated": "2026-11-23T14:13:20"},
        {"moments": {"first_bad": "2026-11-23T14:13:20Z", "detected": "soon"}},
        {"moments": {}},
        {"timeline": [{"at": "2026-11-23T14:13:20Z"}]},
        {"id": None},
    ],
    ids=str,
)
def test_a_wrong_document_is_refused(wrong):
    with pytest.raises(jsonschema.ValidationError):
        VALIDATOR.validate(written(**wrong))


def test_a_document_that_lacks_something_is_refused():
    document = written()
    del document["moments"]
    with pytest.raises(jsonschema.ValidationError):
        VALIDATOR.validate(document)


def test_what_a_later_version_adds_is_valid():
    VALIDATOR.validate(written(weather="rain"))


def test_each_type_is_described_or_says_itself():
    undescribed = {name for name, one in machine.schema()["$defs"].items() if "description" not in one}
    assert undescribed <= {"Confidence", "Status"}


def test_all_moments_are_marked():
    text = json.dumps(machine.schema())
    assert text.count('"date-time"') == 6 + 1 + 2 + 2 + 2 + 1 + 2 + 1 + 1 + 1


def test_the_published_schema_is_up_to_date():
    """If this fails: `make docs`."""
    assert (ROOT / "docs/reference/incident.schema.json").read_bytes() == machine.schema_file()
