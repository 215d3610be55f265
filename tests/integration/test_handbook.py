"""The commands of the pages, run as they stand there: every ```bash block, in order, page by page."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from support.handbook import PAGES, ROOT, Block, Stage, blocks

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

RUN = {page: found for page in PAGES if (found := [block for block in blocks(page) if block.kind == "bash"])}


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with Stage(tmp_path_factory.mktemp("stage")) as stage:
        yield stage


@pytest.mark.parametrize("page", RUN, ids=lambda page: str(page.relative_to(ROOT)))
def test_what_a_page_says_works(stage: Stage, page: Path) -> None:
    if lacks := [tool for tool in ("bash", "curl", "openssl") if shutil.which(tool) is None]:
        pytest.skip(f"no {' and no '.join(lacks)} here")
    for block in RUN[page]:
        stage.run(block)
    stage.end()


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("false\ntrue", "exit code 1"),
        ("failover --primary https://myapp.com", "--backup"),
        ("failover state --lisen 1", "did you mean --listen"),
        ("curl https://nobody.example/", "no stand-in"),
        ("failover --primary https://standby.myapp.com --backup https://myapp.com", "not the primary"),
    ],
)
def test_what_does_not_work_is_noticed(stage: Stage, text: str, complaint: str) -> None:
    with pytest.raises(AssertionError, match=complaint):
        stage.run(Block("here", "bash", text))
    stage.end()
