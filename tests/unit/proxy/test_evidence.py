"""What a worker tells of how requests end; what it costs when all is well is in the benchmarks."""

from types import SimpleNamespace

import pytest

from failover.core.model import ErrorType, Verdict
from failover.faults import Fault
from failover.proxy.evidence import Evidence
from failover.proxy.stats import Stats

REFUSED = Fault(ErrorType.CONNECTION_REFUSED, "connection refused")


def exchange(path="/", status=200, pool="primary", client=1, **more):
    facts = {
        "ended": "",
        "first_fault": None,
        "was_held": False,
        "was_rescued": False,
        "started": 0.0,
        "status": status,
        "head": SimpleNamespace(target=path.encode(), method=b"GET"),
        "pool": pool and SimpleNamespace(alias=pool),
        "worker": SimpleNamespace(stats=Stats()),
        "downstream": SimpleNamespace(client=SimpleNamespace(number=lambda _head: client)),
    }
    return SimpleNamespace(**facts | more)


@pytest.fixture
def evidence():
    evidence = Evidence(0)
    evidence.verdict_changed(Verdict.SUSPECT)
    return evidence


def test_nothing_is_told_of_nothing(evidence):
    assert evidence.told() is None


def test_requests_are_told_by_outcome_folded_path_and_status(evidence):
    for n in range(5):
        evidence.over(exchange(f"/items/{n}?secret={n}"))
    evidence.over(exchange("/items/9", pool="backup"))
    evidence.over(exchange("/items/9", pool="backup", was_rescued=True))
    evidence.over(exchange("/items/9", status=503, ended="failed"))
    evidence.over(exchange("/items/9", status=0, ended="aborted"))
    assert sorted(evidence.told().rows) == [
        ("aborted", "/items/:id", 0, 1),
        ("backup", "/items/:id", 200, 1),
        ("failed", "/items/:id", 503, 1),
        ("primary", "/items/:id", 200, 5),
        ("rescued", "/items/:id", 200, 1),
    ]
    assert evidence.told() is None


def test_a_gateway_error_that_was_passed_on_is_a_failure_and_a_500_is_the_apps_own(evidence):
    evidence.over(exchange(status=502))
    evidence.over(exchange(status=500))
    assert sorted(evidence.told().rows) == [("failed", "/", 502, 1), ("primary", "/", 500, 1)]


def test_failures_are_counted_for_the_budget(evidence):
    failed = exchange(status=502, ended="failed")
    evidence.over(failed)
    assert failed.worker.stats.failed == 1


def test_held_writes_are_delivered_or_not(evidence):
    evidence.over(exchange(was_held=True))
    evidence.over(exchange(was_held=True, pool="backup"))
    evidence.over(exchange(was_held=True, status=503, ended="refused"))
    told = evidence.told()
    assert (told.held, told.delivered) == (3, 2)


def test_a_client_is_told_of_once_and_again_after_the_trouble(evidence):
    for client in (1, 2, 1):
        evidence.over(exchange(client=client))
    assert evidence.told().clients == [1, 2]
    evidence.over(exchange(client=1))
    evidence.over(exchange(client=3))
    assert evidence.told().clients == [3]
    evidence.verdict_changed(Verdict.BACKUP)
    evidence.over(exchange(client=1))
    assert evidence.told().clients == []
    evidence.verdict_changed(Verdict.PRIMARY)
    evidence.verdict_changed(Verdict.SUSPECT)
    evidence.over(exchange(client=1))
    assert evidence.told().clients == [1]


def test_only_the_first_requests_that_met_it_are_samples(evidence):
    for n in range(20):
        evidence.over(exchange(f"/a?b={n}", was_rescued=True, pool="backup", first_fault=REFUSED))
    samples = evidence.told().samples
    assert len(samples) == 5
    assert (samples[0].path, samples[0].error, samples[0].answered_by) == ("/a", "connection_refused", "backup")


def test_a_token_in_a_path_is_in_no_sample(evidence):
    evidence.over(exchange("/reset/9f86d081884c7d659a2feaa0c55ad015?x=1", was_rescued=True, first_fault=REFUSED))
    assert evidence.told().samples[0].path == "/reset/:id"


def test_our_own_answer_is_told_as_ours(evidence):
    evidence.over(exchange("/", status=503, ended="failed", first_fault=REFUSED))
    assert evidence.told().samples[0].answered_by == "failover"


def test_when_a_backup_answered_first(evidence):
    evidence.over(exchange())
    assert evidence.told().backup_ok is None
    evidence.over(exchange(pool="backup"))
    assert evidence.told().backup_ok > 0


def test_paths_without_end_stay_few(evidence):
    for n in range(10_000):
        evidence.over(exchange(f"/{chr(97 + n % 26)}{chr(97 + n // 26 % 26)}{chr(97 + n // 676)}"))
    rows = evidence.told().rows
    assert len(rows) <= 301
    assert sum(number for *_, number in rows) == 10_000


def test_a_page_that_failed_by_itself_is_no_evidence_of_what_comes_later(evidence):
    evidence.error_body(SimpleNamespace(lines=[]), b"out of order since last week")
    assert evidence.told() is None
    evidence.over(exchange(status=503, ended="failed"))
    assert evidence.told().body == b""


def test_the_first_error_page_is_kept_unless_it_is_packed(evidence):
    evidence.error_body(SimpleNamespace(lines=[b"Content-Encoding: gzip"]), b"\x1f\x8b")
    evidence.error_body(SimpleNamespace(lines=[b"Content-Type: text/plain"]), b"x" * 5000)
    evidence.error_body(SimpleNamespace(lines=[]), b"later")
    evidence.over(exchange(status=503))
    assert evidence.told().body == b"x" * 1024
