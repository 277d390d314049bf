"""A run's journal as a notebook's outputs: as the notebook itself would have them, and bounded."""

from __future__ import annotations

from typing import Any

import nbformat
from hypothesis import given
from hypothesis import strategies as st

from gpu_workbench.core.events import OutputWritten
from gpu_workbench.surfaces.server.outputs import NotebookOutputs, as_form


def written(message: str, **content: Any) -> OutputWritten:
    return OutputWritten("run", message, content)


def stream(text: str, name: str = "stdout") -> OutputWritten:
    return written("stream", name=name, text=text)


def shown(text: str, display: str = "", kind: str = "display_data") -> OutputWritten:
    return written(
        kind, data={"text/plain": text}, metadata={}, transient={"display_id": display} if display else {}
    )


def outputs(*events: OutputWritten, limit: int = 1000) -> list[Any]:
    found = NotebookOutputs(limit=limit)
    found.take(events)
    return as_form(found, characters={})["outputs"]  # type: ignore[return-value]


def test_streams_follow_each_other_as_they_were_written() -> None:
    found = outputs(stream("a"), stream("b\n"), stream("!", "stderr"), stream("c"))
    assert [(one["name"], one["text"]) for one in found] == [
        ("stdout", "ab\n"),
        ("stderr", "!"),
        ("stdout", "c"),
    ]


def test_an_update_changes_what_is_shown_already_and_shows_nothing_anew() -> None:
    found = outputs(shown("1 %", "bar"), stream("x"), shown("2 %", "bar", "update_display_data"))
    assert [one.get("data", {}).get("text/plain") for one in found] == ["2 %", None]
    assert outputs(shown("lost", "nobody", "update_display_data")) == []


def test_what_is_cleared_is_gone_at_once_or_with_what_follows() -> None:
    assert outputs(stream("a"), written("clear_output", wait=False)) == []
    waits = written("clear_output", wait=True)
    assert [one["text"] for one in outputs(stream("a"), waits)] == ["a"]
    assert [one["text"] for one in outputs(stream("a"), waits, stream("b"))] == ["b"]


def test_a_widget_is_its_text() -> None:
    event = written(
        "display_data", data={"application/vnd.jupyter.widget-view+json": {}, "text/plain": "Bar()"}
    )
    assert outputs(event)[0]["data"] == {"text/plain": "Bar()"}


def test_of_too_much_text_the_last_is_kept() -> None:
    found = NotebookOutputs(limit=10)
    found.take([stream("0123456789"), shown("kept"), stream("abcdef", "stderr")])
    form = as_form(found, characters={"stdout": 10, "stderr": 6})
    assert [one.get("text") for one in form["outputs"]] == ["6789", None, "abcdef"]  # type: ignore[union-attr]
    assert (form["left_out"], form["complete"]) == (6, True)


def test_what_the_journal_lost_is_not_said_to_be_complete() -> None:
    found = NotebookOutputs()
    found.take([stream("ab")])
    assert as_form(found, characters={"stdout": 3})["complete"] is False


EVENTS = st.one_of(
    st.builds(stream, st.text(max_size=5), st.sampled_from(["stdout", "stderr", "other"])),
    st.builds(shown, st.text(max_size=3), st.sampled_from(["", "a", "b"])),
    st.builds(lambda text: shown(text, "a", "update_display_data"), st.text(max_size=3)),
    st.builds(lambda wait: written("clear_output", wait=wait), st.booleans()),
    st.builds(
        lambda count: written("execute_result", data={}, metadata={}, execution_count=count),
        st.none() | st.integers(0, 9),
    ),
    st.builds(lambda line: written("error", ename="E", evalue="v", traceback=[line]), st.text(max_size=3)),
    st.builds(
        lambda content: OutputWritten("run", "stream", content),
        st.dictionaries(st.text(max_size=3), st.none() | st.integers()),
    ),
)


@given(st.lists(EVENTS, max_size=12), st.integers(0, 12))
def test_they_are_outputs_of_a_notebook_however_they_come(events: list[OutputWritten], cut: int) -> None:
    whole, parts = NotebookOutputs(limit=20), NotebookOutputs(limit=20)
    whole.take(events)
    parts.take(events[:cut])
    parts.take(events[cut:])
    form = as_form(whole, characters={})
    cell = nbformat.v4.new_code_cell(outputs=[nbformat.from_dict(one) for one in form["outputs"]])  # type: ignore[union-attr]
    nbformat.validate(nbformat.v4.new_notebook(cells=[cell]))
    held = sum(len(one["text"]) for one in form["outputs"] if one["output_type"] == "stream")  # type: ignore[union-attr,index,call-overload,misc,arg-type]
    assert held <= 20
    assert parts.characters == whole.characters
