"""The log: one line an event, for people or machines, no secret in it."""

import io
import json
import logging
import os

import pytest
import structlog

from failover import __version__
from failover.observe import log


@pytest.fixture(autouse=True)
def unconfigured_afterwards():
    yield
    structlog.reset_defaults()
    root = logging.getLogger()
    for handler in [one for one in root.handlers if isinstance(one, log._FromLibraries)]:
        root.removeHandler(handler)


@pytest.fixture
def lines(capfd):
    def read():
        return capfd.readouterr().err.splitlines()

    return read


def test_a_line_for_people_says_when_what_and_why(lines):
    log.configure(json_logs=False)
    log.get("controller").warning(
        "switched to backup",
        action="failover.switched",
        reason="connection refused",
        target="primary",
        count=3,
        none=None,
        duration=0.25,
        backups=["http://a", "http://b"],
        note="two words",
    )
    (line,) = lines()
    assert line[23:] == (
        " warning switched to backup: connection refused target=primary count=3 duration=0.250s "
        'backups=http://a,http://b note="two words"'
    )


def test_a_line_for_machines_has_ecs_names(lines):
    log.configure(json_logs=True)
    log.get("controller").warning(
        "switched to backup",
        action="failover.switched",
        reason="refused",
        target="primary",
        duration=0.25,
        error="dns_error",
    )
    (line,) = lines()
    told = json.loads(line)
    assert told.pop("@timestamp").endswith("Z")
    assert told == {
        "log.level": "warning",
        "message": "switched to backup",
        "ecs.version": "8.11.0",
        "service.name": "failover",
        "service.version": __version__,
        "process.pid": os.getpid(),
        "log.logger": "controller",
        "event.action": "failover.switched",
        "event.reason": "refused",
        "event.duration": 250_000_000,
        "error.type": "dns_error",
        "failover.target": "primary",
    }


def test_less_than_the_level_is_not_logged_and_a_reload_may_change_it(lines):
    room = log.get("x")
    log.configure(json_logs=False, level="warning")
    room.info("no")
    room.warning("yes")
    log.configure(json_logs=False, level="debug")
    room.debug("now")
    assert [line.split()[-1] for line in lines()] == ["yes", "now"]


@pytest.mark.parametrize("json_logs", [False, True])
def test_no_secret_gets_into_a_line(lines, json_logs):
    log.configure(json_logs=json_logs, secrets=["hunter2"])
    log.get("x").error(
        "post to https://hooks.slack.com/services/T0/B0/secret9secret9abcd failed",
        url="https://user:secret9@h.test/?token=secret9",
        several=["http://user:secret9@a.test"],
        nested={"url": "http://user:secret9@a.test"},
        problem=ValueError("cannot open http://user:secret9@b.test"),
        known="hunter2",
    )
    try:
        int("http://user:secret9@b.test")
    except ValueError:
        log.get("x").exception("went wrong")
    text = "\n".join(lines())
    assert "secret9" not in text
    assert "hunter2" not in text
    assert "hooks.slack.com/…abcd" in text


def test_a_text_cannot_forge_a_line(lines):
    log.configure(json_logs=False)
    log.get("x").info("path /a\n2026-01-01 error forged", agent="\x1b[2Jx\r\nforged")
    (line,) = lines()
    assert "\x1b" not in line
    assert "\\n2026-01-01" in line


def test_a_line_stays_within_what_a_pipe_takes_at_once(lines):
    log.configure(json_logs=True)
    log.get("x").info("long", note="x" * 100_000)
    assert len(lines()[0]) < 4096


def test_what_is_no_text_is_logged_all_the_same(lines):
    log.configure(json_logs=True)
    log.get("x").info("odd \udcff", value=object, raw=b"x", ok=True, number=1.5)
    told = json.loads(lines()[0])
    assert (told["failover.ok"], told["failover.number"], told["failover.raw"]) == (True, 1.5, "b'x'")


def test_an_exception_tells_where_it_came_from(lines):
    for json_logs in (False, True):
        log.configure(json_logs=json_logs)
        try:
            {}["x"]
        except KeyError:
            log.get("x").exception("went wrong")
    told = lines()
    assert told[0].endswith("error   went wrong")
    assert told[1] == "Traceback (most recent call last):"
    assert json.loads(told[-1])["error.stack_trace"].endswith("KeyError: 'x'")


def test_an_exchange_is_one_line(lines):
    for json_logs in (False, True):
        log.configure(json_logs=json_logs)
        log.access(
            client="127.0.0.1",
            method="GET",
            path="/a?token=secret9",
            status=200,
            sent_bytes=7,
            duration_s=0.0125,
            target="primary",
            request_id="r1",
        )
    text, machine = lines()
    assert text[23:] == " info    GET /a 200 client=127.0.0.1 target=primary duration=0.013s bytes_out=7 request_id=r1"
    told = json.loads(machine)
    assert (told["http.request.method"], told["url.path"], told["http.response.status_code"]) == ("GET", "/a", 200)
    assert (told["event.duration"], told["http.response.body.bytes"], told["http.request.id"]) == (12_500_000, 7, "r1")


@pytest.mark.parametrize("no_colour", [False, True])
def test_colour_is_for_terminals_that_want_it(monkeypatch, lines, no_colour):
    monkeypatch.setattr(os, "isatty", lambda _: True)
    monkeypatch.setenv("NO_COLOR", "1" if no_colour else "")
    log.configure(json_logs=False)
    log.get("x").error("red", key="dim")
    assert ("\x1b[31merror" in lines()[0]) is not no_colour


def test_what_libraries_say_becomes_a_line_like_ours(lines):
    log.configure(json_logs=True)
    log.configure(json_logs=True)
    library = logging.getLogger("some.library")
    library.error("task %s failed", "http://u:secret9@h.test")
    library.log(35, "odd level")
    log._FromLibraries().emit(logging.LogRecord("some", logging.ERROR, "", 0, "bad %s %s", ("argument",), None))
    library.info("chatter")
    told = [json.loads(line) for line in lines()]
    assert [one["message"] for one in told] == ["task http://***@h.test failed", "odd level", "bad %s %s"]
    assert [one["log.level"] for one in told] == ["error", "warning", "error"]
    assert told[0]["log.logger"] == "some.library"


def test_nobody_reading_hurts_nobody(monkeypatch):
    def broken(_fd, _data):
        raise BrokenPipeError

    log.configure(json_logs=False)
    monkeypatch.setattr(os, "write", broken)
    log.get("x").info("into the void")


def test_a_torn_write_is_finished(monkeypatch):
    taken = io.BytesIO()
    log.configure(json_logs=False)
    monkeypatch.setattr(os, "write", lambda _fd, data: taken.write(data[:5]))
    log.get("x").info("whole")
    assert taken.getvalue().endswith(b"whole\n")


def test_it_works_in_a_child(lines):
    log.configure(json_logs=True)
    child = os.fork()
    if child == 0:
        log.get("child").info("hello")
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    log.get("parent").info("hello")
    told = [json.loads(line) for line in lines()]
    assert [one["log.logger"] for one in told] == ["child", "parent"]
    assert told[0]["process.pid"] == child


def test_masking_takes_time_in_proportion_to_the_text():
    """A stranger chooses what is masked: a path of many dots must not stop a worker."""
    from timeit import timeit

    from failover.settings.secret import mask_text

    def cost(size):
        return min(timeit(lambda: mask_text("/://" + "a." * size), number=3) for _ in range(5))

    assert cost(16_000) < 10 * cost(4_000)
