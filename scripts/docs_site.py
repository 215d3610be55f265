"""What the site needs beyond MkDocs: a hook, named in mkdocs.yml.

The pages are written for the code host, and right there. Here the ones outside docs/ (README.md, …) become pages as
well, links between the two are bent to where things are on the site, files that are linked come along, and what
Python-Markdown reads otherwise than the code host does is written so that both mean the same.
"""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mkdocs.structure.files import File

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mkdocs.structure.files import Files
    from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[1]
_FILES = "files"  # where on the site the linked files are that are no pages

_FENCE = re.compile(r"^(```+|~~~+)")
_LINK = re.compile(r"(\]\()([^)\s#]+)(#[^)\s]*)?(\))")
_CODE = re.compile(r"(`+)(.+?)\1")
_MOVE = re.compile(r"^\s*(\S+) --> (\S+): (.+)$", re.MULTILINE)
_ELSEWHERE = re.compile(r"[a-z][a-z0-9+.-]*:", re.IGNORECASE)


class _Places:
    """Where each file of the repository is on the site, and back."""

    def __init__(self) -> None:
        self.at: dict[str, str] = {}
        self.source: dict[str, str] = {}

    def put(self, source: str, uri: str) -> None:
        self.at[source] = uri
        self.source[uri] = source


_places = _Places()


def on_files(files: Files, config: Any) -> Files:
    """Add the pages outside docs/, and every file that some page links to."""
    _places.at.clear()
    for file in files:
        _places.put(f"docs/{file.src_uri}", file.src_uri)
    for source, uri in _outside(config.extra["from_root"]):
        _places.put(source, uri)
        files.append(File.generated(config, uri, content=(ROOT / source).read_text(encoding="utf-8")))
    for page in files.documentation_pages():
        for linked in _linked(_places.source[page.src_uri], page.content_string):
            if linked not in _places.at and (ROOT / linked).is_file():
                name = _name(linked)
                _places.put(linked, f"{_FILES}/{name}")
                files.append(File.generated(config, f"{_FILES}/{name}", content=(ROOT / linked).read_bytes()))
    return files


def on_page_markdown(markdown: str, page: Page, **_more: Any) -> str:
    """The page as the site needs it; what stands in a block of code stays as it is."""
    source = _places.source[page.file.src_uri]
    page.meta.pop("status", None)  # an incident's own; the theme would make a sign of it
    pieces = [_prose(text, source, page.file.src_uri) if is_prose else text for is_prose, text in _pieces(markdown)]
    return re.sub(r"```mermaid\n(.*?)```\n", lambda found: _as_table(found[1]), "".join(pieces), flags=re.DOTALL)


def _name(linked: str) -> str:
    """What a file that is no page is called there: MkDocs leaves out dot-files, and servers go by the end of a name."""
    parts = [part.lstrip(".") for part in linked.split("/")]
    return "/".join(parts) + ("" if "." in parts[-1] else ".txt")


def _outside(from_root: dict[str, str]) -> Iterator[tuple[str, str]]:
    for source, uri in from_root.items():
        if (ROOT / source).is_dir():
            yield from ((f"{source}/{one.name}", f"{uri}/{one.name}") for one in sorted((ROOT / source).glob("*.md")))
        else:
            yield source, uri


def _pieces(markdown: str) -> Iterator[tuple[bool, str]]:
    """Prose and blocks of code in turn."""
    fence, lines = "", []
    for line in markdown.splitlines(keepends=True):
        found = _FENCE.match(line)
        if not fence and found:
            yield True, "".join(lines)
            fence, lines = found[1], [line]
        elif fence and found and line.strip() == fence:
            yield False, "".join([*lines, line])
            fence, lines = "", []
        else:
            lines.append(line)
    yield not fence, "".join(lines)


def _linked(source: str, markdown: str) -> Iterator[str]:
    for is_prose, text in _pieces(markdown):
        if is_prose:
            yield from (_path(source, found[2]) for found in _LINK.finditer(text) if not _ELSEWHERE.match(found[2]))


def _path(source: str, link: str) -> str:
    """What a link of a page means, from the root of the repository."""
    return posixpath.normpath(posixpath.join(posixpath.dirname(source), link))


def _prose(text: str, source: str, uri: str) -> str:
    def bent(found: re.Match[str]) -> str:
        at = None if _ELSEWHERE.match(found[2]) else _places.at.get(_path(source, found[2]))
        if at is None:
            return found[0]  # MkDocs says so where it leads nowhere
        return f"{found[1]}{posixpath.relpath(at, posixpath.dirname(uri) or '.')}{found[3] or ''}{found[4]}"

    text = _LINK.sub(bent, text)
    # A bar within code needs its backslash in a table of the code host, and shows it in one of Python-Markdown.
    lines = [
        _CODE.sub(lambda code: code[0].replace(r"\|", "|"), line) if line.startswith("|") else line
        for line in text.splitlines(keepends=True)
    ]
    return "".join(lines)


def _as_table(diagram: str) -> str:
    """A state diagram in words: to draw it in a browser would take a library from elsewhere."""
    rows = [f"| {old} | {new} | {when} |" for old, new, when in _MOVE.findall(diagram)]
    return "\n".join(["| from | to | when |", "|---|---|---|", *rows]) + "\n"
