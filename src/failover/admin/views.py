"""From what is known to what is shown: numbers in words, states with a shape and a colour. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from failover.core.words import count, lasting
from failover.reports.words import number, plain

if TYPE_CHECKING:
    from failover.admin.base import Probe, State, Target
    from failover.admin.history import Channel, History
    from failover.core.document import Document
    from failover.incidents.base import Day

_DAY_S = 86400.0
_CERTIFICATE_SOON_D = 14
_LONG = 200
_ENTRIES_SHOWN = 5


@dataclass(frozen=True, slots=True)
class Mood:
    """How something is: a name for the style sheet, a shape that needs no colour, and a word to be read."""

    name: str
    shape: str
    word: str


GOOD = Mood("good", "●", "good")
CARE = Mood("care", "▲", "attention")
BAD = Mood("bad", "■", "bad")
IDLE = Mood("idle", "○", "unknown")
DRILL = Mood("drill", "◆", "drill")


def mood_of(state: State) -> Mood:
    if state.drill is not None:
        return DRILL
    if state.serving == "none":
        return BAD
    if state.serving != "primary" or state.network_cut or state.verdict == "suspect" or state.pinned is not None:
        return CARE
    return GOOD


def headline(state: State) -> dict[str, object]:
    """One sentence: who serves, since when, why."""
    since = f"for {lasting(max(state.now - state.since, 0.0))}"
    notes = []
    if state.verdict == "suspect":
        notes.append("The primary is suspected; requests that wait are answered by the backup as well.")
    if state.network_cut:
        notes.append("Nobody can be reached from here: our own network seems to be cut, and nothing is switched.")
    if state.pinned is not None:
        who = plain(state.pinned.who, 80) or "somebody"
        until = f", for {lasting(state.pinned.until - state.now)} more" if state.pinned.until is not None else ""
        wish = {"backup": "wants the backup to serve", "hold": "wants nothing to be switched"}
        notes.append(f"{who} {wish.get(state.pinned.wish, state.pinned.wish)}{until}.")
    if state.drill is not None:
        left = lasting(max(state.drill.ends - state.now, 0.0))
        share = f" with {state.drill.percent} % of the visitors" if state.drill.sort == "percent" else ""
        notes.append(f"A {state.drill.sort} drill{share} runs, {left} more.")
    reason = f"{state.reason[:1].upper()}{state.reason[1:]}"
    if (
        state.serving in ("backup", "none")
        and reason
        and not any(note.lower().startswith(reason.lower()) for note in notes)
    ):
        notes.insert(0, f"{reason}.")
    return {"mood": mood_of(state), "sentence": state.sentence, "since": since, "notes": notes}


def target(one: Target, now: float) -> dict[str, object]:
    mood = BAD if not one.usable else CARE if one.error else GOOD if one.probes else IDLE
    word = {"bad": "down", "care": "in doubt", "good": "well", "idle": "not probed yet"}[mood.name]
    good = [probe for probe in one.probes if not probe.error]
    facts = [("Address", one.url)]
    if one.addresses and one.addresses != [urlsplit(one.url).netloc]:
        facts.append(("Resolves to", ", ".join(one.addresses[:4]) + (" …" if len(one.addresses) > 4 else "")))
    if one.p50_ms is not None and one.p95_ms is not None:
        facts.append(("Probes take", f"{milliseconds(one.p50_ms)}, 95 % within {milliseconds(one.p95_ms)}"))
    facts.append(("Last verified", f"{lasting(now - one.last_ok)} ago" if one.last_ok is not None else "never"))
    if one.last_bad is not None:
        error = one.last_bad.sentence or one.last_bad.error
        facts.append(("Last error", f"{plain(error, _LONG)}, {lasting(max(now - one.last_bad.at, 0.0))} ago"))
    if one.certificate_ends is not None:
        facts.append(("Certificate", _certificate(one.certificate_ends, now)))
    facts.append(("Requests now", number(one.in_flight)))
    return {
        "alias": one.alias,
        "kind": one.kind,
        "mood": mood,
        "word": word,
        "serving": one.serving,
        "facts": facts,
        "bars": bars(one.probes),
        "summary": f"Last {count(len(one.probes), 'probe')}: {len(good)} good, {len(one.probes) - len(good)} failed",
        "probes": [_probe(probe, now) for probe in reversed(one.probes[-20:])],
    }


def _certificate(ends: float, now: float) -> str:
    days = int((ends - now) // _DAY_S)
    if ends <= now:
        return "has expired"
    soon = ", renew it" if days < _CERTIFICATE_SOON_D else ""
    return f"{count(days, 'more day')}{soon}" if days else "ends today, renew it"


def _probe(probe: Probe, now: float) -> tuple[str, str, str, str]:
    how = plain(probe.sentence or probe.error, _LONG) if probe.error else "good"
    status = str(probe.status) if probe.status else "none"
    return f"{lasting(max(now - probe.at, 0.0))} ago", how, status, milliseconds(probe.took_ms)


def milliseconds(value: float) -> str:
    return lasting(value / 1000)


def bars(probes: list[Probe]) -> list[tuple[int, int, int, str]]:
    """x, y, height and class of a bar for each probe, on a board of 240 x 32: the slower the higher, a bad one full."""
    slowest = max((probe.took_ms for probe in probes if not probe.error), default=1.0) or 1.0
    made = []
    first = 60 - len(probes)
    for place, probe in enumerate(probes):
        height = 32 if probe.error else 6 + round(18 * min(probe.took_ms / slowest, 1.0))
        made.append(((first + place) * 4, 32 - height, height, "bad" if probe.error else "good"))
    return made


def live(state: State, history: History) -> dict[str, object]:
    now = state.live
    p95 = milliseconds(now.p95_ms) if now.p95_ms is not None else "none yet"
    rate = f"{now.requests_per_second:,.1f}".removesuffix(".0")
    part = f"{now.failed_ratio * 100:.2f} % " if now.failed else ""
    return {
        "numbers": [
            ("Requests a second", rate, "in the last minute"),
            ("Failed", number(now.failed), f"{part}in the last minute"),
            ("95 % within", p95, "in the last minute"),
            ("Downtime hidden", number(history.hidden_today), "requests today"),
        ],
        "now": f"{count(now.in_flight, 'request')} in flight, {count(now.clients, 'connection')},"
        f" {count(now.held, 'held write')}, {count(now.workers, 'worker')}",
        "chart": chart(state),
    }


_OUTCOMES = ("primary", "backup", "rescued", "failed", "refused")


def chart(state: State) -> dict[str, object]:
    """The last quarter of an hour as one path an outcome, on a board of 720 x 120; and as rows of a table."""
    traffic = state.traffic
    rows = traffic.rows
    top = max((sum(row) for row in rows), default=0)
    paths = dict.fromkeys(_OUTCOMES, "")
    first = 180 - len(rows)
    for place, row in enumerate(rows):
        floor = 120.0
        for outcome, requests in zip(_OUTCOMES, row, strict=True):
            if requests:
                height = max(requests / top * 110, 3.0 if outcome not in ("primary", "backup") else 1.0)
                floor -= height
                paths[outcome] += f"M{(first + place) * 4} {floor:.1f}h4v{height:.1f}h-4z"
    totals = [sum(row[place] for row in rows) for place in range(len(_OUTCOMES))]
    minutes = [rows[n : n + 12] for n in range(0, len(rows), 12)]
    table = [
        (
            moment(traffic.start + 60.0 * n),
            *(number(sum(row[place] for row in minute)) for place in range(len(_OUTCOMES))),
        )
        for n, minute in enumerate(minutes)
    ]
    told = ", ".join(f"{number(total)} {name}" for name, total in zip(_OUTCOMES, totals, strict=True) if total)
    return {
        "paths": [(name, path) for name, path in paths.items() if path],
        "told": f"Requests of the last 15 minutes: {told or 'none'}",
        "legend": [name for name, total in zip(_OUTCOMES, totals, strict=True) if total],
        "top": f"{top / traffic.seconds:,.1f}".removesuffix(".0") if top else "",
        "table": table,
    }


def incident(told: Document | None) -> dict[str, object] | None:
    if told is None:
        return None
    counts = told.counts
    return {
        "id": told.id,
        "title": plain(told.title, _LONG),
        "summary": plain(told.summary, 500),
        "severity": told.severity.value,
        "hidden": number(counts.hidden),
        "failed": number(counts.failed + counts.refused),
        "outage": lasting(told.durations.outage),
        "check": plain(told.cause.check, _LONG) if told.cause is not None and told.cause.check else "",
        "timeline": [
            (moment(entry.at.timestamp()), plain(entry.text, _LONG), plain(entry.evidence, _LONG), plain(entry.who, 80))
            for entry in told.timeline[-_ENTRIES_SHOWN:]
        ],
    }


def past(incidents: list[Document]) -> list[dict[str, object]]:
    return [
        {
            "id": told.id,
            "began": moment(told.moments.first_bad.timestamp()),
            "title": plain(told.title, _LONG),
            "severity": told.severity.value,
            "resolved": told.resolved,
            "lasted": lasting(told.exercise.planned if told.exercise is not None else told.durations.outage),
            "hidden": number(told.counts.hidden),
            "failed": number(told.counts.failed + told.counts.refused),
        }
        for told in incidents
    ]


def uptime(days: list[Day], incidents: list[Document], now: float, shown: int) -> dict[str, object]:
    """One box a day of UTC, oldest first, and the part of the requests that succeeded in all of them."""
    by_day = {day.start: day for day in days}
    today = now // _DAY_S * _DAY_S
    troubled = {told.moments.first_bad.timestamp() // _DAY_S * _DAY_S for told in incidents if told.exercise is None}
    boxes = []
    for n in range(shown - 1, -1, -1):
        start = today - n * _DAY_S
        day = by_day.get(start)
        name = f"{datetime.fromtimestamp(start, UTC):%d %b}"
        if day is None or not day.requests:
            boxes.append(((shown - 1 - n) * 8, "idle", f"{name}: no requests"))
            continue
        mood = "bad" if day.failed else "hidden" if start in troubled or day.hidden else "good"
        told = f"{name}: {number(day.requests)} requests, {number(day.failed)} failed, {number(day.hidden)} hidden"
        boxes.append(((shown - 1 - n) * 8, mood, told))
    requests, failed = sum(day.requests for day in days), sum(day.failed for day in days)
    hidden = sum(day.hidden for day in days)
    return {
        "boxes": boxes,
        "part": _part(requests - failed, requests),
        "without": _part(requests - failed - hidden, requests) if hidden else "",
        "table": [told for _, _, told in boxes if "no requests" not in told],
    }


def _part(good: int, requests: int) -> str:
    if not requests:
        return "no requests yet"
    part = good / requests * 100
    if good == requests:
        return "100 %"
    return f"{min(part, 99.999):.3f} %"


def budget(left: float | None, slo: float) -> dict[str, object] | None:
    if left is None:
        return None
    mood = GOOD if left > 0.5 else CARE if left > 0 else BAD
    told = f"{max(left, 0) * 100:.0f} % left" if left > 0 else f"overspent by {-left * 100:.0f} %"
    return {"mood": mood, "told": told, "slo": f"{slo:g} %", "width": round(max(min(left, 1.0), 0.0) * 240)}


def channel(one: Channel) -> dict[str, object]:
    mood = BAD if one.given_up else CARE if one.waiting else GOOD if one.told_at else IDLE
    word = "broken" if one.given_up else "waiting" if one.waiting else "reached" if one.told_at else "not used yet"
    return {
        "name": one.name,
        "format": one.format,
        "mood": mood,
        "word": word,
        "waiting": number(one.waiting),
        "told": moment(one.told_at) if one.told_at else None,
        "error": plain(one.last_error, _LONG),
    }


def moment(at: float) -> tuple[str, str]:
    """A time for machines and for people, in UTC."""
    when = datetime.fromtimestamp(at, UTC)
    return when.isoformat(timespec="seconds").replace("+00:00", "Z"), f"{when:%d %b %H:%M:%S} UTC"
