"""The commands, called as a shell calls them; sentences instead of tracebacks, and the exit codes."""

import json
import os
import socket
import subprocess
import sys
import threading
import types

import pytest

from failover import __version__
from failover.cli import ask
from failover.cli.main import main
from failover.errors import StartError
from failover.settings.rows import SETTINGS
from failover.settings.types import Listen

ADDRESSES = ["--primary", "http://app.test", "--backup", "http://standby.test"]
EVERYTHING_OURS = [name for setting in SETTINGS.values() for name in setting.variables] + ["PORT"]


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch):
    for name in EVERYTHING_OURS:
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def started(monkeypatch):
    """What the proxy was started with, instead of starting it."""
    calls = []

    def run(loaded, reload):
        calls.append((loaded, reload))
        return 0

    monkeypatch.setitem(sys.modules, "failover.app", types.SimpleNamespace(run=run))
    monkeypatch.setattr("failover.app", sys.modules["failover.app"], raising=False)
    return calls


@pytest.fixture
def told(capsys):
    """The exit code of a command line, and the lines on stderr."""

    def tell(*words):
        code = main(list(words))
        return code, capsys.readouterr().err.splitlines()

    return tell


@pytest.fixture
def printed(capsys):
    def tell(*words):
        assert main(list(words)) == 0
        return capsys.readouterr().out

    return tell


