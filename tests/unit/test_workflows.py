"""The workflows of the code host, as far as they can be judged without it."""

import re
import subprocess
import tomllib
from pathlib import Path

import pytest
import yaml

from support.tools import tool

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / ".github/workflows"
WORKFLOWS = sorted(FOLDER.glob("*.yml"))

pytestmark = pytest.mark.skipif(not FOLDER.exists(), reason="an installed package has no workflows")


def steps():
    for file in WORKFLOWS:
        for name, job in yaml.safe_load(file.read_text())["jobs"].items():
            for step in job["steps"]:
                yield f"{file.name}: {name}", step


def test_each_action_is_one_commit_and_names_its_version():
    used = re.findall(r"uses: (\S+)(.*)", "".join(file.read_text() for file in WORKFLOWS))
    assert len(used) > 10
    for action, comment in used:
        assert re.fullmatch(r"[\w./-]+@[0-9a-f]{40}", action), action
        assert re.fullmatch(r" # v\d+\.\d+\.\d+", comment), f"{action} does not say its version"


def test_what_they_run_is_there():
    chores = set(re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    ours, made = set(), set()
    for _, step in steps():
        words = step.get("run", "")
        made |= set(re.findall(r"\bmake (\w+)", words))
        ours |= set(re.findall(r"(?<![\w./])(?:\./)?((?:packaging|tests|scripts)/[\w/.]+|verify\.sh)", words))
    assert made
    assert made <= chores
    assert "verify.sh" in ours
    assert {one for one in ours if not (ROOT / one).exists()} == set()


def test_they_test_each_python_that_is_promised():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    oldest = project["requires-python"].removeprefix(">=")
    versions = yaml.safe_load((FOLDER / "ci.yml").read_text())["jobs"]["verify"]["strategy"]["matrix"]["python"]
    assert versions[0] == oldest
    assert [f"Programming Language :: Python :: {one}" for one in versions] == [
        one for one in project["classifiers"] if "Python :: 3." in one
    ]
    assert [int(one.split(".")[1]) for one in versions] == list(range(11, 11 + len(versions)))
    assert f"python{versions[-1]} " in (ROOT / "scripts/environment.sh").read_text()


def test_nobody_may_more_than_they_need():
    for file in WORKFLOWS:
        workflow = yaml.safe_load(file.read_text())
        assert workflow["permissions"] in ({}, {"contents": "read"}), file.name
        for name, job in workflow["jobs"].items():
            assert "timeout-minutes" in job, f"{file.name}: {name}"


def test_a_linter_of_workflows_finds_nothing():
    command = [tool("zizmor"), "--offline", "--no-progress", "--pedantic", str(FOLDER)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_they_have_the_form_of_workflows():
    command = [tool("check-jsonschema"), "--builtin-schema", "vendor.github-workflows", *map(str, WORKFLOWS)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
