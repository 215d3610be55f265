"""The model as the table that everything else is made from; what the machine gives; secrets masked."""

import re
import resource
from pathlib import Path

import pytest
import yaml
from pydantic import ValidationError

from failover.core.model import Kind
from failover.settings import machine
from failover.settings.model import Listen, Settings
from failover.settings.reference import page
from failover.settings.rows import SETTINGS
from failover.settings.schema import json_schema
from failover.settings.secret import mask_text, mask_webhook
from failover.settings.sources import load
from failover.targets import parse_target

ROOT = Path(__file__).parents[2]
PRIMARY, BACKUP = parse_target("http://app.test", "primary"), parse_target("http://standby.test", "backup")


def settings(**values):
    return Settings(primary=PRIMARY, backup=(BACKUP,), **values)


# The model


def test_settings_can_be_made_of_values():
    made = settings(listen=Listen("127.0.0.1", 0), check_interval=0.001, workers=1)
    assert (made.primary, made.backup) == (PRIMARY, (BACKUP,))
    assert (made.listen, made.check_interval) == (Listen("127.0.0.1", 0), 0.001)


def test_settings_do_not_change_and_know_no_other_names():
    with pytest.raises(ValidationError, match="frozen"):
        settings().workers = 2
    with pytest.raises(ValidationError, match=r"[Ee]xtra"):
        settings(wrkers=2)


def test_every_setting_has_a_name_in_each_source_and_one_line_of_meaning():
    for key, setting in SETTINGS.items():
        assert setting.flag == f"--{key.replace('_', '-')}"
        assert setting.variables[0] == f"FAILOVER_{key.upper()}"
        assert setting.facts.meaning.endswith(".")
        assert len(setting.facts.meaning) <= 120
        assert "\n" not in setting.facts.meaning


def test_no_variable_means_two_settings():
    names = [name for setting in SETTINGS.values() for name in setting.variables]
    assert len(names) == len(set(names))


def test_the_originals_settings_stand_first():
    assert list(SETTINGS)[:11] == [
        "primary",
        "backup",
        "listen",
        "check_interval",
        "fail_threshold",
        "recover_threshold",
        "max_body",
        "config",
        "json_logs",
        "webhook_url",
        "webhook_format",
    ]


def test_every_default_is_what_one_gets_by_writing_it():
    made = settings()
    for key, setting in SETTINGS.items():
        if setting.shown_default and not setting.facts.shown_default:
            assert setting.facts.form.parse(setting.shown_default) == getattr(made, key), key


def test_values_are_written_with_their_secrets_masked():
    made = load(
        {
            "primary": "https://u:hunter2@app.test/x?t=hunter2",
            "webhook_url": "https://hooks.slack.com/services/T/B/hunter2abcd",
        },
        {"BACKUP_URL": "http://a.test,http://b.test"},
    ).settings
    assert SETTINGS["primary"].write(made.primary) == "https://***@app.test/x?***"
    assert SETTINGS["backup"].write(made.backup) == ["http://a.test", "http://b.test"]
    assert SETTINGS["webhook_url"].write(made.webhook_url) == ["https://hooks.slack.com/…abcd"]
    assert SETTINGS["check_path"].write(None) is None


def test_auto_is_the_default_that_this_machine_gives():
    both = {"primary": "http://app.test", "backup": "http://standby.test"}
    for workers in ("auto", "2"):
        given = load({**both, "workers": workers, "max_connections": "auto"}, {}).settings
        assert given.max_connections == machine.default_connections(given.workers)


def test_kinds_are_found_by_host_unless_they_are_said():
    given = {"primary": "http://app.test", "backup": "https://x.s3.amazonaws.com"}
    assert load(given, {}).settings.backup[0].kind is Kind.STATIC


# This machine


def test_usable_cores_are_at_least_one_and_heed_a_container(monkeypatch, tmp_path):
    limit = tmp_path / "cpu.max"
    monkeypatch.setattr(machine, "_CGROUP_LIMIT", limit)
    free = machine.usable_cores()
    assert free >= 1
    limit.write_text("50000 100000")
    assert machine.usable_cores() == 1
    limit.write_text("max 100000")
    assert machine.usable_cores() == free
    assert 1 <= machine.default_workers() <= 4


@pytest.mark.parametrize(
    ("limits", "connections", "asked"),
    [
        ((1024, 20_064), 10_000, [(20_064, 20_064)]),
        ((20_064, 20_064), 10_000, []),
        ((64, 64), 16, []),
        ((1024, resource.RLIM_INFINITY), 5088, [(10_240, resource.RLIM_INFINITY)]),
        ((resource.RLIM_INFINITY, resource.RLIM_INFINITY), 100_000, []),
    ],
)
def test_the_limit_of_open_files_is_raised_and_decides_the_connections(monkeypatch, limits, connections, asked):
    raised = []
    monkeypatch.setattr(resource, "getrlimit", lambda _: limits)
    monkeypatch.setattr(resource, "setrlimit", lambda _, wanted: raised.append(wanted))
    machine.raise_file_limit()
    assert raised == asked
    assert machine.default_connections(1) == connections


