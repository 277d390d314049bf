"""What can be typed next in a magic line."""

from __future__ import annotations

from collections.abc import Sequence

from gpu_workbench.surfaces.commands import MAGIC, CommandSpec, commands_of
from gpu_workbench.surfaces.flags import GPU_CELL, HELP_FLAG
from gpu_workbench.surfaces.lines import Flag

CELL_MAGIC = "%%gpu"


def complete(
    line: str, cursor: int, *, runs: Sequence[str], profiles: Sequence[str], sessions: Sequence[str]
) -> list[str]:
    """The words that can stand at the cursor, in the order of the tables.

    Args:
        line: The whole line, beginning with ``%gpu`` or ``%%gpu``.
        cursor: Position in it, counted in characters.
        runs: Names and ids of runs that are known.
        profiles: Names of profiles.
        sessions: Names of sessions.
    """
    before = line[:cursor].split()
    if not before or before[0] not in (MAGIC, CELL_MAGIC):
        return []
    typed = "" if line[:cursor][-1:].isspace() else before.pop()
    known = {"run": (*runs, *sessions), "session": sessions, "profile": profiles}
    if not before:  # the cursor stands at the magic's own name
        return []
    found = _candidates(before, typed, known)
    return [word for word in dict.fromkeys(found) if word.startswith(typed)]


def _candidates(before: list[str], typed: str, known: dict[str, Sequence[str]]) -> Sequence[str]:
    if before[0] == CELL_MAGIC:
        return _flags_or_value(GPU_CELL, before[1:], typed, known)
    commands = commands_of(MAGIC)
    if len(before) == 1 and not typed.startswith("-"):
        return [name for name in commands if name]
    spec = commands.get(before[1]) if len(before) > 1 and not before[1].startswith("-") else commands[""]
    if spec is None or spec.raw or "--" in before:
        return ()
    words = before[2:] if spec.name else before[1:]
    table = (*spec.flags, HELP_FLAG)
    if typed.startswith("-") or _waits_for_value(table, words):
        return _flags_or_value(table, words, typed, known)
    return _argument(spec, words, known) or _flags_or_value(table, words, typed, known)


def _waits_for_value(table: Sequence[Flag], words: Sequence[str]) -> Flag | None:
    if not words:
        return None
    return next((flag for flag in table if words[-1] in (flag.name, flag.short) and flag.value), None)


def _flags_or_value(
    table: Sequence[Flag], words: Sequence[str], typed: str, known: dict[str, Sequence[str]]
) -> Sequence[str]:
    waiting = _waits_for_value(table, words)
    if waiting is not None:
        return waiting.choices or known.get(waiting.completes, ())
    given = {word.partition("=")[0] for word in words}
    return [
        word
        for flag in table
        for word in (flag.name, flag.short)
        if word and (flag.many or not given & {flag.name, flag.short})
    ]


def _argument(spec: CommandSpec, words: Sequence[str], known: dict[str, Sequence[str]]) -> Sequence[str]:
    """What can stand for the next word that is no flag."""
    values = {flag.name for flag in spec.flags if flag.value} | {
        flag.short for flag in spec.flags if flag.value
    }
    plain = [
        word
        for number, word in enumerate(words)
        if not word.startswith("-") and not (number and words[number - 1] in values)
    ]
    if len(plain) >= len(spec.arguments):
        return ()
    argument = spec.arguments[len(plain)]
    return argument.choices or known.get(argument.completes, ())
