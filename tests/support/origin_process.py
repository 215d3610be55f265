"""An `Origin` as a process, to be killed, stopped and continued; `python -m support.origin_process` in tests/.

    with OriginProcess("primary", tmp_path) as primary:
        ...
        primary.kill()          # kill -9
        primary.start()         # the same port again
    assert primary.sent("X-Id") == {...: 1}

It answers everything with its name. Each complete request is a line in a file, written before its answer.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import threading
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Self

from support.origin import Origin, hold_port
from support.program import Process

if TYPE_CHECKING:
    from collections.abc import Sequence

    from support.origin_wire import Seen

_TESTS = Path(__file__).parents[1]


class Mortal:
    """A server that is killed and comes back on the same port, which stays ours meanwhile.

    The command gets the port to listen on, with SO_REUSEPORT, as `{port}`, and says `announces` once it listens.
    `orders` is what `Process` takes.
    """

    def __init__(self, command: Sequence[str], announces: str, *, orders: bool = False) -> None:
        self._held = hold_port()
        self.port: int = self._held.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._command = [word.format(port=self.port) for word in command]
        self._announces = announces
        self._orders = orders
        self.process: Process | None = None

    def start(self) -> Self:
        assert self.process is None, "runs already"
        self.process = Process(self._command, cwd=_TESTS, orders=self._orders).start()
        self.process.wait_for(self._announces)
        return self

    def kill(self) -> None:
        """kill -9, and wait until it is gone."""
        assert self.process is not None, "not started"
        self.process.signal(signal.SIGKILL)
        self.end()

    def hang(self) -> None:
        """SIGSTOP: its system accepts, it never answers."""
        assert self.process is not None, "not started"
        self.process.signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """SIGCONT."""
        assert self.process is not None, "not started"
        self.process.signal(signal.SIGCONT)

    def end(self) -> None:
        if self.process is not None:
            if self.process.running:
                self.go_on()
            self.process.end()
            self.process = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.end()
        self._held.close()


class OriginProcess(Mortal):
    def __init__(self, name: str, folder: Path, *, delay: float = 0.0) -> None:
        self.name = name
        self.file = folder / f"{name}.requests"
        options = ["--name", name, "--port", "{port}", "--file", str(self.file), "--delay", str(delay)]
        super().__init__([sys.executable, "-m", "support.origin_process", *options], "origin on")

    def requests(self) -> list[dict[str, object]]:
        lines = self.file.read_text().splitlines() if self.file.exists() else []
        return [json.loads(line) for line in lines]

    def sent(self, header: str = "X-Id", *methods: str) -> Counter[str]:
        """How often each value of that header came, in requests of those methods (none: all)."""
        return Counter(
            value
            for request in self.requests()
            if not methods or request["method"] in methods
            for name, value in request["headers"]
            if name.lower() == header.lower()
        )


def main() -> None:
    flags = argparse.ArgumentParser()
    flags.add_argument("--name", default="primary")
    flags.add_argument("--port", type=int, default=0)
    flags.add_argument("--file", required=True)
    flags.add_argument("--delay", type=float, default=0.0)
    args = flags.parse_args()
    file = os.open(args.file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    def note(seen: Seen) -> None:
        line = {
            "method": seen.method,
            "target": seen.target,
            "headers": seen.headers,
            "length": seen.body_length,
            "sha256": seen.body_sha256,
        }
        os.write(file, json.dumps(line).encode() + b"\n")

    ended = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: ended.set())
    with Origin(args.name, port=args.port, on_request=note) as origin:
        origin.answer = replace(origin.answer, delay=args.delay)
        print(f"origin on {origin.url}", flush=True)
        ended.wait()


if __name__ == "__main__":
    main()
