"""From flags, environment and file to one `Settings`: the first of them that gives a value wins.

All mistakes of all sources are told at once. A value that lost against another source is not looked at.
"""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from failover.errors import Mistake, SettingsError
from failover.settings.model import Settings
from failover.settings.rows import SETTINGS, Setting
from failover.settings.secret import mask_text
from failover.settings.source import DEFAULT, FileContents, Found, Source, SourceKind
from failover.settings.types import Listen, quoted

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from pydantic_core import ErrorDetails

_Finds = dict[str, tuple[Found, ...]]
_IN_FILE = frozenset(key for key, setting in SETTINGS.items() if setting.facts.in_file)
_SEVERAL = frozenset(key for key, setting in SETTINGS.items() if setting.several)

# Kubernetes and Docker links set such variables for a service that is called failover.
_OF_THE_PLATFORM = re.compile(r"FAILOVER_(\w+_)?(SERVICE_(HOST|PORT)(_\w+)?|PORT(_\d+_\w+)?)")
_NO_TEXT = re.compile(r"[\ud800-\udfff]")
_CLOSE = 0.8


@dataclass(frozen=True, slots=True)
class Loaded:
    """The settings, and where each of them came from."""

    settings: Settings
    sources: Mapping[str, Source]


def load(given: Mapping[str, object], environ: Mapping[str, str], told: Iterable[Mistake] = ()) -> Loaded:
    """Read the settings. To be called again with the same arguments when the file has changed.

    `given` holds the flags by key: a text, True or False, or several texts. `told` are mistakes already found in the
    flags, to be told with the others. Raises SettingsError.
    """
    mistakes = [*told, *_misspelt_variables(environ)]
    found, contents = _find(given, environ)
    mistakes += contents.mistakes
    mistakes += _take_out_no_texts(found)
    settings = None
    texts = {key: [one.text for one in finds] if key in _SEVERAL else finds[0].text for key, finds in found.items()}
    try:
        settings = Settings.model_validate(texts)
    except ValidationError as error:
        quiet = contents.meant | {mistake.key for mistake in mistakes}
        for detail in error.errors():
            mistakes += _mistakes(detail, found, quiet if contents.whole else None)
    if mistakes or settings is None:
        raise SettingsError(replace(mistake, what=mask_text(mistake.what)) for mistake in mistakes)
    sources = {key: found[key][0].source if key in found else DEFAULT for key in SETTINGS}
    return Loaded(settings, sources)


def load_listen(given: Mapping[str, object], environ: Mapping[str, str]) -> Listen:
    """The listen address alone, for commands that only ask a running proxy. Raises SettingsError for that alone."""
    return load_some(("listen",), given, environ)["listen"]  # type: ignore[no-any-return]  # the model gives it that type


def load_some(keys: Iterable[str], given: Mapping[str, object], environ: Mapping[str, str]) -> dict[str, Any]:
    """A few settings, whatever is missing or wrong in the others; several values as a tuple. Raises SettingsError."""
    found, contents = _find(given, environ)
    if not contents.whole:
        raise SettingsError(contents.mistakes)
    values: dict[str, Any] = {}
    mistakes = []
    for key in keys:
        setting = SETTINGS[key]
        parsed = []
        for one in found.get(key, ()):
            try:
                parsed.append(setting.facts.form.parse(one.text))
            except ValueError as error:
                mistakes.append(_mistake(one.source, key, str(error)))
        values[key] = (tuple(parsed) if setting.several else parsed[0]) if parsed else setting.default
    if mistakes:
        raise SettingsError(mistakes)
    return values


def _find(given: Mapping[str, object], environ: Mapping[str, str]) -> tuple[_Finds, FileContents]:
    found: _Finds = {}
    for setting in SETTINGS.values():
        finds = tuple(_from_flag(setting, given)) or tuple(_from_environment(setting, environ))
        if finds:
            found[setting.key] = finds
    contents = FileContents()
    if "config" in found:
        from failover.settings.yamlfile import read_file  # noqa: PLC0415 - PyYAML costs a start that needs no file 40 ms

        path = found["config"][0]
        contents = read_file(path.text, path.source.where, _IN_FILE, _SEVERAL)
        for key, finds in contents.found.items():
            found.setdefault(key, tuple(_split(SETTINGS[key], finds)))
    if "listen" not in found and environ.get("PORT", "").strip():
        # As on every platform that sets it: it moves the port of the default, and nothing that somebody chose.
        host = SETTINGS["listen"].default.host
        found["listen"] = (Found(f"{host}:{environ['PORT'].strip()}", Source(SourceKind.VARIABLE, "PORT")),)
    return found, contents


