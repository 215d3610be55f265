"""Nothing that is told anywhere holds a secret: one program with a distinctive one in every place that can hold any.

It goes through an outage with webhooks that fail and repeat what they were sent, while visitors bring secrets of their
own. Then everything is looked through that it has said, shown and kept.
"""

from __future__ import annotations

import asyncio
import base64
import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest

from failover.errors import SettingsError
from failover.settings.sources import load
from support.answer import Answer, text
from support.load import ask
from support.origin import Origin
from support.pages import Api, dashboard
from support.program import Program, clean_environment

if TYPE_CHECKING:
    from collections.abc import Iterator


# Each is found in no other text. Visitors bring theirs with what they ask, the app shows one in its error page.
SECRETS = {
    "password of primary": "Prim4ry/Passw0rd#x",
    "query of primary": "prim4ry-query-key",
    "password of backup": "b4ckup-passw0rd",
    "path of a webhook": "w3bhook-path-0123456789abcdef",
    "query of a webhook": "w3bhook-query-0123456789",
    "key of webhooks": "whsec_" + base64.b64encode(b"k3y-of-webhooks-0123456789abcdef").decode(),
    "admin token": "adm1n-token-0123456789abcdef",
    "query of the check": "ch3ck-query-key-01234",
    "cookie of visitor": "v1sitors-cookie-0123456789",
    "authorization of visitor": "v1sitors-bearer-0123456789",
    "query of visitor": "v1sitors-query-0123456789",
    "cookie of app": "4pps-cookie-0123456789",
    "words of app": "4pps-passw0rd-in-a-traceback",
}
TOKEN = SECRETS["admin token"]
linux = sys.platform == "linux"
COMMANDS = (
    ("config", "show"), ("config", "show", "--json"), ("check",), ("check", "--json"), ("state",), ("state", "--json"),
    ("incidents", "list"), ("incidents", "show"), ("incidents", "export"), ("incidents", "export", "--format", "html"),
    ("incidents", "export", "--format", "json"), ("incidents", "export", "--format", "svg"), ("notify", "test"),
)  # fmt: skip
PAGES = (
    "/", "/metrics", "/api/v1/state", "/api/v1/targets", "/api/v1/targets/primary", "/api/v1/incidents",
    "/api/v1/events", "/api/v1/openapi.json", "/login", "/nowhere",
)  # fmt: skip
FORMS = ("json", "md", "html", "txt", "svg", "png")


def ways(secret: str) -> set[str]:
    """How it could be written: as it is, with %, in base64, and the parts of one that is cut at a slash."""
    encoded = base64.b64encode(secret.encode()).decode().rstrip("=")
    return {secret, quote(secret, safe=""), quote(secret), encoded, *(p for p in secret.split("/") if len(p) >= 7)}


def found_in(said: str) -> list[str]:
    return [name for name, secret in SECRETS.items() if any(way in said for way in ways(secret))]


def test_what_is_looked_for_would_be_found():
    for name, secret in SECRETS.items():
        assert all(name in found_in(f"x{way}y") for way in ways(secret))
    assert found_in("nothing of theirs: *** whsec_***") == []


class Told:
    """Everything that came out: `said` by the place it was found in; `kept` is the folder of the state."""

    def __init__(self, said: dict[str, str], kept: Path) -> None:
        self.said, self.kept = said, kept


def configuration(primary: Origin, backup: Origin, hook: Origin, kept: Path) -> str:
    def with_user(origin: Origin, password: str) -> str:
        return origin.url.replace("://", f"://user:{quote(password, safe='')}@")

    return json.dumps({  # which is YAML as well
        "primary": f"{with_user(primary, SECRETS['password of primary'])}/?key={SECRETS['query of primary']}",
        "backup": with_user(backup, SECRETS["password of backup"]),
        "webhook_url": [f"{hook.url}/{SECRETS['path of a webhook']}?key={SECRETS['query of a webhook']}"],
        "webhook_format": "generic",
        "webhook_secret": SECRETS["key of webhooks"],
        "admin_token": TOKEN,
        "check_path": f"/health?key={SECRETS['query of the check']}",
        "check_interval": "100ms",
        "ramp_step": "0s",
        "state_dir": str(kept),
        "log_level": "debug",
        "access_log": True,
        "workers": 1,
    })  # fmt: skip


