"""One cell of the table: a proxy between two origins, a steady load, a fault and its cure by the clock."""

from __future__ import annotations

import contextlib
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from chaos.load import Load
from chaos.origin import FAULTS, FaultyOrigin
from chaos.outcome import Outcome, outcome
from chaos.proxies import address, start

if TYPE_CHECKING:
    from chaos.proxies import Kind
    from chaos.rows import Row


@dataclass(frozen=True, slots=True)
class Method:
    """How a cell is measured; seconds since the load began."""

    seconds: float = 28.0
    fault_at: float = 4.0
    cure_at: float = 14.0
    rate: float = 150.0
    visitors: int = 256

    def lasting(self, seconds: float, rate: float, visitors: int) -> Method:
        """The same in another length: fault and cure come at the same parts of it."""
        scale = seconds / self.seconds
        return Method(seconds, self.fault_at * scale, self.cure_at * scale, rate, visitors)


USUAL = Method()


def measure(kind: Kind, row: Row, method: Method) -> tuple[Outcome, list[str]]:
    """What visitors saw, and the proxy's own log."""
    fault = FAULTS[row.fault]
    with contextlib.ExitStack() as running:
        folder = Path(running.enter_context(tempfile.TemporaryDirectory(prefix="failover-chaos-")))
        folder.chmod(0o755)  # nginx lays its temporary files here, as another user
        primary, backup = (running.enter_context(FaultyOrigin(name, folder)) for name in ("primary", "backup"))
        proxy, port = start(kind, folder, address(primary.url), address(backup.url))
        running.callback(proxy.end)
        load = Load(port, rate=method.rate, methods=[row.method], visitors=method.visitors, most=method.visitors)
        # A page is under way when the fault comes, for a page can be rescued. A write is not: whether one was done when
        # its app died nobody can know, so what would be measured is who comes when.
        half_a_period = 0.5 / method.rate
        with load:
            _sleep_until(load.began + method.fault_at + (half_a_period if row.writes else 0.0))
            fault_from = time.monotonic()
            fault.begin(primary)
            fault_until = time.monotonic()
            _sleep_until(load.began + method.cure_at)
            fault.end(primary)
            _sleep_until(load.began + method.seconds)
        performed = [origin.performed() for origin in (primary, backup)]
        return outcome(load.records, performed, fault_from=fault_from, fault_until=fault_until), list(proxy.lines)


def _sleep_until(moment: float) -> None:
    time.sleep(max(0.0, moment - time.monotonic()))
