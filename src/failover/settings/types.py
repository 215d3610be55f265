"""How values are written: each kind's text form, read and written back, with the sentence for what cannot be read.

Parsers take text, whatever source it came from, and raise ValueError with a sentence that says what is wrong and what
is allowed; the sentence follows the name of the source. Nothing here knows a setting, and pydantic is not imported.
"""

from __future__ import annotations

import difflib
import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

_SHOWN = 80
_WHOLE = re.compile(r"[+-]?\d+(_\d+)*", re.ASCII)


@dataclass(frozen=True, slots=True)
class Form:
    """A kind of value: the word for it in help texts, text to value and back, and its JSON Schema in the YAML file."""

    metavar: str
    parse: Callable[[str], Any]
    write: Callable[[Any], str] = str
    schema: Mapping[str, Any] = field(default_factory=lambda: {"type": "string"})


@dataclass(frozen=True, slots=True)
class Listen:
    """Where to listen: a numeric address or a name, and a port; port 0 lets the system choose one."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def quoted(text: str) -> str:
    """The text as the user wrote it, short and harmless on a terminal."""
    text = json.dumps(text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…", ensure_ascii=False)
    return "".join(one if one.isprintable() else f"\\u{ord(one):04x}" for one in text)


def nearest(word: str, words: Iterable[str]) -> str | None:
    """The one of `words` that was probably meant."""
    found = difflib.get_close_matches(word, list(words), n=1, cutoff=0.6)
    return found[0] if found else None


def did_you_mean(word: str, words: Iterable[str]) -> str:
    meant = nearest(word, words)
    return f"; did you mean {meant}?" if meant else ""


def whole(least: int, most: int, *, auto: bool = False, off: bool = False) -> Form:
    """A whole number from `least` to `most`; with `auto`, the model lets that word stand for the default, with `off`
    that word stands for 0.
    """
    words = ["auto"] * auto + ["off"] * off
    wanted = f"expected {''.join(f'{word} or ' for word in words)}{least} to {most}"

    def parse(text: str) -> int:
        word = text.strip()
        if off and word.lower() == "off":
            return 0
        if not _WHOLE.fullmatch(word) or len(word) > _SHOWN:
            raise ValueError(f"{quoted(word)} is not a whole number; {wanted}")
        number = int(word)
        if not least <= number <= most:
            raise ValueError(f"{quoted(word)} is too {'small' if number < least else 'large'}; {wanted}")
        return number

    numbers = {"type": "integer", "minimum": least, "maximum": most}
    texts = {"type": "string", "pattern": r"^\s*[+-]?\d+(_\d+)*\s*$"}
    schema = {"anyOf": [numbers, texts, *map(_any_case, words)]}
    return Form("NUMBER|off" if off else "NUMBER", parse, (lambda number: str(number or "off")) if off else str, schema)


def choice(*words: str) -> Form:
    """One of a few words, in any case."""
    known = {word.lower(): word for word in words}

    def parse(text: str) -> str:
        word = text.strip()
        if word.lower() not in known:
            raise ValueError(f"{quoted(word)} is not one of {', '.join(words)}{did_you_mean(word, words)}")
        return known[word.lower()]

    return Form("|".join(words), parse, str, {"anyOf": [{"enum": list(words)}, *map(_any_case, words)]})


def _any_case(word: str) -> dict[str, str]:
    letters = (f"[{letter.upper()}{letter.lower()}]" if letter.isalpha() else letter for letter in word)
    return {"type": "string", "pattern": rf"^\s*{''.join(letters)}\s*$"}


_SWITCH_WORDS = {
    "true": True,
    "yes": True,
    "on": True,
    "1": True,
    "false": False,
    "no": False,
    "off": False,
    "0": False,
}


def parse_switch(text: str) -> bool:
    word = text.strip()
    if word.lower() not in _SWITCH_WORDS:
        raise ValueError(f"{quoted(word)} is neither true nor false")
    return _SWITCH_WORDS[word.lower()]


SWITCH = Form(
    "",
    parse_switch,
    lambda on: "true" if on else "false",
    {"anyOf": [{"type": "boolean"}, {"enum": [0, 1]}, *map(_any_case, _SWITCH_WORDS)]},
)
