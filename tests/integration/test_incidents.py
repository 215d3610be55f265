"""Incidents of the real program: what is told, kept and shown of real outages (stories 13, 18, 19 in part, 20, 21)."""

from __future__ import annotations

import json
import os
import re
import signal
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from support.answer import Answer, text
from support.fakes import FakeDiscord, FakeReceiver, FakeSlack
from support.load import Load, ask
from support.origin import Origin
from support.program import Process, Program
from support.tls import Authority, self_signed

if TYPE_CHECKING:
    from pathlib import Path

QUICK = ("--check-interval", "200ms", "--backup-check-interval", "1s", "--ramp-step", "100ms", "--workers", "2")


@contextmanager
def running(primary, backup, *more, state=None):
    """The program before these targets; `state` is the folder that it keeps its incidents in."""
    where = ["--state-dir", str(state)] if state is not None else []
    targets = ["--primary", getattr(primary, "url", primary), "--backup", getattr(backup, "url", backup)]
    with Program(*targets, *QUICK, *where, *more) as program:
        program.ready()
        yield program


def command(*words, state, stdin=None):
    """What `failover` prints, and its exit code."""
    with Process([sys.executable, "-m", "failover", *words, "--state-dir", str(state)]) as process:
        process.wait()
        process.wait_for_silence()
    return process.log, process.exit_code


def told(fake, number):
    return fake.wait_for(number).payload


def document(state, which="last"):
    printed, code = command("incidents", "show", which, "--json", state=state)
    assert code == 0, printed
    return json.loads(printed)


# From the beginning to the end


async def test_an_outage_is_told_kept_and_shown(tmp_path: Path, primary: Origin, backup: Origin) -> None:
    with FakeSlack() as slack, FakeDiscord() as discord, FakeReceiver() as anybody:
        hooks = []
        for fake in (slack, discord, anybody):
            hooks += ["--webhook-url", fake.url]
        formats = ("--webhook-format", "slack,discord,generic", "--webhook-secret", anybody.secret)
        with running(primary, backup, *hooks, *formats, state=tmp_path) as program:
            with Load(program.url, rate=100, path=lambda n: f"/items/{n}") as load:
                load.wait_for(answered=50)
                primary.stop()
                load.wait_for(by={"backup": 100})
                assert told(anybody, 1)["type"] == "incident.opened"
                assert "FAILOVER" in json.dumps(told(slack, 1))
                primary.start()
                program.wait_for("switched back to the primary")
                whole = told(anybody, 2)
                load.wait_for(answered=load.tally.answered + 20)
            final = told(slack, 2)
            discord.wait_for(3)
        tally = load.tally
        assert not tally.failures, tally
        counts = whole["data"]["counts"]
        assert whole["type"] == "incident.resolved"
        assert counts["failed"] == counts["refused"] == 0
        assert counts["by_backup"] + counts["rescued"] >= 100
        assert counts["clients"] == 1
        assert whole["data"]["severity"] == "minor"
        assert whole["data"]["paths"][0]["path"] == "/items/:id"
        assert "RECOVERY" in json.dumps(final)
        assert len(slack.taken) == 2
        assert len(discord.messages) == 2
        assert any(request.files.get("files[0]", b"").startswith(b"\x89PNG") for request in discord.taken)
    listed, code = command("incidents", "list", state=tmp_path)
    assert code == 0
    assert whole["data"]["id"] in listed
    shown, code = command("incidents", "show", state=tmp_path)
    assert code == 0
    assert "Suspected cause" in shown
    _, code = command("incidents", "export", "last", "--output", f"{tmp_path}/out/", state=tmp_path)
    assert code == 0
    assert sorted(one.suffix for one in (tmp_path / "out").iterdir()) == sorted(
        [".json", ".md", ".html", ".txt", ".svg", ".png"]
    )


