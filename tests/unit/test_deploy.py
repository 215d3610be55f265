"""The dashboard, the alert rules and their page: they may name only what `/metrics` really shows."""

from __future__ import annotations

import json
import re
from itertools import combinations, pairwise
from pathlib import Path

import pytest
import yaml
from prometheus_client import CollectorRegistry, ProcessCollector

from failover.observe.metrics import METRICS, Type

ROOT = Path(__file__).parents[2]
DASHBOARD = json.loads((ROOT / "deploy/grafana.json").read_text())
RULES = yaml.safe_load((ROOT / "deploy/alerts.yaml").read_text())
PAGE = (ROOT / "docs/metrics.md").read_text()

ALERTS = [rule for group in RULES["groups"] for rule in group["rules"]]
PANELS = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
ANNOTATIONS = DASHBOARD["annotations"]["list"]
QUERIES = [(panel["title"], query["expr"]) for panel in PANELS for query in panel["targets"]]
EXPRESSIONS = [*QUERIES, *((one["name"], one["expr"]) for one in ANNOTATIONS),
               *((rule["alert"], rule["expr"]) for rule in ALERTS)]  # fmt: skip

EVERYWHERE = {"instance", "job"}
"""Labels that Prometheus itself adds to all it scrapes."""


def _process_metrics() -> set[str]:
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    return {sample.name for family in registry.collect() for sample in family.samples}


def _known() -> dict[str, set[str]]:
    """Every name that a query may have, with its labels."""
    known: dict[str, set[str]] = {"up": set()} | {name: set() for name in _process_metrics()}
    for metric in METRICS:
        if metric.type is Type.HISTOGRAM:
            known |= {f"{metric.name}_{part}": set(metric.labels) for part in ("sum", "count")}
            known[f"{metric.name}_bucket"] = {*metric.labels, "le"}
        else:
            known[metric.name] = set(metric.labels)
    return {name: labels | EVERYWHERE for name, labels in known.items()}


KNOWN = _known()

# -- as much of PromQL as our expressions have

_TOKEN = re.compile(
    r'(?P<text>"(?:[^"\\]|\\.)*")|(?P<range>\[[^\]]*\])|(?P<number>\d[\w.]*)|(?P<name>[a-zA-Z_:][\w:]*)'
    r"|(?P<sign>=~|!~|!=|==|<=|>=|[-+*/%^<>=(){},])|(?P<space>\s+)"
)
_OPERATORS = {"and", "or", "unless", "offset", "bool"}
_AGGREGATIONS = {"sum", "min", "max", "avg", "count", "topk"}
_FUNCTIONS = {"rate", "increase", "histogram_quantile", "time", "absent", "vector"}
_GROUPINGS = {"by", "without", "on", "ignoring"}
_CLOSES = {"(": ")", "{": "}"}


def tokens(expr: str) -> list[tuple[str, str]]:
    found, place = [], 0
    while place < len(expr):
        match = _TOKEN.match(expr, place)
        assert match, f"{expr[place:]!r} is no PromQL that this test knows"
        place = match.end()
        if match.lastgroup != "space":
            found.append((match.lastgroup or "", match.group()))
    return found


def closing(words: list[tuple[str, str]], at: int) -> int:
    """Where the bracket that opens at this place is closed again."""
    expected: list[str] = []
    for place in range(at, len(words)):
        _, word = words[place]
        if word in _CLOSES:
            expected.append(_CLOSES[word])
        elif word in _CLOSES.values():
            assert expected.pop() == word, "brackets cross"
            if not expected:
                return place
    raise AssertionError("a bracket is never closed")


