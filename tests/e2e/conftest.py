"""One JupyterLab and one Chromium for all browser tests; skipped with the reason where there is no browser."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

    from tests.e2e.lab import Lab


@pytest.fixture(scope="session", autouse=True)
def _with_a_browser() -> Iterator[None]:
    """Nothing here can be looked at without one."""
    pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    from tests.e2e import browser

    if browser.chromium() is None:
        pytest.skip("there is no chromium here; apt-get install chromium")
    with browser.playing():
        yield


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """A JupyterLab of its own, with empty settings and without our extension."""
    from tests.e2e.lab import jupyterlab

    with jupyterlab(tmp_path_factory.mktemp("lab"), live=False) as started:
        yield started


@pytest.fixture(scope="session")
def chromium(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """A real browser in a network from which the server can be reached."""
    from tests.e2e import browser

    with browser.browser(lab, tmp_path_factory.mktemp("browser")) as started:
        yield started


@pytest.fixture
def opened(chromium: Browser) -> Iterator[Page]:
    """A fresh page, whose console must stay silent."""
    from tests.e2e import browser

    with browser.page(chromium) as page:
        yield page
        assert browser.complaints(page) == []


@pytest.fixture(scope="module")
def own_state() -> Iterator[None]:
    """Sessions of these tests are of nobody else, and end with them."""
    before = dict(os.environ)
    with tempfile.TemporaryDirectory(prefix="gwb-") as folder:
        for name in ("XDG_STATE_HOME", "XDG_CONFIG_HOME"):
            os.environ[name] = f"{folder}/{name.lower()}"
        try:
            yield
            program = Path(sys.executable).with_name("gpu-workbench")
            subprocess.run([program, "stop", "--all"], check=True, timeout=60)
        finally:
            os.environ.clear()
            os.environ.update(before)
