"""Flags, environment and file to one `Settings`; every mistake with its place and a sentence."""

import ipaddress
import tempfile
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from failover.core.model import Kind
from failover.errors import SettingsError
from failover.settings.model import Listen
from failover.settings.rows import SETTINGS
from failover.settings.source import SourceKind
from failover.settings.sources import load, load_listen

BOTH = {"PRIMARY_URL": "http://app.test", "BACKUP_URL": "http://standby.test"}


def told(given, environ):
    """The lines that a user reads."""
    with pytest.raises(SettingsError) as error:
        load(given, environ)
    assert error.value.exit_code == 2
    return list(error.value.lines)


@pytest.fixture
def in_file(tmp_path, monkeypatch):
    """Write the file and give back its name as the user writes it."""
    monkeypatch.chdir(tmp_path)

    def write(text, name="config.yaml"):
        Path(name).write_bytes(text if isinstance(text, bytes) else text.encode())
        return {"config": name}

    return write


# What is taken


def test_two_addresses_are_the_whole_setup():
    settings = load({"primary": "https://app.test/base", "backup": ("http://standby.test",)}, {}).settings
    assert settings.primary.url == "https://app.test/base"
    assert [target.alias for target in settings.backup] == ["backup"]
    assert (settings.listen, settings.check_interval, settings.fail_threshold) == (Listen("0.0.0.0", 8080), 2.0, 3)
    assert (settings.max_body, settings.json_logs, settings.webhook_url) == (10_000_000, False, ())
    assert 1 <= settings.workers <= 4
    assert settings.max_connections >= 16


def test_a_flag_wins_over_a_variable_over_the_file_over_the_default(in_file):
    flags = in_file("check_interval: 9s\nfail_threshold: 9\nmax_body: 9MB\n")
    loaded = load({**flags, "check_interval": "7s"}, {**BOTH, "CHECK_INTERVAL": "8s", "FAIL_THRESHOLD": "8"})
    settings = loaded.settings
    assert (settings.check_interval, settings.fail_threshold, settings.max_body) == (7.0, 8, 9_000_000)
    assert settings.recover_threshold == 2
    sources = {key: str(loaded.sources[key]) for key in ("check_interval", "fail_threshold", "max_body", "config")}
    assert sources == {
        "check_interval": "--check-interval",
        "fail_threshold": "FAIL_THRESHOLD",
        "max_body": "config.yaml:3:11",
        "config": "--config",
    }
    assert loaded.sources["recover_threshold"].kind is SourceKind.DEFAULT


def test_an_empty_variable_counts_as_unset_and_so_does_an_empty_value_in_the_file(in_file):
    flags = in_file("webhook_url: ''\nwebhook_format:\nfail_threshold: ~\nbackup: []\n")
    loaded = load(flags, {**BOTH, "FAIL_THRESHOLD": "", "FAILOVER_CHECK_PATH": " ", "FAILOVER_PRIMARY": ""})
    assert loaded.settings.fail_threshold == 3
    assert loaded.settings.webhook_url == ()
    assert str(loaded.sources["primary"]) == "PRIMARY_URL"


def test_our_variable_wins_over_the_original_one():
    assert load({}, {**BOTH, "FAIL_THRESHOLD": "5", "FAILOVER_FAIL_THRESHOLD": "6"}).settings.fail_threshold == 6


def test_every_variable_of_the_original_is_read():
    environ = {
        "PRIMARY_URL": "https://app.test",
        "BACKUP_URL": "https://standby.test",
        "PORT": "9000",
        "CHECK_INTERVAL": "5s",
        "FAIL_THRESHOLD": "4",
        "RECOVER_THRESHOLD": "5",
        "WEBHOOK_URL": "https://hooks.slack.com/services/T/B/x",
        "WEBHOOK_FORMAT": "discord",
        "MAX_BODY": "1MB",
        "JSON_LOGS": "true",
    }
    settings = load({}, environ).settings
    assert (settings.listen.port, settings.check_interval, settings.fail_threshold) == (9000, 5.0, 4)
    assert (settings.recover_threshold, settings.webhook_format, settings.max_body) == (5, ("discord",), 1_000_000)
    assert settings.json_logs is True


