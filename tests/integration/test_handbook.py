"""The commands of the pages, run as they stand there: every ```bash block, in order, page by page."""

from __future__ import annotations

import contextlib
import shutil
from concurrent.futures import ThreadPoolExecutor
from queue import SimpleQueue
from typing import TYPE_CHECKING

import pytest

from support.handbook import PAGES, ROOT, Block, Stage, blocks

if TYPE_CHECKING:
    from collections.abc import Iterator
    from concurrent.futures import Future
    from pathlib import Path

RUN = {page: found for page in PAGES if (found := [block for block in blocks(page) if block.kind == "bash"])}
AT_A_TIME = 2

if LACKS := [tool for tool in ("bash", "curl", "openssl") if shutil.which(tool) is None]:
    pytest.skip(f"no {' and no '.join(LACKS)} here", allow_module_level=True)


@pytest.fixture(scope="module")
def stages(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimpleQueue[Stage]]:
    """Those that nobody is on."""
    free: SimpleQueue[Stage] = SimpleQueue()
    with contextlib.ExitStack() as ending:
        for _ in range(AT_A_TIME):
            free.put(ending.enter_context(Stage(tmp_path_factory.mktemp("stage"))))
        yield free


@contextlib.contextmanager
def taken(stages: SimpleQueue[Stage]) -> Iterator[Stage]:
    """A stage for one page: what the page has started is ended, well."""
    stage = stages.get()
    try:
        yield stage
        stage.end()
    finally:
        stages.put(stage)


@pytest.fixture(scope="module")
def performed(request: pytest.FixtureRequest, stages: SimpleQueue[Stage]) -> Iterator[dict[Path, Future[None]]]:
    """All pages that were asked for, some at a time: most of what they do is to wait for processes."""

    def perform(page: Path) -> None:
        with taken(stages) as stage:
            for block in RUN[page]:
                stage.run(block)

    specs = [getattr(item, "callspec", None) for item in request.session.items if item.module is request.module]
    wanted = [spec.params["page"] for spec in specs if spec is not None and "page" in spec.params]
    with ThreadPoolExecutor(AT_A_TIME) as pool:
        yield {page: pool.submit(perform, page) for page in wanted}


@pytest.mark.parametrize("page", RUN, ids=lambda page: str(page.relative_to(ROOT)))
def test_what_a_page_says_works(performed: dict[Path, Future[None]], page: Path) -> None:
    performed[page].result()


def test_a_page_finds_nothing_of_the_one_before(stages: SimpleQueue[Stage]) -> None:
    """A verdict or an incident of another page, which the store has kept."""
    stage = stages.get()
    for text in ("failover switch backup", "failover --primary=https://myapp.com --backup=https://standby.myapp.com"):
        stage.run(Block("here", "bash", text))
        stage.end()
    stages.put(stage)


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
def test_what_does_not_work_is_noticed(stages: SimpleQueue[Stage], text: str, complaint: str) -> None:
    with taken(stages) as stage, pytest.raises(AssertionError, match=complaint):
        stage.run(Block("here", "bash", text))
