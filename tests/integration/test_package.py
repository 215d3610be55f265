"""What is handed out: the wheel, the installer of a release, the single executable. All of them do the same."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import http.server
import importlib.util
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tarfile
import threading
import urllib.request
import zipfile
from pathlib import Path

import pytest

from failover import __version__
from support.origin import Origin
from support.program import Process, clean_environment

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.skipif(not (ROOT / "install.sh").exists(), reason="an installed package is made of itself")


@pytest.fixture(scope="module")
def release(tmp_path_factory):
    """A folder with all that a release has, and what gives it out."""
    folder = tmp_path_factory.mktemp("release")
    build = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    done = subprocess.run(build, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    handler = functools.partial(_Quiet, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}"
        subprocess.run([sys.executable, str(ROOT / "packaging/release.py"), str(folder), address], check=True)
        yield folder
        server.shutdown()


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


class Home:
    """Somebody's home folder, and what they run in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.bin = folder / ".local/bin"
        folder.mkdir(exist_ok=True)

    def run(self, *command: object, path: str = "") -> subprocess.CompletedProcess[str]:
        tools = f"{path or Path(sys.executable).parent}:/usr/bin:/bin"
        env = clean_environment() | {"HOME": str(self.folder), "PATH": tools}
        for name in ("PYTHONPATH", "XDG_DATA_HOME", "XDG_STATE_HOME", "XDG_BIN_HOME", "VIRTUAL_ENV"):
            env.pop(name, None)
        for tool in ("uv", "pip"):
            env[f"{tool.upper()}_CACHE_DIR"] = os.environ.get(
                f"{tool.upper()}_CACHE_DIR", f"{Path.home()}/.cache/{tool}"
            )
        env["PIP_NO_COMPILE"] = "1"  # ten seconds of which nothing here depends
        return subprocess.run([str(word) for word in command], env=env, capture_output=True, text=True, check=False)


@pytest.fixture
def home(tmp_path):
    return Home(tmp_path / "a home")


@pytest.fixture(scope="module")
def installed(release, tmp_path_factory):
    """The command, as the release's installer leaves it."""
    home = Home(tmp_path_factory.mktemp("homes") / "mine")
    done = home.run(release / "install.sh", "--with", "uv")
    assert done.returncode == 0, done.stderr
    return home, done.stderr


