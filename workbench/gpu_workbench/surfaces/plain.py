"""A run's output in a terminal: streams as they are, everything else as its text."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import TextIO

from gpu_workbench.core.events import OutputWritten
from gpu_workbench.core.wire import JsonObject


class PlainOutputs:
    """Writes output to this process's stdout and stderr.

    Args:
        errors: Write the traceback of an error to stderr; otherwise it is kept in :attr:`error` alone, to be raised.
    """

    def __init__(self, *, errors: bool = True) -> None:
        self._errors = errors
        self.error: JsonObject | None = None
        """The content of the run's last error message."""

    def publish(self, events: Iterable[OutputWritten]) -> None:
        """Write these, in order."""
        last: TextIO | None = None
        for event in events:
            stream, text = self._written(event)
            if last is not None and stream is not last:
                last.flush()
            stream.write(text)
            last = stream
        if last is not None:
            last.flush()

    def _written(self, event: OutputWritten) -> tuple[TextIO, str]:
        if event.message == "error":
            self.error = event.content
        name, text = text_of(event)
        if event.message == "error" and not self._errors:
            text = ""
        return sys.stderr if name == "stderr" else sys.stdout, text


def text_of(event: OutputWritten) -> tuple[str, str]:
    """The stream that a piece of output belongs to as text, and the text; empty where it has none."""
    content = event.content
    if event.message == "stream":
        return "stderr" if content.get("name") == "stderr" else "stdout", str(content.get("text", ""))
    if event.message == "error":
        return "stderr", f"{traceback_of(content)}\n"
    data = content.get("data")
    text = data.get("text/plain") if isinstance(data, dict) else None
    return "stdout", "" if text is None else f"{text}\n"


def traceback_of(content: JsonObject) -> str:
    """The traceback of an error message, with its colours."""
    lines = content.get("traceback")
    if isinstance(lines, list) and lines:
        return "\n".join(map(str, lines))
    return f"{content.get('ename', 'Error')}: {content.get('evalue', '')}"
