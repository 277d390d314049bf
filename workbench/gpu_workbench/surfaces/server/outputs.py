"""A run's output as a notebook file has it, from its journal. Pure.

Source: nbformat 4, "Code cell outputs", and "Messaging in Jupyter" for what updates and clears.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from gpu_workbench.core.events import OutputWritten
from gpu_workbench.core.wire import Json, JsonObject

TEXT_LIMIT = 2_000_000
"""Characters of a run's streams that are given back: of more, the last. A notebook with more can hardly be opened."""

_WIDGET = "application/vnd.jupyter.widget-view+json"


@dataclass
class NotebookOutputs:
    """The outputs of one run, as they become more.

    Args:
        limit: Characters of streams that are kept.
    """

    limit: int = TEXT_LIMIT
    outputs: list[JsonObject] = field(default_factory=list)
    characters: dict[str, int] = field(default_factory=dict)
    """Stream name to all characters that were written to it."""
    left_out: int = 0
    """Characters of streams that are not among the outputs any more."""
    _shown: dict[str, list[JsonObject]] = field(default_factory=dict)
    _clear: bool = False
    _held: int = 0

    def take(self, events: Iterable[OutputWritten]) -> None:
        """Add what was written, in order."""
        for event in events:
            self._take(event)
        self._cut()

    def _take(self, event: OutputWritten) -> None:
        content = event.content
        if event.message == "clear_output":
            if content.get("wait"):
                self._clear = True
            else:
                self._clear_all()
            return
        if event.message == "update_display_data":
            for shown in self._shown.get(_display_id(content), ()):
                shown["data"], shown["metadata"] = _data(content), _object(content.get("metadata"))
            return
        if self._clear:
            self._clear_all()
        if event.message == "stream":
            self._write(
                "stderr" if content.get("name") == "stderr" else "stdout", str(content.get("text", ""))
            )
        elif event.message == "error":
            self.outputs.append(
                {
                    "output_type": "error",
                    "ename": str(content.get("ename", "")),
                    "evalue": str(content.get("evalue", "")),
                    "traceback": [str(line) for line in _list(content.get("traceback"))],
                }
            )
        elif event.message in ("display_data", "execute_result"):
            self._show(event.message, content)

    def _write(self, name: str, text: str) -> None:
        self.characters[name] = self.characters.get(name, 0) + len(text)
        self._held += len(text)
        last = self.outputs[-1] if self.outputs else None
        if last is not None and last["output_type"] == "stream" and last["name"] == name:
            parts = last["text"]
            assert isinstance(parts, list)
            parts.append(text)
        else:
            self.outputs.append({"output_type": "stream", "name": name, "text": [text]})

    def _show(self, kind: str, content: JsonObject) -> None:
        output: JsonObject = {
            "output_type": kind,
            "data": _data(content),
            "metadata": _object(content.get("metadata")),
        }
        if kind == "execute_result":
            count = content.get("execution_count")
            output["execution_count"] = count if isinstance(count, int) else None
        elif display := _display_id(content):
            self._shown.setdefault(display, []).append(output)
        self.outputs.append(output)

    def _clear_all(self) -> None:
        self.outputs.clear()
        self._shown.clear()
        self._clear, self._held = False, 0

    def _cut(self) -> None:
        """Leave out the oldest text of streams where there is too much of it."""
        for output in [output for output in self.outputs if output["output_type"] == "stream"]:
            too_much = self._held - self.limit
            if too_much <= 0:
                return
            text = "".join(map(str, _list(output["text"])))
            kept = text[too_much:]
            self.left_out += len(text) - len(kept)
            self._held -= len(text) - len(kept)
            output["text"] = [kept]


def _display_id(content: JsonObject) -> str:
    found = _object(content.get("transient")).get("display_id")
    return found if isinstance(found, str) else ""


def _data(content: JsonObject) -> JsonObject:
    """Without what only a living kernel could draw."""
    return {kind: item for kind, item in _object(content.get("data")).items() if kind != _WIDGET}


def _object(value: Json) -> JsonObject:
    return value if isinstance(value, dict) else {}


def _list(value: Json) -> list[Json]:
    return value if isinstance(value, list) else []


def as_form(found: NotebookOutputs, *, characters: Mapping[str, int]) -> JsonObject:
    """What browsers get: the outputs, streams as one text each, and how much of them there is.

    Args:
        characters: Stream name to characters that the run has written, as its view tells; what is lacking was lost.
    """
    outputs: list[Json] = []
    for output in found.outputs:
        if output["output_type"] == "stream":
            outputs.append({**output, "text": "".join(map(str, _list(output["text"])))})
        else:
            outputs.append(output)
    return {
        "outputs": outputs,
        "characters": {**found.characters},
        "left_out": found.left_out,
        "complete": all(found.characters.get(name, 0) >= count for name, count in characters.items()),
    }
