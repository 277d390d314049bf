"""What is to be run, as the API takes it: code, a function, or a script."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gpu_workbench.app.detached import RESULT
from gpu_workbench.app.workbench import Cell
from gpu_workbench.core.errors import FlagError, UsageError
from gpu_workbench.surfaces.flags import CellFlags, cell_flags

_FUNCTION, _ARGS, _KWARGS = "_gwb_function", "_gwb_args", "_gwb_kwargs"

_CALL = f"""\
try:
    {RESULT} = {_FUNCTION}(*{_ARGS}, **{_KWARGS})
finally:
    del {_FUNCTION}, {_ARGS}, {_KWARGS}
"""


@dataclass(frozen=True)
class Script:
    """A script and its arguments."""

    argv: tuple[str, ...]


_OF_A_RUN = ("out", "in_", "no_in", "name")


def run_flags(given: Mapping[str, object]) -> CellFlags:
    """The arguments of one run in a session: what goes and what comes back.

    Raises:
        FlagError: an argument is wrong, or is the session's.
    """
    flags = cell_flags(given)
    if of_the_session := sorted(given.keys() - _OF_A_RUN):
        raise FlagError(
            f"{of_the_session[0]} is for the session, not for a run in it", fix="Give it to gw.session()"
        )
    return flags


def cell_of(source: str, flags: CellFlags) -> Cell:
    """A cell with what the flags say of it."""
    return Cell(
        source=source,
        out=flags.out,
        only=flags.in_ or None,
        send=not flags.no_in,
        name=flags.name,
    )


def call_of(
    function: Callable[..., Any], args: tuple[object, ...], kwargs: Mapping[str, object], *, name: str = ""
) -> Cell:
    """A cell that calls a function, and gives its value back."""
    return Cell(
        source=_CALL,
        out=(RESULT,),
        name=name,
        beside={_FUNCTION: function, _ARGS: args, _KWARGS: dict(kwargs)},
    )


def work_of(what: object, args: tuple[object, ...], flags: CellFlags) -> Cell | Script:
    """What :func:`gpu_workbench.submit` was given.

    Raises:
        UsageError: it is none of the three, or has arguments that it cannot have.
    """
    if isinstance(what, Path) or (isinstance(what, str) and what.endswith(".py") and "\n" not in what):
        return Script((str(what), *map(str, args)))
    if isinstance(what, str):
        if args:
            raise UsageError(
                "Code takes no arguments", fix="Give a function, or use names: they travel by themselves"
            )
        return cell_of(what, flags)
    if callable(what):
        if flags.out:
            raise UsageError("A function gives its value back and takes no `out`", fix="Leave it out")
        return call_of(what, args, {}, name=flags.name)
    raise UsageError(
        f"{type(what).__name__} cannot be run",
        fix="Give code as a string, a function, or the path of a script",
    )
