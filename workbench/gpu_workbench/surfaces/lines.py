"""Taking a magic line or the arguments of a program apart, by a table of flags."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

from gpu_workbench.app.nearest import did_you_mean
from gpu_workbench.core.errors import FlagError, UsageError
from gpu_workbench.surfaces.readers import names, ranks


class Flag(NamedTuple):
    """One flag.

    Args:
        name: As it is typed, e.g. ``--gpus``.
        help: What it does, with the unit of its value.
        example: The flag with a value, as it is typed.
        value: What its value is called in help; empty for a switch.
        read: Makes the value of the text.
        field: The dotted field of ``WorkloadSpec`` that it sets; empty where it sets none.
        many: It may be repeated, and its values add up.
        choices: All its values, where they can be listed.
        completes: Which known names can stand for its value: ``profile`` or ``session``.
        short: A second way to type it.
        attribute: Its attribute of :class:`CellFlags`, where that is not its name.
    """

    name: str
    help: str
    example: str
    value: str = ""
    read: Callable[[str], object] = str
    field: str = ""
    many: bool = False
    choices: tuple[str, ...] = ()
    completes: str = ""
    short: str = ""
    attribute: str = ""

    @property
    def key(self) -> str:
        """Its attribute of :class:`CellFlags` or :class:`~gpu_workbench.surfaces.commands.CommandFlags`."""
        return self.attribute or self.name.lstrip("-").replace("-", "_")


def split(line: str) -> list[str]:
    """The words of a line, quoted as in a shell.

    Raises:
        FlagError: a quote is not closed.
    """
    try:
        return shlex.split(line)
    except ValueError as error:
        raise FlagError("The line cannot be read", why=str(error).lower(), fix="Close the quote") from None


def words_of(table: Iterable[Flag]) -> list[str]:
    """Every way to type the flags of a table."""
    return [word for flag in table for word in (flag.name, flag.short) if word]


def read_flags(
    words: Sequence[str], table: Sequence[Flag], *, place: str
) -> tuple[dict[str, Any], list[str]]:
    """Take the flags out of a line.

    Args:
        words: The line.
        table: The flags that may stand in it.
        place: What they are given to, for errors, e.g. ``%gpu start``.

    Returns:
        The values by attribute, and the words that belong to no flag.

    Raises:
        FlagError: a flag is unknown, malformed, or given twice.
    """
    known = {word: flag for flag in table for word in (flag.name, flag.short) if word}
    values: dict[str, Any] = {}
    rest: list[str] = []
    waiting = list(words)
    while waiting:
        word = waiting.pop(0)
        if not word.startswith("-") or word == "-":
            rest.append(word)
            continue
        name, attached, text = word.partition("=")
        flag = known.get(name)
        if flag is None:
            raise FlagError(
                f"{place} takes no {name}",
                fix=did_you_mean(name, known, otherwise="--help lists what it takes"),
            )
        if not flag.value:
            _switch(values, flag, attached=bool(attached))
            continue
        if not attached:
            if not waiting or waiting[0] in known:
                raise FlagError(f"{name} needs a value", fix=f"For example {flag.example}")
            text = waiting.pop(0)
        _take(values, flag, text)
    return values, rest


def _switch(values: dict[str, Any], flag: Flag, *, attached: bool) -> None:
    if attached:
        raise FlagError(f"{flag.name} takes no value", fix=f"Write {flag.example}")
    values[flag.key] = True


def _take(values: dict[str, Any], flag: Flag, text: str) -> None:
    value = _read(flag, text)
    if flag.many:
        added = value if flag.read in (names, ranks) else (value,)
        values[flag.key] = (*values.get(flag.key, ()), *added)
    elif flag.key in values:
        raise FlagError(f"{flag.name} is given twice", fix="Keep one of them")
    else:
        values[flag.key] = value


def _read(flag: Flag, text: str) -> Any:
    if not text:
        raise FlagError(f"{flag.name} has an empty value", fix=f"For example {flag.example}")
    if flag.choices and text not in flag.choices:
        raise FlagError(
            f"{flag.name}: {text!r} is none of {', '.join(flag.choices)}",
            fix=did_you_mean(text, flag.choices, otherwise=f"For example {flag.example}"),
        )
    try:
        return flag.read(text)
    except UsageError as error:
        what = error.what if flag.name in error.what else f"{flag.name}: {error.what}"
        raise FlagError(what, why=error.why, fix=error.fix) from None
