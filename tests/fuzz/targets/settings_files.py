"""Settings files (`settings/yamlfile`, `settings/sources`): whatever stands in one, or in a variable.

1. Nothing but SettingsError is ever raised.
2. Each mistake has a place that a person can go to: the file with line and column, or the variable.
3. Mistakes are printable, whatever was in the value.
4. It ends: no aliases that multiply, no nesting that goes too deep, no key that costs more than its line.
"""

from __future__ import annotations

import re
import tempfile
from pathlib import Path

from failover.errors import SettingsError
from failover.settings.rows import SETTINGS
from failover.settings.sources import load
from fuzz.parts import taken_apart, text

DICTIONARY = "settings"
VARIABLES = sorted({name for setting in SETTINGS.values() for name in setting.variables})
_folder = tempfile.TemporaryDirectory()
_file = Path(_folder.name) / "config.yaml"
_PLACE = re.compile(rf"{re.escape(str(_file))}:[0-9]+:[0-9]+")
_PLAIN = re.compile(r"[^\x00-\x08\x0b-\x1f\x7f\ud800-\udfff]*")


def judge(given, environ):
    try:
        load(given, environ)
    except SettingsError as error:
        assert error.mistakes
        for mistake in error.mistakes:
            named = mistake.where.startswith("--") or mistake.where in (*VARIABLES, "default")
            assert named or _PLACE.fullmatch(mistake.where), mistake
            assert mistake.what
            assert _PLAIN.fullmatch(str(mistake)), mistake


def one(data):
    data, numbers = taken_apart(data)
    _file.write_bytes(data)
    judge({"config": str(_file)}, {})
    if numbers and b"\0" not in data:
        name = VARIABLES[numbers[0] % len(VARIABLES)]
        if not {"CONFIG", "CA", "CERT", "KEY", "DIR"} & set(name.split("_")):  # no file but ours is looked at
            judge({}, {name: text(data)})