async def test_what_the_visitors_saw_is_what_the_report_says(tmp_path: Path, primary: Origin, backup: Origin) -> None:
    with FakeReceiver() as anybody:
        secret = ("--webhook-secret", anybody.secret, "--webhook-format", "generic")
        with running(primary, backup, "--webhook-url", anybody.url, *secret, state=tmp_path) as program:
            url = program.url
            primary.answer = Answer(fault="reset")
            failed = [(await ask(url, "POST", path="/buy", body=b"1")).status for _ in range(2)]
            program.wait_for("switched to the backup")
            good = [(await ask(url, path=f"/page/{n}")).status for n in range(30)]
            primary.answer = text("primary\n")
            program.wait_for("switched back to the primary")
            counts = told(anybody, 2)["data"]["counts"]
    assert set(good) == {200}
    assert counts["failed"] == sum(status >= 500 for status in failed)
    assert counts["by_backup"] + counts["rescued"] >= 30
    whole = document(tmp_path)
    assert whole["severity"] == ("critical" if counts["failed"] * 100 > counts["total"] else "major")
    assert any(entry["what"] == "failed" for entry in whole["timeline"])


# What was it?


def restarts(origin):
    origin.stop()


def hangs(origin):
    origin.answer = Answer(fault="hang")


def unavailable(origin):
    origin.answer = Answer(503, b"<h1>503 Service Unavailable</h1>", (("Content-Type", "text/html"),))


def resets(origin):
    origin.doorstep = "reset"


@pytest.mark.parametrize(
    ("fault", "causes", "error"),
    [
        (restarts, {"process_gone"}, "connection_refused"),
        (hangs, {"hung"}, "http_response_timeout"),
        (unavailable, {"gateway_error_page", "overload", "app_errors", "maintenance"}, "http_5xx"),
        (resets, {"cut_answers", "process_gone"}, "connection_terminated"),
    ],
    ids=["refused", "hung", "503", "reset"],
)
async def test_a_fault_of_the_app_is_named(
    tmp_path: Path, primary: Origin, backup: Origin, fault, causes: set[str], error: str
) -> None:
    with running(primary, backup, state=tmp_path) as program:
        assert (await ask(program.url)).status == 200
        fault(primary)
        with Load(program.url, rate=20) as load:
            load.wait_for(by={"backup": 20})
            program.wait_for(r"incident inc_\w+ is open")
        whole = document(tmp_path)
    assert whole["cause"]["kind"] in causes
    assert whole["cause"]["confidence"] in {"high", "medium"}
    assert whole["errors"][0]["error"] == error
    # What was under way as the app stopped was cut, and may have been noticed first.
    assert whole["evidence"]["first"]["error"] in {error, "connection_terminated" if fault is restarts else error}
    assert whole["status"] == "open"


async def test_a_name_that_is_gone_is_named(tmp_path: Path, backup: Origin) -> None:
    with running("http://nobody.invalid:8000", backup, state=tmp_path) as program:
        program.wait_for("switched to the backup")
        program.wait_for(r"incident inc_\w+ is open")
        assert document(tmp_path)["cause"]["kind"] == "dns_gone"


@pytest.mark.parametrize(
    ("flaw", "cause"),
    [
        ("unknown authority", "certificate_unknown_authority"),
        ("self-signed", "certificate_self_signed"),
        ("wrong name", "certificate_wrong_name"),
        ("expired", "certificate_expired"),
    ],
)
async def test_a_certificate_that_cannot_be_trusted_is_named_and_dated(
    tmp_path: Path, backup: Origin, flaw: str, cause: str
) -> None:
    authority = Authority(tmp_path)
    context = {
        "unknown authority": lambda: authority.server("localhost"),
        "self-signed": lambda: self_signed(tmp_path, "localhost"),
        "wrong name": lambda: authority.server("elsewhere.example"),
        "expired": lambda: authority.server("localhost", expired=True),
    }[flaw]()
    trusted = [] if flaw == "unknown authority" else ["--upstream-ca", str(authority.pem)]
    with Origin("primary", tls=context) as primary:
        state = tmp_path / "state"
        with running(f"https://localhost:{primary.port}", backup, *trusted, state=state) as program:
            program.wait_for(r"incident inc_\w+ is open")
            whole = document(state)
    assert whole["cause"]["kind"] == cause
    assert whole["cause"]["confidence"] == "high"
    facts = " ".join([whole["cause"]["title"], *whole["cause"]["facts"]])
    if flaw == "expired":
        assert re.search(r"20\d\d-\d\d-\d\d", facts), facts
    if flaw == "wrong name":
        assert "elsewhere.example" in facts


