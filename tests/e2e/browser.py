"""A real JupyterLab or Notebook 7, and a real Chromium, for tests that look at what a person sees.

Server and browser run in a network namespace of their own where that is possible: Chromium drops every connection
whenever an address appears on the machine, and a test cluster beside it makes addresses all the time.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat
from nbformat.sign import NotebookNotary
from nbformat.v4 import new_code_cell, new_notebook
from playwright.sync_api import Browser, ConsoleMessage, Page, sync_playwright

READY = 60.0

PICTURES = Path(__file__).resolve().parents[2] / "build" / "pictures"
"""What tests keep of what a person would see, to be looked at."""

_PYTHON = {"name": "python3", "display_name": "Python 3", "language": "python"}
_QUIET = {
    "@jupyterlab/apputils-extension:announcements": True,
    "@jupyterlab/cell-toolbar-extension": True,
}
_SETTINGS = {
    "@jupyterlab/notebook-extension/tracker": {
        "windowingMode": "none",  # render cells off the screen, too
        "scrollPastEnd": False,
    },
    "@jupyterlab/apputils-extension/notification": {"fetchNews": "false", "checkForUpdates": False},
}

KERNEL_READY = """() => {
  const k = window.jupyterapp?.shell.currentWidget?.sessionContext?.session?.kernel;
  return k?.connectionStatus === 'connected' && k?.status === 'idle';
}"""


def chromium() -> str | None:
    """Path of the browser, ``None`` where there is none."""
    return shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


def can_isolate() -> bool:
    """Whether a network namespace can be made here."""
    tools = all(shutil.which(tool) for tool in ("unshare", "nsenter", "ip"))
    return (
        tools and os.geteuid() == 0 and subprocess.run(["unshare", "-n", "true"], check=False).returncode == 0
    )


@dataclass(frozen=True)
class Lab:
    """A running JupyterLab, or Notebook 7: where it answers, what it serves, and its process."""

    url: str
    token: str
    root: Path
    data: Path
    process: subprocess.Popen[bytes]
    isolated: bool
    application: str

    def address(self, path: str) -> str:
        """The page of a notebook of this server, in a workspace where nothing else is open."""
        if self.application == "notebook":
            return f"{self.url}/notebooks/{path}?token={self.token}"
        return f"{self.url}/lab/workspaces/{secrets.token_hex(4)}/tree/{path}?token={self.token}"

    def write(self, path: str, notebook: nbformat.NotebookNode, *, trusted: bool) -> None:
        """Put a notebook into the served folder, signed by its owner or not."""
        target = self.root / path
        nbformat.write(notebook, target)
        if trusted:
            notary = NotebookNotary(data_dir=str(self.data))
            notary.sign(nbformat.read(target, as_version=4))


@contextlib.contextmanager
def jupyterlab(
    folder: Path,
    *,
    isolated: bool | None = None,
    live: bool = True,
    server: bool = True,
    application: str = "jupyterlab",
    settings: Mapping[str, Mapping[str, object]] | None = None,
) -> Iterator[Lab]:
    """Start a JupyterLab that knows nothing of the user's, and end it with its kernels.

    Args:
        folder: For its files, settings and log; the notebooks are in ``work`` below it.
        isolated: In a network of its own; by default where that is possible.
        live: With our extension; without, views are what the notebook itself has.
        server: With our extension of Jupyter's server, too.
        application: ``jupyterlab`` or ``notebook``.
        settings: Further settings of its user, by the name of their file.
    """
    isolated = can_isolate() if isolated is None else isolated
    port, token = _free_port(), secrets.token_hex(16)
    places = {
        "JUPYTER_CONFIG_DIR": folder / "config",
        "JUPYTER_DATA_DIR": folder / "data",
        "JUPYTER_RUNTIME_DIR": folder / "runtime",
        "JUPYTERLAB_SETTINGS_DIR": folder / "settings",
        "JUPYTERLAB_WORKSPACES_DIR": folder / "workspaces",
        "IPYTHONDIR": folder / "ipython",
        "GPU_WORKBENCH_DATA_DIR": folder / "recorded",
    }
    root = folder / "work"
    for place in (*places.values(), root, folder / "config" / "labconfig"):
        place.mkdir(parents=True, exist_ok=True)
    disabled = {**_QUIET, **({} if live else {"@gpu-workbench/labextension": True})}
    (folder / "config" / "labconfig" / "page_config.json").write_text(
        json.dumps({"disabledExtensions": disabled})
    )
    if not server:
        (folder / "config" / "jupyter_server_config.json").write_text(
            json.dumps({"ServerApp": {"jpserver_extensions": {"gpu_workbench": False}}})
        )
    for name, values in {**_SETTINGS, **(settings or {})}.items():
        file = folder / "settings" / f"{name}.jupyterlab-settings"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(values))
    command = [
        *(["unshare", "-n", "sh", "-c", 'ip link set lo up; exec "$@"', "sh"] if isolated else []),
        *(
            sys.executable,
            "-m",
            application,
            "--allow-root",
            "--no-browser",
            "--ip=127.0.0.1",
            f"--port={port}",
        ),
        *("--ServerApp.port_retries=0", f"--ServerApp.root_dir={root}", "--expose-app-in-browser"),
    ]
    env = {**os.environ, **{name: str(place) for name, place in places.items()}, "JUPYTER_TOKEN": token}
    with (folder / "lab.log").open("wb") as log:
        process = subprocess.Popen(
            command,
            env=env,
            stdout=log,
            stderr=subprocess.PIPE,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            _wait_until_serving(process, folder / "lab.log")
            yield Lab(
                f"http://127.0.0.1:{port}",
                token,
                root,
                places["JUPYTER_DATA_DIR"],
                process,
                isolated,
                application,
            )
        finally:
            _end(process)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _wait_until_serving(process: subprocess.Popen[bytes], log: Path) -> None:
    """Read its log until it says that it serves; what follows is copied to the log by a thread."""
    import threading

    assert process.stderr is not None
    serving = threading.Event()

    def copy() -> None:
        assert process.stderr is not None
        with log.open("ab") as target:
            for line in process.stderr:
                target.write(line)
                target.flush()
                if b"is running at" in line:
                    serving.set()
        serving.set()

    threading.Thread(target=copy, daemon=True).start()
    if not serving.wait(READY) or process.poll() is not None:
        raise RuntimeError(f"JupyterLab did not start:\n{log.read_text()[-2000:]}")


def _end(process: subprocess.Popen[bytes]) -> None:
    """SIGTERM lets the server end its kernels; its own process group is ended if it does not come to an end."""
    if process.poll() is None:
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(15)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


@contextlib.contextmanager
def browser(lab: Lab, folder: Path) -> Iterator[Browser]:
    """Debian's Chromium, in the server's network; playwright ends it."""
    program = chromium()
    if program is None:
        raise RuntimeError("There is no chromium here; apt-get install chromium")
    if lab.isolated:
        wrapper = folder / "chromium"
        wrapper.write_text(f'#!/bin/sh\nexec nsenter -t {lab.process.pid} -n "{program}" "$@"\n')
        wrapper.chmod(0o755)
        program = str(wrapper)
    with sync_playwright() as play:
        started = play.chromium.launch(executable_path=program, args=["--no-sandbox", "--disable-gpu"])
        try:
            yield started
        finally:
            started.close()


@contextlib.contextmanager
def page(started: Browser, *, width: int = 1100, height: int = 900, dark: bool = False) -> Iterator[Page]:
    """A fresh page. ``page.complaints`` lists what the browser's console complained of."""
    context = started.new_context(
        viewport={"width": width, "height": height},
        device_scale_factor=1.5,
        color_scheme="dark" if dark else "light",
    )
    opened: Any = context.new_page()
    opened.complaints = []

    def heard(message: ConsoleMessage) -> None:
        if message.type == "error":
            opened.complaints.append(message.text)

    opened.on("console", heard)
    opened.on("pageerror", lambda error: opened.complaints.append(str(error)))
    try:
        yield opened
    finally:
        context.close()


