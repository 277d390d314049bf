"""From a kernel's messages to output events: joined where they come in crowds, split where one is too large."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from gpu_workbench.agent.messages import Message
from gpu_workbench.core.events import OutputWritten
from gpu_workbench.core.wire import JsonObject

JOIN_BELOW = 64 * 1024
"""Characters up to which neighbouring pieces of a stream become one event."""

SPLIT_ABOVE = 512 * 1024
"""Characters of a stream in one event."""

DISPLAY_LIMIT = 32 * 2**20
"""Characters of one display's data; a larger one is replaced by a sentence that says so."""

_WIDGET = "application/vnd.jupyter.widget-view+json"

_SHOWN = frozenset(
    {"stream", "display_data", "update_display_data", "execute_result", "error", "clear_output"}
)


def output_events(messages: Iterable[tuple[str, Message]]) -> Iterator[OutputWritten]:
    """The events for (run, message) pairs, in order."""
    pending: OutputWritten | None = None
    for run, message in messages:
        if message.type not in _SHOWN:
            continue
        event = OutputWritten(run, message.type, _content(message), _metadata(message))
        joined = _join(pending, event) if pending is not None else None
        if joined is not None:
            pending = joined
            continue
        if pending is not None:
            yield from _split(pending)
        pending = event
    if pending is not None:
        yield from _split(pending)


def _content(message: Message) -> JsonObject:
    """A message's content, without widgets: there is no comm behind them, and the box would stay dead; their text stays."""
    data = message.content.get("data")
    if not isinstance(data, dict) or _WIDGET not in data:
        return message.content
    return {**message.content, "data": {kind: item for kind, item in data.items() if kind != _WIDGET}}


def _metadata(message: Message) -> JsonObject:
    return message.metadata if message.type in ("display_data", "execute_result") else {}


def _join(before: OutputWritten, after: OutputWritten) -> OutputWritten | None:
    if not (before.message == after.message == "stream") or before.run != after.run:
        return None
    if before.content.get("name") != after.content.get("name"):
        return None
    text = _text(before) + _text(after)
    if len(text) > JOIN_BELOW:
        return None
    return OutputWritten(before.run, "stream", {"name": before.content.get("name"), "text": text})


def _split(event: OutputWritten) -> Iterator[OutputWritten]:
    if event.message != "stream":
        yield _bounded(event)
        return
    text = _text(event)
    for start in range(0, max(len(text), 1), SPLIT_ABOVE):
        part = text[start : start + SPLIT_ABOVE]
        yield OutputWritten(event.run, "stream", {"name": event.content.get("name"), "text": part})


def _bounded(event: OutputWritten) -> OutputWritten:
    data = event.content.get("data")
    if not isinstance(data, dict):
        return event
    size = sum(len(item) if isinstance(item, str) else 0 for item in data.values())
    if size <= DISPLAY_LIMIT:
        return event
    note = f"[an output of {size // 2**20} MiB was left out; {DISPLAY_LIMIT // 2**20} MiB are shown at most]"
    return OutputWritten(
        event.run, event.message, {**event.content, "data": {"text/plain": note}}, event.metadata
    )


def _text(event: OutputWritten) -> str:
    text = event.content.get("text")
    return text if isinstance(text, str) else ""
