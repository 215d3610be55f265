"""Two origins that most outages need."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from support.origin import Origin

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def primary() -> Iterator[Origin]:
    with Origin("primary") as origin:
        yield origin


@pytest.fixture
def backup() -> Iterator[Origin]:
    with Origin("backup") as origin:
        yield origin
