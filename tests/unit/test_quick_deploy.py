"""`deploy/quick-deploy.sh`: what it writes, what it refuses, what it never does unasked."""

import os
import pty
import shutil
import signal
import stat
import subprocess
from pathlib import Path

import jsonschema
import pytest
import yaml

from support import platforms
from support.platform_schemas import SCHEMAS
from support.platforms import PLATFORMS
from support.program import PATIENCE
from support.wizard import SCRIPT, TOOLS, Wizard

pytestmark = pytest.mark.skipif(not SCRIPT.exists(), reason="an installed package has no deploy files")

# Whatever a person may paste: every sign that some file, shell or format reads in its own way.
NASTY = 'https://my.app/it\'s/"a"/$HOME/`id`/a&b/{x}/#1%20;|\\n/é/~!*()[]<>,^:'
PRIMARY, BACKUP = "https://myapp.com", "https://myapp-backup.s3.amazonaws.com"
WEBHOOK = "https://hooks.slack.com/services/T0/B0/s3cr3t"
TOKEN = "0123456789abcdef0123"
FORMS = {"railway": "railway.json", "render": "render.yaml", "fly": "fly.toml", "digitalocean": ".do/app.yaml"}
BUILDS = {"docker", "railway", "render", "fly", "digitalocean", "heroku"}


@pytest.fixture
def wizard(tmp_path):
    return Wizard(tmp_path)


def everything(folder: Path) -> dict[str, str]:
    """All that was written, but for the code that goes with it."""
    return {
        os.fspath(path.relative_to(folder)): path.read_text()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and "src" not in path.parts
    }


@pytest.mark.parametrize("platform", PLATFORMS)
def test_an_address_survives_whatever_signs_are_in_it(wizard, platform):
    done = wizard.write(platform, NASTY, BACKUP, "--no-check", "--yes")
    assert done.returncode == 0, done.stderr
    folder = wizard.written(platform)
    told = platforms.environment(platform, folder) | wizard.given(platform)
    assert {name: told[name] for name in ("PRIMARY_URL", "BACKUP_URL")} == {"PRIMARY_URL": NASTY, "BACKUP_URL": BACKUP}
    if platform in FORMS:
        name = FORMS[platform]
        jsonschema.validate(platforms.form(folder / name), SCHEMAS[name])
    if platform in BUILDS:
        assert (folder / "src/failover/__init__.py").exists()
        assert not list(folder.rglob("__pycache__"))


def test_kustomize_takes_an_address_as_it_is(wizard):
    if not (kubectl := shutil.which("kubectl")):
        pytest.skip("kubectl is not here")
    assert wizard.write("kubernetes", NASTY, BACKUP, "--no-check").returncode == 0
    command = [kubectl, "kustomize", wizard.written("kubernetes")]
    made = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    by_kind = {one["kind"]: one for one in yaml.safe_load_all(made)}
    assert by_kind["ConfigMap"]["data"]["PRIMARY_URL"] == NASTY
    (container,) = by_kind["Deployment"]["spec"]["template"]["spec"]["containers"]
    assert container["image"] == "registry.example.com/failover:7"


@pytest.mark.parametrize("secret_primary", ["https://me:pa$$wo'rd@my.app/", "https://my.app/?key=k'e&y"])
@pytest.mark.parametrize("platform", PLATFORMS)
def test_a_secret_gets_to_the_platform_and_into_no_file_that_would_be_committed(wizard, platform, secret_primary):
    done = wizard.write(
        platform, secret_primary, BACKUP, "--webhook", WEBHOOK, "--admin-token", TOKEN, "--no-check", "--yes"
    )
    assert done.returncode == 0, done.stderr
    folder = wizard.written(platform)
    files = everything(folder)
    secret = {"PRIMARY_URL": secret_primary, "WEBHOOK_URL": WEBHOOK, "FAILOVER_ADMIN_TOKEN": TOKEN}
    ignored = files.get(".gitignore", "").split()
    for name, text in files.items():
        if name in ignored:
            assert stat.S_IMODE((folder / name).stat().st_mode) == 0o600
        else:
            assert not [one for one in secret.values() if one in text], name
    told = platforms.environment(platform, folder) | wizard.given(platform)
    if platform == "digitalocean":
        (call,) = [call for call in wizard.calls if call.words[0] == "doctl"]
        spec = yaml.safe_load(call.said)
        jsonschema.validate(spec, SCHEMAS[".do/app.yaml"])
        told |= {one["key"]: one["value"] for one in spec["services"][0]["envs"] if one.get("type") == "SECRET"}
    if platform == "render":
        asked = {one["key"] for one in platforms.render(folder)["envVars"] if one.get("sync") is False}
        assert asked == set(secret)
    else:
        assert {name: told.get(name) for name in secret} == secret
    assert not [one for one in secret.values() if one in done.stdout + done.stderr]


