"""Recorded evidence and what is to be suspected of it: `tests/evidence` has one case a file, each with its story.

`says` are words that a fact must have, `never` the kinds that one might think of and that would be wrong.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from datetime import UTC
from pathlib import Path
from typing import get_type_hints

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from failover.core import document
from failover.core.cause import RULES, suspect
from failover.core.document import Cause, Certificate, PathCount, Phase, ProbeFact, RequestFact
from failover.core.findings import Findings, NameFact
from failover.core.model import ErrorType

EVIDENCE = sorted((Path(__file__).parents[2] / "evidence").glob("*.json"))
TYPES = get_type_hints(Findings, localns={**vars(document), "Mapping": Mapping, "NameFact": NameFact})
KINDS = {
    "app_errors", "both_down", "certificate_expired", "certificate_not_yet_valid", "certificate_refused",
    "certificate_self_signed", "certificate_unknown_authority", "certificate_wrong_name", "cut_answers",
    "dependency_gone", "deploy_or_restart", "dns_changed", "dns_gone", "gateway_error_page", "host_or_firewall",
    "hung", "maintenance", "not_http", "overload", "own_limits", "own_network", "partial_outage",
    "platform_error_page", "probe_only", "process_gone", "proxy_loop", "slow", "tls_handshake", "users_only",
    "wrong_page",
}  # fmt: skip


def read(file):
    """The case, and its findings."""
    case = msgspec.json.decode(file.read_bytes())
    found = case["findings"]
    assert set(found) <= {one.name for one in fields(Findings)}
    typed = {name: msgspec.convert(value, TYPES[name], strict=False) for name, value in found.items()}
    return case, Findings(**typed)


@pytest.mark.parametrize("file", EVIDENCE, ids=lambda file: file.stem)
def test_evidence(file):
    case, findings = read(file)
    cause = suspect(findings)
    if case["kind"] is None:
        assert cause is None
        return
    assert cause is not None
    assert (cause.kind, cause.title, cause.confidence) == (case["kind"], case["title"], case["confidence"])
    assert cause.kind not in case.get("never", ())
    for words in case.get("says", ()):
        assert any(words in fact for fact in cause.facts), cause.facts
    assert cause.facts
    assert cause.check.endswith((".", "?"))
    assert "root" not in cause.title


def test_every_kind_has_evidence():
    assert {read(file)[0]["kind"] for file in EVIDENCE} - {None} == KINDS


def test_every_rule_finds_something():
    found = {rule.__name__ for file in EVIDENCE for rule in RULES if rule(_scene(read(file)[1])) is not None}
    assert found == {rule.__name__ for rule in RULES}


def _scene(findings):
    from failover.core.cause_scene import Scene

    return Scene(findings)


MOMENTS = st.datetimes(timezones=st.just(UTC))
ERRORS = st.sampled_from([*ErrorType, "", "news"])
COUNTS = st.integers(-1, 1000)
TEXT = st.one_of(
    st.text(max_size=400),
    st.sampled_from(
        ["502 Bad Gateway\nnginx", "too many clients", "maintenance", "certificate has expired", "{is|was}"]
    ),
)
HEADERS = st.dictionaries(
    st.sampled_from(["Server", "Retry-After", "X-Vercel-Error", "X-Version", "CF-Mitigated"]), TEXT
)
STATUSES = st.sampled_from([0, 200, 401, 404, 429, 500, 502, 503, 504, 508, 521, 999])
CERTIFICATES = st.builds(
    Certificate, subject=TEXT, issuer=TEXT, names=st.lists(TEXT).map(tuple), not_before=MOMENTS, not_after=MOMENTS,
    sha256=TEXT, issue=TEXT,
)  # fmt: skip
PROBES = st.builds(
    ProbeFact, at=MOMENTS, target=TEXT, error=ERRORS, detail=TEXT, status=STATUSES, address=TEXT, headers=HEADERS,
    body=TEXT, length=COUNTS, took=st.dictionaries(st.sampled_from(["dns", "tcp"]), st.floats()),
    certificate=st.none() | CERTIFICATES,
)  # fmt: skip
PATHS = st.lists(st.builds(PathCount, path=TEXT, requests=COUNTS), max_size=5).map(tuple)
ADDRESSES = st.lists(st.sampled_from(["203.0.113.10", "::1", ""]), max_size=3).map(tuple)
NAMES = st.builds(
    NameFact, after=st.floats(), host=TEXT, before=ADDRESSES, addresses=ADDRESSES, error=ERRORS, detail=TEXT
)
FINDINGS = st.builds(
    Findings,
    probes=st.dictionaries(ERRORS, COUNTS, max_size=3),
    requests=st.dictionaries(ERRORS, COUNTS, max_size=3),
    statuses=st.dictionaries(STATUSES, COUNTS, max_size=3),
    good_probes=COUNTS,
    good_requests=COUNTS,
    phases=st.lists(
        st.builds(Phase, start=MOMENTS, end=MOMENTS, state=st.one_of(ERRORS, st.just("ok")), status=STATUSES),
        max_size=5,
    ).map(tuple),
    before=st.none() | PROBES,
    first=st.none() | PROBES,
    last=st.none() | PROBES,
    samples=st.lists(
        st.builds(RequestFact, at=MOMENTS, method=TEXT, path=TEXT, error=ERRORS, detail=TEXT), max_size=2
    ).map(tuple),
    body=TEXT,
    failing=PATHS,
    healthy=PATHS,
    latencies=st.lists(st.floats(), max_size=8).map(tuple),
    names=st.lists(NAMES, max_size=3).map(tuple),
    certificate=st.none() | CERTIFICATES,
    backups=st.integers(0, 3),
    backups_down=st.dictionaries(TEXT, ERRORS, max_size=3),
    network_cut=st.booleans(),
    resolved=st.booleans(),
)


def bounded(cause: Cause | None) -> bool:
    return cause is None or (
        cause.kind in KINDS
        and 0 < len(cause.title) <= 100
        and len(cause.facts) <= 8
        and all(0 < len(fact) <= 300 and fact.isprintable() for fact in cause.facts)
        and len(cause.check) <= 300
        and (cause.title + cause.check).isprintable()
    )


@settings(max_examples=400)
@given(FINDINGS)
def test_whatever_was_found_there_is_a_bounded_cause_or_none(findings):
    assert bounded(suspect(findings))


@settings(max_examples=50)
@given(FINDINGS)
def test_each_rule_alone_is_as_robust(findings):
    scene = _scene(findings)
    assert all(bounded(rule(scene)) for rule in RULES)
