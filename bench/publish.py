"""Writes the figures of `results/latest.json` into docs/performance.md, and its pictures.

    .venv/bin/python bench/publish.py [FILE]

What stands between `<!-- NAME -->` and `<!-- /NAME -->` in the page is replaced, all else is left as it is.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

import growth
import results
from peers import PEERS
from rows import ROWS

_ROOT = Path(__file__).resolve().parents[1]
_PAGE = _ROOT / "docs/performance.md"
_PICTURES = _ROOT / "docs/performance"


def main() -> int:
    import plot  # noqa: PLC0415 - it needs matplotlib, of the extra `bench`

    file = Path(sys.argv[1]) if len(sys.argv) > 1 else _ROOT / "bench/results/latest.json"
    result = json.loads(file.read_text())
    titles = {name: PEERS[name].title if name in PEERS else name for name in result["versions"]}
    titles = {name: titles[name] for name in PEERS if name in titles} | titles  # the order of the table
    result["rows"] = {name: result["rows"][name] for name in ROWS if name in result["rows"]}
    page = _PAGE.read_text()
    page = replaced(page, "run", run(result, titles))
    page = replaced(page, "table", results.markdown(result, list(ROWS), list(titles), titles))
    page = replaced(page, "growth", "\n".join(f"- {growth.told(line)}" for line in result["growth"].values()))
    _PAGE.write_text(page)
    plot.ratios(result, titles, _PICTURES / "ratios.svg")
    if result["growth"]:
        plot.growth(list(result["growth"].values()), _PICTURES / "growth.svg")
    return 0


def replaced(page: str, name: str, text: str) -> str:
    """The page with that text in that place; ValueError where there is no such place."""
    begin, end = f"<!-- {name} -->", f"<!-- /{name} -->"
    if page.count(begin) != 1 or page.count(end) != 1:
        raise ValueError(f"the page needs one {begin} and one {end}")
    return re.sub(f"{begin}.*{end}", lambda _: f"{begin}\n{text}\n{end}", page, flags=re.DOTALL)


def run(result: dict[str, Any], titles: dict[str, str]) -> str:
    """When, where and what was measured."""
    dates = sorted({row["date"] for row in [*result["rows"].values(), *result["growth"].values()]})
    versions = ", ".join(f"{title} {result['versions'][name]}" for name, title in titles.items())
    machine = result["machine"]
    where = f"{machine['system']}, {machine['cores']} cores, Python {machine['python']}"
    return f"Measured on {' and '.join(dict.fromkeys((dates[0], dates[-1])))}: {versions}. Machine: {where}."


if __name__ == "__main__":
    sys.exit(main())
