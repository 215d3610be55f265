"""`failover demo`: see a failover happen. Two small sites, the proxy in front, a crash, the return; it needs nothing.

The sites and the proxy are processes of their own, the proxy the very program that `failover --primary … --backup …`
runs. All that is started here is ended here, however the demo ends.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from failover.cli.words import Command

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_CALM_S, _OUTAGE_S, _AFTER_S = 3.0, 5.0, 2.0
_PACE_S = 0.05  # between two requests of the visitor
_PATIENCE_S = 30.0
_LISTENING = re.compile(r"listening on http://([\d.]+):(\d+)")
_DASHBOARD = re.compile(r"dashboard on http://([\d.]+):(\d+)")
# This program once more; as one executable (PyInstaller) it is its own interpreter, and knows no -m.
_ITSELF = [sys.executable] if getattr(sys, "frozen", False) else [sys.executable, "-m", "failover"]
_REPORT_UNTIL = "\nMost affected\n"  # what comes after it is the same without a story


class _DemoError(Exception):
    """The demo cannot show what it promised; the text says why."""


@dataclass(slots=True)
class _Visitor:
    """Somebody who reads the site, page after page, and counts what he gets."""

    address: tuple[str, int]
    answered: dict[str, int] = field(default_factory=dict)
    failed: int = 0
    slowest_s: float = 0.0
    last: str = ""
    _left: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def start(self) -> None:
        self._thread = threading.Thread(target=self._visit, daemon=True)
        self._thread.start()

    def leave(self) -> None:
        self._left.set()
        if self._thread is not None:
            self._thread.join(_PATIENCE_S)

    def _visit(self) -> None:
        connection = http.client.HTTPConnection(*self.address, timeout=_PATIENCE_S)
        while not self._left.wait(_PACE_S):
            began, site = time.monotonic(), None
            try:
                connection.request("GET", "/")
                answer = connection.getresponse()
                answer.read()
                site = answer.headers["X-Site"] if answer.status == 200 else None
            except (OSError, http.client.HTTPException):
                connection.close()
            if site is None:
                self.failed += 1
            else:
                self.answered[site] = self.answered.get(site, 0) + 1
                self.last = site
            self.slowest_s = max(self.slowest_s, time.monotonic() - began)
        connection.close()

    @property
    def count(self) -> str:
        by = ", ".join(f"{count} by the {site}" for site, count in self.answered.items())
        return f"{sum(self.answered.values())} answered ({by}), failed: {self.failed}"


class _Stage:
    """The processes of the demo. A site keeps its port while it is dead, so that nobody else gets it."""

    def __init__(self, ending: contextlib.ExitStack) -> None:
        self._ending = ending
        self._ports: dict[str, int] = {}
        self._environment = _environment()

    def site(self, name: str) -> tuple[subprocess.Popen[str], str]:
        """Start one, or start it again: the process and its address."""
        if name not in self._ports:
            held = self._ending.enter_context(socket.socket())
            held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            held.bind(("127.0.0.1", 0))
            self._ports[name] = held.getsockname()[1]
        port = self._ports[name]
        process = self._launch("demo-site", name, str(port), stdin=subprocess.PIPE)
        if process.stdout is None or not process.stdout.readline():
            raise _DemoError(f"the {name} site does not start")
        return process, f"http://127.0.0.1:{port}"

    def proxy(self, primary: str, backup: str) -> tuple[tuple[str, int], tuple[str, int]]:
        """Start the proxy: where it listens, and where its dashboard is."""
        flags = ["--primary", primary, "--backup", backup, "--listen", "127.0.0.1:0", "--ramp-step", "500ms"]
        flags += ["--state-dir", "memory", "--admin-listen", "127.0.0.1:0"]
        process = self._launch(*flags, stdin=subprocess.DEVNULL, stderr=subprocess.STDOUT)
        said, places = [], {}
        for line in process.stdout or ():
            said.append(line)
            for pattern in (_LISTENING, _DASHBOARD):
                if found := pattern.search(line):
                    places[pattern] = (found[1], int(found[2]))
            if len(places) == 2:
                threading.Thread(target=process.stdout.read if process.stdout else str, daemon=True).start()
                return places[_LISTENING], places[_DASHBOARD]
        raise _DemoError("the proxy does not start:\n" + "".join(said))

    def _launch(self, *words: str, stdin: int, stderr: int | None = None) -> subprocess.Popen[str]:
        with _undisturbed():
            process = subprocess.Popen(  # noqa: S603 - our own program, our own words
                [*_ITSELF, *words],
                stdin=stdin,
                stdout=subprocess.PIPE,
                stderr=stderr,
                text=True,
                env=self._environment,
                process_group=0,  # Ctrl-C is for the demo, which ends the others in order
            )
            self._ending.callback(_end, process)
        return process


@contextlib.contextmanager
def _undisturbed() -> Iterator[None]:
    """Ctrl-C in the middle of a start would leave a process that nobody ends: it counts when the start is done."""
    came: list[int] = []
    before = {one: signal.signal(one, lambda number, _: came.append(number)) for one in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)
    if came:
        raise KeyboardInterrupt


def _environment() -> dict[str, str]:
    """Without anything that configures the program: the demo is the same everywhere."""
    from failover.settings.rows import SETTINGS  # noqa: PLC0415 - the settings cost 100 ms

    ours = {name for setting in SETTINGS.values() for name in setting.variables}
    return {name: value for name, value in os.environ.items() if name not in ours}


def _end(process: subprocess.Popen[str]) -> None:
    process.terminate()
    try:
        process.wait(5)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    for stream in (process.stdin, process.stdout):
        if stream is not None:
            with contextlib.suppress(OSError):
                stream.close()


def _get(address: tuple[str, int], path: str) -> bytes:
    connection = http.client.HTTPConnection(*address, timeout=_PATIENCE_S)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        body = answer.read()
        if answer.status != 200:
            raise _DemoError(f"{path} was answered {answer.status}")
        return body
    finally:
        connection.close()


def _state(address: tuple[str, int]) -> dict[str, object]:
    state: dict[str, object] = json.loads(_get(address, "/__failover/state"))
    return state


class _Teller:
    """Tells the story line by line; on a terminal the last line counts the visitor's pages meanwhile."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._live = sys.stdout.isatty()
        self._counting = False

    def say(self, text: str) -> None:
        self._clear()
        print(f"{time.monotonic() - self._began:5.1f} s  {text}", flush=True)

    def report(self, text: str) -> None:
        """The beginning of a report, set off from the story."""
        self._clear()
        for line in text.partition(_REPORT_UNTIL)[0].splitlines():
            print(f"        | {line}".rstrip(), flush=True)

    def count(self, visitor: _Visitor) -> None:
        if self._live:
            width = shutil.get_terminal_size().columns - 1
            print(f"\r{f'         … {visitor.count}'[:width]:<{width}}", end="", flush=True)
            self._counting = True

    def _clear(self) -> None:
        if self._counting:
            print("\r\033[K", end="")
            self._counting = False

    def wait(self, visitor: _Visitor, seconds: float) -> None:
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            self.count(visitor)
            time.sleep(min(0.1, left))

    def wait_until(self, visitor: _Visitor, true: Callable[[], bool], what: str) -> None:
        until = time.monotonic() + _PATIENCE_S
        while not true():
            if time.monotonic() > until:
                raise _DemoError(f"{what} did not happen within {_PATIENCE_S:g} s")
            self.count(visitor)
            time.sleep(0.02)