def test_the_originals_example_file_is_taken(in_file):
    flags = in_file(
        'listen: "0.0.0.0:8080"\nprimary: "https://myapp.com"\nbackup: "https://myapp-backup.s3.amazonaws.com"\n'
        'check_interval: "2s"\nfail_threshold: 3\nrecover_threshold: 2\nmax_body: "10MB"\njson_logs: false\n\n'
        '# Auto Incident Reports (optional)\nwebhook_url: "https://hooks.slack.com/services/YOUR/WEBHOOK/URL"\n'
        'webhook_format: "slack"  # or "discord"\n'
    )
    settings = load(flags, {}).settings
    assert settings.primary.url == "https://myapp.com"
    assert settings.backup[0].kind is Kind.STATIC
    assert settings.webhook_format == ("slack",)


def test_our_own_example_file_is_taken():
    example = Path(__file__).parents[2] / "config.example.yaml"
    assert load({"config": str(example)}, {}).settings.primary.url == "https://myapp.com"


def test_port_moves_only_the_port_of_the_default(in_file):
    loaded = load({}, {**BOTH, "PORT": "9000"})
    assert loaded.settings.listen == Listen("0.0.0.0", 9000)
    assert str(loaded.sources["listen"]) == "PORT"
    assert load({"listen": "127.0.0.1:1"}, {**BOTH, "PORT": "9000"}).settings.listen.port == 1
    assert load({}, {**BOTH, "PORT": "9000", "FAILOVER_LISTEN": "[::1]:2"}).settings.listen == Listen("::1", 2)
    assert load(in_file("listen: 0.0.0.0:3"), {**BOTH, "PORT": "nonsense"}).settings.listen.port == 3


def test_several_backups_are_a_ladder_however_they_are_given(in_file):
    ladder = [("backup", "http://a.test"), ("backup-2", "http://b.test"), ("backup-3", "http://c.test")]
    primary = {"primary": "http://app.test"}
    ways = [
        ({**primary, "backup": ("http://a.test", "http://b.test", "http://c.test")}, {}),
        ({**primary, "backup": ("http://a.test,http://b.test", "http://c.test")}, {}),
        (primary, {"BACKUP_URL": " http://a.test, http://b.test,http://c.test, "}),
        ({**primary, **in_file("backup: [http://a.test, http://b.test, http://c.test]")}, {}),
        ({**primary, **in_file("backup: http://a.test, http://b.test,http://c.test", "one.yaml")}, {}),
        ({**primary, **in_file("backup:\n- http://a.test\n- http://b.test\n- http://c.test", "list.yaml")}, {}),
    ]
    for flags, environ in ways:
        assert [(one.alias, one.url) for one in load(flags, environ).settings.backup] == ladder


def test_a_comma_within_an_address_stays():
    backup = load({"primary": "http://app.test", "backup": "http://a.test/x,y,http://b.test"}, {}).settings.backup
    assert [one.url for one in backup] == ["http://a.test/x,y", "http://b.test"]


def test_the_kind_of_the_backups_can_be_said():
    both = {"primary": "http://app.test", "backup": "http://x.github.io"}
    assert load(both, {}).settings.backup[0].kind is Kind.STATIC
    assert load({**both, "backup_kind": "replica"}, {}).settings.backup[0].kind is Kind.REPLICA


def test_values_of_all_kinds_are_read():
    given = {
        "trusted_proxies": ("10.0.0.0/8 192.168.1.7", "loopback"),
        "check_expect": "200-299,401",
        "check_method": "head",
        "json_logs": False,
        "access_log": True,
        "host": "www.app.test",
        "workers": "AUTO",
        "public_state": "off",
    }
    loaded = load(given, {**BOTH, "JSON_LOGS": "1"})
    settings = loaded.settings
    assert settings.trusted_proxies[:2] == (ipaddress.ip_network("10.0.0.0/8"), ipaddress.ip_network("192.168.1.7"))
    assert (settings.check_expect, settings.check_method) == (((200, 299), (401, 401)), "HEAD")
    assert (settings.json_logs, settings.access_log, settings.public_state) == (False, True, "off")
    assert str(loaded.sources["json_logs"]) == "--no-json-logs"
    assert 1 <= settings.workers <= 4


def test_the_file_is_read_again_each_time(in_file):
    flags = in_file("fail_threshold: 5")
    assert load(flags, BOTH).settings.fail_threshold == 5
    in_file("fail_threshold: 6")
    assert load(flags, BOTH).settings.fail_threshold == 6


