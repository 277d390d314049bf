"""A run's output as this cell's own: Jupyter's messages, published again by this kernel."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from typing import Any

from gpu_workbench.core.events import OutputWritten
from gpu_workbench.core.wire import Json, JsonObject

_WIDGET = "application/vnd.jupyter.widget-view+json"


class Outputs:
    """Publishes a run's output into the cell that executes now.

    Args:
        shell: The running IPython shell.
        show_errors: Show an error of the run as it came, for a cell that itself did nothing wrong; otherwise it is kept in
            :attr:`error`, to be raised.
    """

    def __init__(self, shell: Any, *, show_errors: bool = False) -> None:
        self._shell = shell
        self._show_errors = show_errors
        self.characters: dict[str, int] = {}
        self.displays = 0
        self.error: JsonObject | None = None
        """The content of the run's last error message, which the cell raises instead of printing."""

    def publish(self, events: Iterable[OutputWritten]) -> None:
        """Show these, in order: a stream is flushed before something else follows."""
        written = ""
        for event in events:
            name = self._stream_of(event)
            if written and written != name:
                getattr(sys, written).flush()
            written = name
            if name:
                self._write(name, str(event.content.get("text", "")))
            else:
                self._display(event)
        if written:
            getattr(sys, written).flush()

    @staticmethod
    def _stream_of(event: OutputWritten) -> str:
        """``stdout`` or ``stderr``; empty where it is no stream's."""
        if event.message != "stream":
            return ""
        return "stderr" if event.content.get("name") == "stderr" else "stdout"

    def _write(self, name: str, text: str) -> None:
        stream = getattr(sys, name)
        # the class's own write: IPython 9 replaces the stream's by one that keeps all text for its history, without bound
        type(stream).write(stream, text)
        self.characters[name] = self.characters.get(name, 0) + len(text)

    def _display(self, event: OutputWritten) -> None:
        content = event.content
        self.displays += 1
        if event.message == "error":
            self.error = content
            if self._show_errors:
                self._show_error(content)
        elif event.message == "clear_output":
            self._shell.display_pub.clear_output(wait=bool(content.get("wait")))
        elif event.message == "execute_result":
            self._result(_without_widgets(_object(content.get("data"))), _object(content.get("metadata")))
        else:
            self._shell.display_pub.publish(
                data=_without_widgets(_object(content.get("data"))),
                metadata=_object(content.get("metadata")),
                transient=_object(content.get("transient")),
                update=event.message == "update_display_data",
            )

    def _show_error(self, content: JsonObject) -> None:
        hook = self._shell.displayhook
        session = getattr(hook, "session", None)
        if session is not None:
            session.send(hook.pub_socket, "error", content, parent=hook.parent_header, ident=hook.topic)
            return
        lines = content.get("traceback")  # a terminal
        sys.stderr.write("\n".join(map(str, lines)) + "\n" if isinstance(lines, list) else "")

    def _result(self, data: JsonObject, metadata: JsonObject) -> None:
        """The value of the last line, with this cell's own number."""
        hook = self._shell.displayhook
        session = getattr(hook, "session", None)
        if session is None:  # a terminal
            self._shell.display_pub.publish(data=data, metadata=metadata)
            return
        content = {"execution_count": hook.prompt_count, "data": data, "metadata": metadata}
        session.send(hook.pub_socket, "execute_result", content, parent=hook.parent_header, ident=hook.topic)


def _object(value: Json) -> JsonObject:
    return value if isinstance(value, dict) else {}


def _without_widgets(data: Mapping[str, Json]) -> JsonObject:
    """A widget's later states do not travel; without them its box would stay dead, so its text is shown."""
    return {kind: item for kind, item in data.items() if kind != _WIDGET}