def _tell_the_story(ending: contextlib.ExitStack) -> bool:
    """The demo itself. True when no request failed."""
    teller = _Teller()
    say = teller.say
    # Before the first word: Ctrl-C within an import ends `python -m` by the signal, however it is caught.
    stage = _Stage(ending)
    say("Starting two small sites, and Failover in front of them.")
    primary, primary_url = stage.site("primary")
    _, backup_url = stage.site("backup")
    address, dashboard = stage.proxy(primary_url, backup_url)
    visitor = _Visitor(address)
    ending.callback(visitor.leave)
    visitor.start()
    teller.wait_until(visitor, lambda: visitor.last == "primary", "the first answer")
    say(f"The site:      http://{address[0]}:{address[1]}/  A visitor is there already.")
    say(f"The dashboard: http://{dashboard[0]}:{dashboard[1]}/  Open both beside this, if you like, and watch.")
    teller.wait(visitor, _CALM_S)
    say(f"All is well: {visitor.count}.")

    visitor.slowest_s = 0.0
    say(f"Now the primary crashes: kill -9 {primary.pid}.")
    primary.kill()
    crashed = time.monotonic()
    primary.wait()
    teller.wait_until(visitor, lambda: visitor.last == "backup", "an answer by the backup")
    say("The backup answers." + ("" if visitor.failed else " The visitor has noticed nothing."))
    teller.wait_until(visitor, lambda: _state(address)["on_backup"] is True, "the switch to the backup")
    took = _ms(time.monotonic() - crashed)
    say(f"Failover is sure that the primary is down, {took} after the crash: all requests go to the backup.")
    teller.wait(visitor, _OUTAGE_S)
    say(f"The primary is still down: {visitor.count}.")

    stage.site("primary")
    say("The primary is started again. Failover looks twice before it trusts it.")
    teller.wait_until(visitor, lambda: _state(address)["verdict"] == "ramp", "the first step of the way back")
    say("It gets 5 % of the visitors first, then 25, 50 and 100: what failed them now, the backup would answer unseen.")
    teller.wait_until(visitor, lambda: _state(address)["on_backup"] is False, "the return to the primary")
    teller.wait_until(visitor, lambda: visitor.last == "primary", "an answer by the primary")
    say("The primary serves everybody again.")
    teller.wait(visitor, _AFTER_S)
    visitor.leave()
    teller.wait_until(visitor, lambda: _over(dashboard) is not None, "the end of the incident")
    say("This is what it tells Slack, Discord or whoever you name; the beginning of the report it has written:")
    teller.report(_get(dashboard, f"/api/v1/incidents/{_over(dashboard)}/report?form=txt").decode())
    say(f"That was it: {visitor.count}. The slowest answer since the crash took {_ms(visitor.slowest_s)}.")
    return not visitor.failed


def _over(dashboard: tuple[str, int]) -> str | None:
    """The id of the incident, when it is over and written down."""
    found = [one["id"] for one in json.loads(_get(dashboard, "/api/v1/incidents")) if one["status"] == "resolved"]
    return found[0] if found else None


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms"


def demo() -> int:
    """Show it. The exit code: 0 when it went as promised, 1 when not, 130 when it was interrupted."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with contextlib.ExitStack() as ending:
            ending.callback(signal.signal, signal.SIGINT, signal.default_int_handler)
            try:
                good = _tell_the_story(ending)
            finally:
                signal.signal(signal.SIGINT, signal.SIG_IGN)  # a second Ctrl-C would leave processes behind
    except KeyboardInterrupt:
        print("\nStopped; everything that was started has been ended.")
        return 130
    except _DemoError as error:
        print(f"failover demo: {error}", file=sys.stderr)
        return 1
    finally:
        signal.signal(signal.SIGTERM, before)
    if good:
        print("\nThe same for your app: failover --primary https://myapp.com --backup https://myapp-backup.example")
    else:
        print("\nRequests failed, which should not have happened here.", file=sys.stderr)
    return 0 if good else 1


command = Command("demo", callback=demo, help="See a failover happen: two small sites, a crash, the return.")