def test_the_file_can_be_named_by_a_variable(in_file):
    name = in_file("fail_threshold: 5")["config"]
    settings = load({}, {**BOTH, "FAILOVER_CONFIG": name}).settings
    assert settings.fail_threshold == 5
    assert settings.config == Path(name)


def test_anchors_and_merge_keys_work(in_file):
    text = "x-all: &all\n  fail_threshold: 5\n  max_body: 1MB\nx-more: &more {max_body: 2MB, recover_threshold: 7}\n"
    settings = load(in_file(f"{text}<<: [*all, *more]\nfail_threshold: 6\n"), BOTH).settings
    assert (settings.fail_threshold, settings.max_body, settings.recover_threshold) == (6, 1_000_000, 7)


@pytest.mark.parametrize("text", ["", "# nothing\n", "---\n", "~", "\ufefffail_threshold: 3"])
def test_a_file_may_hold_nothing(in_file, text):
    assert load(in_file(text), BOTH).settings.fail_threshold == 3


# What is refused


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ('a:\nb:\nfail_threshold: "three"', None),
        ("fail_threshold: 0", 'config.yaml:1:17: fail_threshold: "0" is too small; expected 1 to 100'),
        ("fail_treshold: 3", 'config.yaml:1:1: "fail_treshold" is not a setting; did you mean fail_threshold?'),
        ("fail-threshold: 3", 'config.yaml:1:1: "fail-threshold" is not a setting; did you mean fail_threshold?'),
        ("zzz: 3", 'config.yaml:1:1: "zzz" is not a setting'),
        (
            "max_body: 1MB\n\nmax_body: 2MB",
            "config.yaml:3:1: max_body: stands here a second time; the first is in line 1",
        ),
        ("listen: [1, 2]", "config.yaml:1:9: listen: expected a single value, not a list"),
        ("backup: {url: x}", "config.yaml:1:9: backup: expected one value or a list of them, not a mapping"),
        (
            "backup:\n  - http://a.test\n  - [x]",
            "config.yaml:3:5: backup: expected one value or a list of them, not a list",
        ),
        (
            "config: other.yaml",
            "config.yaml:1:1: config: has no meaning in the file itself; use --config or FAILOVER_CONFIG",
        ),
        ("[a, b]", 'config.yaml:1:1: the file must hold lines of "key: value", not a list'),
        (
            "listen:8080",
            (
                'config.yaml:1:1: the file must hold lines of "key: value", not a single value '
                '(a space belongs after the ":")'
            ),
        ),
        ("? [a]\n: b", "config.yaml:1:3: a key must be a word, not a list"),
        (
            "listen: !thing 8080",
            "config.yaml:1:9: listen: has a tag, which means nothing here; a value that begins with ! needs quotes",
        ),
        ("<<: 5", "config.yaml:1:5: << needs a mapping, not a single value"),
        ("\tlisten: 80", "config.yaml:1:1: a tab cannot indent YAML; use spaces"),
        ("listen: a: b", 'config.yaml:1:10: a second ": " in one line; put the value in quotes'),
        ("listen: 80\n---\nlisten: 81", "config.yaml:2:1: a second document begins here; the file must hold one"),
        ("listen: 'x", "config.yaml:1:11: is not valid YAML: found unexpected end of stream"),
        (
            "listen: *none",
            "config.yaml:1:9: is not valid YAML: nothing has this name; a value that begins with * needs quotes",
        ),
        (b"listen: 80\nhost: \xff", "config.yaml:2:7: is not UTF-8 from here on; save the file as UTF-8"),
        ("listen: 80\nhost: a\x07b", "config.yaml:2:8: is a character that YAML does not allow"),
        ("a: " + "[" * 5000, "config.yaml:1:1: is nested too deeply"),
        ("x-a: &a {<<: *a, zzz: 1}\n<<: *a", 'config.yaml:1:18: "zzz" is not a setting'),
        ("json_logs: maybe", 'config.yaml:1:12: json_logs: "maybe" is neither true nor false'),
        ("log_level: loud", 'config.yaml:1:12: log_level: "loud" is not one of debug, info, warning, error'),
    ],
)
def test_a_mistake_in_the_file_names_its_line_and_column(in_file, text, line):
    if line is not None:
        assert told(in_file(text), BOTH) == [line]
    else:
        assert told(in_file(text), BOTH) == [
            'config.yaml:1:1: "a" is not a setting',
            'config.yaml:2:1: "b" is not a setting',
            'config.yaml:3:17: fail_threshold: "three" is not a whole number; expected 1 to 100',
        ]


