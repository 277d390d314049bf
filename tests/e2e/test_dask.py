"""Dask in JupyterLab on a real Kubernetes: the card under `%gpu dask` lives, and leads to Dask's own dashboard."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from tests.cluster.fixtures import RESTRICTED
from tests.cluster.handle import Cluster
from tests.e2e import browser
from tests.e2e.browser import picture
from tests.e2e.lab import jupyterlab
from tests.e2e.live_gallery import wear

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(500, func_only=True)]

LOAD = "%load_ext gpu_workbench"
START = "%gpu dask --n-workers 2 --gpus 1 --cpus 0.1 --memory 512Mi"
COMPUTE = """import time
def preprocess(i):
    time.sleep(0.2)
    return b'x' * 100_000
def train(part):
    time.sleep(0.3)
    return len(part)
parts = client.map(preprocess, range(60))
print(sum(client.gather(client.map(train, parts))))"""
DRIVE = """%%gpu --dask dask
import time
sum(client.gather(client.map(lambda i: time.sleep(0.2) or i, range(40))))"""
STOP = "%gpu stop dask"


@pytest.fixture(scope="module")
def page(
    own_state: None, cluster: Cluster, dask_operator: None, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Page]:
    folder = tmp_path_factory.mktemp("dask")
    with cluster.namespace("dask", labels=RESTRICTED) as name:
        before = dict(os.environ)
        os.environ.update(
            {
                "KUBECONFIG": str(cluster.kubeconfig),
                "GPU_WORKBENCH_BACKEND": "kubernetes",
                "GPU_WORKBENCH_NAMESPACE": name,
                "JUPYTER_IMAGE_SPEC": cluster.images.worker,
            }
        )
        try:
            with jupyterlab(folder) as lab:
                cells = browser.notebook_of(LOAD, START, COMPUTE, DRIVE, STOP)
                lab.write("dask.ipynb", cells, trusted=True)
                with (
                    browser.browser(lab, folder) as chromium,
                    browser.page(chromium, width=1100, height=1000) as opened,
                ):
                    browser.open_notebook(opened, lab, "dask.ipynb")
                    yield opened
                    assert browser.complaints(opened) == []
        finally:
            os.environ.clear()
            os.environ.update(before)


def pictures(page: Page, name: str) -> None:
    for theme in ("light", "dark"):
        wear(page, theme)
        picture(page, f"{name}-{theme}")
    wear(page, "light")


def test_a_cluster_is_seen_from_its_start_to_its_end(page: Page) -> None:
    card = page.locator(".jp-Cell").nth(1).locator(".gpuw-Run, .gpuw-Card, [class*=gpuw]").first
    browser.run_cell(page, 0)
    browser.run_cell(page, 1)
    expect(card).to_contain_text("2 workers", timeout=150_000)
    expect(card).to_contain_text("SIMULATED", timeout=150_000)
    pictures(page, "dask-idle")

    browser.run_cell(page, 2)
    expect(card).to_contain_text(re.compile(r"\d+ / 120|preprocess"), timeout=30_000)
    expect(card).to_contain_text("left", timeout=30_000)
    pictures(page, "dask-computing")
    bar = page.locator(".jp-Cell").nth(2).locator(".jp-OutputArea")
    expect(bar).to_contain_text("120 / 120 tasks", timeout=90_000)
    pictures(page, "dask-computed")

    browser.run_cell(page, 3)
    driver = page.locator(".jp-Cell").nth(3).locator(".jp-OutputArea")
    expect(driver).to_contain_text("780", timeout=90_000)
    pictures(page, "dask-driver")

    browser.run_cell(page, 4)
    expect(card).to_contain_text("Stopped", timeout=150_000)
    pictures(page, "dask-stopped")


def test_the_dashboard_opens_from_the_card_behind_the_log_in(page: Page) -> None:
    browser.run_cell(page, 1)
    card = page.locator(".jp-Cell").nth(1)
    link = card.get_by_role("link", name="Dashboard")
    expect(link).to_be_visible(timeout=150_000)
    with page.context.expect_page() as opening:
        link.click()
    dashboard = opening.value
    expect(dashboard).to_have_title(re.compile("Dask"), timeout=30_000)
    expect(dashboard.locator("canvas").first).to_be_visible(timeout=150_000)
    picture(dashboard, "dask-dashboard")
    dashboard.close()
    browser.run_cell(page, 4)
