"""Whether looking costs visitors anything: processor time of the worker per request, with and without an audience.

    .venv/bin/python bench/pages.py [--seconds 2] [--rounds 6] [--tabs 30] [--public 0]

The audience has the dashboard open in many tabs, `--public` of them through the public port, where the worker has to
pass on what they read, and scrapes the metrics each second. Turns with and without it alternate on the same proxy. What
counts is the processor time of the worker alone, over the requests it answered: that is the data plane. The controller,
which makes the pages, and the audience have the core of the load: what they take from it makes the load less even.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import os
import selectors
import socket
import statistics
import sys
import threading
import time
from pathlib import Path
from typing import Self

from peers import Failover
from rows import requests
from stage import BenchError, Proxy, Setup, Stage, family, free_port, processor_time

_TOKEN = "a-token-for-the-benchmark"


class Audience:
    """Tabs that read all that comes, and a scraper. Use it as a context."""

    def __init__(self, admin: int, public: int, tabs: int, through_public: int) -> None:
        self._places = [(public, "/__failover/live") if n < through_public else (admin, "/live") for n in range(tabs)]
        self._admin = admin
        self._left = threading.Event()
        self._threads: list[threading.Thread] = []
        self.read = self.scrapes = 0

    def __enter__(self) -> Self:
        self._threads = [threading.Thread(target=work, daemon=True) for work in (self._watch, self._scrape)]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._left.set()
        for thread in self._threads:
            thread.join(10)

    def _watch(self) -> None:
        with contextlib.ExitStack() as tabs, selectors.DefaultSelector() as selector:
            for port, path in self._places:
                tab = tabs.enter_context(socket.create_connection(("127.0.0.1", port)))
                head = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAuthorization: Bearer {_TOKEN}\r\n\r\n"
                tab.sendall(head.encode())
                selector.register(tab, selectors.EVENT_READ)
            while not self._left.is_set():
                for key, _ in selector.select(0.2):
                    self.read += len(key.fileobj.recv(262144))

    def _scrape(self) -> None:
        while not self._left.wait(1.0):
            connection = http.client.HTTPConnection("127.0.0.1", self._admin, timeout=10)
            connection.request("GET", "/metrics", headers={"Authorization": f"Bearer {_TOKEN}"})
            self.scrapes += b"failover_requests_total" in connection.getresponse().read()
            connection.close()


def main() -> int:
    flags = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    flags.add_argument("--seconds", type=float, default=2.0, help="length of a turn")
    flags.add_argument("--rounds", type=int, default=6, help="turns of each kind")
    flags.add_argument("--tabs", type=int, default=30)
    flags.add_argument("--public", type=int, default=0, help="tabs that come through the public port")
    flags.add_argument("--connections", type=int, default=8, help="few, so that the core of the load has time to spare")
    args = flags.parse_args()
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < 2:
        print("bench: needs two cores")
        return 2
    admin = free_port()
    setup = Setup(more=("--admin-listen", f"127.0.0.1:{admin}", "--admin-token", _TOKEN))
    turn = requests(args.connections)
    with Stage({"failover": Failover()}) as stage, stage.proxy("failover", setup) as proxy:
        _, controller, worker = family(proxy.pid)
        for thread in Path(f"/proc/{controller}/task").iterdir():
            os.sched_setaffinity(int(thread.name), {cores[1]})
        data_plane = Proxy("worker", worker, proxy.port)
        turns: dict[str, list[float]] = {"alone": [], "with an audience": []}
        turn(stage, data_plane, 1.0)
        spent = dict.fromkeys(turns, 0.0)
        for number in range(args.rounds):
            for name, us in turns.items():
                before = processor_time(controller)
                with contextlib.ExitStack() as looking:
                    if name != "alone":
                        audience = looking.enter_context(Audience(admin, proxy.port, args.tabs, args.public))
                    us.append(turn(stage, data_plane, args.seconds).values["cost"])
                spent[name] += processor_time(controller) - before
            print(f"round {number + 1}: {us[-1]:.1f} µs, {audience.read:,} bytes read", file=sys.stderr)
            if not audience.read:
                raise BenchError("nobody looked")
    alone, watched = (statistics.median(us) for us in turns.values())
    seconds = args.rounds * args.seconds
    print(
        f"worker, alone            {alone:6.2f} µs a request ({min(turns['alone']):.2f} to {max(turns['alone']):.2f})"
    )
    print(f"worker, {args.tabs} tabs, scraped {watched:6.2f} µs a request, {watched / alone:.3f} of it alone")
    for name, used in spent.items():
        print(f"controller, {name}: {used / seconds * 100:.1f} % of a core")
    return 0


if __name__ == "__main__":
    started = time.monotonic()
    code = main()
    print(f"in {time.monotonic() - started:.0f} s", file=sys.stderr)
    sys.exit(code)