async def visit(url: str) -> str:
    """A visitor with secrets of his own; what we say to him besides the app's own words."""
    fields = [
        ("Cookie", f"session={SECRETS['cookie of visitor']}"),
        ("Authorization", f"Bearer {SECRETS['authorization of visitor']}"),
        ("Idempotency-Key", "1"),
    ]
    answers = []
    for method in ("GET", "POST"):
        reply = await ask(
            url, method, f"/orders?token={SECRETS['query of visitor']}", fields, b"" if method == "POST" else None
        )
        answers += [f"{name}: {value}" for name, value in reply.headers if name.lower() != "set-cookie"]
    return "\n".join(answers)


async def look_through(program: Program, folder: Path) -> dict[str, str]:
    said = {}
    local, public = dashboard(program), program.url
    for path in ("/__failover/state", "/__failover/health", "/__failover/ready", "/__failover/nowhere"):
        reply = await ask(public, "GET", path)
        said[f"public {path}"] = f"{reply.headers}{reply.body!r}"
    for api in (Api(local, token=TOKEN), Api(public, "/__failover", TOKEN)):
        incident = (await api.incidents())[0]["id"]
        paths = [*PAGES, f"/incidents/{incident}", f"/api/v1/incidents/{incident}"]
        paths += [f"/api/v1/incidents/{incident}/report?form={form}" for form in FORMS]
        for path in paths:
            reply = await api.ask(path)
            said[f"{api.url} {path}"] = f"{reply.headers}{reply.body.decode('utf-8', 'replace')}"
        tried = await api.post("/notifications/test")
        said[f"{api.url} notifications/test"] = tried.body.decode()
        wrong = await Api(api.url, api.prefix, "wr0ng" + TOKEN).ask("/api/v1/state")
        said[f"{api.url} wrong token"] = wrong.body.decode()
    for words in COMMANDS:
        command = [sys.executable, "-m", "failover", *words]
        place = ["--config", str(folder / "config.yaml")]
        done = await asyncio.to_thread(
            subprocess.run, [*command, *place], env=clean_environment(), capture_output=True, text=True, check=False
        )
        said[" ".join(words)] = done.stdout + done.stderr
    return said


def left_behind(program: Program, kept: Path) -> dict[str, str]:
    """What others see of the processes, and what is on the disk."""
    said = {f"kept in {file.name}": file.read_bytes().decode("latin-1") for file in kept.iterdir()}
    for pid in (program.pid, program.controller(), *program.workers()):
        said[f"arguments of {pid}"] = Path(f"/proc/{pid}/cmdline").read_text() if linux else "Linux only"
    return said


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Told]:
    folder = tmp_path_factory.mktemp("secrets")
    kept, file = folder / "state", folder / "config.yaml"
    with Origin("primary") as primary, Origin("backup") as backup, Origin("hook") as hook:
        # The webhook says again what it was asked, as some do; the app shows its inside when it fails.
        hook.script = lambda seen: text(f"cannot take {seen.head.decode()}", status=500)
        primary.answer = cookies(200, "well")
        file.write_text(configuration(primary, backup, hook, kept))
        file.chmod(0o600)
        with Program(
            "--config", str(file), env={"FAILOVER_STATE_DIR": "", "FAILOVER_ADMIN_LISTEN": "127.0.0.1:0"}
        ) as program:
            program.ready()
            answers = [asyncio.run(visit(program.url))]
            primary.answer = cookies(503, f"Traceback: password={SECRETS['words of app']}")
            program.wait_for("switched to the backup")
            answers.append(asyncio.run(visit(program.url)))
            hook.wait_for(lambda seen: seen.complete)
            said = asyncio.run(look_through(program, folder)) | left_behind(program, kept)
            said["what a visitor is told"] = "\n".join(answers)
            primary.stop()
            backup.stop()
            answers.append(asyncio.run(visit(program.url)))
        said["the log"] = program.log
        yield Told(said, kept)


