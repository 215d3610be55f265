"""`failover state`: what the running proxy is doing."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

import click

from failover.cli.ask import ask, find_listen
from failover.cli.control import ADMIN_FLAGS, find_proxy, find_running
from failover.cli.words import Command
from failover.core.words import lasting
from failover.errors import UnreachableError

_PUBLIC = "/__failover/state"
_API = "/api/v1/state"


def _state(*, as_json: bool, **place: Any) -> None:
    listen, config = place["listen"], place["config"]
    proxy = find_proxy(**place) if place["admin_listen"] else find_running(listen, config)
    if proxy is not None:
        told = proxy.get(_API)
        shown, text = told | _as_on_the_public_port(told), _text(told)
    else:
        shown, text = _public(listen, config, place["timeout"])
    print(json.dumps(shown, indent=2, ensure_ascii=False) if as_json else text)


# Through the control socket or the admin listener


def _as_on_the_public_port(told: dict[str, Any]) -> dict[str, Any]:
    """The keys that the public port has for it, so that who reads them finds them here as well."""
    primary, *backups = [target["url"] for target in told["targets"]]
    return {
        "on_backup": told["verdict"] in ("backup", "ramp"),
        "since_unix": int(told["since"]),
        "primary": primary,
        "backup": backups[0] if backups else None,
        "mode": told["failback"],
    }


def _text(told: dict[str, Any]) -> str:
    rows = [
        ("serving", f"{told['sentence']}, for {lasting(max(told['now'] - told['since'], 0.0))}"),
        ("since", _moment(told["since"])),
    ]
    if told["reason"]:
        rows.append(("because", told["reason"]))
    rows.append(("verdict", f"{told['verdict']}, {told['share']} % of the visitors go to the primary"))
    if pinned := told["pinned"]:
        until = f" until {_moment(pinned['until'])}" if pinned["until"] else ""
        rows.append(("wish", f"{pinned['who']} wants {pinned['wish']}{until}"))
    if drill := told["drill"]:
        left = lasting(max(drill["ends"] - told["now"], 0.0))
        rows.append(("drill", f"{drill['sort']}, by {drill['who']}, {left} more"))
    rows.append(("incident", told["incident"] or "none"))
    live = told["live"]
    rows.append(("traffic", f"{live['requests_per_second']:g} requests a second, {live['failed']} failed in a minute"))
    rows.append(("hidden", f"{live['hidden']} requests were answered by a backup since the start"))
    for target in told["targets"]:
        condition = "usable" if target["usable"] else "down"
        error = f", {target['sentence'] or target['error']}" if target["error"] else ""
        last = target["last_ok"]
        verified = f", last verified {lasting(max(told['now'] - last, 0.0))} ago" if last is not None else ""
        rows.append((target["alias"], f"{target['url']}  {target['kind']}, {condition}{error}{verified}"))
    return _table(rows)


# Through the public port


def _public(listen: str | None, config: str | None, timeout: float) -> tuple[dict[str, Any], str]:
    place = find_listen(listen, config)
    status, body = ask(place, _PUBLIC, timeout)
    if status == 404:
        raise UnreachableError(f"what answers on {place} tells no state: public_state is off, or it is another server")
    try:
        told = json.loads(body) if status == 200 else None
        text = _public_text(told) if isinstance(told, dict) else ""
    except (ValueError, TypeError, OverflowError, OSError):  # somebody else's JSON
        told, text = None, ""
    if not text or not isinstance(told, dict):
        raise UnreachableError(f"what answers on {place} gave status {status} and no state for {_PUBLIC}")
    return told, text


def _public_text(told: dict[str, Any]) -> str:
    rows = []
    if isinstance(told.get("on_backup"), bool):
        serving = "backup" if told["on_backup"] else "primary"
        ramp = f", and the primary for {told.get('share')} % of the visitors" if told.get("verdict") == "ramp" else ""
        rows.append(("serving", serving + ramp))
    if isinstance(told.get("since_unix"), int | float):
        rows.append(("since", _moment(told["since_unix"])))
    targets = [target for target in told.get("targets", ()) if isinstance(target, dict)]
    for key, value in told.items():
        if key in {"on_backup", "since_unix"} or (targets and key in {"primary", "backup", "targets"}):
            continue
        rows.append((key, value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)))
    for target in targets:
        condition = "usable" if target.get("usable") else "down"
        error = f", last met {target['error']}" if target.get("error") else ""
        rows.append((str(target.get("alias")), f"{target.get('url')}  {target.get('kind')}, {condition}{error}"))
    return _table(rows)


def _moment(at: float) -> str:
    return datetime.fromtimestamp(at).astimezone().isoformat(sep=" ", timespec="seconds")


def _table(rows: list[tuple[str, str]]) -> str:
    width = max((len(key) for key, _ in rows), default=0)
    return "\n".join(f"{key:<{width}}  {value}" for key, value in rows)


state = Command(
    "state",
    callback=_state,
    params=[click.Option(["--json", "as_json"], is_flag=True, help="Print JSON."), *ADMIN_FLAGS],
    help="Print what the running proxy is doing: who serves, since when and why, what is wanted, the targets.",
)