def test_a_file_that_cannot_be_read_is_told_by_who_named_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert told({"config": "no.yaml"}, BOTH) == ['--config: "no.yaml" cannot be read: No such file or directory']
    assert told({}, {"FAILOVER_CONFIG": "."}) == ['FAILOVER_CONFIG: "." cannot be read: Is a directory']
    assert told({"config": "a\0b"}, BOTH) == ['--config: "a\\u0000b" cannot be read: embedded null byte']
    Path("big.yaml").write_bytes(b"#" * 1024 * 1024 + b"\n")
    assert told({"config": "big.yaml"}, BOTH) == ['--config: "big.yaml" is larger than 1 MiB']


def test_a_variable_is_named(in_file):
    assert told({}, {**BOTH, "FAIL_THRESHOLD": "three"}) == [
        'FAIL_THRESHOLD: "three" is not a whole number; expected 1 to 100'
    ]
    assert told({}, {**BOTH, "FAILOVER_MAX_BODY": "x"})[0].startswith('FAILOVER_MAX_BODY: "x" is not a size')
    assert told({}, {**BOTH, "PORT": "99999"}) == ['PORT: "99999" has a port that is not a number from 0 to 65535']


def test_a_flag_is_named():
    assert told({"check_interval": "fast"}, BOTH) == [
        '--check-interval: "fast" is not a duration; write it as 250ms, 2s, 1m30s or 1h'
    ]
    assert told({"upstream_ca": "/no/such.pem"}, BOTH) == [
        '--upstream-ca: "/no/such.pem" cannot be read: No such file or directory'
    ]


def test_all_mistakes_of_all_sources_are_told_at_once(in_file):
    flags = in_file("max_body: huge\nlisen: 80\n")
    lines = told(
        {**flags, "check_interval": "fast", "backup": ("http://a.test", "ftp://b", "c")}, {"FAIL_THRESHOLD": "x"}
    )
    assert sorted(line.split(" ")[0] for line in lines) == [
        "--backup:",
        "--backup:",
        "--check-interval:",
        "--primary:",
        "FAIL_THRESHOLD:",
        "config.yaml:1:11:",
        "config.yaml:2:1:",
    ]


def test_each_wrong_backup_of_a_list_has_its_own_place(in_file):
    flags = in_file("primary: http://app.test\nbackup:\n  - ftp://a\n  - http://ok.test\n  - http://b:0\n")
    assert [line[:17] for line in told(flags, {})] == ["config.yaml:3:5: ", "config.yaml:5:5: "]


def test_what_lost_against_another_source_is_not_looked_at(in_file):
    assert load({**in_file("fail_threshold: x"), "fail_threshold": "4"}, BOTH).settings.fail_threshold == 4


def test_what_is_missing_is_told_with_all_ways_to_give_it():
    assert told({}, {}) == [
        "--primary: is missing; give it as --primary https://myapp.com, as PRIMARY_URL, or as primary: in the file",
        (
            "--backup: is missing; give it as --backup https://myapp-backup.s3.amazonaws.com, as BACKUP_URL, "
            "or as backup: in the file"
        ),
    ]


def test_what_was_tried_is_not_called_missing_as_well(in_file):
    assert told(in_file("primry: http://app.test"), {"BACKUP_URL": "http://b.test"}) == [
        'config.yaml:1:1: "primry" is not a setting; did you mean primary?'
    ]
    assert told(in_file("primary: [a]"), {"BACKUP_URL": "http://b.test"}) == [
        "config.yaml:1:10: primary: expected a single value, not a list"
    ]
    assert told({"config": "none.yaml"}, {}) == ['--config: "none.yaml" cannot be read: No such file or directory']


def test_a_misspelt_variable_is_a_mistake_and_a_strangers_is_not():
    strangers = {
        "FAILOVER_VERSION": "1",
        "FAILOVER_PORT": "tcp://10.0.0.1:80",
        "FAILOVER_SERVICE_HOST": "10.0.0.1",
        "FAILOVER_PORT_8080_TCP_ADDR": "10.0.0.1",
        "FAILOVER_HOSTS": "",
        "PRIMARY": "x",
    }
    assert load({}, {**BOTH, **strangers}).settings.fail_threshold == 3
    assert told({}, {**BOTH, "FAILOVER_FAIL_TRESHOLD": "3"}) == [
        "FAILOVER_FAIL_TRESHOLD: is not a setting; did you mean FAILOVER_FAIL_THRESHOLD?"
    ]


