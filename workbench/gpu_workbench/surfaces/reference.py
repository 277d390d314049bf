"""The reference of magics and command line in Markdown, written from the tables, for the pages of the documentation."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from gpu_workbench.surfaces.commands import MAGIC, PROGRAM, commands_of
from gpu_workbench.surfaces.help import ABOUT_THE_CELL, CELL, GROUPS, meaning, said, typed, usage
from gpu_workbench.surfaces.lines import Flag


def magics() -> str:
    """All of ``%%gpu`` and ``%gpu``."""
    parts = [f"## `{CELL}`", "", ABOUT_THE_CELL, ""]
    for title, table in GROUPS:
        parts += [f"### {title}", "", *_flag_table(table), ""]
    return "\n".join([*parts, *_commands(MAGIC)]).rstrip() + "\n"


def program() -> str:
    """All of ``gpu-workbench``."""
    return "\n".join(_commands(PROGRAM)).rstrip() + "\n"


def _commands(prefix: str) -> list[str]:
    parts: list[str] = []
    for spec in commands_of(prefix).values():
        parts += [f"## `{prefix} {spec.name}".rstrip() + "`", "", spec.summary]
        if spec.detail:
            parts += ["", spec.detail]
        parts += [
            "",
            "```text",
            usage(spec, prefix),
            "",
            *spec.examples_for(prefix),
            "```",
            "",
        ]
        if spec.arguments:
            parts += [
                *_table(
                    ("Word", "What it means"),
                    [(f"`{one.name}`", meaning(one, prefix)) for one in spec.arguments],
                ),
                "",
            ]
        if spec.flags and not spec.raw:
            parts += [*_flag_table(spec.flags), ""]
    return parts


def _flag_table(table: Iterable[Flag]) -> list[str]:
    rows = [(f"`{typed(flag)}`", said(flag), f"`{flag.example}`") for flag in table]
    return _table(("Flag", "What it does", "Example"), rows)


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    lines = [head, ["---"] * len(head), *rows]
    return ["| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines]
