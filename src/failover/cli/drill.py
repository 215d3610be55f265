"""`failover drill`: what happens if the primary fails, tried while it does not."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Any

import click

from failover.cli.control import ADMIN_FLAGS, WHO, find_proxy, login
from failover.cli.steer import length_flag
from failover.cli.words import Command
from failover.core.words import lasting
from failover.errors import Mistake, SettingsError

if TYPE_CHECKING:
    from failover.cli.control import Proxy

_LOOK_EVERY_S = 1.0


def _drill(
    *, shadow: bool, percent: int | None, full: bool, stop: bool, wait: bool, length: str | None, who: str | None,
    **place: Any,
) -> int:  # fmt: skip
    sorts = [name for name, given in (("shadow", shadow), ("percent", percent is not None), ("full", full)) if given]
    if stop + len(sorts) != 1:
        what = "say one of --shadow, --percent N, --full and --stop"
        raise SettingsError([Mistake("failover drill", what)])
    who, proxy = who or login(), find_proxy(**place)
    if stop:
        print(proxy.post("/api/v1/drill/stop", {"who": who})["done"])
        return 0
    order = {"sort": sorts[0], "percent": percent, "for": length, "who": who}
    try:
        print(proxy.post("/api/v1/drill", order)["done"], flush=True)
        return _follow(proxy) if wait else 0
    except KeyboardInterrupt:
        print(f"\n{proxy.post('/api/v1/drill/stop', {'who': who})['done']}")
        return 130


def _follow(proxy: Proxy) -> int:
    """Tell how it goes until it is over, and then how it went: the exit code is 0 for a drill that passed."""
    began = None
    while (drill := (state := proxy.get("/api/v1/state"))["drill"]) is not None:
        began = drill["began"]
        seen = f"{drill['compared']} compared, {drill['different']} different"
        seen = seen if drill["sort"] == "shadow" else f"the backup answered {drill['hidden']} requests"
        if sys.stdout.isatty():
            left = lasting(max(drill["ends"] - state["now"], 0.0))
            print(f"\r  {left} more, {seen}, failed: {state['live']['failed']}   ", end="", flush=True)
        time.sleep(_LOOK_EVERY_S)
    if sys.stdout.isatty():
        print()
    for _ in range(10):  # its record is closed when the last counts are here
        told = next((one for one in proxy.get("/api/v1/incidents") if one["severity"] == "drill"), None)
        if told is not None and told["status"] == "resolved" and (began is None or told["began"] >= began - 1.0):
            document = proxy.get(f"/api/v1/incidents/{told['id']}")
            print(f"{told['title']}. {told['summary']}")
            for finding in document["exercise"]["findings"]:
                print(f"  {finding}")
            for advice in document["suggestions"]:
                print(f"{advice}")
            print(f"The report: failover incidents show {told['id']}")
            return 0 if document["exercise"]["passed"] else 1
        time.sleep(_LOOK_EVERY_S / 2)
    print("The drill is over; its report is not there yet: failover incidents list")
    return 1


drill = Command(
    "drill",
    callback=_drill,
    params=[
        click.Option(["--shadow"], is_flag=True, help="Ask the backup what users ask, and compare; nobody notices."),
        click.Option(
            ["--percent"],
            metavar="N",
            type=click.IntRange(1, 99),
            help="The backup answers N percent of the visitors.",
        ),
        click.Option(["--full"], is_flag=True, help="The backup answers everybody."),
        click.Option(["--stop"], is_flag=True, help="End the drill that runs."),
        length_flag("How long, as 2m; one minute if nothing is said, an hour at most."),
        click.Option(["--wait/--no-wait"], default=True, help="Stay and tell how it went; Ctrl-C ends the drill."),
        WHO,
        *ADMIN_FLAGS,
    ],
    help="Try what happens if the primary fails, while it does not. It begins only when all is well, ends by itself, "
    "and at once if a user would notice. Exit code 0: it passed.",
)
