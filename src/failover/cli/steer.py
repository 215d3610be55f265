"""`failover switch` and `failover hold`: a person says who serves."""

from __future__ import annotations

from typing import Any

import click

from failover.cli.control import ADMIN_FLAGS, WHO, find_proxy, login
from failover.cli.words import Command
from failover.errors import Mistake, SettingsError
from failover.settings.types import did_you_mean, quoted

_SIDES = ("backup", "primary", "auto")


def length_flag(meaning: str) -> click.Option:
    return click.Option(["--for", "length"], metavar="TIME", help=meaning)


def _switch(*, to: str, length: str | None, who: str | None, **place: Any) -> None:
    if to not in _SIDES:
        what = f"is not one of {', '.join(_SIDES)}{did_you_mean(to, _SIDES)}"
        raise SettingsError([Mistake(quoted(to), what)])
    order = {"to": to, "for": length, "who": who or login()}
    print(find_proxy(**place).post("/api/v1/switch", order)["done"])


def _hold(*, length: str | None, who: str | None, **place: Any) -> None:
    print(find_proxy(**place).post("/api/v1/hold", {"for": length, "who": who or login()})["done"])


switch = Command(
    "switch",
    callback=_switch,
    params=[
        click.Argument(["to"], metavar="backup|primary|auto"),
        length_flag("How long the backup is to serve, as 10m; without it until somebody says otherwise."),
        WHO,
        *ADMIN_FLAGS,
    ],
    help="Say who serves. backup: the backup, however well the primary is. primary: the primary, as soon as it has "
    "proved itself, without waiting for a hold-down. auto: as the signals say.",
)

hold = Command(
    "hold",
    callback=_hold,
    params=[length_flag("How long, as 10m; without it until failover switch auto."), WHO, *ADMIN_FLAGS],
    help="Switch nothing, whatever happens: for a maintenance that you look after yourself. Requests are rescued.",
)
