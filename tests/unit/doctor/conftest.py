"""The doctor as the command calls it, in this process: the real wiring, without the words of a command line."""

import pytest

from failover.cli.check import _examine
from failover.doctor.base import Grade
from failover.settings.sources import load
from support.origin import Origin
from support.program import clean_environment
from support.site import dressed


class Findings(list):
    """What was found, by check."""

    def of(self, check, target=None):
        return [one for one in self if one.check == check and target in {None, one.target}]

    def bad(self, grade=Grade.WARN):
        """Those of this grade alone, as `check target`."""
        return {f"{one.check} {one.target}" for one in self if one.grade is grade}

    def only(self, check, target):
        (found,) = self.of(check, target)
        return found


@pytest.fixture
def examined(monkeypatch):
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.delenv(name, raising=False)

    async def examine(primary, backup, **settings):
        given = {"primary": primary, "backup": (backup,), "state_dir": "memory", "listen": "127.0.0.1:0"}
        given |= {"connect_timeout": "30s", "check_timeout": "30s", **settings}  # a busy machine is no finding
        return Findings(await _examine(load(given, clean_environment()).settings))

    return examine


@pytest.fixture
def primary():
    with Origin("primary") as origin:
        yield dressed(origin)


@pytest.fixture
def backup():
    with Origin("backup") as origin:
        yield dressed(origin)