async def test_errors_under_one_path_are_a_partial_outage(tmp_path: Path, primary: Origin, backup: Origin) -> None:
    broken = Answer(503, b"out of order")
    for origin in (primary, backup):
        origin.routes["/reports"] = broken
    with running(primary, backup, state=tmp_path) as program:
        with Load(program.url, rate=50, path=lambda n: "/reports" if 40 <= n < 45 else ("/a", "/b")[n % 2]) as load:
            load.wait_for(answered=200)
            program.wait_for(r"incident inc_\w+ is over")
        whole = document(tmp_path)
    assert whole["moments"]["switched"] is None
    assert whole["cause"]["kind"] == "partial_outage"
    assert "/reports" in json.dumps(whole["cause"])
    assert whole["counts"]["failed"] == load.tally.failed() == 5


async def test_both_down_is_critical_and_the_first_one_back_serves(
    tmp_path: Path, primary: Origin, backup: Origin
) -> None:
    with running(primary, backup, state=tmp_path) as program:
        url = program.url
        assert (await ask(url)).status == 200
        backup.stop()
        program.wait_for("backup is down")
        primary.stop()
        assert (await ask(url)).status == 503
        program.wait_for(r"incident inc_\w+ is open")
        whole = document(tmp_path)
        backup.start()
        program.wait_for("backup is usable")
        assert (await ask(url)).header("X-Origin") == "backup"
    assert whole["severity"] == "critical"
    assert whole["cause"]["kind"] == "both_down"


# Whatever happens to the telling


async def test_a_destination_that_hangs_delays_nothing_and_hears_the_end_once(
    tmp_path: Path, primary: Origin, backup: Origin
) -> None:
    with FakeSlack() as slack:
        slack.hold()
        hook = ("--webhook-url", slack.url, "--webhook-format", "slack")
        with running(primary, backup, *hook, state=tmp_path) as program:
            with Load(program.url, rate=50) as load:
                for flap in range(2):
                    mark = program.mark
                    primary.stop()
                    program.wait_for("switched to the backup", after=mark)
                    if not flap:
                        slack.wait_for_seen(1)
                    primary.start()
                    program.wait_for("switched back to the primary", after=mark, patience=60)
            assert not load.tally.failures, load.tally
            program.wait_for(r"incident inc_\w+ is over", after=mark)
            slack.release()
            program.wait_for("told .*incident.resolved")
            whole = document(tmp_path)
        events = [re.search(r"FAILOVER|RECOVERY", request.payload["text"])[0] for request in slack.taken]
    assert events.count("RECOVERY") == 1
    assert events[-1] == "RECOVERY"
    assert whole["episode"] == 2
    assert len(load.tally.latencies) > 50


async def test_everything_killed_and_started_again_goes_on(tmp_path: Path, primary: Origin, backup: Origin) -> None:
    with FakeSlack() as slack:
        slack.answers += [slack.rate_limited(3600)]
        hook = ("--webhook-url", slack.url, "--webhook-format", "slack")
        with running(primary, backup, *hook, state=tmp_path) as program:
            primary.stop()
            program.wait_for(r"incident inc_\w+ is open")
            slack.wait_for_seen(1)
            program.wait_for("could not be told")
            before = document(tmp_path)
            for pid in (program.pid, program.controller(), *program.workers()):
                os.kill(pid, signal.SIGKILL)
            program.wait_for_silence()
        with running(primary, backup, *hook, state=tmp_path) as program:
            program.wait_for("the verdict goes on where it was")
            primary.start()
            program.wait_for("switched back to the primary")
            program.wait_for(r"incident inc_\w+ is over")
            slack.wait_for(1)
            after = document(tmp_path)
    assert after["id"] == before["id"]
    assert after["episode"] == 1
    assert after["status"] == "resolved"
    assert after["durations"]["unknown"] >= 0
    assert "RECOVERY" in slack.taken[-1].payload["text"]
    assert [one.payload["text"] for one in slack.taken if "RECOVERY" in one.payload["text"]] == [
        slack.taken[-1].payload["text"]
    ]
    with running(primary, backup, *hook, state=tmp_path) as program:
        assert (await ask(program.url)).status == 200
    assert sum("RECOVERY" in one.payload["text"] for one in slack.taken) == 1


