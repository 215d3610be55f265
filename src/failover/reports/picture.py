"""The chart as a PNG, for places that show no SVG. It needs the extra `failover[charts]`; without it there is none.

resvg draws no text without a font, and a container may have none: so one is shipped, and no other is looked for.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from failover.reports.chart import svg

if TYPE_CHECKING:
    from failover.core.document import Document

_WIDTH = 1200
_FONTS = Path(__file__).parent / "fonts"
_FAMILY = "DejaVu Sans"


def png(document: Document) -> bytes | None:
    """The picture, 1200 pixels wide, or None where the extra is not installed."""
    try:
        import resvg_py  # noqa: PLC0415 - an extra
    except ImportError:
        return None
    drawn: bytes | list[int] = resvg_py.svg_to_bytes(
        svg_string=svg(document, theme="light"),
        width=_WIDTH,
        skip_system_fonts=True,
        font_files=[str(font) for font in sorted(_FONTS.glob("*.ttf"))],
        font_family=_FAMILY,
        sans_serif_family=_FAMILY,
    )
    return bytes(drawn)