@pytest.fixture(scope="module")
def executable(tmp_path_factory):
    """The single file: the one that `make executable` has made, or one made now."""
    if made := os.environ.get("EXECUTABLE"):
        return Path(made).resolve()
    if importlib.util.find_spec("PyInstaller") is None:
        pytest.skip("no PyInstaller here")
    folder = tmp_path_factory.mktemp("executable")
    places = ["--distpath", folder, "--workpath", folder / "work"]
    command = [sys.executable, "-m", "PyInstaller", *places, "--log-level", "ERROR", ROOT / "packaging/failover.spec"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder / "failover"


def the_whole_tour(command: Path, tmp_path: Path) -> None:
    """What a first day has of it: the command, both sides, an outage, the pages, the report with its picture."""
    ask = functools.partial(subprocess.run, capture_output=True, text=True, check=True, env=clean_environment())
    assert ask([command, "version"]).stdout == f"failover {__version__}\n"
    assert "--primary URL" in ask([command, "--help"]).stdout
    assert json.loads(ask([command, "config", "schema"]).stdout)["properties"]["primary"]
    state = tmp_path / "state"
    with Origin("backup") as backup, contextlib.ExitStack() as life:
        primary = life.enter_context(contextlib.ExitStack())
        origin = primary.enter_context(Origin("primary"))
        flags = ["--primary", origin.url, "--backup", backup.url, "--listen", "127.0.0.1:0"]
        flags += ["--admin-listen", "127.0.0.1:0", "--state-dir", str(state), "--ramp-step", "0"]
        program = life.enter_context(Process([command, *flags]))
        url = program.wait_for(r"listening on (http://\S+)")[1]
        pages = program.wait_for(r"dashboard on (http://[^\s/]+)")[1]
        program.wait_for(r"\bready\b")
        assert get(f"{url}/") == "primary"
        primary.close()
        assert get(f"{url}/") == "backup"
        program.wait_for("switched to the backup")
        assert "<h1" in get(f"{pages}/", named="")
        exported = tmp_path / "report"
        for form, begins in (("html", b"<!doctype html>"), ("png", b"\x89PNG")):
            file = exported.with_suffix(f".{form}")
            ask([command, "incidents", "export", "--format", form, "--output", file, "--state-dir", state])
            assert file.read_bytes().lower().startswith(begins.lower())
    assert program.exit_code == 0


def get(url: str, named: str = "X-Origin") -> str:
    """Who answered, or the answer."""
    with urllib.request.urlopen(url, timeout=30) as answer:
        return answer.headers[named] if named else answer.read().decode()


def test_the_wheel_carries_everything(release):
    """Whatever is no module of ours is in it as well: templates, pages' files, fonts, and that it is typed."""
    (wheel,) = release.glob("*.whl")
    (sdist,) = release.glob("*.tar.gz")
    ours = {
        file.relative_to(ROOT / "src").as_posix()
        for file in (ROOT / "src/failover").rglob("*")
        if file.is_file() and "__pycache__" not in file.parts
    }
    packed = set(zipfile.ZipFile(wheel).namelist())
    assert ours <= packed
    assert "failover/py.typed" in packed
    assert {name for name in packed if not name.startswith("failover/")} <= {
        name for name in packed if name.startswith(f"failover-{__version__}.dist-info/")
    }
    with tarfile.open(sdist) as archive:
        unpacked = {name.partition("/")[2] for name in archive.getnames()}
    assert {f"src/{name}" for name in ours} <= unpacked
    assert {"README.md", "LICENSE", "CHANGELOG.md", "constraints.txt", "pyproject.toml", "install.sh"} <= unpacked


def test_a_release_names_the_checksum_of_each_file(release):
    sums = dict(line.split("  ")[::-1] for line in (release / "SHA256SUMS").read_text().splitlines())
    files = {file.name: file.read_bytes() for file in release.iterdir() if file.name != "SHA256SUMS"}
    assert sums == {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}


def test_what_the_installer_leaves_works(installed, tmp_path):
    home, said = installed
    assert f"failover {__version__} is installed with uv" in said
    assert "undo it:  uv tool uninstall failover" in said
    the_whole_tour(home.bin / "failover", tmp_path)


def test_a_second_run_changes_nothing_and_undoing_leaves_nothing(release, installed, tmp_path):
    home, said = installed
    again = home.run(release / "install.sh")
    assert (again.returncode, again.stderr) == (0, said)
    undone = home.run(release / "install.sh", "--uninstall")
    assert undone.returncode == 0
    assert not (home.bin / "failover").exists()
    assert "nothing of Failover" in home.run(release / "install.sh", "--uninstall").stderr


def test_without_uv_and_pipx_it_makes_an_environment(release, home):
    python = home.folder / "tools"
    python.mkdir()
    (python / "python3.11").symlink_to(sys.executable)
    other = home.bin / "failover"
    other.parent.mkdir(parents=True)
    other.write_text("somebody's")
    for way in ("venv", "uv"):
        refused = home.run(release / "install.sh", "--with", way, path=str(python) if way == "venv" else "")
        assert (refused.returncode, other.read_text()) == (1, "somebody's")
        assert "is not ours" in refused.stderr
    other.unlink()
    incident = home.folder / ".local/share/failover/8080/failover.db"
    incident.parent.mkdir(parents=True)
    incident.touch()
    made = home.run(release / "install.sh", "--with", "venv", path=str(python))
    assert made.returncode == 0, made.stderr
    undo = shlex.split(made.stderr.split("undo it:")[1])
    assert (undo[:2], [Path(word).exists() for word in undo[2:]]) == (["rm", "-r"], [True, True])
    assert home.run(home.bin / "failover", "version").stdout == f"failover {__version__}\n"
    assert home.run(release / "install.sh", "--uninstall", path=str(python)).returncode == 0
    assert not other.exists()
    assert list((home.folder / ".local/share/failover").iterdir()) == [incident.parent]


def test_undoing_takes_nothing_away_that_lies_where_somebody_stands(home, tmp_path):
    own = tmp_path / "failover/20260101-000000-1/pyvenv.cfg"
    own.parent.mkdir(parents=True)
    own.touch()
    for setting in ("XDG_DATA_HOME=.", "XDG_DATA_HOME=", f"XDG_DATA_HOME={tmp_path.name}", "HOME=."):
        script = f"cd '{tmp_path}' && env '{setting}' sh '{ROOT}/install.sh' --uninstall"
        done = home.run("sh", "-c", script)
        assert (done.returncode, own.exists()) == (1, True), done.stderr


def test_nothing_is_left_behind_where_nobody_reads_on(release, home, tmp_path):
    aside = tmp_path / "aside"
    aside.mkdir()
    words = f"--with uv --from '{release}/constraints.txt' --sha256 0"
    script = f"{{ TMPDIR='{aside}' sh '{release}/install.sh' {words} 2>&1; }} | true"
    home.run("sh", "-c", script)
    assert list(aside.iterdir()) == []


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_may_not_be_written_to_is_told_before_anything_is_installed(home):
    home.bin.mkdir(parents=True)
    home.bin.chmod(0o555)
    done = home.run("sh", ROOT / "install.sh", "--with", "venv")
    assert (done.returncode, list((home.folder / ".local/share/failover").iterdir())) == (1, [])
    assert "may not be written to by you" in done.stderr


@pytest.mark.parametrize("changed", ["wheel", "constraints"])
def test_what_is_not_what_it_should_be_is_not_installed(release, home, tmp_path, changed):
    text = (release / "install.sh").read_text()
    name = "WHEEL_SHA256" if changed == "wheel" else "CONSTRAINTS_SHA256"
    script = tmp_path / "install.sh"
    script.write_text(re.sub(rf"^{name}='..", f"{name}='zz", text, flags=re.MULTILINE))
    done = home.run("sh", script, "--with", "uv")
    assert done.returncode == 1
    assert "is not what it should be" in done.stderr
    assert not home.bin.exists()


def test_a_page_that_is_not_there_is_no_program(release, home):
    (wheel,) = release.glob("*.whl")
    address = re.search("^RELEASE='(.*)'", (release / "install.sh").read_text(), re.MULTILINE)[1]
    done = home.run(
        "sh", release / "install.sh", "--with", "uv", "--from", f"{address}/x-{wheel.name}", "--sha256", "0"
    )
    assert (done.returncode, home.bin.exists()) == (1, False)
    assert "cannot fetch" in done.stderr


def test_the_name_of_a_wheel_ends_where_its_query_begins(release, home):
    (wheel,) = release.glob("*.whl")
    address = re.search("^RELEASE='(.*)'", (release / "install.sh").read_text(), re.MULTILINE)[1]
    url = f"{address}/{wheel.name}?a=$(id)&b=%20/#c"
    done = home.run("sh", release / "install.sh", "--with", "uv", "--from", url, "--sha256", "0")
    assert f"install: {wheel.name} is not what it should be" in done.stderr


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (["--with", "conda"], 2, "there are uv, pipx and venv"),
        (["--from"], 2, "--from needs a value"),
        (["--from", "http://127.0.0.1:1/x.whl"], 2, "needs --sha256"),
        (["--from", "http://127.0.0.1:1/x.zip", "--sha256", "0"], 1, "ends in .whl"),
        (["--from", "nowhere.whl"], 1, "nowhere.whl is not a file"),
        (["please"], 2, "please is not expected here"),
    ],
)
def test_a_wrong_word_is_told(home, words, code, told):
    done = home.run("sh", ROOT / "install.sh", *words)
    assert done.returncode == code
    assert told in done.stderr


def test_half_a_script_does_nothing(release, home, tmp_path):
    half = tmp_path / "install.sh"
    text = (release / "install.sh").read_text()
    half.write_text(text[: len(text) * 2 // 3])
    assert home.run("sh", half, "--with", "uv").returncode != 0
    assert not home.bin.exists()


def test_the_single_executable_works(executable, tmp_path):
    alone = tmp_path / "failover"
    shutil.copy(executable, alone)
    the_whole_tour(alone, tmp_path)


def test_the_single_executable_shows_the_demo(executable):
    with Process([executable, "demo"], own_group=True) as demo:
        demo.wait_for("The backup answers")