# Secrets


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("GET https://u:p@h.test/x?a=1&b=2 failed", "GET https://***@h.test/x?a=***&b=*** failed"),
        ("http://h.test/x?token", "http://h.test/x?***"),
        ("http://h.test/x", "http://h.test/x"),
        ("http://user@h.test", "http://***@h.test"),
        ("http://h.test/@x", "http://h.test/@x"),
        ("/path?a=b&c", "/path?a=***&c"),
        ("why? because", "why? because"),
        ("to https://hooks.slack.com/services/T0/B0/abcdefghijkl: 500", "to https://hooks.slack.com/…jkl: 500"),
        ("https://discord.com/api/v10/webhooks/1/secretsecret", "https://discord.com/…cret"),
        ("https://u:p@discord.com/api/webhooks/1/secretsecret", "https://discord.com/…cret"),
    ],
)
def test_texts_lose_the_secrets_of_their_addresses(text, masked):
    assert mask_text(text) == masked


@pytest.mark.parametrize(
    ("url", "masked"),
    [
        ("https://h.test/abc", "https://h.test/…"),
        ("https://h.test?secret=1", "https://h.test"),
        ("https://u:p@h.test/secretsecretsecret", "https://h.test/…cret"),
        ("tgram://token/chat", "tgram://***"),
        ("nonsense", "***"),
    ],
)
def test_webhooks_keep_their_host_and_little_more(url, masked):
    assert mask_webhook(url) == masked


# What is made from the model


def test_the_reference_page_is_up_to_date():
    assert (ROOT / "docs/reference/settings.md").read_text(encoding="utf-8") == page()


def test_the_reference_page_names_everything():
    for setting in SETTINGS.values():
        for name in (setting.flag, *setting.variables):
            assert re.search(rf"`{name}[ `]", page()), name


def test_the_example_file_shows_true_defaults_and_every_key():
    text = (ROOT / "config.example.yaml").read_text(encoding="utf-8")
    defaults = yaml.load(re.sub(r"(?m)^#(?=[a-z_]+: )", "", text), Loader=yaml.BaseLoader)
    for key, value in defaults.items():
        setting = SETTINGS[key]
        assert setting.required or setting.facts.form.parse(value) == setting.default, key
    shown = set(re.findall(r"(?m)^#? *([a-z_]+): ", text))
    assert shown >= {key for key, setting in SETTINGS.items() if setting.facts.in_file}


def valid(schema, value):
    """As much of JSON Schema as ours uses."""
    types = {"object": dict, "array": list, "string": str, "integer": int, "number": (int, float), "boolean": bool}
    if "anyOf" in schema and not any(valid(one, value) for one in schema["anyOf"]):
        return False
    if "enum" in schema and not any(value == one and type(value) is type(one) for one in schema["enum"]):
        return False
    wanted = schema.get("type", [])
    for name in [wanted] if isinstance(wanted, str) else wanted[:1]:
        if not isinstance(value, types[name]) or (isinstance(value, bool) and name in {"integer", "number"}):
            return False
    if "pattern" in schema and not re.search(schema["pattern"], value):
        return False
    if not schema.get("minimum", value) <= value <= schema.get("maximum", value) if "minimum" in schema else False:
        return False
    if isinstance(value, dict):
        return all(
            valid(schema["properties"][key], one) if key in schema["properties"] else key.startswith("x-")
            for key, one in value.items()
        )
    return all(valid(schema["items"], one) for one in value) if isinstance(value, list) and "items" in schema else True


@pytest.mark.parametrize(
    ("text", "good"),
    [
        ("fail_threshold: 3\nmax_body: 10MB\ncheck_interval: 2\nlisten: 8080\njson_logs: yes", True),
        ('fail_threshold: "3"\nmax_body: 1_000\ncheck_interval: 1m 30sec\nlisten: "[::]:80"\njson_logs: "on"', True),
        ("backup: http://a.test\ncheck_expect: 200\ncheck_method: head\nworkers: Auto\nupstream_ca: ''", True),
        ("backup: [http://a.test, http://b.test]\ncheck_expect: 200-299,3xx\nlog_level: INFO\nhost:", True),
        ("trusted_proxies: [10.0.0.0/8, private]\nmax_connections: 5\nx-mine: {a: b}\npublic_state: 'off'", True),
        ("fail_treshold: 3", False),
        ("config: other.yaml", False),
        ("fail_threshold: three", False),
        ("fail_threshold: 0", False),
        ("check_interval: fast", False),
        ("listen: [80]", False),
        ("backup: {a: b}", False),
        ("log_level: loud", False),
    ],
)
def test_the_schema_takes_what_the_proxy_takes(tmp_path, text, good):
    assert valid(json_schema(), yaml.safe_load(text)) is good
    path = tmp_path / "config.yaml"
    path.write_text(text)
    environ = {"PRIMARY_URL": "http://app.test", "BACKUP_URL": "http://standby.test"}
    if good:
        load({"config": str(path)}, environ)
    else:
        with pytest.raises(Exception, match=r"config\.yaml:1:"):
            load({"config": str(path)}, environ)


def test_the_schema_describes_every_key_of_the_file():
    schema = json_schema()
    assert set(schema["properties"]) == {key for key, setting in SETTINGS.items() if setting.facts.in_file}
    assert schema["properties"]["check_interval"]["default"] == "2s"
    assert schema["properties"]["json_logs"]["default"] is False