def look(expr: str) -> tuple[set[str], list[str]]:
    """The metrics of an expression, and what is wrong with their names and labels."""
    words = tokens(expr)
    metrics: set[str] = set()
    wrong: list[str] = []
    grouped: list[tuple[int, list[str]]] = []
    place = 0
    while place < len(words):
        kind, word = words[place]
        after = words[place + 1][1] if place + 1 < len(words) else ""
        if kind == "name" and word in _GROUPINGS:
            end = closing(words, place + 1)
            grouped.append((place, [word for kind, word in words[place + 2 : end] if kind == "name"]))
            place = end
        elif kind == "name" and word in _AGGREGATIONS | _FUNCTIONS:
            assert after == "(" or after in _GROUPINGS, f"{word} of what?"
        elif kind == "name" and word not in _OPERATORS:
            metrics.add(word)
            if word not in KNOWN:
                wrong.append(f"there is no {word}")
            if after == "{":
                end = closing(words, place + 1)
                inside = words[place + 2 : end]
                labels = {name for (kind, name), (_, sign) in pairwise(inside) if kind == "name"
                          and sign in ("=", "!=", "=~", "!~")}  # fmt: skip
                wrong += [f"{word} has no label {label}" for label in labels - KNOWN.get(word, labels)]
                place = end
        place += 1
    for at, labels in grouped:
        # `sum by (…) (…)` groups what follows, `… on (…)` joins both of its sides.
        aggregates = words[at - 1][1] in _AGGREGATIONS
        begin = closing(words, at + 1) + 1
        part = words[begin : closing(words, begin) + 1] if aggregates else words
        for name in {word for kind, word in part if kind == "name" and word in KNOWN}:
            wrong += [f"{name} has no label {label}" for label in set(labels) - KNOWN[name]]
    return metrics, wrong


@pytest.mark.parametrize(
    ("expr", "complaint"),
    [
        ("failover_nothing", "there is no failover_nothing"),
        ("sum(failover_request_duration_seconds)", "there is no failover_request_duration_seconds"),
        ("failover_workers_count", "there is no failover_workers_count"),
        ('failover_workers{upstream="primary"}', "failover_workers has no label upstream"),
        ("sum by (le) (failover_workers)", "failover_workers has no label le"),
        ("failover_workers and on (upstream) failover_upstream_up", "failover_workers has no label upstream"),
        ('failover_requests_total{code=~"5..",path="/"}', "failover_requests_total has no label path"),
    ],
)
def test_what_is_wrong_is_found(expr: str, complaint: str) -> None:
    assert look(expr)[1] == [complaint]


@pytest.mark.parametrize("expr", ["sum(failover_workers", "sum(failover_workers{)}", 'rate(x[5m]) & "y'])
def test_what_is_no_expression_is_found(expr: str) -> None:
    with pytest.raises(AssertionError):
        balanced(expr)


def balanced(expr: str) -> None:
    words = tokens(expr)
    for place, (_, word) in enumerate(words):
        if word in _CLOSES:
            closing(words, place)
    for opening, end in _CLOSES.items():
        assert sum(word == opening for _, word in words) == sum(word == end for _, word in words)


# -- both


@pytest.mark.parametrize(("where", "expr"), EXPRESSIONS)
def test_names_and_labels_exist(where: str, expr: str) -> None:
    balanced(expr)
    metrics, wrong = look(expr)
    assert not wrong, where
    assert metrics, "it asks for nothing"


# -- the dashboard


def test_it_can_be_imported_anywhere() -> None:
    assert DASHBOARD["id"] is None, "a number belongs to one Grafana"
    assert DASHBOARD["uid"] == "failover", "links to it stay"
    assert DASHBOARD["schemaVersion"] == 39
    assert DASHBOARD["refresh"] == "10s"
    assert DASHBOARD["timezone"] == "browser"
    variables = {one["name"]: one for one in DASHBOARD["templating"]["list"]}
    assert variables["datasource"]["type"] == "datasource"
    assert variables["datasource"]["query"] == "prometheus"
    assert variables["instance"]["query"]["query"] == "label_values(failover_build_info, instance)"


def test_every_query_goes_to_the_chosen_datasource_and_proxy() -> None:
    asking = [*PANELS, *(query for panel in PANELS for query in panel["targets"]), *ANNOTATIONS]
    asking += [one for one in DASHBOARD["templating"]["list"] if one["type"] == "query"]
    assert all(one["datasource"] == {"type": "prometheus", "uid": "${datasource}"} for one in asking)
    for where, expr in [*QUERIES, *((one["name"], one["expr"]) for one in ANNOTATIONS)]:
        named = sum(word in KNOWN for kind, word in tokens(expr) if kind == "name")
        assert expr.count('instance=~"$instance"') == named, where


