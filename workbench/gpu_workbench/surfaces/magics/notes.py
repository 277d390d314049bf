"""Quiet lines above a cell's output."""

from __future__ import annotations

from typing import Any

from gpu_workbench.surfaces.view.markup import coded

_STYLE = "color:var(--jp-ui-font-color2,#666);font-size:var(--jp-ui-font-size1,13px);padding:2px 0"


def note(shell: Any, *sentences: str) -> None:
    """Show sentences, one a line."""
    shell.display_pub.publish(data={"text/plain": "\n".join(sentences), "text/html": note_html(*sentences)})


def note_html(*sentences: str) -> str:
    """The same as HTML; ``code`` in back quotes is shown as such."""
    return f'<div style="{_STYLE}">{"<br>".join(map(coded, sentences))}</div>'
