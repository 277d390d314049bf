"""The README's first command, and what it leads to: JupyterLab, with the first example run from top to bottom."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
import signal
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.e2e import browser
from tests.e2e.lab import jupyterlab
from tests.ports import free_port

pytestmark = pytest.mark.e2e

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "examples" / "01-first-cell.ipynb"


@pytest.fixture(scope="module")
def page(own_state: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    """The first example, open in a JupyterLab and a browser of its own."""
    folder = tmp_path_factory.mktemp("first")
    with (
        jupyterlab(folder) as lab,
        browser.browser(lab, folder) as started,
        browser.page(started, height=1300) as page,
    ):
        shutil.copy(EXAMPLE, lab.root)
        browser.open_notebook(page, lab, EXAMPLE.name)
        yield page


@pytest.mark.timeout(180)
def test_the_first_example_runs_from_top_to_bottom(page: Page) -> None:
    browser.run_all(page)
    outputs = page.locator(".jp-Notebook .jp-OutputArea-output")
    expect(outputs.filter(has_text="sum: 12499997500000.0")).to_be_visible(timeout=60_000)
    expect(outputs.filter(has_text="epoch 4: slope")).to_be_visible(timeout=60_000)
    expect(outputs.filter(has_text="the model has seen 100 steps")).to_be_visible(timeout=60_000)
    expect(outputs.filter(has_text="Stopped default")).to_be_visible(timeout=60_000)
    assert page.locator(".jp-Notebook [data-mime-type='application/vnd.jupyter.error']").count() == 0
    assert browser.complaints(page) == []
    browser.picture(page, "first-cell-end")
    page.locator(".jp-Notebook .jp-Cell").first.scroll_into_view_if_needed()
    browser.picture(page, "first-cell")


@pytest.mark.timeout(120)
def test_make_lab_serves_the_first_example(tmp_path: Path) -> None:
    with make_lab(tmp_path) as ask:
        example = ask("/api/contents/01-first-cell.ipynb?content=0")
        assert example["type"] == "notebook"
        specs = ask("/api/kernelspecs")
        assert specs["default"] == "python3"


@contextlib.contextmanager
def make_lab(folder: Path) -> Iterator[Any]:
    """`make lab` without a browser; yields how to ask its server."""
    port, token = free_port(), secrets.token_hex(16)
    options = f"--no-browser --port={port} --ServerApp.port_retries=0"
    places = {
        name: str(folder / name)
        for name in ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR", "IPYTHONDIR")
    }
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            ["make", "lab", f"LAB_ARGS={options}"],
            cwd=ROOT,
            env={**os.environ, **places, "JUPYTER_TOKEN": token},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )

    def ask(path: str) -> Any:
        request = urllib.request.Request(
            f"http://127.0.0.1:{port}{path}", headers={"Authorization": f"token {token}"}
        )
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.load(answer)

    try:
        deadline = time.monotonic() + 90
        while True:
            assert process.poll() is None, (folder / "log").read_text()
            assert time.monotonic() < deadline, (folder / "log").read_text()
            with contextlib.suppress(urllib.error.URLError):
                ask("/api/status")
                break
            time.sleep(0.2)
        yield ask
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        process.wait(30)
