"""JSON, and its schema: `python -m failover.reports.machine > docs/reference/incident.schema.json`."""

from __future__ import annotations

import inspect
import sys
from dataclasses import is_dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, get_type_hints

import msgspec

from failover.core import document as types

if TYPE_CHECKING:
    from failover.core.document import Document

ID = "urn:failover:incident:v1"


def render(document: Document) -> bytes:
    """The document as it is, indented, with a newline at the end. Moments are RFC 3339 in UTC."""
    return msgspec.json.format(msgspec.json.encode(document), indent=2) + b"\n"


def schema() -> dict[str, Any]:
    """Draft 2020-12. What a later version adds to a document is valid too, what it takes away is not."""
    made = msgspec.json.schema(types.Document)
    made["$defs"]["Document"]["properties"]["schema"] = {"const": types.SCHEMA}
    for name, definition in made["$defs"].items():
        if "description" in definition:
            definition["description"] = " ".join(inspect.cleandoc(definition["description"]).split())
        _mark_moments(getattr(types, name), definition)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": ID,
        "title": "Failover incident",
        "description": inspect.cleandoc(types.__doc__ or ""),
        **made,
    }


def schema_file() -> bytes:
    return msgspec.json.format(msgspec.json.encode(schema()), indent=2) + b"\n"


def _mark_moments(kind: type, definition: dict[str, Any]) -> None:
    """The library leaves it open what a datetime looks like; here it is RFC 3339."""
    for name, hint in (get_type_hints(kind) if is_dataclass(kind) else {}).items():
        if hint is datetime or datetime in getattr(hint, "__args__", ()):
            one = definition["properties"][name]
            texts = [way for way in [one, *one.get("anyOf", [])] if way.get("type") == "string"]
            texts[0]["format"] = "date-time"


if __name__ == "__main__":
    sys.stdout.buffer.write(schema_file())
