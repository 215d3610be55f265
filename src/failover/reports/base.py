"""The door: who can write an incident down. One form, one file, one row in the table.

A renderer is a pure function of the document: the same document gives the same bytes, whoever asks and whenever.
Whatever came from outside (an error page, a path, a note) is escaped for the form it is written in.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from failover.core.document import Document


@dataclass(frozen=True, slots=True)
class Form:
    """A way to write an incident down. Its module is loaded when it is first asked for."""

    module: str
    function: str
    suffix: str
    media_type: str

    def render(self, document: Document) -> bytes | None:
        """The whole file, text as UTF-8. None where this installation cannot make it: a picture without its extra."""
        written = getattr(import_module(f"failover.reports.{self.module}"), self.function)(document)
        return written.encode() if isinstance(written, str) else written


FORMS: dict[str, Form] = {
    "json": Form("machine", "render", ".json", "application/json"),
    "md": Form("markdown", "render", ".md", "text/markdown; charset=utf-8"),
    "html": Form("page", "render", ".html", "text/html; charset=utf-8"),
    "txt": Form("text", "render", ".txt", "text/plain; charset=utf-8"),
    "svg": Form("chart", "svg", ".svg", "image/svg+xml"),
    "png": Form("picture", "png", ".png", "image/png"),
}
