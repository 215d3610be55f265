"""The report as one HTML file: no script, nothing from elsewhere, dark or light as its reader has it, fit to print."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from failover.core.words import lasting
from failover.reports import facts
from failover.reports.chart import svg
from failover.reports.words import clock, headline, impact, moment, number, percent, plain, times_of

if TYPE_CHECKING:
    from jinja2 import Template

    from failover.core.document import Document

_TEMPLATES = Path(__file__).parent / "templates"


def render(document: Document) -> str:
    counts = document.counts
    return _template().render(
        told=document,
        time=times_of(document),
        headline=headline(document),
        impact=impact(document),
        hidden=number(counts.hidden),
        failed=number(counts.failed),
        failed_part=percent(counts.failed, counts.total),
        refused=number(counts.refused),
        total=number(counts.total),
        chart=svg(document),
        durations=list(facts.durations(document)),
        impact_table=facts.impact_table(document),
        exercise=list(facts.exercise_facts(document)),
        findings=facts.findings(document),
        paths=[(plain(one.path, 80), facts.path_facts(one)) for one in document.paths],
        errors=list(facts.error_facts(document)),
        probes=[*facts.probe_facts(document), *map(plain, document.evidence.changed)],
        body=[row for row in map(plain, document.evidence.body.splitlines()) if row],
        before=[facts.recurrence(document), *facts.budget(document)],
        noted=list(facts.worth_noting(document)),
        prompts=facts.human_prompts(),
        traffic=[one for one in document.traffic if one.primary + one.backup + one.rescued + one.failed + one.refused],
    )


@cache
def _template() -> Template:
    """Made once; loading Jinja2 takes longer than any report."""
    import jinja2  # noqa: PLC0415 - see above

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    known: dict[str, Any] = {
        "clock": clock, "lasting": lasting, "moment": moment, "number": number, "plain": plain,
    }  # fmt: skip
    environment.filters.update(known)
    return environment.get_template("report.html")
