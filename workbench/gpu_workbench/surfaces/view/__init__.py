"""The inline view of a run: its wire data, and its renderings as HTML, text and picture. No JavaScript."""

from gpu_workbench.surfaces.view.bundle import RunView, bundle, ipython_publish
from gpu_workbench.surfaces.view.html import html
from gpu_workbench.surfaces.view.model import Published, Saved, Snapshot, Where
from gpu_workbench.surfaces.view.snapshot import snapshot, worth_showing
from gpu_workbench.surfaces.view.tables import NameRow, Rendered, ls, names, top, why
from gpu_workbench.surfaces.view.text import run_line, runs_table, text

__all__ = [
    "NameRow",
    "Published",
    "Rendered",
    "RunView",
    "Saved",
    "Snapshot",
    "Where",
    "bundle",
    "html",
    "ipython_publish",
    "ls",
    "names",
    "run_line",
    "runs_table",
    "snapshot",
    "text",
    "top",
    "why",
    "worth_showing",
]
