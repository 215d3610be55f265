"""The secrets of one reading of the settings: what to mask wherever it may come up, and where they stand open."""

from __future__ import annotations

import base64
import stat
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

from failover.settings.rows import SETTINGS
from failover.settings.secret import maskable, secrets_in
from failover.settings.source import SourceKind

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from failover.core.model import Target
    from failover.settings.model import Settings
    from failover.settings.source import Source


def secrets_of(settings: Settings) -> list[str]:
    """Every text that no log line and no page may show; those too short to be told from other words are left out."""
    found = [settings.admin_token or "", *settings.webhook_secret]
    for url in settings.webhook_url:
        found += secrets_in(url)
    for target in (settings.primary, *settings.backup):
        found += _of(target)
    found += (value for _, value in parse_qsl((settings.check_path or "").partition("?")[2]))
    return maskable(found)


def _of(target: Target) -> Iterator[str]:
    pair = target.authorization.partition(" ")[2]
    yield pair
    yield base64.b64decode(pair).decode().partition(":")[2]
    yield target.query
    yield from (value for _, value in parse_qsl(target.query))


def in_the_open(settings: Settings, sources: Mapping[str, Source]) -> Iterator[tuple[str, str]]:
    """Secrets that others of this machine can read: what is so, and what to do about it."""
    holding = {key for key in SETTINGS if _is_secret(key, settings)}
    if flags := [SETTINGS[key].flag for key in SETTINGS if key in holding and sources[key].kind is SourceKind.FLAG]:
        variables = ", ".join(SETTINGS[flag[2:].replace("-", "_")].variables[0] for flag in flags)
        what = f"{', '.join(flags)} can be read by everybody on this machine, in the list of processes"
        yield what, f"give it as {variables}, or in a file that only its owner can read"
    file = settings.config
    if file is not None and any(sources[key].kind is SourceKind.FILE for key in holding) and _is_open(file):
        yield f"{file} holds secrets and can be read by everybody on this machine", f"chmod o-r {file}"


def _is_secret(key: str, settings: Settings) -> bool:
    value = getattr(settings, key)
    if key in {"primary", "backup"}:
        return any(one.authorization for one in (value if isinstance(value, tuple) else (value,)))
    return SETTINGS[key].facts.secret and bool(value)


def _is_open(file: Path) -> bool:
    try:
        return bool(file.stat().st_mode & stat.S_IROTH)
    except OSError:  # a pipe, say: read once, and gone
        return False