def _from_flag(setting: Setting, given: Mapping[str, object]) -> Iterator[Found]:
    value = given.get(setting.key)
    if value is None:
        return
    source = Source(SourceKind.FLAG, setting.flag)
    if isinstance(value, bool):
        flag = source if value else Source(SourceKind.FLAG, setting.flag.replace("--", "--no-", 1))
        yield Found("true" if value else "false", flag)
        return
    texts = value if isinstance(value, tuple | list) else (value,)
    yield from _split(setting, [Found(str(text), source) for text in texts])


def _from_environment(setting: Setting, environ: Mapping[str, str]) -> Iterator[Found]:
    for name in setting.variables:
        if environ.get(name, "").strip():  # an empty variable counts as unset
            yield from _split(setting, [Found(environ[name], Source(SourceKind.VARIABLE, name))])
            return


def _split(setting: Setting, finds: Iterable[Found]) -> Iterator[Found]:
    """Several values may stand in one text, with commas between them."""
    for one in finds:
        if setting.facts.separator is None:
            yield one
        else:
            parts = (part.strip().rstrip(",") for part in re.split(setting.facts.separator, one.text.strip()))
            yield from (Found(part, one.source) for part in parts if part or one.source.kind is SourceKind.FLAG)


def _misspelt_variables(environ: Mapping[str, str]) -> Iterator[Mistake]:
    """Variables that are almost ours. Others are let be: a container may have FAILOVER_VERSION for its own ends."""
    ours = {name for setting in SETTINGS.values() for name in setting.variables}
    for name in sorted(environ):
        if not name.startswith("FAILOVER_") or name in ours or _OF_THE_PLATFORM.fullmatch(name) or not environ[name]:
            continue
        keys = {setting.key: setting.variables[0] for setting in SETTINGS.values()}
        close = difflib.get_close_matches(name.removeprefix("FAILOVER_").lower(), list(keys), n=1, cutoff=_CLOSE)
        if close:
            yield Mistake(name, f"is not a setting; did you mean {keys[close[0]]}?", close[0])


def _mistakes(detail: ErrorDetails, found: _Finds, quiet: set[str] | None) -> Iterator[Mistake]:
    """One error of pydantic's as mistakes. `quiet` holds keys not to be called missing; None means all of them."""
    context = detail.get("ctx", {})
    key = str(context.get("about", detail["loc"][0]))
    if detail["type"] == "missing":
        if quiet is not None and key not in quiet:
            yield _missing(SETTINGS[key])
    elif detail["type"] == "items":
        for place, sentence in context["items"]:
            yield _mistake(found[key][place].source, key, sentence)
    elif key in found:  # a default that depends on a wrong value fails too, and is nobody's mistake
        yield _mistake(found[key][0].source, key, str(context.get("error", detail["msg"])))


def _take_out_no_texts(found: _Finds) -> Iterator[Mistake]:
    """Flags and variables are bytes for the system; what is no UTF-8 comes with surrogates, and nobody can read it."""
    for key in [key for key, finds in found.items() if any(map(_NO_TEXT.search, (one.text for one in finds)))]:
        first = next(one for one in found.pop(key) if _NO_TEXT.search(one.text))
        yield _mistake(first.source, key, "has bytes in it that are no UTF-8")


def _mistake(source: Source, key: str, sentence: str) -> Mistake:
    if source.where == "PORT":
        sentence = sentence.replace(quoted("0.0.0.0:")[:-1], '"', 1)  # the host is ours, not the user's
    return Mistake(source.where, sentence, key, names_key=source.kind is SourceKind.FILE)


def _missing(setting: Setting) -> Mistake:
    variable = setting.facts.variables[0] if setting.facts.variables else setting.variables[0]
    example = {"primary": "https://myapp.com", "backup": "https://myapp-backup.s3.amazonaws.com"}[setting.key]
    ways = f"give it as {setting.flag} {example}, as {variable}, or as {setting.key}: in the file"
    return Mistake(setting.flag, f"is missing; {ways}", setting.key)
