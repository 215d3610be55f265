"""The log as a person reads it: one line a change, with the reason in words."""

import re
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from failover.controller import lines
from failover.controller.resolver import News
from failover.core.events import VerdictChanged
from failover.core.model import ErrorType, Verdict
from failover.faults import Fault

WHY = "app.test (name or service not known)"
FAULT = Fault(ErrorType.DNS_ERROR, WHY)


def said(say, *about):
    with capture_logs() as log:
        say(*about)
    return [f"{line['log_level']} {line['event']}: {line['reason']}" for line in log]


@pytest.mark.parametrize(
    ("old", "new", "backups", "line"),
    [
        ("primary", "suspect", ("backup",), "warning primary is suspected: because"),
        ("suspect", "primary", ("backup",), "info primary is no longer suspected: because"),
        ("suspect", "backup", ("backup", "backup-2"), "warning switched to the backup: because"),
        ("suspect", "backup", ("backup-2",), "warning switched to backup-2: because"),
        (
            "suspect",
            "backup",
            (),
            "error the primary is down and so is every backup, trying the primary anyway: because",
        ),
        ("backup", "ramp", ("backup",), "info the primary is tried with 5 % of the visitors: because"),
        (
            "ramp",
            "backup",
            ("backup",),
            "warning the primary failed on its way back, no visitor gets it any more: because",
        ),
        ("ramp", "primary", ("backup",), "info switched back to the primary: because"),
    ],
)
def test_verdicts(old, new, backups, line):
    assert said(lines.verdict_changed, VerdictChanged(Verdict(old), Verdict(new), "because"), backups) == [line]


@pytest.mark.parametrize(
    ("news", "line"),
    [
        (
            News("app.test", ("primary",), (), (), FAULT),
            "error the name of primary does not resolve, check its spelling and this machine's name servers: " + WHY,
        ),
        (
            News("app.test", ("primary", "backup"), ("192.0.2.1",), ("192.0.2.1",), FAULT),
            "warning the name of primary and backup does not resolve, its last addresses stay in use: " + WHY,
        ),
        (
            News("app.test", ("primary",), (), ("192.0.2.1",), None, again=True),
            "info the name of primary resolves again: app.test is 192.0.2.1",
        ),
        (
            News("app.test", ("primary",), ("192.0.2.1",), ("192.0.2.2", "192.0.2.3"), None),
            "info the name of primary has other addresses: app.test was 192.0.2.1 and is 192.0.2.2, 192.0.2.3",
        ),
    ],
)
def test_names(news, line):
    assert said(lines.name_changed, news) == [line]


def test_a_name_that_just_resolves_is_no_news():
    assert said(lines.name_changed, News("app.test", ("primary",), (), ("192.0.2.1",), None)) == []


def test_every_action_is_on_the_page():
    source = Path(lines.__file__).parents[1]
    files = [Path(lines.__file__), source / "notify" / "lines.py", *(source / "incidents").glob("*.py")]
    files += [*(source / "admin").glob("*.py"), source / "supervisor" / "sockets.py"]
    files += [source / "observe" / "shortage.py"]
    files += [source / "supervisor" / "certificate.py"]
    actions = {action for file in files for action in re.findall(r'action="([a-z_.]+)"', file.read_text())}
    page = (Path(__file__).parents[3] / "docs" / "verdicts.md").read_text()
    rooms = "admin|certificate|drill|failover|target|dns|controller|network|incident|notification|store"
    assert actions == set(re.findall(rf"`((?:{rooms})\.[a-z_]+)`", page))
