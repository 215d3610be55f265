"""The pages for people: their blocks of code, and a stage on which the commands of a page are really run.

    for block in blocks(ROOT / "README.md"):
        block.kind, block.text, block.where
    with Stage(folder) as stage:
        stage.run(block)            # in a shell; fails with what it printed

What a page calls https://myapp.com is an origin here, Slack is a fake, and `failover` in the background is the real
program: a page that starts it goes on when it is ready, and the blocks after it find it running.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import re
import shutil
import socket
import subprocess
import sys
import threading
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self

from support.fakes import Fake, FakeDiscord, FakeSlack
from support.origin import Origin
from support.program import PATIENCE, Program, clean_environment
from support.tls import Authority, Files, trusting_all

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    path
    for pattern in ("*.md", "docs/**/*.md", "bench/**/*.md", "deploy/**/*.md")
    for path in ROOT.glob(pattern)
    if path.parent.name != "example"  # what the program wrote
)

_FENCE = re.compile(r"^ *```(.*)$")


@dataclass(frozen=True, slots=True)
class Block:
    where: str
    kind: str
    text: str


def blocks(page: Path) -> Iterator[Block]:
    """The fenced blocks of a page, in order."""
    name = page.relative_to(ROOT)
    began, kind, lines = 0, "", []
    for number, line in enumerate(page.read_text(encoding="utf-8").splitlines(keepends=True), 1):
        fence = _FENCE.match(line)
        if not began and fence:
            began, kind, lines = number, fence[1].strip(), []
        elif began and fence and not fence[1].strip():
            yield Block(f"{name}:{began}", kind, "".join(lines))
            began = 0
        elif began:
            lines.append(line)
    assert not began, f"{name}:{began}: the block has no end"


# -- the stage

_SHIM = """\
import json, os, socket, sys
with socket.create_connection(("127.0.0.1", {port})) as asking:
    asking.sendall(json.dumps([sys.argv[1:], dict(os.environ), os.getcwd()]).encode())
    asking.shutdown(socket.SHUT_WR)
    code, said = json.loads(b"".join(iter(lambda: asking.recv(65536), b"")))
print(said, file=sys.stderr, end="")
sys.exit(code)
"""
_LAUNCHER = """\
#!/bin/sh
case "${{1:-run}}" in
    -h | --help | -V | --version) ;;
    demo) exit 0 ;;  # test_demo.py runs it
    run | -*) exec "{python}" -I -S "{shim}" "$@" ;;
