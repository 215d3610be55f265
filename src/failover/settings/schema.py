"""The JSON Schema of the configuration file: an editor that knows it completes keys and marks mistakes."""

from __future__ import annotations

from typing import Any

from failover.settings.rows import SETTINGS, Setting

_UNSET = {"enum": [None, ""]}


def json_schema() -> dict[str, Any]:
    """Draft 2020-12. It accepts every file that the proxy accepts; a few mistakes only the proxy itself can see."""
    properties = {key: _property(setting) for key, setting in SETTINGS.items() if setting.facts.in_file}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Failover configuration",
        "type": ["object", "null"],
        "properties": properties,
        "patternProperties": {"^x-": {"description": "Ignored: a place for YAML anchors."}},
        "additionalProperties": False,
    }


def _property(setting: Setting) -> dict[str, Any]:
    one = dict(setting.facts.form.schema)
    ways = one["anyOf"] if set(one) == {"anyOf"} else [one]
    if setting.several:
        ways = [*ways, {"type": "array", "items": {"anyOf": [*ways, _UNSET]}}]
    described: dict[str, Any] = {"description": setting.facts.meaning, "anyOf": [*ways, _UNSET]}
    if setting.shown_default and not setting.facts.shown_default:
        described["default"] = setting.default if isinstance(setting.default, bool) else setting.shown_default
    return described