async def test_the_controller_killed_in_an_outage_opens_nothing_anew(
    tmp_path: Path, primary: Origin, backup: Origin
) -> None:
    with FakeSlack() as slack:
        hook = ("--webhook-url", slack.url, "--webhook-format", "slack")
        with running(primary, backup, *hook, state=tmp_path) as program:
            primary.stop()
            slack.wait_for(1)
            mark = program.mark
            program.wait_for("told .*incident.opened")
            os.kill(program.controller(), signal.SIGKILL)
            program.wait_for("controller is back", after=mark)
            with Load(program.url, rate=50) as load:
                load.wait_for(by={"backup": 20})
            primary.start()
            program.wait_for(r"incident inc_\w+ is over", after=mark)
            slack.wait_for(2)
            whole = document(tmp_path)
    assert not load.tally.failures
    assert len(slack.taken) == 2
    assert whole["durations"]["unknown"] == 0
    assert any(entry["what"] == "gap" for entry in whole["timeline"])


async def test_a_reload_in_an_outage_tells_nothing_twice(tmp_path: Path, primary: Origin, backup: Origin) -> None:
    with FakeSlack() as slack:
        hook = ("--webhook-url", slack.url, "--webhook-format", "slack")
        with running(primary, backup, *hook, state=tmp_path) as program:
            primary.stop()
            program.wait_for("told .*incident.opened")
            program.signal(signal.SIGHUP)
            program.wait_for("reloaded")
            primary.start()
            program.wait_for("told .*incident.resolved")
    assert len(slack.taken) == 2
    assert document(tmp_path)["episode"] == 1


async def test_a_person_adds_a_line_and_has_it_sent_again(tmp_path: Path, primary: Origin, backup: Origin) -> None:
    with FakeSlack() as slack:
        hook = ("--webhook-url", slack.url, "--webhook-format", "slack")
        with running(primary, backup, *hook, state=tmp_path) as program:
            primary.stop()
            program.wait_for("told .*incident.opened")
            printed, code = command("incidents", "note", "last", "rolled back v42", "--who", "ada", state=tmp_path)
            assert (code, printed.endswith("noted")) == (0, True)
            printed, code = command("incidents", "resend", "last", state=tmp_path)
            assert code == 0
            assert "rolled back v42" in json.dumps(slack.wait_for(2).payload)


async def test_without_a_place_for_its_state_it_tells_all_the_same(
    tmp_path: Path, primary: Origin, backup: Origin
) -> None:
    (tmp_path / "file").touch()
    with FakeSlack() as slack:
        hook = ("--webhook-url", slack.url, "--webhook-format", "slack")
        with running(primary, backup, *hook, state=tmp_path / "file" / "state") as program:
            program.wait_for("kept in memory, and gone when the proxy stops: .*not a directory")
            primary.stop()
            slack.wait_for(1)
    printed, code = command("incidents", "list", state=tmp_path / "file" / "state")
    assert code == 1
    assert printed.startswith("failover: ")


# The commands


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("incidents", "list"), 1, "no proxy has kept any there"),
        (("incidents", "show", "x"), 1, "no proxy has kept any there"),
        (("incidents", "note", "last"), 2, "TEXT"),
        (("incidents", "export", "--format", "pdf"), 2, "pdf"),
        (("incidents", "lst"), 2, "did you mean list?"),
        (("incidents", "list", "--lst", "3"), 2, "did you mean"),
    ],
)
def test_a_wrong_word_is_a_sentence(tmp_path: Path, words: tuple[str, ...], code: int, said: str) -> None:
    printed, exit_code = command(*words, state=tmp_path)
    assert (exit_code, said in printed) == (code, True), printed
    assert "Traceback" not in printed


def test_a_test_message_says_so_and_what_came_of_it(tmp_path: Path) -> None:
    with FakeSlack() as good, FakeSlack() as gone:
        gone.answers.append(gone.refused("no_service"))
        words = ["notify", "test", "--primary", "http://app.example", "--backup", "http://b.example"]
        words += ["--webhook-url", good.url, "--webhook-url", gone.url, "--webhook-format", "slack"]
        printed, code = command(*words, state=tmp_path)
    assert code == 1
    assert "(slack): delivered" in printed
    assert "no_service" in printed
    assert "hunter2" not in printed
    assert "TEST" in good.taken[0].payload["text"].upper()


def test_a_test_without_a_webhook_says_how_to_set_one(tmp_path: Path) -> None:
    words = ("notify", "test", "--primary", "http://app.example", "--backup", "http://b.example")
    printed, code = command(*words, state=tmp_path)
    assert code == 2
    assert "--webhook-url https://hooks.slack.com" in printed