@pytest.mark.parametrize("platform", PLATFORMS)
def test_a_dry_run_shows_it_all_and_does_nothing(wizard, platform):
    done = wizard.write(platform, PRIMARY, BACKUP, "--webhook", WEBHOOK, "--dry-run", "--yes")
    assert done.returncode == 0, done.stderr
    assert wizard.left() == []
    assert [call.words for call in wizard.calls] == [["failover", "check"]]
    assert done.stdout.startswith(f"Would write failover-{platform}:\n")
    shown, _, commands = done.stdout.partition("Would run there:\n")
    real = wizard.write(platform, PRIMARY, BACKUP, "--webhook", WEBHOOK, "--no-check")
    assert real.returncode == 0, real.stderr
    for name, text in everything(wizard.written(platform)).items():
        assert f"  {name}" in shown
        if name in {".env", "failover.env"}:
            assert "PRIMARY_URL=..." in shown
        elif f"  {name}:\n" in shown:
            assert "".join(f"    | {line}\n" for line in text.splitlines()) in shown
    assert commands.strip()
    assert commands in real.stdout
    assert WEBHOOK not in done.stdout


def test_the_addresses_are_looked_at_first_and_their_secrets_are_no_flags(wizard):
    done = wizard.write("docker", PRIMARY, BACKUP, "--webhook", WEBHOOK)
    assert done.returncode == 0
    assert [call.words for call in wizard.calls] == [["failover", "check"]]


@pytest.mark.parametrize(
    ("code", "words", "ends"), [(1, [], 1), (1, ["--yes"], 0), (2, ["--yes"], 2), (7, ["--yes"], 1)]
)
def test_what_the_check_finds_is_heeded(tmp_path, code, words, ends):
    wizard = Wizard(tmp_path, check=code)
    assert wizard.write("docker", PRIMARY, BACKUP, *words).returncode == ends
    assert wizard.written("docker").exists() is (ends == 0)


def test_no_tool_runs_without_a_yes(wizard):
    done = wizard.write("fly", PRIMARY, BACKUP, "--webhook", WEBHOOK, "--no-check")
    assert done.returncode == 0
    assert wizard.calls == []
    assert "Next, in failover-fly:\n  # first, in your shell: export WEBHOOK_URL=...\n  fly apps create" in done.stdout


def test_without_the_tool_the_commands_are_told(tmp_path):
    wizard = Wizard(tmp_path, has=())
    done = wizard.write("railway", PRIMARY, BACKUP, "--no-check", "--yes")
    assert done.returncode == 0
    assert "Next, in failover-railway:\n  railway init --name failover-myapp-com\n" in done.stdout


def test_with_a_yes_the_commands_that_were_told_are_run_in_the_folder(wizard):
    done = wizard.write("heroku", PRIMARY, BACKUP, "--no-check", "--yes", "--name", "my-shop")
    assert done.returncode == 0, done.stderr
    words = [call.words for call in wizard.calls]
    assert words[0][:2] == ["git", "init"]
    assert ["heroku", "create", "my-shop", "--stack=container"] in words
    assert words[-2:] == [["git", "push", "heroku", "main"], ["heroku", "ps:type", "basic", "--app", "my-shop"]]


def test_a_command_that_fails_ends_it(wizard):
    wizard.stand_in("railway", 3)
    done = wizard.write("railway", PRIMARY, BACKUP, "--no-check", "--yes")
    assert done.returncode == 1
    assert "quick-deploy: this failed: railway init" in done.stderr
    assert len(wizard.calls) == 1


# -- what is there already


def test_nothing_is_overwritten_unasked(wizard):
    assert wizard.write("fly", PRIMARY, BACKUP, "--no-check").returncode == 0
    mine = wizard.written("fly") / "fly.toml"
    mine.write_text("# mine\n")
    (wizard.written("fly") / "notes").write_text("kept\n")
    done = wizard.write("fly", PRIMARY, BACKUP, "--no-check")
    assert done.returncode == 1
    assert "there is already: fly.toml\nquick-deploy: nothing was written" in done.stderr
    assert mine.read_text() == "# mine\n"
    assert wizard.write("fly", PRIMARY, BACKUP, "--no-check", "--yes").returncode == 0
    assert "PRIMARY_URL" in mine.read_text()
    assert (wizard.written("fly") / "notes").read_text() == "kept\n"
    assert wizard.left() == ["failover-fly"]


def test_the_same_once_more_asks_nothing(wizard):
    for _ in range(2):
        assert wizard.write("docker", PRIMARY, BACKUP, "--no-check").returncode == 0