@pytest.mark.parametrize(
    ("listen", "primary", "is_loop"),
    [
        ("0.0.0.0:8080", "http://localhost:8080", True),
        ("0.0.0.0:8080", "http://127.0.0.1:8080/base", True),
        ("[::]:8080", "http://[::1]:8080", True),
        ("127.0.0.1:80", "http://localhost", True),
        ("10.0.0.5:8080", "http://10.0.0.5:8080", True),
        ("10.0.0.5:8080", "http://127.0.0.1:8080", False),
        ("0.0.0.0:8080", "http://localhost:8081", False),
        ("0.0.0.0:8080", "http://app.test:8080", False),
        ("127.0.0.1:0", "http://localhost:8080", False),
    ],
)
def test_a_target_that_is_this_proxy_is_refused(listen, primary, is_loop):
    given = {"listen": listen, "primary": primary, "backup": "http://standby.test"}
    if is_loop:
        (line,) = told(given, {})
        assert line.startswith('--primary: "http://')
        assert "is the address that this proxy listens on" in line
    else:
        load(given, {})


def test_a_backup_that_is_the_primary_is_refused():
    assert told({"primary": "http://App.test/", "backup": ("http://a.test", "http://app.test:80")}, {}) == [
        '--backup: "http://app.test" is the primary; a backup must be another place'
    ]
    load({"primary": "http://app.test", "backup": "http://app.test/backup"}, {})


def test_a_mistake_never_tells_a_secret():
    lines = told(
        {
            "primary": "http://user:hunter2@app.test:99999",
            "backup": "ftp://user:hunter2@standby.test/?token=hunter2",
            "webhook_url": "https:///services/hunter2",
        },
        {},
    )
    assert len(lines) == 3
    assert "hunter2" not in "\n".join(lines)


def test_a_secret_is_not_in_what_a_program_prints():
    settings = load({"webhook_url": "https://hooks.slack.com/services/hunter2"}, BOTH).settings
    assert settings.webhook_url == ("https://hooks.slack.com/services/hunter2",)
    assert "hunter2" not in repr(settings)


# The listen address alone


def test_commands_need_only_the_listen_address(in_file):
    assert load_listen({}, {}) == Listen("0.0.0.0", 8080)
    assert load_listen(in_file("listen: 127.0.0.1:9\nnonsense: 1"), {}) == Listen("127.0.0.1", 9)
    assert load_listen({"listen": "1"}, {"PORT": "2"}) == Listen("0.0.0.0", 1)
    for flags in ({"listen": "x"}, {"config": "none.yaml"}):
        with pytest.raises(SettingsError):
            load_listen(flags, {})


@given(
    st.one_of(
        st.text(),
        st.binary(),
        st.lists(
            st.tuples(
                st.sampled_from([*SETTINGS, "x-a", "<<", "zzz"]), st.text(st.characters(codec="utf-8"), max_size=20)
            )
        ).map(lambda pairs: "".join(f"{key}: {value}\n" for key, value in pairs)),
    )
)
def test_no_file_whatever_ends_in_anything_but_settings_or_sentences(text):
    with tempfile.NamedTemporaryFile() as file:
        file.write(text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass"))
        file.flush()
        with suppress(SettingsError):
            load({"config": file.name}, BOTH)


@given(st.dictionaries(st.sampled_from(sorted(SETTINGS)), st.text(max_size=30)))
def test_no_flag_whatever_ends_in_anything_but_settings_or_sentences(flags):
    with suppress(SettingsError):
        load({**flags, "config": None}, {})


def test_a_format_for_each_webhook_or_one_for_all():
    two = ["https://a.example/x", "https://b.example/y"]
    assert load({"webhook_url": two, "webhook_format": ["slack"]}, BOTH).settings.webhook_format == ("slack",)
    assert load({"webhook_url": two, "webhook_format": ["slack", "discord"]}, BOTH).settings.webhook_format == (
        "slack",
        "discord",
    )
    with pytest.raises(SettingsError) as told:
        load({"webhook_url": two, "webhook_format": ["slack", "auto", "auto"]}, BOTH)
    assert "3 formats for 2 webhook addresses" in str(told.value)
