"""JupyterLab on a real Kubernetes: what waits says why and is stopped, sessions come from the form, logs are read."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Iterator

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.cluster.fixtures import RESTRICTED
from tests.cluster.handle import Cluster
from tests.cluster.shell import until
from tests.e2e import browser
from tests.e2e.browser import picture
from tests.e2e.lab import jupyterlab

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240, func_only=True)]

NOWHERE = "%%gpu --image registry.invalid/team/train:2.7.1\n1 + 1"
COUNTED = """%%gpu --detach --name counted --gpus 0
import time
for number in range(2000):
    print("line", number, flush=True)
    time.sleep(0.005)
"""
LINES = 500
LIVE = f"""%%gpu --session explore --name live
import time
for number in range({LINES}):
    print("line", number, flush=True)
    time.sleep(0.05)
print("the end")
"""
LOAD = "%load_ext gpu_workbench\nimport os; print('kernel', os.getpid())"
KNOWN = ("Could not restore the debugger state", "Canceled future for", "Comm not found", "/outputs/")
"""What JupyterLab complains of when a kernel dies; and of a run that never began there is no journal."""
USED = "%%gpu --session explore\nimport os; print('on', os.path.exists('/var/run/secrets'))"


@pytest.fixture(scope="module")
def namespace(own_state: None, cluster: Cluster) -> Iterator[str]:
    """A namespace in which JupyterLab, its kernels and the server's extension find themselves."""
    with cluster.namespace("browser", labels=RESTRICTED) as name:
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
            yield name
        finally:
            os.environ.clear()
            os.environ.update(before)


@pytest.fixture(scope="module")
def page(namespace: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    folder = tmp_path_factory.mktemp("cluster")
    with jupyterlab(folder) as lab:
        lab.write(
            "cluster.ipynb",
            browser.notebook_of(LOAD, NOWHERE, COUNTED, USED, LIVE),
            trusted=True,
        )
        with browser.notebook_page(lab, folder, "cluster.ipynb") as page:
            page.evaluate("() => window.jupyterapp.shell.activateById('gpu-workbench-runs')")
            browser.run_cell(page, 0)
            yield page


def card(page: Page) -> Locator:
    return page.locator(".jp-Notebook .gpuw-Card")


def row(page: Page, name: str) -> Locator:
    return page.locator(".gpuw-Panel .gpuw-Row").filter(has_text=name)


def form(page: Page) -> Locator:
    return page.get_by_role("region", name="New session")


def test_what_waits_for_an_image_says_why_and_is_stopped_from_the_panel(
    page: Page, cluster: Cluster, namespace: str
) -> None:
    browser.run_cell(page, 1)
    why = "The registry registry.invalid cannot be reached from the node"
    expect(card(page)).to_contain_text(why, timeout=90_000)
    expect(row(page, "default")).to_contain_text(why, timeout=30_000)
    picture(page, "cluster-image")
    page.get_by_role("button", name="Stop default").click()
    expect(page.locator(".gpuw-Panel .gpuw-Group:visible").first).to_have_text("Today · 1", timeout=60_000)
    expect(page.locator(".jp-Notebook .jp-OutputArea").nth(1)).to_contain_text(
        re.compile("stopped", re.I), timeout=60_000
    )
    pods = f"/api/v1/namespaces/{namespace}/pods"
    until("the pod to go", 60, lambda: not cluster.api.call("GET", pods)["items"], log="kubelet")
    picture(page, "cluster-stopped")


def test_the_log_of_a_detached_run_is_read(page: Page) -> None:
    browser.run_cell(page, 2)
    expect(row(page, "counted")).to_be_visible(timeout=60_000)
    page.locator(".gpuw-Panel").get_by_role("button", name="counted", exact=True).click()
    document = page.locator(".gpuw-Document:visible")
    expect(document.locator(".gpuw-LogLines")).to_have_text("2,000 lines", timeout=90_000)
    expect(document.locator(".gpuw-LogRow").last).to_have_text("line 1999")
    expect(document.locator(".gpuw-Card")).to_contain_text("Succeeded", timeout=60_000)
    picture(page, "cluster-log")


def test_a_session_of_the_form_has_a_gpu_and_a_notebook_uses_it(page: Page) -> None:
    page.get_by_role("button", name="+ New").click()
    form(page).get_by_label("Name").fill("explore")
    form(page).get_by_label("GPUs", exact=True).fill("1")
    form(page).get_by_role("button", name="Start").click()
    expect(form(page)).to_contain_text("%%gpu --session explore", timeout=60_000)
    expect(row(page, "explore")).to_contain_text("idle", timeout=90_000)
    held = page.locator(".gpuw-Panel .gpuw-Capacity").get_by_role("img", name="1 mine")
    expect(held).to_be_visible(timeout=60_000)
    picture(page, "cluster-form")
    form(page).get_by_role("button", name="Close").click()
    page.get_by_role("tab", name="cluster.ipynb").click()
    browser.run_cell(page, 3)
    written = page.locator(".jp-Notebook .jp-OutputArea")
    expect(written.filter(has_text="which any notebook may use").first).to_be_visible(timeout=60_000)
    expect(written.filter(has_text="on ").first).to_be_visible(timeout=60_000)


def test_a_cell_is_live_and_its_output_complete_though_page_and_kernel_go_in_mid_run(page: Page) -> None:
    browser.run_cell(page, 4)
    cell = page.locator(".jp-Notebook .jp-Cell").nth(4)
    expect(cell.locator(".gpuw-Card")).to_contain_text("Running", timeout=60_000)
    see_line(page, 20)
    page.evaluate("() => window.jupyterapp.commands.execute('docmanager:save')")
    page.reload()
    expect(cell.locator(".gpuw-Card")).to_contain_text("Running", timeout=60_000)
    expect(cell.locator(".gpuw-Card").get_by_role("button", name="Stop")).to_be_visible(timeout=30_000)
    see_line(page, len(browser.printed(cell)) + 20)
    said = page.locator(".jp-Notebook .jp-OutputArea").first.inner_text()
    os.kill(int(said.split()[-1]), signal.SIGKILL)
    page.locator(".jp-Dialog button").first.click(timeout=60_000)  # JupyterLab starts another kernel
    expect(cell.locator(".gpuw-Card")).to_contain_text("Succeeded", timeout=90_000)
    expect(cell.locator(".jp-OutputArea")).to_contain_text("the end", timeout=30_000)
    assert browser.printed(cell) == [*(f"line {number}" for number in range(LINES)), "the end"]
    picture(page, "cluster-live")


def see_line(page: Page, number: int) -> None:
    page.wait_for_function(
        "line => document.querySelector('.jp-Notebook').innerText.includes(line)",
        arg=f"line {number}\n",
        timeout=60_000,
    )


def test_the_session_is_stopped_from_the_panel(page: Page) -> None:
    page.evaluate("() => window.jupyterapp.shell.activateById('gpu-workbench-runs')")
    page.get_by_role("button", name="Stop explore").click()
    expect(page.locator(".gpuw-Panel .gpuw-Group:visible").first).to_have_text("Today · 3", timeout=60_000)


def test_nothing_was_complained_of(page: Page) -> None:
    complaints = browser.complaints(page)
    assert not [text for text in complaints if not any(known in text for known in KNOWN)], complaints