# -- bad input


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ([], "--platform is missing; one of: docker railway render"),
        (["--platform", "vercel"], '--platform: "vercel" is not one of: docker'),
        (["--primary", ""], "--primary is missing; give an address such as https://myapp.com"),
        (["--primary", "myapp.com"], "--primary is not an address that starts with http:// or https://"),
        (["--backup", "https://a\nb"], "--backup has a line break or a control character in it"),
        (["--webhook", "slack"], "--webhook is not an address"),
        (["--admin-token", "short"], "--admin-token is too short"),
        (["--admin-token", "with a space in it"], "--admin-token may have letters, digits"),
        (["--name", "My Shop"], '--name: "My Shop" must begin with a letter'),
        (["--output", "no/such/folder"], "--output: the folder no/such does not exist"),
        (["--platform", "digitalocean"], "--repository is missing; App Platform builds from a git repository"),
        (["--platform", "kubernetes"], "--image is missing; the cluster runs an image"),
        (["--platform", "kubernetes", "--image", "a b"], '--image: "a b" is not the name of an image'),
        (["--primry", PRIMARY], "there is no flag --primry; --help tells which there are"),
        (["--backup"], "--backup needs a value"),
    ],
)
def test_bad_input_is_a_sentence_and_exit_code_2(wizard, words, sentence):
    done = wizard.run(*words)
    assert done.returncode == 2
    assert f"quick-deploy: {sentence}" in done.stderr
    assert wizard.left() == []


@pytest.mark.parametrize("address", ["https://a/\\", "https://a/\\'b"])
def test_what_compose_would_read_otherwise_is_not_written(wizard, address):
    done = wizard.write("docker", PRIMARY, address, "--no-check", "--yes")
    assert (done.returncode, wizard.left()) == (2, [])
    assert "BACKUP_URL has a backslash at its end or before a quote; write it as %5C" in done.stderr


def test_all_mistakes_are_told_at_once(wizard):
    done = wizard.run("--primary=x", "--name=X")
    assert done.stderr.count("quick-deploy: ") == 4


def test_several_backups_are_a_ladder(wizard):
    assert wizard.write("fly", PRIMARY, BACKUP, "--backup=https://second.example", "--no-check").returncode == 0
    told = platforms.environment("fly", wizard.written("fly"))
    assert told["BACKUP_URL"] == f"{BACKUP},https://second.example"


def test_help_names_every_flag(wizard):
    done = wizard.run("--help")
    assert done.returncode == 0
    for name in ("platform", "primary", "backup", "webhook", "output", "yes", "dry-run", "no-check"):
        assert f"--{name}" in done.stdout


# -- Ctrl-C, and a terminal


@pytest.mark.parametrize(("blocked", "words"), [("failover", []), ("awk", ["--no-check"]), ("cmp", ["--no-check"])])
def test_ctrl_c_leaves_nothing_half_written(wizard, tmp_path, blocked, words):
    """Stopped while it looks at the addresses, while it makes the files aside, and before it asks what to overwrite."""
    before = {}
    if blocked == "cmp":
        assert wizard.write("fly", "https://other.example", BACKUP, "--no-check").returncode == 0
        before = everything(wizard.written("fly"))
    os.mkfifo(tmp_path / "reached")
    (wizard.bin / blocked).unlink()
    (wizard.bin / blocked).write_text(f'#!/bin/sh\necho >"{tmp_path}/reached"\nexec {Path("/bin/sleep")} 60\n')
    (wizard.bin / blocked).chmod(0o755)
    given = ["--platform", "fly", "--primary", PRIMARY, "--backup", BACKUP, *words]
    process = subprocess.Popen(
        wizard.command(*given), cwd=wizard.folder, env=wizard.env, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE,
        text=True, start_new_session=True,
    )  # fmt: skip
    (tmp_path / "reached").read_text()
    os.killpg(process.pid, signal.SIGINT)
    _, said = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130
    assert "stopped; nothing was left behind" in said
    (tmp_path / "reached").unlink()
    assert wizard.left() == (["failover-fly"] if before else [])
    assert not before or everything(wizard.written("fly")) == before


def test_at_a_terminal_it_asks_and_the_webhook_is_not_shown(wizard):
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        wizard.command("--no-check"), cwd=wizard.folder, env=wizard.env, stdin=theirs, stdout=theirs, stderr=theirs,
        start_new_session=True,
    )  # fmt: skip
    os.close(theirs)
    seen, place = "", 0

    def answer(question, text):
        nonlocal seen, place
        while question not in seen[place:]:
            seen += os.read(ours, 4096).decode()
        place = len(seen)
        os.write(ours, text.encode() + b"\n")

    answer("Platform (", "fly")
    answer("Primary, the address", PRIMARY)
    answer("Backup, who answers", BACKUP)
    answer("Webhook, where incidents", WEBHOOK)
    answer("Run it now with fly? (yes or no)", "no")
    try:
        while more := os.read(ours, 4096):
            seen += more.decode()
    except OSError:
        pass  # Linux says the end of a terminal like this
    os.close(ours)
    assert process.wait(PATIENCE) == 0
    assert "Next, in failover-fly:" in seen
    assert PRIMARY in seen
    assert WEBHOOK not in seen
    assert platforms.environment("fly", wizard.written("fly"))["PRIMARY_URL"] == PRIMARY
    assert wizard.calls == []


def test_the_tools_are_stand_ins(wizard):
    assert all((wizard.bin / name).read_text().startswith("#!") for name in TOOLS)
