"""The files by which platforms run the program: what stands in each of them, read by a real parser.

`environment(platform, folder)` is what the program is given there, from the files of a folder that can be deployed:
the repository itself, or one that `deploy/quick-deploy.sh` wrote.
"""

from __future__ import annotations

import json
import re
import tomllib
from typing import TYPE_CHECKING

import yaml

if TYPE_CHECKING:
    from pathlib import Path

PLATFORMS = ("docker", "railway", "render", "fly", "digitalocean", "heroku", "kubernetes", "systemd")


def environment(platform: str, folder: Path) -> dict[str, str]:
    """The variables that the files of a folder set; values are what their form says they are."""
    told = _READERS[platform](folder)
    assert all(isinstance(value, str) for value in told.values()), f"a platform wants texts: {told}"
    return told


def _docker(folder: Path) -> dict[str, str]:
    known = dotenv((folder / ".env").read_text()) if (folder / ".env").exists() else {}
    written = compose(folder)["services"]["failover"]["environment"]
    return {name: interpolate(value, known) for name, value in written.items()}


def compose(folder: Path) -> dict:
    return yaml.safe_load((folder / "compose.yaml").read_text())


def dotenv(text: str) -> dict[str, str]:
    """A file of Docker Compose: in '...' everything is as it stands, but for \\'."""
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    found = [re.fullmatch(r"(\w+)='((?:[^'\\]|\\.)*)'", line) for line in lines]
    assert all(found), lines
    return {one[1]: one[2].replace("\\'", "'") for one in found if one}


def interpolate(text: str, known: dict[str, str]) -> str:
    """What Compose makes of ${NAME:-default}."""
    return re.sub(r"\$\{(\w+):-([^}]*)\}", lambda found: known.get(found[1]) or found[2], text)


def _railway(folder: Path) -> dict[str, str]:
    assert set(json.loads((folder / "railway.json").read_text())) == {"$schema", "build", "deploy"}
    return {}


def _render(folder: Path) -> dict[str, str]:
    service = render(folder)
    return {one["key"]: one["value"] for one in service["envVars"] if "value" in one}


def render(folder: Path) -> dict:
    (service,) = yaml.safe_load((folder / "render.yaml").read_text())["services"]
    return service


def fly(folder: Path) -> dict:
    return form(folder / "fly.toml")


def form(file: Path) -> dict:
    """What a file of a platform holds: TOML, or YAML, of which JSON is a part."""
    return tomllib.loads(file.read_text()) if file.suffix == ".toml" else yaml.safe_load(file.read_text())


def _digitalocean(folder: Path) -> dict[str, str]:
    return {one["key"]: one["value"] for one in app_platform(folder)["services"][0]["envs"] if "value" in one}


def app_platform(folder: Path) -> dict:
    """The spec: under a key of its own for the deploy button, bare for the command."""
    if (folder / ".do/app.yaml").exists():
        return yaml.safe_load((folder / ".do/app.yaml").read_text())
    return yaml.safe_load((folder / ".do/deploy.template.yaml").read_text())["spec"]


def _heroku(folder: Path) -> dict[str, str]:
    told = json.loads((folder / "app.json").read_text())["env"]
    return {name: one["value"] for name, one in told.items() if "value" in one}


def _kubernetes(folder: Path) -> dict[str, str]:
    (settings,) = kustomization(folder)["configMapGenerator"]
    return dict(one.split("=", 1) for one in settings["literals"])


def kubernetes_folder(folder: Path) -> Path:
    return folder / "deploy/k8s" if (folder / "deploy/k8s").exists() else folder


def kustomization(folder: Path) -> dict:
    return yaml.safe_load((kubernetes_folder(folder) / "kustomization.yaml").read_text())


def deployment(folder: Path) -> dict:
    return yaml.safe_load((kubernetes_folder(folder) / "deployment.yaml").read_text())


def systemd_folder(folder: Path) -> Path:
    return folder / "deploy/systemd" if (folder / "deploy/systemd").exists() else folder


def _systemd(folder: Path) -> dict[str, str]:
    return unit_environment((systemd_folder(folder) / "failover.env").read_text())


def unit_environment(text: str) -> dict[str, str]:
    """An EnvironmentFile= of systemd: '...' as it stands; in "..." a backslash goes before \\ " $ `."""
    told = {}
    for line in text.splitlines():
        if not line or line.startswith(("#", ";")):
            continue
        name, _, value = line.partition("=")
        assert re.fullmatch(r"""'[^']*'|"(?:[^"\\]|\\.)*\"""", value), line
        inner = value[1:-1]
        told[name] = inner if value[0] == "'" else re.sub(r'\\([\\"$`])', r"\1", inner)
    return told


def unit(text: str) -> dict[str, list[str]]:
    """The keys of a unit, each with all its values, whatever its section."""
    told: dict[str, list[str]] = {}
    for line in text.splitlines():
        if line and line[0] not in "#;[":
            key, _, value = line.partition("=")
            told.setdefault(key, []).append(value)
    return told


_READERS = {
    "docker": _docker,
    "railway": _railway,
    "render": _render,
    "fly": lambda folder: fly(folder)["env"],
    "digitalocean": _digitalocean,
    "heroku": _heroku,
    "kubernetes": _kubernetes,
    "systemd": _systemd,
}
