"""Which of the names that a cell reads have to travel, and which live in the session already."""

from __future__ import annotations

import types
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field

from gpu_workbench.app.shipping.functions import names_of
from gpu_workbench.values.plain import is_a

IPYTHON_NAMES = frozenset(
    {"In", "Out", "_", "__", "___", "_i", "_ii", "_iii", "_ih", "_oh", "_dh", "_exit_code"}
) | {*("get_ipython", "exit", "quit", "open", "__name__", "__builtins__")}
"""What IPython itself puts into the namespace of a notebook; the session has its own."""


@dataclass(frozen=True)
class RemoteName:
    """What the agent's table says of a name in the session.

    Args:
        digest: Fingerprint of what was last sent from here under that name; empty where nothing was.
        generation: The payload's generation when it was bound.
        run: The run that bound it there since; empty while it is what was sent.
    """

    digest: str = ""
    generation: int = 0
    run: str = ""


@dataclass(frozen=True)
class Selection:
    """What happens to each name that a cell reads.

    Args:
        names: To be sent, each with the line that reads it; 0 where a function reads it.
        modules: Variable to the name of the module it is there and here.
        there: Bound by the session itself since it was last sent: the session's own is used.
        unchanged: There already, as they are here.
        lost: Bound by runs of a former generation, and gone: with the run that bound each. They are not remade silently.
        missing: On neither side, nor a builtin: reading them is the ordinary NameError.
    """

    names: Mapping[str, int] = field(default_factory=dict)
    modules: Mapping[str, str] = field(default_factory=dict)
    there: frozenset[str] = frozenset()
    unchanged: frozenset[str] = frozenset()
    lost: Mapping[str, str] = field(default_factory=dict)
    missing: frozenset[str] = frozenset()


def select(
    reads: Mapping[str, int],
    *,
    namespace: Mapping[str, object],
    builtins: Collection[str],
    remote: Mapping[str, RemoteName],
    generation: int,
    digest: Callable[[str], str | None],
    hidden: Collection[str] = IPYTHON_NAMES,
) -> Selection:
    """Choose the names that must travel before a cell runs.

    A name travels when it is bound here and not known there, or has changed here since it was sent. One that a run bound
    there is left alone unless the notebook has changed its own since. Names that the notebook's functions read travel with
    them.

    Args:
        reads: Name to first line, from :func:`gpu_workbench.app.shipping.names.analyse`.
        namespace: The notebook's globals.
        builtins: Names that are there without being sent.
        remote: The agent's table.
        generation: The payload's present generation; entries of former ones are gone.
        digest: The present fingerprint of a name here; called only where it decides.
        hidden: Names the notebook's own machinery put here, such as ``In`` and ``get_ipython``.
    """
    names: dict[str, int] = {}
    modules: dict[str, str] = {}
    lost: dict[str, str] = {}
    sets: dict[str, set[str]] = {"there": set(), "unchanged": set(), "missing": set()}
    for name, line in _with_functions(reads, namespace).items():
        known = remote.get(name)
        value = namespace.get(name)
        if known is not None and known.generation < generation:
            if known.run and not _changed(name, known, namespace, digest):
                lost[name] = known.run
                continue
            known = None
        if name not in namespace or name in hidden:
            sets["missing" if known is None else "there"].add(name)
        elif is_a(value, types.ModuleType) and not (known is not None and known.run):
            modules[name] = value.__name__
        elif known is None or _changed(name, known, namespace, digest):
            names[name] = line
        else:
            sets["there" if known.run else "unchanged"].add(name)
    return Selection(
        names=names,
        modules=modules,
        there=frozenset(sets["there"]),
        unchanged=frozenset(sets["unchanged"]),
        lost=lost,
        missing=frozenset(sets["missing"] - set(builtins) - set(hidden)),
    )


def _with_functions(reads: Mapping[str, int], namespace: Mapping[str, object]) -> dict[str, int]:
    found = dict(reads)
    for name in reads:
        if name in namespace:
            for read in sorted(names_of(namespace[name], namespace=namespace)):
                found.setdefault(read, 0)
    return found


def _changed(
    name: str, known: RemoteName, namespace: Mapping[str, object], digest: Callable[[str], str | None]
) -> bool:
    """Whether the name here is another value than the one last sent."""
    if name not in namespace:
        return False
    if not known.digest:  # never sent: what a run made there is the later of the two, as far as can be known
        return not known.run
    present = digest(name)
    if present is None:  # nothing can be proven: the later of the two wins
        return not known.run
    return present != known.digest
