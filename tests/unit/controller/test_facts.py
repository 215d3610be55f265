"""What an incident keeps of a probe."""

from datetime import UTC, datetime

from failover.controller.facts import probe_fact
from failover.controller.prober import Result
from failover.core.document import Certificate, ProbeFact
from failover.core.events import Signal, Source
from failover.core.model import ErrorType

AT = datetime(2026, 11, 23, 14, 13, 20, tzinfo=UTC)


def test_a_bad_probe():
    signal = Signal(Source.PROBE, "primary", good=False, error=ErrorType.HTTP_5XX, detail="503")
    shown = Certificate(subject="app.example")
    result = Result(
        signal,
        503,
        "nginx",
        {"dns": 0.0001, "tcp": 0.00821},
        "203.0.113.10:443",
        {"Server": "nginx"},
        9,
        "starting",
        shown,
    )
    assert probe_fact(result, AT) == ProbeFact(
        at=AT,
        target="primary",
        error="http_5xx",
        detail="503",
        status=503,
        took={"dns": 0.1, "tcp": 8.2},
        address="203.0.113.10:443",
        headers={"Server": "nginx"},
        body="starting",
        length=9,
        certificate=shown,
    )


def test_a_good_probe_has_no_error():
    fact = probe_fact(Result(Signal(Source.PROBE, "backup", good=True), 200), AT)
    assert (fact.target, fact.error, fact.detail, fact.status) == ("backup", "", "", 200)
