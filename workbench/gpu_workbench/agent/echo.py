"""The user's output on the agent's own stdout and stderr, unchanged, so that ``kubectl logs`` is what people expect."""

from __future__ import annotations

import contextlib
import os
import queue
import threading

from gpu_workbench.core.events import Entry, OutputWritten

_HELD = 256
"""Pieces of output that may wait for a slow reader; what comes then is not echoed. The journal has it."""


class Echo:
    """Writes stream output to file descriptors 1 and 2 from a thread of its own: a full pipe holds up nothing else."""

    def __init__(self) -> None:
        self._pieces: queue.Queue[tuple[int, bytes]] = queue.Queue(_HELD)
        threading.Thread(target=self._run, name="gpu-workbench echo", daemon=True).start()

    def entry(self, entry: Entry) -> None:
        """Echo one journal entry, if it is stream output."""
        event = entry.event
        if not isinstance(event, OutputWritten) or event.message != "stream":
            return
        text = event.content.get("text")
        descriptor = 2 if event.content.get("name") == "stderr" else 1
        if isinstance(text, str):
            with contextlib.suppress(queue.Full):
                self._pieces.put_nowait((descriptor, text.encode("utf-8", "replace")))

    def _run(self) -> None:
        while True:
            descriptor, data = self._pieces.get()
            view = memoryview(data)
            try:
                while view:
                    view = view[os.write(descriptor, view) :]
            except OSError:  # nobody reads it
                pass
