"""A run's cell in the user's kernel: it has the notebook's number, and its reply tells what it changed."""

from __future__ import annotations

import contextlib
import signal
from typing import Any

from gpu_workbench.agent.inkernel.names import CELL, Names


def kernel_class(base: type) -> type:
    """ipykernel's kernel, with what a run's cell needs before and after it.

    Both are done within its own request, so that a cell costs no further question and answer.

    Args:
        base: ``ipykernel.ipkernel.IPythonKernel`` of this image.
    """

    class SessionKernel(base):  # type: ignore[misc]
        def __init__(self, **settings: Any) -> None:
            super().__init__(**settings)
            self.names = Names(self.shell)

        def init_metadata(self, parent: Any) -> Any:
            """Before the cell is executed."""
            told = parent.get("metadata", {}).get(CELL)
            if told and told.get("count"):
                self.shell.execution_count = told["count"]
            return super().init_metadata(parent)

        def finish_metadata(self, parent: Any, metadata: Any, reply_content: Any) -> Any:
            """After the cell was executed, before its reply is sent."""
            metadata = super().finish_metadata(parent, metadata, reply_content)
            told = parent.get("metadata", {}).get(CELL)
            if told:  # an interrupt that comes now has come too late; ipykernel hears the next one again
                signal.signal(signal.SIGINT, signal.SIG_IGN)
                with contextlib.suppress(Exception):  # without it the agent asks, and tells what is wrong
                    metadata[CELL] = self.names.after(told)
            return metadata

    return SessionKernel
