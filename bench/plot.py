"""The pictures of docs/performance.md, as SVG. Needs matplotlib, which is in the extra `bench`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import matplotlib as mpl
from matplotlib.patches import Patch
from results import BASE

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

mpl.use("svg")
mpl.rcParams |= {
    "svg.fonttype": "none",  # text stays text: small, and sharp in any size
    "svg.hashsalt": "failover",  # the same figures give the same file
    "font.family": "sans-serif",
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
}
_COLOURS = {"failover": "#d1495b", "nginx": "#8fa3ad", "envoy": "#66808d", "caddy": "#3d5a6c", "traefik": "#b9c6cc"}
_OTHER = "#e9b44c"
_ON_WHITE = {"facecolor": "white", "edgecolor": "none", "pad": 0.3}


def ratios(result: Mapping[str, Any], titles: Mapping[str, str], file: Path) -> None:
    """Processor time by row as a multiple of HAProxy's, a bar for each of the others."""
    from matplotlib import pyplot as plt  # noqa: PLC0415 - the settings above come first

    rows = [row["lines"]["cost"] for row in result["rows"].values() if "cost" in row["lines"]]
    names = [name for name in titles if name != BASE and any(name in row["proxies"] for row in rows)]
    thick = 0.8 / max(len(names), 1)
    figure, axes = plt.subplots(figsize=(8, 1 + 0.16 * len(rows) * (len(names) + 1)))
    for place, name in enumerate(names):
        for at, row in enumerate(rows):
            if (ratio := row["proxies"].get(name, {}).get("to_haproxy")) is not None:
                y = at + (place - (len(names) - 1) / 2) * thick
                axes.barh(y, ratio, thick * 0.9, color=_COLOURS.get(name, _OTHER))
                axes.text(ratio + 0.05, y, f"{ratio:.2g}", va="center", fontsize=6.5, bbox=_ON_WHITE)
    axes.axvline(1, color="#222222", linewidth=0.8, zorder=0)
    axes.margins(y=0.01)
    axes.set_yticks(range(len(rows)), [row["title"] for row in rows])
    axes.invert_yaxis()
    axes.tick_params(axis="y", length=0)
    axes.set_xlabel("processor time, as a multiple of HAProxy's (the line); less is better")
    colours = [Patch(color=_COLOURS.get(name, _OTHER), label=titles[name]) for name in names]
    axes.legend(handles=colours, frameon=False, loc="lower right")
    _save(figure, file)


def growth(lines: Sequence[Mapping[str, Any]], file: Path) -> None:
    """A small panel for each line: what it costs against what there is more of."""
    from matplotlib import pyplot as plt  # noqa: PLC0415

    across = 3
    down = -(-len(lines) // across)
    figure, panels = plt.subplots(down, across, figsize=(8, 2.1 * down), squeeze=False)
    for panel, line in zip(panels.flat, lines, strict=False):
        panel.plot(line["sizes"], line["medians"], marker="o", markersize=3, linewidth=1.2, color=_COLOURS["failover"])
        panel.set_ylim(0, max(line["medians"]) * 1.2)
        panel.set_title(f"{line['of']}: {line['word']}", fontsize=9)
        panel.set_xlabel(line["title"])
        panel.set_ylabel(line["unit"])
    for panel in panels.flat[len(lines) :]:
        panel.set_visible(False)
    _save(figure, file)


def _save(figure: Any, file: Path) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    figure.tight_layout()
    figure.savefig(file, metadata={"Date": None})
    file.write_text("\n".join(line.rstrip() for line in file.read_text().splitlines()) + "\n")
