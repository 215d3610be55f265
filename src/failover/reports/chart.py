"""The chart of an incident, as SVG: who served, how the primary looked to probes, and what became of the requests.

It stands alone as a file, and inside a page. It has no script and no link; `paint` has its colours.
"""

from __future__ import annotations

from datetime import timedelta
from html import escape
from typing import TYPE_CHECKING, Literal

from failover.reports import axis
from failover.reports.paint import ERRORS, PATTERNED, PATTERNS, STYLE
from failover.reports.words import clock, headline, impact, moment, number, plain

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import datetime

    from failover.core.document import Document, Phase, Shift, Traffic

WIDTH = 960
_LEFT, _RIGHT = 84.0, 944.0
_BAND, _PLOT, _LANE, _ROW = 24, 130, 17, 20
_SIGN = 7.0  # a generous guess at the width of a letter: fonts differ
_TOGETHER = 8.0  # markers that are nearer than this are one

SERVING = {"primary": "primary", "backup": "backup", "ramp": "both, in a ramp", "none": "nobody", "unknown": "unknown"}
OUTCOMES = {"primary": "primary", "backup": "backup", "rescued": "rescued", "refused": "refused", "failed": "failed"}
_ALWAYS_SEEN = {"rescued", "refused", "failed"}
MOMENTS = {
    "first_bad": "first bad signal",
    "first_backup_ok": "first answer of the backup",
    "detected": "detected",
    "switched": "switched",
    "primary_ok": "primary answers again",
    "recovered": "recovered",
}


def svg(document: Document, *, theme: Literal["auto", "light"] = "auto") -> str:
    """A whole SVG. `light` has the light colours alone, for readers that know no media queries."""
    span = axis.span(document, _LEFT, _RIGHT)
    colours = _colours_of(document.phases)
    marks, top = _markers(document, span)
    serving, primary = top, top + _BAND + 6
    plot = primary + _BAND + 16
    legend, height = _legend(document, colours, plot + _PLOT + 38)
    parts = (
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" class="fo" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" '
            f'height="{height}" role="img" aria-labelledby="fo-title fo-desc">'
        ),
        f'<title id="fo-title">{escape(headline(document))}</title>',
        f'<desc id="fo-desc">{escape(described(document))}</desc>',
        f"<style>{STYLE[theme]}</style><defs>{PATTERNS}</defs>",
        f'<rect class="surface" width="{WIDTH}" height="{height}"/>',
        *_time_axis(span, plot),
        *_rates(document.traffic, span, plot),
        *_band("Serving", serving, (_served(shift, span) for shift in document.shifts)),
        *_band("Primary", primary, (_looked(phase, span, colours) for phase in document.phases)),
        *(line.replace("BOTTOM", str(plot + _PLOT)) for line in marks),
        *legend,
        "</svg>\n",
    )
    return "\n".join(parts)


def described(document: Document) -> str:
    """What the chart shows, in words."""
    span = axis.span(document, 0, 1)
    sides = [f"{SERVING.get(one.side, plain(one.side))} from {clock(one.start)}" for one in document.shifts]
    states = list(dict.fromkeys(spoken(one.state) for one in document.phases))
    return " ".join(
        (
            f"From {moment(span.start)} to {moment(span.end)}.",
            f"Serving: {', '.join(sides[:12]) or 'not known'}.",
            f"The primary to probes: {', '.join(states) or 'not known'}.",
            impact(document),
        )
    )


def spoken(state: str) -> str:
    """An error type as it is read: `connection refused`."""
    return plain(state, 40).replace("_", " ")


def _colours_of(phases: tuple[Phase, ...]) -> dict[str, str]:
    """`ok`, and a colour for each error in the order in which they came."""
    errors = dict.fromkeys(phase.state for phase in phases if phase.state != "ok")
    return {"ok": "ok", **{state: f"error{n % ERRORS}" for n, state in enumerate(errors)}}


# A band: what it is called, what it says when pointed at, and where it lies


