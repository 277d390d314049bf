"""A real JupyterLab or Notebook 7 that knows nothing of the user's; it can be ended and started again."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import nbformat
from nbformat.sign import NotebookNotary

from tests.e2e.network import Way, way_to
from tests.ports import free_port

READY = 60.0

_QUIET = {
    "@jupyterlab/apputils-extension:announcements": True,
    "@jupyterlab/cell-toolbar-extension": True,
}
_SETTINGS: Mapping[str, Mapping[str, object]] = {
    "@jupyterlab/notebook-extension/tracker": {
        "windowingMode": "none",  # render cells off the screen, too
        "scrollPastEnd": False,
    },
    "@jupyterlab/apputils-extension/notification": {"fetchNews": "false", "checkForUpdates": False},
}


class Lab:
    """A JupyterLab or Notebook 7, and what it serves.

    Args:
        command: Starts it.
        env: Its environment.
        folder: Of its log and its data; notebooks are in ``work`` below it.
        way: How a browser reaches it.
        application: ``jupyterlab`` or ``notebook``.
    """

    def __init__(
        self, command: Sequence[str], *, env: Mapping[str, str], folder: Path, way: Way, application: str
    ) -> None:
        self.way = way
        self.root = folder / "work"
        self.data = folder / "data"
        self._command = command
        self._env = env
        self._log = folder / "lab.log"
        self._application = application
        self._process: subprocess.Popen[bytes] | None = None

    def address(self, path: str = "") -> str:
        """The page of a notebook of this server, or of none, in a workspace where nothing else is open."""
        url, token = f"http://{self.way.address}", self._env["JUPYTER_TOKEN"]
        if self._application == "notebook":
            return f"{url}/notebooks/{path}?token={token}"
        opened = f"/tree/{path}" if path else ""
        return f"{url}/lab/workspaces/{secrets.token_hex(4)}{opened}?token={token}"

    def write(self, path: str, notebook: nbformat.NotebookNode, *, trusted: bool) -> None:
        """Put a notebook into the served folder, signed by its owner or not."""
        target = self.root / path
        nbformat.write(notebook, target)
        if trusted:
            notary = NotebookNotary(data_dir=str(self.data))
            notary.sign(nbformat.read(target, as_version=4))

    def start(self) -> None:
        """Start it, and wait until it serves."""
        self._process = subprocess.Popen(
            self._command,
            env=self._env,
            cwd=self.root.parent,  # whatever an extension puts there
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )
        _wait_until_serving(self._process, self._log)

    def end(self) -> None:
        """SIGTERM lets the server end its kernels; its own process group is ended if it does not come to an end."""
        process, self._process = self._process, None
        if process is None:
            return
        if process.poll() is None:
            process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(15)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@contextlib.contextmanager
def jupyterlab(
    folder: Path,
    *,
    isolated: bool = True,
    live: bool = True,
    server: bool = True,
    application: str = "jupyterlab",
    settings: Mapping[str, Mapping[str, object]] | None = None,
    python: str | Path = sys.executable,
    environ: Mapping[str, str] = os.environ,
) -> Iterator[Lab]:
    """Start a JupyterLab of its own, and end it with its kernels.

    Args:
        folder: For its files, settings and log; the notebooks are in ``work`` below it.
        isolated: With a network for the browser alone, where that is possible.
        live: With our extension; without, views are what the notebook itself has.
        server: With our extension of Jupyter's server, too.
        application: ``jupyterlab`` or ``notebook``.
        settings: Further settings of its user, by the name of their file.
        python: Whose JupyterLab it is.
        environ: Variables that it is given besides those of its own places.
    """
    env = _places(folder) | {"JUPYTER_TOKEN": secrets.token_hex(16)}
    _configure(folder / "config", live=live, server=server)
    for name, values in {**_SETTINGS, **(settings or {})}.items():
        file = folder / "settings" / f"{name}.jupyterlab-settings"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(values))
    port = free_port()
    command = [
        *(str(python), "-m", application, "--allow-root", "--no-browser", "--ip=127.0.0.1"),
        *(f"--port={port}", "--ServerApp.port_retries=0", f"--ServerApp.root_dir={folder / 'work'}"),
        "--expose-app-in-browser",
    ]
    with way_to(port, isolated=isolated) as way:
        made = Lab(command, env={**environ, **env}, folder=folder, way=way, application=application)
        try:
            made.start()
            yield made
        finally:
            made.end()


def _places(folder: Path) -> dict[str, str]:
    """Variables that keep all of Jupyter's and our own files in that folder, which exist then."""
    names = {
        "JUPYTER_CONFIG_DIR": "config",
        "JUPYTER_DATA_DIR": "data",
        "JUPYTER_RUNTIME_DIR": "runtime",
        "JUPYTERLAB_SETTINGS_DIR": "settings",
        "JUPYTERLAB_WORKSPACES_DIR": "workspaces",
        "IPYTHONDIR": "ipython",
        "GPU_WORKBENCH_DATA_DIR": "recorded",
    }
    for name in (*names.values(), "work"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    return {variable: str(folder / name) for variable, name in names.items()}


def _configure(config: Path, *, live: bool, server: bool) -> None:
    disabled = {**_QUIET, **({} if live else {"@gpu-workbench/labextension": True})}
    (config / "labconfig").mkdir(exist_ok=True)
    (config / "labconfig" / "page_config.json").write_text(json.dumps({"disabledExtensions": disabled}))
    if not server:
        without = {"ServerApp": {"jpserver_extensions": {"gpu_workbench": False}}}
        (config / "jupyter_server_config.json").write_text(json.dumps(without))


def _wait_until_serving(process: subprocess.Popen[bytes], log: Path) -> None:
    """Read its log until it says that it serves; what follows is copied to the log by a thread."""
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
