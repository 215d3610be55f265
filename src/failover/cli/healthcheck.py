"""`failover healthcheck`: for containers, which have no curl."""

from __future__ import annotations

from failover.cli.ask import PLACE_FLAGS, ask, find_listen
from failover.cli.words import Command
from failover.errors import UnreachableError


def _healthcheck(*, listen: str | None, config: str | None, timeout: float) -> None:
    place = find_listen(listen, config)
    status, _body = ask(place, "/__failover/health", timeout)
    if status != 200:
        raise UnreachableError(f"what answers on {place} gave status {status} for /__failover/health")


healthcheck = Command(
    "healthcheck",
    callback=_healthcheck,
    params=PLACE_FLAGS,
    help="Ask the running proxy whether it lives: exit code 0 if so, 1 if not.",
)