def _band(name: str, y: float, stretches: Iterable[tuple[float, float, str, str, str]]) -> Iterator[str]:
    yield f'<text class="end" x="{_n(_LEFT - 8)}" y="{_n(y + 16)}">{name}</text>'
    yield f'<rect class="track" x="{_n(_LEFT)}" y="{_n(y)}" width="{_n(_RIGHT - _LEFT)}" height="{_BAND}"/>'
    for left, right, colour, label, told in stretches:
        box = f'x="{_n(left)}" y="{_n(y)}" width="{_n(max(right - left, 1.5))}" height="{_BAND}"'
        yield f'<g><title>{escape(told)}</title><rect class="{colour}" {box}/>'
        if colour in PATTERNED:
            yield f'<rect fill="url(#fo-{colour})" {box}/>'
        # a pattern under letters makes them hard to read: those stand on a plain piece
        room = len(label) * _SIGN + 12
        if room <= right - left:
            if colour in PATTERNED:
                yield f'<rect class="{colour}" x="{_n(left)}" y="{_n(y)}" width="{_n(room)}" height="{_BAND}"/>'
            yield (
                f'<text class="band {"on-ok" if colour == "ok" else "on"}" x="{_n(left + 6)}" y="{_n(y + 16)}">'
                f"{escape(label)}</text>"
            )
        yield "</g>"


def _served(shift: Shift, span: axis.Span) -> tuple[float, float, str, str, str]:
    side = shift.side if shift.side in SERVING else "unknown"
    return span.x(shift.start), span.x(shift.end), side, SERVING[side], _told(SERVING[side], shift)


def _looked(phase: Phase, span: axis.Span, colours: dict[str, str]) -> tuple[float, float, str, str, str]:
    label = spoken(phase.state)
    more = f" ({phase.status})" if phase.status else ""
    told = f"{_told(label + more, phase)}, probes: {number(phase.probes)}"
    return span.x(phase.start), span.x(phase.end), colours[phase.state], label, told


def _told(label: str, stretch: Shift | Phase) -> str:
    return f"{label}, {clock(stretch.start)} to {clock(stretch.end)}"


# Requests per second


def _rates(traffic: tuple[Traffic, ...], span: axis.Span, y: float) -> Iterator[str]:
    top = axis.rounded_up(max((_total(one) / one.seconds for one in traffic if one.seconds > 0), default=0.0))
    for share in (0.0, 0.5, 1.0):
        line = y + _PLOT * (1 - share)
        yield f'<path class="rule" d="M{_n(_LEFT)} {_n(line)}H{_n(_RIGHT)}"/>'
        yield f'<text class="end muted" x="{_n(_LEFT - 8)}" y="{_n(line + 4)}">{top * share:,.6g}</text>'
    middle = _n(y + _PLOT / 2)
    yield f'<text class="mid muted" transform="translate(16 {middle}) rotate(-90)">requests/s</text>'
    drawn: dict[str, list[str]] = {outcome: [] for outcome in OUTCOMES}
    for one in traffic:
        _stack(one, span, y + _PLOT, _PLOT / top, drawn)
    for outcome, bars in drawn.items():
        if bars:
            yield f'<path class="{outcome}" d="{"".join(bars)}"/>'
            if outcome in PATTERNED:
                yield f'<path fill="url(#fo-{outcome})" d="{"".join(bars)}"/>'
    if not any(drawn.values()):
        yield f'<text class="mid muted" x="{_n((_LEFT + _RIGHT) / 2)}" y="{middle}">no requests in this time</text>'


def _stack(one: Traffic, span: axis.Span, floor: float, scale: float, drawn: dict[str, list[str]]) -> None:
    """Bars on top of each other; of what hurt a little is always to be seen, however few they were."""
    if one.seconds <= 0:
        return
    left, right = span.x(one.start), span.x(one.start + timedelta(seconds=one.seconds))
    width = max(right - left - min(1.0, (right - left) * 0.15), 1.0)
    for outcome, bars in drawn.items():
        if requests := getattr(one, outcome):
            height = max(requests / one.seconds * scale, 2.0 if outcome in _ALWAYS_SEEN else 0.5)
            floor -= height
            bars.append(f"M{_n(left)} {_n(floor)}h{_n(width)}v{_n(height)}h-{_n(width)}z")