esac
exec "{python}" -m failover "$@"
"""
_FIND = re.compile(r"\b(?:curl|failover (?:state|switch|hold|drill|incidents|healthcheck))\b")
_ABOUT_THE_LAST = re.compile(r"\bfailover incidents (?:show|note|export|resend)\b")
_START = re.compile(r"^(?:\w+=\S+ )*(?:\./)?failover (?:run\b|-)|\bfailover \\$", re.MULTILINE)


class Stage:
    """Two origins, what is told, a folder to be in, and the program that a page has started last."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._ending = contextlib.ExitStack()
        self._program: Program | None = None
        self._started: object = None
        self._incident = False

    def __enter__(self) -> Self:
        self.primary, self.backup = (self._ending.enter_context(Origin(name)) for name in ("primary", "backup"))
        self.slack, self.discord, self.hook = (
            self._ending.enter_context(fake()) for fake in (FakeSlack, FakeDiscord, Fake)
        )
        self._port, self._admin = _free_port(), _free_port()
        self._names = self._stand_ins()
        self._serve()
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self.end()
        finally:
            self._ending.close()

    def end(self) -> None:
        """The page is over: what it has started must end well, and the next page finds nothing of it."""
        self._stop()
        shutil.rmtree(self.folder / "state", ignore_errors=True)
        self._incident = False

    def _stop(self) -> None:
        program, self._program, self._started = self._program, None, None
        if program is not None:
            program.end()
            assert program.exit_code == 0, program.log

    def run(self, block: Block) -> None:
        """Run the block in a shell. Fails with what it printed, and where it names what has no stand-in here."""
        text = block.text
        for real, ours in self._names:
            text = re.sub(real, ours, text)
        elsewhere = re.findall(r"https?://(?!127\.0\.0\.1|localhost)\S+", text)
        assert not elsewhere, f"{block.where}: no stand-in for {elsewhere}; see support/handbook.py"
        if self._program is None and _FIND.search(text) and not _START.search(text):
            usual = {"FAILOVER_WEBHOOK_URL": self.hook.url}
            self._start([], self._environment(block) | usual, os.fspath(self.folder))
        if _ABOUT_THE_LAST.search(text):
            self._have_an_incident()
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", text],
            cwd=self.folder, env=self._environment(block), capture_output=True, text=True, check=False,
            stdin=subprocess.DEVNULL, timeout=4 * PATIENCE,
        )  # fmt: skip
        log = f"\nthe log:\n{self._program.log}" if self._program is not None else ""
        assert done.returncode == 0, f"{block.where}: exit code {done.returncode}\n{done.stdout}{done.stderr}{log}"

    def _have_an_incident(self) -> None:
        """A page about incidents has one to show, of an outage that is over."""
        if self._incident or self._program is None:
            return
        self._incident, mark = True, self._program.mark
        self.primary.stop()
        self._program.wait_for("incident .* is open", after=mark)
        self.primary.start()
        self._program.wait_for("switched back to the primary", after=mark)

    # -- what stands for what

    def _stand_ins(self) -> list[tuple[str, str]]:
        files, authority = Files(self.folder), Authority(self.folder)
        return [
            (r"https://hooks\.slack\.com/services/[^\s\"']+", self.slack.url),
            (r"https://discord\.com/api/webhooks/[^\s\"']+", self.discord.url),
            (r"https://hooks\.myapp\.com/[^\s\"']+", self.hook.url),
            (r"https?://[a-z0-9.-]*(?:amazonaws\.com|\beu\.myapp\.com|standby\.myapp\.com)", self.backup.url),
            (r"https?://(?:us\.|www\.)?myapp\.com", self.primary.url),
            (r"http://127\.0\.0\.1:8000", self.primary.url),
            (r"http://127\.0\.0\.1:9000", self.backup.url),
            (r"http://(?:127\.0\.0\.1|localhost):8081", f"http://127.0.0.1:{self._admin}"),
            (r"http://(?:127\.0\.0\.1|localhost):8080", f"http://127.0.0.1:{self._port}"),
            (r"/etc/letsencrypt/live/www\.myapp\.com/fullchain\.pem", os.fspath(files.cert)),
            (r"/etc/letsencrypt/live/www\.myapp\.com/privkey\.pem", os.fspath(files.key)),
            (r"/etc/failover/ca\.pem", os.fspath(authority.pem)),
            (r" --listen[ =]\S+", ""),
            (r"(failover drill --(?:shadow|percent|full).*)", r"\1 --no-wait\nfailover drill --stop"),
        ]

    def _environment(self, block: Block) -> dict[str, str]:
        hosts = {"slack": "hooks.slack.com", "discord": "discord.com/api"}  # as the host would have told
        known = next((name for name, host in hosts.items() if host in block.text), "auto")
        settings = {
            "FAILOVER_LISTEN": f"127.0.0.1:{self._port}",
            "FAILOVER_ADMIN_LISTEN": f"127.0.0.1:{self._admin}",
            "FAILOVER_STATE_DIR": os.fspath(self.folder / "state"),
            "FAILOVER_WORKERS": "1",
            "FAILOVER_RAMP_STEP": "0",
        }
        path = f"{self.folder / 'bin'}:{os.environ['PATH']}"
        return clean_environment({**settings, "FAILOVER_WEBHOOK_FORMAT": known, "PATH": path})

    # -- the program that a page starts

    def _serve(self) -> None:
        listening = self._ending.enter_context(socket.create_server(("127.0.0.1", 0)))
        shim, binaries = self.folder / "shim.py", self.folder / "bin"
        shim.write_text(_SHIM.format(port=listening.getsockname()[1]))
        binaries.mkdir()
        for launcher in (binaries / "failover", self.folder / "failover"):
            launcher.write_text(_LAUNCHER.format(python=sys.executable, shim=shim))
            launcher.chmod(0o755)
        shutil.copy(ROOT / "config.example.yaml", self.folder)
        thread = threading.Thread(target=self._answer, args=(listening,), daemon=True)
        thread.start()
        self._ending.callback(thread.join, PATIENCE)
        self._ending.callback(listening.shutdown, socket.SHUT_RDWR)

    def _answer(self, listening: socket.socket) -> None:
        with contextlib.suppress(OSError):  # closed: the stage is over
            while True:
                asking, _ = listening.accept()
                with asking:
                    words, environ, cwd = json.loads(b"".join(iter(lambda: asking.recv(65536), b"")))  # noqa: B023
                    try:
                        told = self._start(words, environ, cwd)
                    except AssertionError as error:
                        told = (1, str(error))
                    asking.sendall(json.dumps(told).encode())

    def _start(self, words: list[str], environ: dict[str, str], cwd: str) -> tuple[int, str]:
        """Start what the page starts, instead of what ran before it; that it serves the page's primary is looked at."""
        ours = {name: value for name, value in environ.items() if name not in clean_environment()}
        if not (words or {"PRIMARY_URL", "FAILOVER_PRIMARY", "FAILOVER_CONFIG"} & set(ours)):
            words = ["--primary", self.primary.url, "--backup", self.backup.url]
        if self._started == (words, ours):
            return 0, ""
        self._stop()
        with contextlib.ExitStack() as failed:
            program = failed.enter_context(Program(*words, listen=None, env=ours, cwd=cwd))
            with urllib.request.urlopen(program.ready().url, context=trusting_all()) as answer:
                assert answer.read() == b"primary\n", f"that is not the primary of the page; the log:\n{program.log}"
            failed.pop_all()
        self._program, self._started = program, (words, ours)
        return 0, ""


def _free_port() -> int:
    """A port that nobody gets by chance: below those that the system chooses from."""
    while True:
        port = random.randrange(20_000, 30_000)
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port
