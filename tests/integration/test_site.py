"""The docs as a site, built as `make site` does: strictly, and of nothing that is fetched from elsewhere."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from typing import TYPE_CHECKING

import pytest

from support.handbook import ROOT

if TYPE_CHECKING:
    from pathlib import Path

pytest.importorskip("material", reason="the docs extra is not installed")

LOADING = {"src", "srcset", "data", "poster"}  # attributes that fetch
FETCHING_LINKS = {"stylesheet", "icon", "manifest", "preload", "prefetch", "modulepreload", "preconnect"}
ELSEWHERE = re.compile(r"(?i)\s*(?:[a-z][a-z0-9+.-]*:)?//")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    done = build(ROOT / "mkdocs.yml", folder)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def build(config: Path, folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "-f", config, "-d", folder]
    return subprocess.run(
        command, env=os.environ | {"NO_MKDOCS_2_WARNING": "1"}, capture_output=True, text=True, check=False
    )


class Look(HTMLParser):
    """What a page fetches, which classes it has, and its paragraphs."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.fetched: list[str] = []
        self.classes: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        said = {name: value or "" for name, value in attrs}
        self.classes |= set(said.get("class", "").split())
        if tag == "link" and FETCHING_LINKS & set(said.get("rel", "").split()):
            self.fetched.append(said.get("href", ""))
        self.fetched += [value for name, value in said.items() if name in LOADING and tag != "a"]


def fetched_in_style(text: str) -> list[str]:
    return re.findall(r"(?:url\(\s*[\"']?|@import\s+[\"'])([^\"')]+)", text)


def pages(site: Path) -> list[Path]:
    return [page for page in site.rglob("*.html") if "files" not in page.relative_to(site).parts]


def test_it_loads_nothing_from_elsewhere(site: Path) -> None:
    for page in pages(site):
        text = page.read_text(encoding="utf-8")
        look = Look(text)
        found = [one for one in [*look.fetched, *fetched_in_style(text)] if ELSEWHERE.match(one)]
        assert found == [], page
        assert "mermaid" not in look.classes, "a diagram would have its library fetched"
    for sheet in site.rglob("*.css"):
        assert [one for one in fetched_in_style(sheet.read_text(encoding="utf-8")) if ELSEWHERE.match(one)] == [], sheet


def test_what_would_be_fetched_is_found() -> None:
    assert Look('<link rel="preconnect stylesheet" href="https://x.test/a.css">').fetched == ["https://x.test/a.css"]
    assert Look('<script src="//x.test/a.js"></script><img src="a.png">').fetched == ["//x.test/a.js", "a.png"]
    assert fetched_in_style("a{background:url('https://x.test/b')}@import \"c\";") == ["https://x.test/b", "c"]


def test_every_page_is_there_with_its_headings(site: Path) -> None:
    assert '<h1 id="failover">' in (site / "index.html").read_text(encoding="utf-8")
    assert "<h2" in (site / "architecture/index.html").read_text(encoding="utf-8")
    for linked in ("deploy/grafana.json", "github/workflows/release.yml", "do/deploy.template.yaml"):
        assert (site / "files" / linked).is_file(), (
            "a file that is linked comes along, also one whose name begins with a dot"
        )
    assert "a bad signal" in (site / "verdicts/index.html").read_text(encoding="utf-8")


def test_no_mark_of_markdown_is_left_in_the_text(site: Path) -> None:
    for page in pages(site):
        text = re.sub(r"(?s)<(pre|code|script)\b.*?</\1>", "", page.read_text(encoding="utf-8"))
        left = re.findall(r"<p>(?:[^<]*\n)?(?:- |\d+\. |\| ?-|\|[^|<]+\|)[^<]{0,60}|\]\([^)]*\)|```|<[^>]+>\*\*", text)
        assert left == [], page


def test_a_dead_link_ends_the_build(tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs/other.md").write_text("# Other\n")
    links = ["nowhere.md", "other.md#not-there", "../LICENCE", "../README.md#neither"]
    (tmp_path / "docs/page.md").write_text(" ".join(f"[x]({link})" for link in links))
    config = tmp_path / "mkdocs.yml"
    config.write_text(f"INHERIT: {ROOT}/mkdocs.yml\nnav: [page.md]\nhooks: [{ROOT}/scripts/docs_site.py]\n")
    done = build(config, tmp_path / "built")
    assert done.returncode != 0
    told = [line for line in done.stderr.splitlines() if "'page.md'" in line]
    for dead in ("nowhere.md", "#not-there", "LICENCE", "#neither"):
        assert any(dead in line for line in told), dead
