"""What ``--help`` shows, written from the tables of flags and commands."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence

from gpu_workbench.surfaces.commands import COMMANDS, MAGIC, Argument, CommandSpec, commands_of, is_needed
from gpu_workbench.surfaces.flags import CELL_FLAGS, GPU_CELL, HELP_FLAG, TARGET_FLAGS, WORKLOAD_FLAGS
from gpu_workbench.surfaces.lines import Flag

CELL = "%%gpu"
_WIDTH = 100
_HOLD = "\u00a0"  # keeps an example on one line
ABOUT_THE_CELL = (
    "Runs the cell in a session on GPUs. Variables that it reads travel there by themselves, those named by --out come "
    "back, and its own stay there for the next cell."
)


def cell_help() -> str:
    """What ``%%gpu --help`` shows."""
    parts = [f"{CELL} [FLAGS]", *textwrap.wrap(ABOUT_THE_CELL, _WIDTH), ""]
    for title, table in GROUPS:
        parts += [f"{title}:", *_flag_lines(table), ""]
    return "\n".join(parts).rstrip()


def overview_help(prefix: str = MAGIC) -> str:
    """What ``%gpu --help`` or ``gpu-workbench --help`` shows."""
    known = [spec for name, spec in commands_of(prefix).items() if name]
    parts = [f"{prefix} COMMAND", ""]
    parts += _two_columns((f"{prefix} {spec.name}", spec.summary) for spec in known)
    closing = f"{prefix} COMMAND --help says more."
    if prefix == MAGIC:
        closing = f"{prefix} alone: {COMMANDS[0].summary} {CELL} --help is about cells. {closing}"
    return "\n".join([*parts, "", *textwrap.wrap(closing, _WIDTH)])


def command_help(name: str, *, prefix: str = MAGIC) -> str:
    """What ``%gpu NAME --help`` shows; the overview for an empty name."""
    if not name:
        return overview_help(prefix)
    spec = commands_of(prefix)[name]
    parts = [usage(spec, prefix), spec.summary]
    if spec.detail:
        parts += textwrap.wrap(spec.detail, _WIDTH)
    if spec.arguments:
        parts += ["", *_two_columns((one.name, meaning(one, prefix)) for one in spec.arguments)]
    if not spec.raw:
        parts += ["", *_flag_lines((*spec.flags, HELP_FLAG), examples=False)]
    parts += ["", "For example:", *(f"  {line}" for line in spec.examples_for(prefix))]
    return "\n".join(parts)


def usage(spec: CommandSpec, prefix: str) -> str:
    """One line: the command with its words."""
    words = [prefix, spec.name, *(_shape(argument, prefix) for argument in spec.arguments)]
    if spec.flags and not spec.raw:
        words.append("[FLAGS]")
    if spec.rest:
        words.append(spec.rest if spec.raw else f"[-- {spec.rest}]")
    return " ".join(word for word in words if word)


def _shape(argument: Argument, prefix: str) -> str:
    return argument.name if is_needed(argument, prefix) else f"[{argument.name}]"


def meaning(argument: Argument, prefix: str) -> str:
    """What a word of a command means, and what leaving it out does."""
    left_out = " Without it, this notebook's session." if argument.completes == "run" else ""
    return argument.help if is_needed(argument, prefix) else argument.help + left_out


def typed(flag: Flag) -> str:
    """A flag as it is typed, with what its value is called."""
    words = ", ".join(word for word in (flag.short, flag.name) if word)
    return f"{words} {flag.value}".rstrip()


def said(flag: Flag) -> str:
    """What a flag does, with its values where they can be listed."""
    choices = f" One of {', '.join(flag.choices)}." if flag.choices else ""
    return flag.help + choices


def _flag_lines(table: Iterable[Flag], *, examples: bool = True) -> list[str]:
    rows = []
    for flag in table:
        example = flag.example.replace(" ", _HOLD) if examples and flag.example != flag.name else ""
        rows.append((typed(flag), f"{said(flag)} Example: {example}" if example else said(flag)))
    return _two_columns(rows)


def _two_columns(rows: Iterable[tuple[str, str]]) -> list[str]:
    rows = list(rows)
    width = max((len(left) for left, _ in rows), default=0) + 4
    lines = []
    for left, right in rows:
        first, *more = textwrap.wrap(right, _WIDTH - width, break_on_hyphens=False) or [""]
        lines += [f"  {left:<{width - 2}}{first}", *(" " * width + line for line in more)]
    return [line.replace(_HOLD, " ") for line in lines]


GROUPS: tuple[tuple[str, Sequence[Flag]], ...] = (
    ("What goes and what comes back", CELL_FLAGS),
    ("What it runs on", WORKLOAD_FLAGS),
    ("Where", (*TARGET_FLAGS, HELP_FLAG)),
)
assert sum(len(table) for _, table in GROUPS) == len(GPU_CELL)
