"""A real notebook kernel, as JupyterLab would start it, to run cells in and to interrupt."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import re
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jupyter_client.manager import KernelManager

CELL_LIMIT = 90.0
"""Seconds a cell of a test may take."""

_ANSI = re.compile(r"\x1b\[[0-9;]*m")


@dataclass
class Ran:
    """What a cell left in the notebook: its outputs in order, as a front end gets them."""

    status: str = ""
    count: int = 0
    """The cell's number, as it stands left of it."""
    outputs: list[dict[str, Any]] = field(default_factory=list)
    seconds: float = 0.0

    def stream(self, name: str = "stdout") -> str:
        """All text of a stream."""
        return "".join(content["text"] for content in self._of("stream") if content.get("name") == name)

    @property
    def result(self) -> str:
        """The last value's text; empty where there was none."""
        found = self._of("execute_result")
        return str(found[-1]["data"].get("text/plain", "")) if found else ""

    @property
    def error(self) -> str:
        """``Name: value`` of the error; empty where there was none."""
        found = self._of("error")
        return f"{found[-1]['ename']}: {found[-1]['evalue']}" if found else ""

    @property
    def traceback(self) -> str:
        """The error's traceback without colours."""
        found = self._of("error")
        return _ANSI.sub("", "\n".join(found[-1]["traceback"])) if found else ""

    @property
    def shown(self) -> str:
        """Everything with a text form, for messages and searches."""
        texts = [str(content.get("data", {}).get("text/plain", "")) for content in self.displays]
        return "\n".join([self.stream(), self.stream("stderr"), *texts, self.result, self.traceback])

    @property
    def displays(self) -> list[dict[str, Any]]:
        """Displays and their updates."""
        return self._of("display_data") + self._of("update_display_data")

    def _of(self, kind: str) -> list[dict[str, Any]]:
        return [content for output in self.outputs for found, content in output.items() if found == kind]


class Notebook:
    """A kernel with a client, used like a notebook: one cell after the other."""

    def __init__(self, manager: KernelManager) -> None:
        self.manager = manager
        self.client = manager.client()
        self.client.start_channels()
        self.client.wait_for_ready(timeout=60)

    def begin(self, source: str) -> str:
        """Send a cell and return at once."""
        return str(self.client.execute(source))

    def end(
        self,
        message: str,
        *,
        limit: float = CELL_LIMIT,
        seen: Callable[[Ran], None] | None = None,
        reply: bool = True,
    ) -> Ran:
        """Wait for a cell to end.

        Args:
            message: From :meth:`begin`.
            seen: Called after each output.
            reply: Wait for its reply, too. ipykernel loses it where an interrupt comes just when it is being written.
        """
        ran, began = Ran(), time.monotonic()
        while True:
            left = limit - (time.monotonic() - began)
            try:
                found = self.client.get_iopub_msg(timeout=max(left, 0.01))
            except queue.Empty:
                raise AssertionError(f"the cell did not end within {limit} s; so far:\n{ran.shown}") from None
            if found["parent_header"].get("msg_id") != message:
                continue
            kind, content = found["msg_type"], found["content"]
            if kind == "status" and content["execution_state"] == "idle":
                break
            if kind == "execute_input":
                ran.count = content["execution_count"]
            if kind in ("stream", "display_data", "update_display_data", "execute_result", "error"):
                ran.outputs.append({kind: content})
                if seen is not None:
                    seen(ran)
        while reply:
            answer = self.client.get_shell_msg(timeout=10)
            if answer["parent_header"].get("msg_id") == message:
                ran.status = answer["content"]["status"]
                break
        ran.seconds = time.monotonic() - began
        return ran

    def shows(self, message: str, text: str, *, limit: float = CELL_LIMIT) -> None:
        """Wait until a cell that goes on has printed something. What was taken until then is not given by :meth:`end`."""
        printed, end = "", time.monotonic() + limit
        while text not in printed:
            found = self.client.get_iopub_msg(timeout=max(end - time.monotonic(), 0.01))
            if found["parent_header"].get("msg_id") == message and found["msg_type"] == "stream":
                printed += found["content"]["text"]

    def run(self, source: str, *, limit: float = CELL_LIMIT) -> Ran:
        """Run a cell to its end."""
        return self.end(self.begin(source), limit=limit)

    def check(self, source: str, *, limit: float = CELL_LIMIT) -> Ran:
        """Run a cell that has to end well."""
        ran = self.run(source, limit=limit)
        assert ran.status == "ok", ran.shown
        return ran

    def interrupt(self) -> None:
        """The stop button."""
        self.manager.interrupt_kernel()

    def kill(self) -> None:
        """SIGKILL, as the kernel's own end would be."""
        self.client.stop_channels()
        self.manager.shutdown_kernel(now=True)

    @property
    def pid(self) -> int:
        """Of the kernel's process."""
        provisioner: Any = self.manager.provisioner
        return int(provisioner.pid)


@contextlib.contextmanager
def notebook(
    folder: Path, *, name: str = "test.ipynb", env: Mapping[str, str] | None = None, stop: bool = True
) -> Iterator[Notebook]:
    """A kernel in ``folder`` that believes to belong to the notebook ``name``; its sessions are stopped at the end.

    Args:
        folder: Working directory; the workbench's state lies in ``.state`` below it.
        env: Further environment variables.
        stop: Stop all sessions and runs of this state at the end.
    """
    folder.mkdir(parents=True, exist_ok=True)
    manager = KernelManager(kernel_name="python3")
    state = {
        "GPU_WORKBENCH_STATE_DIR": str(folder / ".state"),
        "JPY_SESSION_NAME": str(folder / name),
        "XDG_CONFIG_HOME": str(folder / ".config"),
        "IPYTHONDIR": str(folder / ".ipython"),
    }
    inherited = {name: value for name, value in os.environ.items() if name != "PYTEST_CURRENT_TEST"}
    # with that variable ipykernel would leave alone what programs write to the file descriptors
    manager.start_kernel(cwd=str(folder), env={**inherited, **state, **(env or {})})
    made = Notebook(manager)
    try:
        made.check("%load_ext gpu_workbench")
        yield made
    finally:
        if stop and manager.is_alive():
            with contextlib.suppress(AssertionError):
                made.run("%gpu stop --all", limit=30)
        with contextlib.suppress(Exception):
            made.kill()
        if stop:
            end_all(folder / ".state")


def end_all(state: Path) -> None:
    """End what is left of this state's agents, whatever became of the kernel that should have stopped them."""
    for noted in state.glob("local/*/process.json"):
        pid = json.loads(noted.read_text())["pid"]
        with contextlib.suppress(OSError):
            if str(state).encode() in Path(f"/proc/{pid}/cmdline").read_bytes():
                os.kill(pid, signal.SIGKILL)