def cookies(status: int, words: str) -> Answer:
    return Answer(status, words.encode(), (("Set-Cookie", f"session={SECRETS['cookie of app']}"),))


def test_nothing_that_is_said_shown_or_kept_holds_a_secret(told):
    assert {place: found for place, said in told.said.items() if (found := found_in(said))} == {}


def test_all_of_it_was_said(told):
    """Nothing is found where nothing was looked at."""
    assert len(told.said) > 50
    assert not [place for place, said in told.said.items() if not said and "ready" not in place]
    assert '"/orders"' in told.said["incidents export --format json"]


FIRST = "S3cret"
OPEN = ("--primary", "http://a.test", "--backup", "http://b.test")
WRONG_FLAGS = [
    ("--admin-token", f"{FIRST} word"), ("--webhook-url", f"https:/x/{FIRST}"), ("--webhook-secret", f"whsec_{FIRST}!"),
    ("--check-path", f"health?key={FIRST}"), ("--check-path", f"/h ealth?key={FIRST}"),
    ("--public-url", f"user:{FIRST}@host"), ("--public-url", f"https://user:{FIRST}@ho st"),
]  # fmt: skip
WRONG_TARGETS = [
    f"user:{FIRST}@host",
    f"https://u:pa/{FIRST}@host:x",
    f"host/?key={FIRST}",
    f"https://ho!st/?key={FIRST}",
]
WRONG_FILES = [
    f"admin_token: *{FIRST}", f"admin_token: !{FIRST} x", f"admin_token: !<{FIRST}> x", f"admin_token: @{FIRST}",
    f"admin_token: '{FIRST}", f"admin_token: {FIRST}: x", f"admin_token: {FIRST}\nadmin_token: x",
    f"admin_token {FIRST}", f"admin_token: [{FIRST}]", f"admin_token: {{a: {FIRST}}}", f"webhook_url: {FIRST}",
]  # fmt: skip


def mistakes(given: dict[str, object]) -> str:
    with pytest.raises(SettingsError) as told:
        load(given, {})
    return str(told.value)


@pytest.mark.parametrize(("flag", "value"), WRONG_FLAGS)
def test_a_mistake_in_a_secret_is_told_without_it(flag, value):
    key = flag[2:].replace("-", "_")
    said = mistakes(
        {"primary": "http://a.test", "backup": ("http://b.test",), key: (value,) if "web" in key else value}
    )
    assert flag in said
    assert FIRST not in said


@pytest.mark.parametrize("url", WRONG_TARGETS)
def test_an_address_that_cannot_be_read_is_told_without_its_password_and_query(url):
    said = mistakes({"primary": url, "backup": (url,)})
    assert "--primary" in said
    assert FIRST not in said


@pytest.mark.parametrize("line", WRONG_FILES)
def test_a_file_that_cannot_be_read_is_told_without_what_stands_in_it(tmp_path, line):
    file = tmp_path / "config.yaml"
    file.write_text(f"primary: http://a.test\nbackup: http://b.test\n{line}\n")
    said = mistakes({"config": str(file)})
    assert "config.yaml:" in said
    assert FIRST not in said


@pytest.mark.parametrize("mode", [0o600, 0o604])
def test_a_secret_that_others_of_the_machine_can_read_is_told_once(tmp_path, mode):
    file = tmp_path / "config.yaml"
    file.write_text(f"admin_token: {TOKEN}\n")
    file.chmod(mode)
    hook = "http://127.0.0.1:9/w3bhook"
    with Program(*OPEN, "--config", str(file), "--webhook-url", hook) as program:
        program.ready()
    assert (
        len([line for line in program.lines if "--webhook-url can be read by everybody on this machine" in line]) == 1
    )
    told = [line for line in program.lines if "config.yaml holds secrets and can be read by everybody" in line]
    assert len(told) == (mode == 0o604)
    assert TOKEN not in program.log
    assert "w3bhook" not in program.log
