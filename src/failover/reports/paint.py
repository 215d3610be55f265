"""The colours and patterns of the chart. Colour is never alone: bands are named, errors have patterns as well.

What stands on a band is readable in both schemes (4.5 to 1); the tests do that sum.
"""

from __future__ import annotations

LIGHT = {
    "surface": "#ffffff",
    "text": "#1b2430",
    "muted": "#566170",
    "grid": "#e2e7ed",
    "track": "#f2f5f8",
    "primary": "#2b5fb3",
    "backup": "#08765a",
    "rescued": "#62b5e5",
    "refused": "#98509c",
    "failed": "#c63f0e",
    "none": "#b3261e",
    "unknown": "#6b7683",
    "ok": "#d7e3f4",
    "error0": "#b3261e",
    "error1": "#87590a",
    "error2": "#7a3f96",
    "error3": "#3d5a6c",
    "error4": "#9c2f63",
    "on-band": "#ffffff",
    "on-ok": "#1b2430",
}
DARK = {
    "surface": "#161c24",
    "text": "#e4eaf1",
    "muted": "#9da9b7",
    "grid": "#2b343f",
    "track": "#1e2630",
    "primary": "#7fb0f5",
    "backup": "#4fcba4",
    "rescued": "#2f86bd",
    "refused": "#d59add",
    "failed": "#ff8c5a",
    "none": "#ff8a80",
    "unknown": "#9da9b7",
    "ok": "#2c3b4f",
    "error0": "#ff8a80",
    "error1": "#e3b04b",
    "error2": "#c9a0e6",
    "error3": "#93b7cc",
    "error4": "#f28fbc",
    "on-band": "#10151c",
    "on-ok": "#e4eaf1",
}
ON_BAND = ("primary", "backup", "none", "unknown", "error0", "error1", "error2", "error3", "error4")
ERRORS = 5

_SHAPE = """\
.fo text{font:12px system-ui,"DejaVu Sans",sans-serif}
.fo .band{font-weight:600}
.fo .end{text-anchor:end}
.fo .mid{text-anchor:middle}
"""
_FILLED = (
    *("surface", "track", "primary", "backup", "rescued", "refused", "failed", "none", "unknown", "ok"),
    *(f"error{n}" for n in range(ERRORS)),
)


def _scheme(colours: dict[str, str]) -> str:
    return "".join(
        (
            *(f".fo .{name}{{fill:{colours[name]}}}" for name in _FILLED),
            f".fo .ramp{{fill:{colours['primary']}}}",
            f".fo text{{fill:{colours['text']}}}.fo .muted{{fill:{colours['muted']}}}",
            f".fo .on{{fill:{colours['on-band']}}}.fo .on-ok{{fill:{colours['on-ok']}}}",
            f".fo .line{{stroke:{colours['on-band']};stroke-opacity:.4;fill:none}}",
            f".fo .mix{{stroke:{colours['backup']}}}",
            f".fo .mark{{stroke:{colours['muted']};stroke-dasharray:3 3}}.fo .rule{{stroke:{colours['grid']}}}",
            f".fo .halo{{stroke:{colours['surface']};stroke-width:4;stroke-linejoin:round;paint-order:stroke}}\n",
        )
    )


STYLE = {
    "light": _SHAPE + _scheme(LIGHT),
    "auto": f"{_SHAPE}{_scheme(LIGHT)}@media screen and (prefers-color-scheme:dark){{{_scheme(DARK)}}}",
}
"""The style sheet of each theme. `auto` follows the reader's scheme, and is light on paper."""

PATTERNS = "".join(
    f'<pattern id="fo-{name}" width="8" height="8" patternUnits="userSpaceOnUse">'
    f'<path class="{"mix" if name == "ramp" else "line"}" stroke-width="{width}" d="{path}"/></pattern>'
    for name, width, path in (
        ("error1", 1.5, "M-2 2 2-2M0 8 8 0M6 10 10 6"),
        ("error2", 2, "M3 4h2"),
        ("error3", 1.5, "M4 0v8"),
        ("error4", 1.5, "M0 4h8"),
        ("unknown", 1.5, "M-2 6 2 10M0 0 8 8M6-2 10 2"),
        ("failed", 1.5, "M-2 2 2-2M0 8 8 0M6 10 10 6"),
        ("ramp", 4, "M-2 2 2-2M0 8 8 0M6 10 10 6"),
    )
)
"""What is laid over a colour. Of the errors the first one has none."""

PATTERNED = frozenset({"error1", "error2", "error3", "error4", "unknown", "failed", "ramp"})
