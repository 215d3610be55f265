"""Memory: the proportional set size (PSS) of all of a proxy's processes, when idle and with a thousand visitors.

A page that several processes share counts once, divided among them; so what Failover's processes share with this
program, which is Python too (some 5 MB of the interpreter's code), is counted by half.
"""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import clients
import origins
import uvloop
from peers import Failover
from stage import Proxy, Setup, Stage, Turn, family, fetch

_VISITORS = 1000
_SETTLED_S = 0.5


def pss(pid: int) -> int:
    """Bytes."""
    return 1024 * int(re.search(r"(?m)^Pss:\s+(\d+) kB", Path(f"/proc/{pid}/smaps_rollup").read_text())[1])


def measure(stage: Stage, name: str, _seconds: float) -> Turn:
    """Of two new proxies: idle and with connections that have had an answer each; with streams that are open."""
    values = {}
    request = clients.head("GET", origins.SMALL, origins.REQUEST)
    with stage.proxy(name) as proxy:
        idle, values["connection"] = uvloop.run(_each(proxy, request))
        values["idle"] = sum(idle)
        if isinstance(stage.cast[name], Failover):
            values |= zip(("supervisor", "controller", "worker"), idle, strict=True)
    with stage.proxy(name, Setup(origin="app")) as proxy:
        _, values["stream"] = uvloop.run(_each(proxy, clients.head("GET", "/events", {})))
    return Turn(values)


async def _each(proxy: Proxy, request: bytes) -> tuple[list[float], float]:
    """Megabytes of each of its processes when idle; kilobytes that it holds for each of many connections with that."""
    for _ in range(20):
        await asyncio.to_thread(fetch, proxy, origins.SMALL)
    await asyncio.sleep(_SETTLED_S)
    idle = [pss(pid) / 1e6 for pid in family(proxy.pid)]
    async with clients.connected(proxy.port, _VISITORS, request, b"HTTP/1.1 200"):
        await asyncio.sleep(_SETTLED_S)
        held = sum(pss(pid) / 1e6 for pid in family(proxy.pid))
    return idle, (held - sum(idle)) * 1e3 / _VISITORS
