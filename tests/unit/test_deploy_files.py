"""Deploy files and pages: what they name exists, what they promise fits together, their form is the platform's."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import jsonschema
import pytest
import yaml

from failover import __version__
from failover.settings.model import Settings
from failover.settings.rows import SETTINGS
from support import handbook, platforms
from support.calls import OTHERS_VARIABLES, VARIABLES
from support.platform_schemas import SCHEMAS
from support.platforms import PLATFORMS
from support.tools import tool

ROOT = Path(__file__).parents[2]
_KINDS = {".yaml", ".sh", ".service", ".socket", ".env"}
DEPLOY = [
    "Dockerfile", "compose.yaml", "railway.json", "render.yaml", "fly.toml", ".do/deploy.template.yaml", "heroku.yml",
    "app.json", *(str(p.relative_to(ROOT)) for p in sorted((ROOT / "deploy").rglob("*")) if p.suffix in _KINDS),
]  # fmt: skip
PAGES = ["config.example.yaml", *(str(page.relative_to(ROOT)) for page in handbook.PAGES)]

pytestmark = pytest.mark.skipif(not (ROOT / "Dockerfile").exists(), reason="an installed package has no deploy files")


# -- names


@pytest.mark.parametrize("name", [*DEPLOY, *PAGES])
def test_each_variable_that_is_named_is_a_setting(name):
    text = (ROOT / name).read_text()
    named = set(re.findall(r"\bFAILOVER_[A-Z_]+[A-Z]\b(?!<)", text)) - OTHERS_VARIABLES
    assert named <= VARIABLES


@pytest.mark.parametrize("platform", PLATFORMS)
def test_what_a_file_sets_is_a_setting_with_a_value_that_it_may_have(platform):
    told = platforms.environment(platform, ROOT)
    assert set(told) <= VARIABLES
    for key, setting in SETTINGS.items():
        for variable in setting.variables:
            if told.get(variable) and not setting.several and key != "primary":
                setting.facts.form.parse(told[variable])


def test_secrets_have_no_value_in_any_file():
    secret = {name for setting in SETTINGS.values() if setting.facts.secret for name in setting.variables}
    assert "WEBHOOK_URL" in secret
    for platform in PLATFORMS:
        assert not [name for name, value in platforms.environment(platform, ROOT).items() if name in secret and value]
    (spec,) = platforms.app_platform(ROOT)["services"]
    assert {one["key"] for one in spec["envs"] if one.get("type") == "SECRET"} == {
        "WEBHOOK_URL",
        "FAILOVER_ADMIN_TOKEN",
    }


def test_a_variable_that_is_none_is_found():
    assert not set(re.findall(r"\bFAILOVER_[A-Z_]+", "FAILOVER_FAIL_TRESHOLD=3")) <= VARIABLES


# -- what must fit together

DRAIN = Settings.model_fields["drain_timeout"].default
MORE = 7  # the supervisor's grace, and the controller, which leaves last


def _seconds(text: str) -> float:
    return SETTINGS["drain_timeout"].facts.form.parse(str(text))


def test_nobody_is_killed_while_requests_in_hand_may_finish():
    pod = platforms.deployment(ROOT)["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    waits = float(container["lifecycle"]["preStop"]["exec"]["command"][1])
    unit = platforms.unit((ROOT / "deploy/systemd/failover.service").read_text())
    given = {
        "docker": _seconds(platforms.compose(ROOT)["services"]["failover"]["stop_grace_period"]),
        "railway": json.loads((ROOT / "railway.json").read_text())["deploy"]["drainingSeconds"],
        "render": platforms.render(ROOT)["maxShutdownDelaySeconds"],
        "fly": platforms.fly(ROOT)["kill_timeout"],
        "digitalocean": platforms.app_platform(ROOT)["services"][0]["termination"]["grace_period_seconds"],
        "kubernetes": pod["terminationGracePeriodSeconds"] - waits,
        "systemd": _seconds(unit["TimeoutStopSec"][0]),
    }
    assert set(given) == set(PLATFORMS) - {"heroku"}
    assert [name for name, seconds in given.items() if seconds < DRAIN + MORE] == []
    assert _seconds(platforms.environment("heroku", ROOT)["FAILOVER_DRAIN_TIMEOUT"]) + MORE < 30, (
        "Heroku waits no longer"
    )


def test_one_port_is_meant_everywhere():
    docker = (ROOT / "Dockerfile").read_text()
    (container,) = platforms.deployment(ROOT)["spec"]["template"]["spec"]["containers"]
    ports = {
        int(re.search(r"^EXPOSE (\d+)$", docker, re.MULTILINE)[1]),
        platforms.fly(ROOT)["http_service"]["internal_port"],
        platforms.app_platform(ROOT)["services"][0]["http_port"],
        container["ports"][0]["containerPort"],
        *(int(one.rpartition(":")[2]) for one in platforms.compose(ROOT)["services"]["failover"]["ports"]),
    }
    assert ports == {Settings.model_fields["listen"].default.port}


def test_everybody_asks_whether_the_proxy_lives_and_nobody_whether_a_target_does():
    (container,) = platforms.deployment(ROOT)["spec"]["template"]["spec"]["containers"]
    asked = {
        json.loads((ROOT / "railway.json").read_text())["deploy"]["healthcheckPath"],
        platforms.render(ROOT)["healthCheckPath"],
        *(one["path"] for one in platforms.fly(ROOT)["http_service"]["checks"]),
        platforms.app_platform(ROOT)["services"][0]["health_check"]["http_path"],
        *(container[probe]["httpGet"]["path"] for probe in ("startupProbe", "readinessProbe", "livenessProbe")),
    }
    assert asked == {"/__failover/health"}


def test_the_state_is_kept_where_the_image_says():
    docker = (ROOT / "Dockerfile").read_text()
    folder = re.search(r"FAILOVER_STATE_DIR=(\S+)", docker)[1]
    (container,) = platforms.deployment(ROOT)["spec"]["template"]["spec"]["containers"]
    assert platforms.compose(ROOT)["services"]["failover"]["volumes"] == [f"state:{folder}"]
    assert platforms.fly(ROOT)["mounts"]["destination"] == folder
    assert {"name": "state", "mountPath": folder} in container["volumeMounts"]


def test_nobody_is_root():
    user = re.search(r"^USER (\d+):\d+$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)[1]
    pod = platforms.deployment(ROOT)["spec"]["template"]["spec"]
    assert user != "0"
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert str(pod["securityContext"]["runAsUser"]) == user
    assert f"user {user}" in (ROOT / "deploy/DEPLOY.md").read_text()


def test_nothing_but_what_the_image_is_made_of_gets_into_it():
    lines = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and not line.startswith("#")]
    assert lines[0] == "*"
    let_in = {line.removeprefix("!") for line in lines if line.startswith("!")}
    copied = {word for line in re.findall(r"^COPY (?!--from)(.+)$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
              for word in line.split()[:-1]}  # fmt: skip
    assert copied == let_in
    assert all((ROOT / name).exists() for name in copied)


def test_the_image_can_be_built_where_builders_know_less():
    """Railway refuses VOLUME, and builders without BuildKit know no mounts and no here-documents."""
    steps = "\n".join(line for line in (ROOT / "Dockerfile").read_text().splitlines() if not line.startswith("#"))
    assert not re.search(r"^VOLUME|--mount|<<|--link|--chmod|--start-interval", steps, re.MULTILINE)
    assert re.findall(r"^(?:ENTRYPOINT|CMD) .*$", steps, re.MULTILINE) == ['ENTRYPOINT ["failover"]', 'CMD ["run"]']


def test_the_tag_is_the_version():
    (image,) = platforms.kustomization(ROOT)["images"]
    assert image["newTag"] == __version__


def test_the_image_of_a_release_has_a_name_that_a_registry_takes_and_the_version_as_its_tag():
    steps = yaml.safe_load((ROOT / ".github/workflows/release.yml").read_text())["jobs"]["image"]["steps"]
    assert "${{ github.repository }}" not in json.dumps([step.get("with") for step in steps])
    (script,) = (step["run"] for step in steps if step.get("id") == "image")
    told = {"GITHUB_REPOSITORY": "Some-Body/Failover", "GITHUB_REF_NAME": "v1.2.3", "GITHUB_OUTPUT": "/dev/stdout"}
    done = subprocess.run(["bash", "-c", script], env=told, capture_output=True, text=True, check=True)
    assert done.stdout == "name=ghcr.io/some-body/failover\ntag=1.2.3\n"


def test_the_settings_of_kubernetes_reach_the_container():
    (container,) = platforms.deployment(ROOT)["spec"]["template"]["spec"]["containers"]
    (settings,) = platforms.kustomization(ROOT)["configMapGenerator"]
    by_kind = {kind: one[kind] for one in container["envFrom"] for kind in one}
    assert by_kind["configMapRef"] == {"name": settings["name"]}
    assert by_kind["secretRef"] == {"name": "failover-secrets", "optional": True}


# -- the form


@pytest.mark.parametrize("name", [name for name in SCHEMAS if name != ".do/app.yaml"])
def test_a_file_has_the_form_that_its_platform_reads(name):
    jsonschema.validate(platforms.form(ROOT / name), SCHEMAS[name])


@pytest.mark.parametrize("name", [name for name in SCHEMAS if name != ".do/app.yaml"])
def test_a_key_that_nobody_knows_is_found(name):
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(platforms.form(ROOT / name) | {"nothing": 1}, SCHEMAS[name])


def test_the_compose_file_fits_the_specification():
    done = subprocess.run([tool("check-jsonschema"), "--builtin-schema", "vendor.compose-spec", ROOT / "compose.yaml"],
                          capture_output=True, text=True, check=False)  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr


def test_hadolint_has_nothing_to_say():
    done = subprocess.run([tool("hadolint"), ROOT / "Dockerfile"], capture_output=True, text=True, check=False)
    assert (done.stdout + done.stderr, done.returncode) == ("", 0)


SCRIPTS = ["deploy/quick-deploy.sh", "failover", "verify.sh", "scripts/check.sh", "scripts/environment.sh"]


def test_shellcheck_has_nothing_to_say():
    command = [tool("shellcheck"), "--shell=sh", "--exclude=SC1090,SC1091", *SCRIPTS]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.stdout + done.stderr, done.returncode) == ("", 0)


def kustomize(folder: Path) -> dict:
    """What `kubectl apply --kustomize` would apply, by kind."""
    done = subprocess.run([tool("kubectl"), "kustomize", folder], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return {one["kind"]: one for one in yaml.safe_load_all(done.stdout)}


def test_kustomize_makes_what_kubernetes_takes():
    made = kustomize(ROOT / "deploy/k8s")
    assert set(made) == {"ConfigMap", "Service", "Deployment", "PodDisruptionBudget"}
    assert made["ConfigMap"]["data"] == platforms.environment("kubernetes", ROOT)
    (container,) = made["Deployment"]["spec"]["template"]["spec"]["containers"]
    assert container["envFrom"][0]["configMapRef"]["name"] == made["ConfigMap"]["metadata"]["name"]
    labels = made["Deployment"]["spec"]["template"]["metadata"]["labels"]
    assert made["Service"]["spec"]["selector"].items() <= labels.items()
    assert made["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"].items() <= labels.items()


def test_kubernetes_knows_every_key():
    validate = pytest.importorskip("kubernetes_validate", reason="kubernetes-validate is 108 MB and not here")
    for path in sorted((ROOT / "deploy/k8s").glob("*.yaml")):
        if path.name != "kustomization.yaml":
            validate.validate(yaml.safe_load(path.read_text()), "1.31", strict=True)


def test_systemd_understands_the_units_and_finds_them_closed(tmp_path):
    analyze = tool("systemd-analyze")
    for name in ("failover.service", "failover.socket"):
        text = (ROOT / "deploy/systemd" / name).read_text()
        (tmp_path / name).write_text(text.replace("/opt/failover/bin/failover", "/bin/true"))
    units = [tmp_path / "failover.service", tmp_path / "failover.socket"]
    done = subprocess.run([analyze, "verify", *units], capture_output=True, text=True, check=False)
    assert (done.stderr, done.returncode) == ("", 0), (
        "it exits 0 for what it does not understand, and says so only there"
    )
    scored = subprocess.run([analyze, "security", "--offline=true", "--threshold=15", units[0]], capture_output=True,
                            text=True, check=False)  # fmt: skip
    assert scored.returncode == 0, scored.stdout[-200:]
    with units[0].open("a") as file:
        file.write("[Service]\nProtectEverything=yes\n")
    done = subprocess.run([analyze, "verify", units[0]], capture_output=True, text=True, check=False)
    assert "ProtectEverything" in done.stderr