def test_panels_have_their_own_place_and_say_what_they_show() -> None:
    everything = DASHBOARD["panels"]
    assert len({panel["id"] for panel in everything}) == len(everything)
    assert len({panel["title"] for panel in everything}) == len(everything)
    for panel in PANELS:
        assert panel["description"], panel["title"]
        assert len({query["refId"] for query in panel["targets"]}) == len(panel["targets"]), panel["title"]
    cells = [(panel["title"], _cells(**panel["gridPos"])) for panel in everything]
    assert all(x < 24 for _, taken in cells for x, _ in taken)
    for (one, taken), (other, also) in combinations(cells, 2):
        assert not taken & also, f"{one} lies over {other}"


def _cells(x: int, y: int, w: int, h: int) -> set[tuple[int, int]]:
    return {(column, line) for column in range(x, x + w) for line in range(y, y + h)}


@pytest.mark.parametrize("panel", PANELS, ids=[panel["title"] for panel in PANELS])
def test_legends_name_labels_that_are_left(panel: dict) -> None:
    for query in panel["targets"]:
        grouped = re.findall(r"\b(?:sum|min|max) by \(([^)]*)\)", query["expr"])
        metrics, _ = look(query["expr"])
        left = {label.strip() for labels in grouped for label in labels.split(",")} if grouped else (
            set.intersection(*(KNOWN[name] for name in metrics)))  # fmt: skip
        assert set(re.findall(r"{{(\w+)}}", query["legendFormat"])) <= left, query["expr"]


def test_every_metric_is_shown_somewhere() -> None:
    shown = set.union(*(look(expr)[0] for _, expr in EXPRESSIONS))
    bare = {re.sub(r"_(bucket|sum|count)$", "", name) for name in shown} | shown
    assert {metric.name for metric in METRICS} <= bare


# -- the alerts


def test_there_are_five_alerts() -> None:
    assert [rule["alert"] for rule in ALERTS] == [
        "FailoverOnBackup",
        "FailoverBackupDown",
        "FailoverUsersSeeErrors",
        "FailoverCertificateEnds",
        "FailoverCannotTell",
    ]
    assert len({group["name"] for group in RULES["groups"]}) == len(RULES["groups"])


@pytest.mark.parametrize("rule", ALERTS, ids=[rule["alert"] for rule in ALERTS])
def test_an_alert_says_how_bad_it_is_and_what_to_do(rule: dict) -> None:
    assert set(rule) == {"alert", "expr", "for", "labels", "annotations"}
    assert re.fullmatch(r"\d+[mh]", rule["for"])
    assert rule["labels"]["severity"] in {"warning", "critical"}
    assert set(rule["annotations"]) == {"summary", "description"}
    assert len(rule["annotations"]["description"]) > 80
    for text in rule["annotations"].values():
        assert text.count("{{") == text.count("}}")
        for label in re.findall(r"\$labels\.(\w+)", text):
            assert any(label in KNOWN[name] for name in look(rule["expr"])[0]), label


# -- the page


def row(metric) -> str:
    labels = ", ".join(f"`{label}`" for label in metric.labels)
    return f"| `{metric.name}` | {metric.type} | {labels} | {metric.meaning} |"


def test_the_page_has_a_row_for_every_metric() -> None:
    rows = [line for line in PAGE.splitlines() if line.startswith("| `failover_")]
    wanted = [row(metric) for metric in METRICS]
    assert rows == wanted, "docs/metrics.md should have:\n" + "\n".join(wanted)


def test_the_page_has_a_row_for_every_alert() -> None:
    assert re.findall(r"^\| `(Failover\w+)` \|", PAGE, re.MULTILINE) == [rule["alert"] for rule in ALERTS]


def test_the_examples_of_the_page_can_be_read() -> None:
    examples = [yaml.safe_load(one) for one in re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)]
    jobs = [job for example in examples for job in example.get("scrape_configs", ())]
    assert {job["job_name"] for job in jobs} == {"failover"}, "an alert looks for this name"
    assert any(job.get("authorization", {}).get("type") == "Bearer" for job in jobs)
    assert any("alerts.yaml" in name for example in examples for name in example.get("rule_files", ()))