def open_notebook(opened: Page, lab: Lab, path: str, *, dark: bool = False, kernel: bool = True) -> None:
    """Open a notebook and wait until it is drawn and, unless it is only to be looked at, its kernel is ready."""
    opened.goto(lab.address(path))
    opened.wait_for_selector(".jp-NotebookPanel:not(.lm-mod-hidden) .jp-Notebook .jp-Cell", timeout=60_000)
    if kernel:
        opened.wait_for_function(KERNEL_READY, timeout=60_000)
    opened.wait_for_selector(".jp-NotebookPanel:not(.lm-mod-hidden) .jp-Spinner", state="detached")
    theme = "JupyterLab Dark" if dark else "JupyterLab Light"
    opened.evaluate("theme => window.jupyterapp.commands.execute('apputils:change-theme', {theme})", theme)
    opened.wait_for_selector(f"body[data-jp-theme-light={str(not dark).lower()}]", state="attached")


def run_all(opened: Page) -> None:
    """Run every cell, and wait for the last to end."""
    opened.evaluate("() => window.jupyterapp.commands.execute('notebook:run-all-cells')")
    opened.wait_for_function(KERNEL_READY, timeout=60_000)


def notebook_of(*sources: str) -> nbformat.NotebookNode:
    """A notebook of these code cells."""
    cells = [new_code_cell(source) for source in sources]
    return new_notebook(cells=cells, metadata={"kernelspec": _PYTHON})


def picture(opened: Page, name: str) -> None:
    """Keep what a person would see, to be looked at."""
    PICTURES.mkdir(parents=True, exist_ok=True)
    opened.screenshot(path=PICTURES / f"{name}.png")
