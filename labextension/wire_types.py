"""Writes ``src/wire.ts``: the types of what the server sends, from the dataclasses that it is made of.

python labextension/wire_types.py            write it
python labextension/wire_types.py --check    say whether it is as it should be
"""

from __future__ import annotations

import collections.abc
import dataclasses
import enum
import inspect
import sys
import types
import typing
from pathlib import Path

from gpu_workbench.__about__ import __version__
from gpu_workbench.surfaces.flags import CONFLICTS, GPU_CELL
from gpu_workbench.surfaces.server.logs import LogPage
from gpu_workbench.surfaces.server.rest import WIRE
from gpu_workbench.surfaces.server.rows import Row
from gpu_workbench.surfaces.server.socket import SEEN_LIMIT
from gpu_workbench.surfaces.server.starting.form import StartOptions
from gpu_workbench.surfaces.server.starting.starter import Started, StartPlan
from gpu_workbench.surfaces.server.states import CapacityState, TargetState
from gpu_workbench.surfaces.view.model import VERSION, Snapshot

TARGET = Path(__file__).parent / "src" / "wire.ts"
ROOTS = (Snapshot, Row, TargetState, CapacityState, StartOptions, StartPlan, Started, LogPage)
_CONFLICTING = {other for one, other, _ in CONFLICTS if one == "detach"}
_NOT_DETACHED = [flag.name for flag in GPU_CELL if flag.key in _CONFLICTING]
CONSTANTS = (
    ("PACKAGE", repr(__version__), "Version of the package that this was built from."),
    ("WIRE", str(WIRE), "Version of what is said to the server and by it."),
    ("BUNDLE", str(VERSION), "Version of the MIME bundle's data."),
    ("SEEN_LIMIT", str(SEEN_LIMIT), "Rows that a browser may have on its screen."),
    ("NOT_DETACHED", repr(_NOT_DETACHED), "Flags of `%%gpu` that contradict `--detach`."),
)
HEAD = """/**
 * What the server sends. Written by labextension/wire_types.py from the Python model; do not edit.
 *
 * A member that holds its default is left out.
 */
"""
_PLAIN = {str: "string", int: "number", float: "number", bool: "boolean", type(None): "null"}


def text() -> str:
    """The whole file."""
    found: dict[type, str] = {}
    for root in ROOTS:
        _add(root, found)
    constants = (f"/** {comment} */\nexport const {name} = {value};" for name, value, comment in CONSTANTS)
    return HEAD + "\n" + "\n\n".join([*constants, *found.values()]) + "\n"


def _add(cls: type, found: dict[type, str]) -> None:
    if cls in found:
        return
    found[cls] = ""  # its place, before what it is made of
    if issubclass(cls, enum.Enum):
        words = " | ".join(f"'{member.value}'" for member in cls)
        found[cls] = f"{_comment(cls)}export type {cls.__name__} = {words};"
        return
    hints = typing.get_type_hints(cls)
    lines = []
    for field in dataclasses.fields(cls):
        optional = (
            field.default is not dataclasses.MISSING or field.default_factory is not dataclasses.MISSING
        )
        lines.append(f"  readonly {field.name}{'?' if optional else ''}: {_type(hints[field.name], found)};")
    found[cls] = f"{_comment(cls)}export interface {cls.__name__} {{\n" + "\n".join(lines) + "\n}"


def _comment(cls: type) -> str:
    first = inspect.cleandoc(cls.__doc__ or "").split("\n\n")[0].replace("\n", " ")
    return f"/** {first} */\n" if first else ""


def _type(hint: typing.Any, found: dict[type, str]) -> str:
    if hint in _PLAIN:
        return _PLAIN[hint]
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        return " | ".join(_type(one, found) for one in arguments)
    if origin is tuple:
        inner = _type(arguments[0], found)
        return f"readonly {f'({inner})' if ' ' in inner else inner}[]"
    if origin is collections.abc.Mapping:
        return f"Readonly<Record<string, {_type(arguments[1], found)}>>"
    _add(hint, found)
    return str(hint.__name__)


def main() -> int:
    """Write or check; the exit status."""
    if "--check" not in sys.argv:
        TARGET.write_text(text())
        return 0
    if TARGET.read_text() == text():
        return 0
    sys.stderr.write(
        "labextension/src/wire.ts is not what the model says: python labextension/wire_types.py\n"
    )
    return 1


if __name__ == "__main__":
    sys.exit(main())