@pytest.fixture
def answering():
    """A server that gives one connection the given bytes; the address, and what it was asked."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        asked, threads = [], []

        def serve(answer):
            def once():
                connection, _ = server.accept()
                with connection:
                    asked.append(connection.recv(65536))
                    connection.sendall(answer)

            threads.append(threading.Thread(target=once))
            threads[-1].start()
            return f"127.0.0.1:{server.getsockname()[1]}", asked

        yield serve
        for thread in threads:
            thread.join()


def answer(body, status="200 OK"):
    return f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode()


# Running


@pytest.mark.parametrize("words", [ADDRESSES, ["run", *ADDRESSES], [word.replace(" ", "=") for word in ADDRESSES]])
def test_no_command_and_run_are_the_same(started, words):
    assert main(words) == 0
    ((loaded, reload),) = started
    assert loaded.settings.primary.url == "http://app.test"
    assert reload().settings == loaded.settings


def test_every_flag_is_taken(started):
    flags = {
        "--listen": "127.0.0.1:1",
        "--check-interval": "5s",
        "--fail-threshold": "4",
        "--recover-threshold": "5",
        "--max-body": "1MB",
        "--webhook-url": "https://hooks.slack.com/services/T/B/x",
        "--webhook-format": "slack",
    }
    words = [word for pair in flags.items() for word in pair]
    assert main([*ADDRESSES, *words, "--json-logs", "--no-access-log", "--backup=http://b.test"]) == 0
    settings = started[0][0].settings
    assert (settings.fail_threshold, settings.json_logs, settings.access_log) == (4, True, False)
    assert [one.url for one in settings.backup] == ["http://standby.test", "http://b.test"]


def test_a_reload_reads_the_file_again_with_the_same_flags(started, tmp_path):
    file = tmp_path / "config.yaml"
    file.write_text("fail_threshold: 5")
    assert main([*ADDRESSES, "--config", str(file)]) == 0
    file.write_text("fail_threshold: 6")
    assert started[0][1]().settings.fail_threshold == 6


def test_the_exit_code_is_the_proxys(monkeypatch):
    monkeypatch.setattr("failover.app", types.SimpleNamespace(run=lambda *_: 7), raising=False)
    monkeypatch.setitem(sys.modules, "failover.app", types.SimpleNamespace(run=lambda *_: 7))
    assert main(ADDRESSES) == 7


def test_what_the_machine_refuses_is_a_sentence_and_exit_1(monkeypatch, told):
    def run(*_):
        raise StartError("127.0.0.1:80 is taken")

    monkeypatch.setattr("failover.app", types.SimpleNamespace(run=run), raising=False)
    monkeypatch.setitem(sys.modules, "failover.app", types.SimpleNamespace(run=run))
    assert told(*ADDRESSES) == (1, ["failover: 127.0.0.1:80 is taken"])


def test_an_interrupt_is_silent_and_exit_130(monkeypatch, told):
    def run(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("failover.app", types.SimpleNamespace(run=run), raising=False)
    monkeypatch.setitem(sys.modules, "failover.app", types.SimpleNamespace(run=run))
    code, lines = told(*ADDRESSES)
    assert (code, [line for line in lines if line]) == (130, [])


# Mistakes


def test_nothing_at_all_is_met_with_an_example(told):
    code, lines = told()
    assert code == 2
    assert lines[1] == "  failover --primary https://myapp.com --backup https://myapp-backup.s3.amazonaws.com"
    assert [line[:21] for line in lines[-2:]] == ["failover: --primary: ", "failover: --backup: i"]
    assert len(lines) == 6


@pytest.mark.parametrize(
    ("words", "lines"),
    [
        (["--fail-treshold", "3", *ADDRESSES], ["--fail-treshold: is not a flag; did you mean --fail-threshold?"]),
        (["--fail_threshold=3", *ADDRESSES], ["--fail_threshold: is not a flag; did you mean --fail-threshold?"]),
        (["-listen", "80", *ADDRESSES], ["-listen: is not a flag; did you mean --listen?"]),
        (["-x", *ADDRESSES], ["-x: is not a flag"]),
        (["--json-logs=yes", *ADDRESSES], ["--json-logs: takes no value; write --json-logs or --no-json-logs"]),
        ([*ADDRESSES, "--listen"], ["--listen: needs a value: --listen ADDRESS"]),
        (["--listen", *ADDRESSES], ["--listen: needs a value: --listen ADDRESS"]),
        ([*ADDRESSES, "--listen=1", "--listen=2"], ["--listen: is given twice; it takes one value"]),
        (["--workers", "-1", *ADDRESSES], ['--workers: "-1" is too small; expected auto or 1 to 64']),
        ([*ADDRESSES, "--listen="], ['--listen: "" has no port; write it as 0.0.0.0:8080 or 8080']),
        (
            [*ADDRESSES, "config", "show"],
            [
                f'"{word}": is not expected here; a command is the first word, and a value follows its flag'
                for word in ("config", "show")
            ],
        ),
        (
            ["--primry", "http://app.test", "--backup", "http://b.test"],
            ["--primry: is not a flag; did you mean --primary?"],
        ),
        (["statte"], ['"statte": is not a command; did you mean state?']),
        (["zzz"], ['"zzz": is not a command; see failover --help']),
        (["http://app.test"], ['"http://app.test": is not a command; did you mean --primary http://app.test?']),
        (["config", "shw"], ['"shw": is not a command; did you mean show?']),
        (["version", "--shorrt"], ["--shorrt: is not a flag"]),
        (["state", "--listne", "80"], ["--listne: is not a flag; did you mean --listen?"]),
    ],
)
def test_words_that_mean_nothing_are_told(told, started, words, lines):
    assert told(*words) == (2, [f"failover: {line}" for line in lines])
    assert started == []


def test_mistakes_in_words_and_values_are_told_together(told):
    code, lines = told("--fail-treshold", "3", "--check-interval", "fast", "--primary", "http://app.test", "stray")
    assert code == 2
    assert [line.split(":")[1].strip() for line in lines] == [
        "--fail-treshold",
        '"stray"',
        "--backup",
        "--check-interval",
    ]


# Help and version


def test_help_shows_the_originals_flags_first_then_subjects_then_commands(printed):
    text = printed("--help")
    order = [
        "Usage:",
        "Everyday settings",
        "\n  --primary",
        "--webhook-format",
        "Probes",
        "--check-path",
        "Commands",
        "healthcheck",
    ]
    places = [text.index(word) for word in order]
    assert places == sorted(places)
    for setting in SETTINGS.values():
        assert setting.flag in text
    assert printed("-h") == printed("help") == text


@pytest.mark.parametrize("words", [["run", "--help"], [*ADDRESSES, "--help"], ["config", "show", "--help"]])
def test_help_of_commands_shows_their_flags(printed, words):
    text = printed(*words)
    assert "--check-interval DURATION" in text
    assert "Time-outs" in text


@pytest.mark.parametrize("words", [["version"], ["--version"], ["-V"]])
def test_version_is_printed(printed, words):
    assert printed(*words) == f"failover {__version__}\n"


def test_a_group_alone_prints_its_commands(printed):
    assert "schema" in printed("config")


# config


def test_config_show_tells_values_and_sources_with_secrets_masked(printed, monkeypatch):
    monkeypatch.setenv("FAIL_THRESHOLD", "4")
    monkeypatch.setenv("WEBHOOK_URL", "https://hooks.slack.com/services/T0/B0/hunter2hunter2abcd")
    lines = [line.split() for line in printed("config", "show", *ADDRESSES).splitlines()]
    assert lines[0] == ["setting", "value", "source"]
    assert ["primary", "http://app.test", "--primary"] in lines
    assert ["fail_threshold", "4", "FAIL_THRESHOLD"] in lines
    assert ["webhook_url", "https://hooks.slack.com/…abcd", "WEBHOOK_URL"] in lines
    assert ["check_interval", "2s", "default"] in lines
    assert len(lines) == len(SETTINGS) + 1


def test_config_show_can_be_json(printed):
    shown = json.loads(printed("config", "show", "--json", *ADDRESSES, "--json-logs"))
    assert list(shown) == list(SETTINGS)
    assert shown["backup"] == {"value": ["http://standby.test"], "source": "--backup"}
    assert shown["json_logs"] == {"value": True, "source": "--json-logs"}
    assert shown["fail_threshold"] == {"value": 3, "source": "default"}
    assert shown["check_interval"]["value"] == "2s"
    assert shown["check_path"]["value"] is None


def test_config_show_tells_mistakes_as_run_does(told):
    assert told("config", "show", *ADDRESSES, "--workers=0")[0] == 2


def test_config_schema_is_json(printed):
    assert "fail_threshold" in json.loads(printed("config", "schema"))["properties"]


# Asking the running proxy


def test_healthcheck_is_quiet_when_all_is_well(answering, capsys):
    place, asked = answering(answer("OK"))
    assert main(["healthcheck", "--listen", place]) == 0
    assert capsys.readouterr() == ("", "")
    assert asked[0].startswith(b"GET /__failover/health HTTP/1.0\r\nHost: 127.0.0.1:")


@pytest.mark.parametrize(
    ("answered", "why"),
    [
        (answer("no", "503 Service Unavailable"), "gave status 503 for /__failover/health"),
        (b"SSH-2.0-OpenSSH\r\n", "does not speak HTTP"),
        (b"", "does not speak HTTP"),
    ],
)
def test_healthcheck_tells_why_it_fails(answering, told, answered, why):
    place, _ = answering(answered)
    code, lines = told("healthcheck", "--listen", place)
    assert code == 1
    assert lines == [f"failover: what answers on {place} {why}"]


def test_nobody_there_is_a_sentence(told):
    with socket.create_server(("127.0.0.1", 0)) as closed:
        place = f"127.0.0.1:{closed.getsockname()[1]}"
    for command in ("healthcheck", "state"):
        code, (line,) = told(command, "--listen", place)
        assert code == 1
        assert line.startswith(f"failover: nothing answers on {place}: Connection refused")


def test_silence_is_not_waited_for_for_ever(told):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        place = f"127.0.0.1:{silent.getsockname()[1]}"
        assert told("healthcheck", "--listen", place, "--timeout", "0.05") == (
            1,
            [f"failover: nothing answered on {place} within 0.05 seconds"],
        )


def test_the_place_is_found_as_the_proxy_finds_it(monkeypatch, tmp_path):
    default = SETTINGS["listen"].default
    assert ask.find_listen(None, None) == default
    assert str(default) == ask.DEFAULT_LISTEN
    monkeypatch.setenv("PORT", "81")
    assert ask.find_listen(None, None) == Listen("0.0.0.0", 81)
    monkeypatch.setenv("FAILOVER_LISTEN", "[::]:82")
    assert ask.find_listen(None, None) == Listen("::", 82)
    file = tmp_path / "config.yaml"
    file.write_text("listen: 127.0.0.1:83\nprimary: [nonsense]")
    assert ask.find_listen("84", str(file)) == Listen("0.0.0.0", 84)
    monkeypatch.delenv("FAILOVER_LISTEN")
    monkeypatch.setenv("FAILOVER_CONFIG", str(file))
    assert ask.find_listen(None, None) == Listen("127.0.0.1", 83)


def test_a_wrong_place_is_told(told):
    assert told("healthcheck", "--listen", "x") == (
        2,
        ['failover: --listen: "x" has no port; write it as 0.0.0.0:8080 or 8080'],
    )
    assert told("state", "--listen", "0")[0] == 1
    assert told("state", "--timeout", "x")[0] == 2


STATE = {
    "on_backup": True,
    "since_unix": 1738512461,
    "primary": "http://app.test",
    "backup": "http://b.test",
    "fail_count": 3,
    "recover_count": 0,
    "mode": "auto",
}


def test_state_is_told_to_people_and_machines(answering, printed):
    place, _ = answering(answer(json.dumps(STATE)))
    text = printed("state", "--listen", place)
    assert text.splitlines()[0].split() == ["serving", "backup"]
    assert text.splitlines()[1].startswith("since")
    assert ["fail_count", "3"] in [line.split() for line in text.splitlines()]
    place, _ = answering(answer(json.dumps(STATE)))
    assert json.loads(printed("state", "--json", "--listen", place)) == STATE
    place, _ = answering(answer(json.dumps(STATE | {"verdict": "ramp", "share": 25})))
    assert "backup, and the primary for 25 % of the visitors" in printed("state", "--listen", place)


@pytest.mark.parametrize(
    "answered", [answer("", "404 Not Found"), answer("hello"), answer("[]"), answer("{}", "500 No")]
)
def test_an_answer_that_is_no_state_is_a_sentence(answering, told, answered):
    place, _ = answering(answered)
    code, (line,) = told("state", "--listen", place)
    assert code == 1
    assert line.startswith(f"failover: what answers on {place} ")


# As a process


def test_a_command_imports_only_what_it_needs():
    script = (
        "import sys; from failover.cli.main import main; main(['version']); "
        "print(sorted({'pydantic', 'yaml', 'structlog', 'asyncio', 'uvloop'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_python_dash_m_works():
    environ = {name: value for name, value in os.environ.items() if name not in EVERYTHING_OURS}
    done = subprocess.run(
        [sys.executable, "-m", "failover", "--listen", "x"], capture_output=True, text=True, check=False, env=environ
    )
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert len(done.stderr.splitlines()) == 3


def test_a_secret_in_a_stray_word_is_masked(told):
    assert "hunter2" not in "".join(told("http://user:hunter2@app.test")[1])
    assert "hunter2" not in "".join(told(*ADDRESSES, "http://user:hunter2@app.test")[1])


def test_a_terminal_without_our_letters_gets_others():
    environ = {name: value for name, value in os.environ.items() if name not in EVERYTHING_OURS}
    environ |= {"PYTHONIOENCODING": "ascii", "WEBHOOK_URL": "https://h.test/x"}
    words = [sys.executable, "-m", "failover", "config", "show", *ADDRESSES]
    done = subprocess.run(words, capture_output=True, text=True, check=True, env=environ)
    assert r"https://h.test/\u2026" in done.stdout
