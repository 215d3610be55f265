"""Debian's Chromium, driven by its own driver; nothing is downloaded."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from selenium.webdriver import Chrome

_CHROMIUM, _DRIVER = "/usr/bin/chromium", "/usr/bin/chromedriver"
_FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--no-proxy-server",
    "--window-size=1000,800",
)

missing = [path for path in (_CHROMIUM, _DRIVER) if not Path(path).exists()]
needs_browser = pytest.mark.skipif(
    bool(missing), reason=f"no {' and no '.join(missing)}: apt-get install chromium chromium-driver"
)


@contextlib.contextmanager
def browser() -> Iterator[Chrome]:
    """A new browser that has never seen anything."""
    from selenium.webdriver import Chrome, ChromeOptions, ChromeService

    profile = tempfile.mkdtemp(prefix="failover-browser-")
    options = ChromeOptions()
    options.binary_location = _CHROMIUM
    for flag in (*_FLAGS, f"--user-data-dir={profile}"):
        options.add_argument(flag)
    try:
        driver = Chrome(options=options, service=ChromeService(executable_path=_DRIVER))
        try:
            driver.set_page_load_timeout(60)
            yield driver
        finally:
            driver.quit()
    finally:
        shutil.rmtree(profile, ignore_errors=True)