def _total(one: Traffic) -> int:
    return sum(getattr(one, outcome) for outcome in OUTCOMES)


# Moments, time and the legend


def _markers(document: Document, span: axis.Span) -> tuple[list[str], int]:
    """The dashed lines with their words above, in as many lanes as those need; and where the bands may begin."""
    known = [(at, word) for name, word in MOMENTS.items() if (at := getattr(document.moments, name)) is not None]
    lanes: list[list[tuple[float, float]]] = []
    lines, labels = [], []
    for at, words in _near(sorted(known), span):
        x, text = span.x(at), f"{clock(at)} {words}"
        room = len(text) * _SIGN
        to_the_left = x + room > _RIGHT
        left, right = (x - room, x) if to_the_left else (x, x + room)
        lane = next((one for one in lanes if all(right < start or left > end for start, end in one)), None)
        if lane is None:
            lanes.append(lane := [])
        lane.append((left, right))
        y = 14 + lanes.index(lane) * _LANE
        lines.append(f'<path class="mark" d="M{_n(x)} {y + 4}VBOTTOM"/>')
        place = f'class="end halo" x="{_n(x + 2)}"' if to_the_left else f'class="halo" x="{_n(x - 2)}"'
        labels.append(f'<text {place} y="{y}">{escape(text)}</text>')
    return lines + labels, 14 + len(lanes) * _LANE


def _near(known: list[tuple[datetime, str]], span: axis.Span) -> Iterator[tuple[datetime, str]]:
    """What would be drawn at one place becomes one marker."""
    group: list[tuple[datetime, str]] = []
    for one in known:
        if group and span.x(one[0]) - span.x(group[0][0]) > _TOGETHER:
            yield group[0][0], ", ".join(word for _, word in group)
            group = []
        group.append(one)
    if group:
        yield group[0][0], ", ".join(word for _, word in group)


def _time_axis(span: axis.Span, y: float) -> Iterator[str]:
    for at, text in span.ticks():
        x = _n(span.x(at))
        yield f'<path class="rule" d="M{x} {_n(y)}v{_PLOT + 4}"/>'
        yield f'<text class="mid muted" x="{x}" y="{_n(y + _PLOT + 17)}">{text}</text>'
    yield f'<text class="muted" x="8" y="{_n(y + _PLOT + 17)}">UTC</text>'


def _legend(document: Document, colours: dict[str, str], y: float) -> tuple[list[str], int]:
    """Only what is there to be seen, in rows; and where the chart ends."""
    sides = {one.side if one.side in SERVING else "unknown" for one in document.shifts}
    outcomes = {name for one in document.traffic for name in OUTCOMES if getattr(one, name)}
    items = [(word, name) for name, word in (SERVING | OUTCOMES).items() if name in sides | outcomes]
    states = dict.fromkeys(one.state for one in document.phases)
    items += [(f"probes: {spoken(state)}", colours[state]) for state in states]
    x, parts = _LEFT, []
    for word, colour in items:
        if x + 20 + len(word) * _SIGN > _RIGHT:
            x, y = _LEFT, y + _ROW
        box = f'x="{_n(x)}" y="{_n(y - 10)}" width="12" height="12"'
        parts.append(f'<rect class="{colour}" {box}/>')
        if colour in PATTERNED:
            parts.append(f'<rect fill="url(#fo-{colour})" {box}/>')
        parts.append(f'<text x="{_n(x + 18)}" y="{_n(y)}">{escape(word)}</text>')
        x += 36 + len(word) * _SIGN
    return parts, round(y) + (12 if items else -6)


def _n(value: float) -> str:
    """A tenth of a pixel is enough, and the same on each machine."""
    return f"{value:.1f}".removesuffix(".0")
