"""`failover state`: what the running proxy is doing."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

import click

from failover.cli.ask import PLACE_FLAGS, ask, find_listen
from failover.cli.words import Command
from failover.errors import UnreachableError

_PATH = "/__failover/state"


def _state(*, listen: str | None, config: str | None, timeout: float, as_json: bool) -> None:
    place = find_listen(listen, config)
    status, body = ask(place, _PATH, timeout)
    if status == 404:
        raise UnreachableError(f"what answers on {place} tells no state: public_state is off, or it is another server")
    try:
        told = json.loads(body) if status == 200 else None
        text = _text(told) if isinstance(told, dict) else ""
    except (ValueError, TypeError, OverflowError, OSError):  # somebody else's JSON
        text = ""
    if not text:
        raise UnreachableError(f"what answers on {place} gave status {status} and no state for {_PATH}")
    print(json.dumps(told, indent=2, ensure_ascii=False) if as_json else text)


def _text(told: dict[str, Any]) -> str:
    rows = {}
    if isinstance(told.get("on_backup"), bool):
        rows["serving"] = "backup" if told["on_backup"] else "primary"
        if told.get("verdict") == "ramp":
            rows["serving"] += f", and the primary for {told.get('share')} % of the visitors"
    if isinstance(told.get("since_unix"), int | float):
        since = datetime.fromtimestamp(told["since_unix"]).astimezone()
        rows["since"] = since.isoformat(sep=" ", timespec="seconds")
    targets = [target for target in told.get("targets", ()) if isinstance(target, dict)]
    for key, value in told.items():
        if key in {"on_backup", "since_unix"} or (targets and key in {"primary", "backup", "targets"}):
            continue
        rows[key] = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    for target in targets:
        condition = "usable" if target.get("usable") else "down"
        error = f", last met {target['error']}" if target.get("error") else ""
        rows[str(target.get("alias"))] = f"{target.get('url')}  {target.get('kind')}, {condition}{error}"
    width = max(map(len, rows), default=0)
    return "\n".join(f"{key:<{width}}  {value}" for key, value in rows.items())


state = Command(
    "state",
    callback=_state,
    params=[click.Option(["--json", "as_json"], is_flag=True, help="Print JSON."), *PLACE_FLAGS],
    help="Print what the running proxy is doing: the side that serves, since when, and the counts.",
)
