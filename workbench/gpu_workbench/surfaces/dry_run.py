"""``--dry-run``: a plan in words, as objects of Kubernetes, or as the same call in Python."""

from __future__ import annotations

from typing import Any

from gpu_workbench.app.detached import not_kept
from gpu_workbench.app.plans import Plan, objects
from gpu_workbench.core.errors import UsageError
from gpu_workbench.core.quantities import Gpus, show_bytes
from gpu_workbench.core.spec import Volume
from gpu_workbench.surfaces.asking import would_start
from gpu_workbench.surfaces.command_lines import CommandFlags
from gpu_workbench.surfaces.commands import MAGIC, commands_of
from gpu_workbench.surfaces.flags import GPU_CELL, CellFlags
from gpu_workbench.surfaces.lines import Flag

_OF_THE_LINE = ("dry_run", "form", "help", "detach", "session", "dask", "as_")
_OF_THE_RUN = ("out", "in_", "no_in", "name")
_FILES_SHOWN = 5


def words(plan: Plan, *, backend: str) -> str:
    """What would happen, a line for each part."""
    lines = [_would_run(plan, backend)]
    if plan.sent:
        sizes = ", ".join(f"{name} {show_bytes(size)}" for name, size in plan.sent.items())
        lines.append(f"Would send {show_bytes(sum(plan.sent.values()))}: {sizes}")
    if plan.there:
        lines.append(f"There already: {', '.join(plan.there)}")
    if plan.missing:
        lines.append(f"On neither side: {', '.join(plan.missing)}")
    if plan.project.files:
        lines.append(f"Files beside it: {len(plan.project.files)}, {show_bytes(plan.project.size)}")
    lines += [f"  without {item.path}: {item.reason}" for item in plan.project.left_out[:_FILES_SHOWN]]
    if plan.out:
        lines.append(f"Would bring back: {', '.join(plan.out)}")
    if plan.sealed is not None:
        lines.append(f"Sealed, it has {show_bytes(sum(map(len, plan.sealed.values())))}")
        lines.append(not_kept(plan.spec, backend=backend))
    return "\n".join([*filter(None, lines), "Nothing was started, nothing was sent."])


def _would_run(plan: Plan, backend: str) -> str:
    if plan.living is not None:
        return f"Would run in the session {plan.spec.name!r}, which is there ({plan.spec.id})"
    return would_start(plan.spec, backend=backend)


def yaml(plan: Plan, *, backend: str) -> str:
    """The objects that would be created.

    Raises:
        UsageError: it would run on this machine, which has no such objects.
    """
    if backend == "local":
        raise UsageError(
            "On this machine there are no objects of Kubernetes", fix="Add --backend kubernetes to see them"
        )
    if plan.living is not None:
        raise UsageError(
            "Nothing would be created",
            why=f"the session {plan.spec.name!r} is there",
            fix="Leave -o yaml out",
        )
    import yaml as library

    return str(library.safe_dump_all(objects(plan), sort_keys=False, width=120))


def python(flags: CellFlags, *, cell: str | None = None, script: tuple[str, ...] = ()) -> str:
    """The same as a call.

    Args:
        flags: Of the line.
        cell: The code; ``None`` where only a session is started.
        script: The script and its arguments, in place of a cell.
    """
    given = _arguments(flags)
    run: dict[str, object] = {key: given.pop(key) for key in _OF_THE_RUN if key in given}
    call = "import gpu_workbench as gw\n\n"
    if script or flags.detach:
        code = [repr(word) for word in script] if script else [_literal(cell or "")]
        return f"{call}run = gw.submit({_listed(code, {**run, **given})})\n"
    named = [repr(flags.session)] if flags.session else []
    call += f"session = gw.session({_listed(named, given)})\n"
    if cell is None:
        return call
    return f"{call}session.run({_listed([_literal(cell)], run)})\n"


def python_dask(flags: CommandFlags) -> str:
    """The same as a call, of a Dask cluster."""
    given = _arguments(flags, table=commands_of(MAGIC)["dask"].flags, default=CommandFlags())
    return f"import gpu_workbench as gw\n\ncluster = gw.dask({_listed([], given)})"


def _listed(first: list[str], named: dict[str, object]) -> str:
    return ", ".join([*first, *(f"{key}={value!r}" for key, value in named.items())])


def _literal(cell: str) -> str:
    text = cell.strip("\n")
    if "\n" not in text or '"""' in text or "\\" in text:
        return repr(text)
    return f'"""\n{text}\n"""'


_NO_FLAGS = CellFlags()


def _arguments(
    flags: CellFlags, *, table: tuple[Flag, ...] = GPU_CELL, default: CellFlags = _NO_FLAGS
) -> dict[str, object]:
    """The flags that were given, as the keyword arguments that read the same."""
    found = {}
    for flag in table:
        value: Any = getattr(flags, flag.key, None)
        if flag.key in _OF_THE_LINE or value == getattr(default, flag.key):
            continue
        found[flag.key] = _argument(flag.key, value)
    return found


def _argument(key: str, value: Any) -> object:
    if isinstance(value, Gpus):
        return value.count if not value.kind else str(value)
    if key in ("env", "group"):
        return dict(value)
    if key == "adapt":
        return f"{value[0]}:{value[1]}"
    if key in ("time_limit", "idle_limit"):
        return f"{value:g}s"
    if isinstance(value, tuple):
        items = [_volume(item) if isinstance(item, Volume) else item for item in value]
        return items[0] if len(items) == 1 else items
    return value


def _volume(volume: Volume) -> str:
    return f"{volume.claim}:{volume.path}" + (":ro" if volume.read_only else "")
