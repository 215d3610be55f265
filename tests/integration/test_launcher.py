"""`./failover` of a clone, with stand-ins for Python: what it runs, and when it makes the environment anew."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TELL = '#!/bin/sh\nprintf "%s|" "{0}" "$@"\necho\nexit {1}\n'

pytestmark = pytest.mark.skipif(not (ROOT / "failover").exists(), reason="an installed package has no launcher")


def executable(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)


class Clone:
    """A clone in a folder with spaces. The Python of the environment and that of the system tell how they were run."""

    def __init__(self, tmp_path):
        self.folder = tmp_path / "my clone" / "of it"
        self.folder.mkdir(parents=True)
        for name in ("failover", "pyproject.toml", "constraints.txt"):
            shutil.copy(ROOT / name, self.folder)
        shutil.copytree(ROOT / "scripts", self.folder / "scripts", ignore=shutil.ignore_patterns("__pycache__"))
        self.path = tmp_path / "bin"
        self.system_python("#!/bin/sh\nexit 1\n")

    def system_python(self, text):
        for name in ("python3.14", "python3.13", "python3.12", "python3.11", "python3"):
            executable(self.path / name, text)

    def made(self):
        """As if the environment had been made just now."""
        executable(self.folder / ".venv/bin/python", TELL.format("environment", 0))
        files = ["pyproject.toml", "constraints.txt"]
        sums = subprocess.run(["cksum", *files], cwd=self.folder, capture_output=True, text=True, check=True).stdout
        (self.folder / ".venv/stamp-run").write_text(f"{self.folder.resolve()}\n{sums}")
        return self

    def run(self, *args, command=None, cwd=None, **env):
        path = f"{self.path}:{os.environ['PATH']}"
        command = [*(command or [self.folder / "failover"]), *args]
        return subprocess.run(
            command, cwd=cwd, env=os.environ | {"PATH": path} | env, capture_output=True, text=True, check=False
        )


@pytest.fixture
def clone(tmp_path):
    return Clone(tmp_path)


RUN = "environment|-P|-m|failover|"


def test_arguments_arrive_as_they_were_given(clone):
    result = clone.made().run("--primary", "http://a b", "", "*", "$HOME", "'\"")
    assert result.stdout == RUN + "--primary|http://a b||*|$HOME|'\"|\n"
    assert (result.stderr, result.returncode) == ("", 0)


def test_the_exit_code_arrives(clone):
    executable(clone.made().folder / ".venv/bin/python", TELL.format("environment", 7))
    assert clone.run().returncode == 7


def test_it_runs_from_every_folder_and_however_it_is_called(clone, tmp_path):
    clone.made()
    (clone.folder / "deeper").mkdir()
    assert clone.run(command=["./failover"], cwd=clone.folder).stdout == RUN + "\n"
    assert clone.run(command=["../failover"], cwd=clone.folder / "deeper").stdout == RUN + "\n"
    assert clone.run(command=["sh", "failover"], cwd=clone.folder).stdout == RUN + "\n"
    assert (
        clone.run(command=["of it/failover"], cwd=clone.folder.parent, CDPATH=os.fspath(tmp_path)).stdout == RUN + "\n"
    )


def test_it_runs_through_links(clone, tmp_path):
    clone.made()
    (tmp_path / "absolute").symlink_to(clone.folder / "failover")
    (clone.folder.parent / "relative").symlink_to("of it/failover")
    (tmp_path / "link of a link").symlink_to("my clone/relative")
    for link in ("absolute", "link of a link"):
        assert clone.run(command=[tmp_path / link], cwd="/").stdout == RUN + "\n"


@pytest.mark.parametrize("what", ["never made", "interrupted", "other needs", "moved", "other tests only"])
def test_the_environment_is_made_anew(clone, what):
    clone.system_python(TELL.format("system", 0))
    if what != "never made":
        clone.made()
    if what == "interrupted":
        (clone.folder / ".venv/stamp-run").unlink()
    if what == "other needs":
        with (clone.folder / "constraints.txt").open("a") as file:
            file.write("another==1\n")
    if what == "other tests only":
        (clone.folder / ".venv/stamp-run").rename(clone.folder / ".venv/stamp-test")
    if what == "moved":
        clone.folder = clone.folder.rename(clone.folder.parent / "elsewhere")
    said = clone.run("version").stdout
    assert said.startswith(f"system|{clone.folder}/scripts/environment.py|{clone.folder}/|run|{clone.folder}")


def test_no_fitting_python_is_told_with_a_way_out(clone):
    result = clone.run("version")
    assert result.returncode == 1
    assert "Python 3.11 or newer is needed and was not found; install it: " in result.stderr
    assert result.stdout == ""


def test_an_installation_that_fails_runs_nothing(clone):
    clone.system_python('#!/bin/sh\n[ "$1" = -c ]\n')
    result = clone.made().run()
    assert result.stdout == RUN + "\n"
    shutil.rmtree(clone.folder / ".venv")
    assert clone.run().returncode == 1
    assert clone.run().stdout == ""


def test_python_without_venv_is_told_with_a_way_out(clone, tmp_path):
    (tmp_path / "debian/ensurepip").mkdir(parents=True)
    (tmp_path / "debian/ensurepip/__init__.py").write_text("raise ImportError('taken out')\n")
    clone.system_python(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    result = clone.run("version", PYTHONPATH=os.fspath(tmp_path / "debian"))
    assert result.returncode == 1
    assert "apt-get install python3." in result.stderr
    assert "Traceback" not in result.stderr
