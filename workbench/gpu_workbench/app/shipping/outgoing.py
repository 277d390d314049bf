"""Sends what a cell needs before it runs: the names it reads, encoded and streamed, each once per content."""

from __future__ import annotations

import builtins
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from gpu_workbench.app.shipping.names import CellNames
from gpu_workbench.app.shipping.parcels import Packer, Parcel, choose
from gpu_workbench.app.shipping.selection import RemoteName, Selection
from gpu_workbench.backends.channel import Channel
from gpu_workbench.core.errors import FlagError, TooLarge
from gpu_workbench.core.model import Workload
from gpu_workbench.core.quantities import show_bytes
from gpu_workbench.values.codecs import encode


@dataclass(frozen=True)
class Cargo:
    """All that travels before a cell runs.

    Args:
        parcels: Values, in the order they are sent.
        selection: Why each name travels or does not.
    """

    parcels: tuple[Parcel, ...] = ()
    selection: Selection = field(default_factory=Selection)

    @property
    def modules(self) -> dict[str, int]:
        """Top-level modules that have to be there for it, with the line that reads each; 0 where a function does."""
        found = self.selection.modules.values()
        return {module.partition(".")[0]: 0 for module in found}

    @property
    def size(self) -> int:
        """Bytes in all."""
        return sum(parcel.encoded.length for parcel in self.parcels)


def pack(
    names: CellNames,
    *,
    namespace: Mapping[str, object],
    workload: Workload,
    former: Mapping[str, str],
    only: tuple[str, ...] | None,
    send: bool = True,
    limit: int,
) -> Cargo:
    """Choose and encode what a cell needs. Nothing is sent yet, so an error leaves both sides as they were.

    Args:
        names: What the cell reads.
        namespace: The notebook's globals.
        workload: The session, as its journal tells.
        former: Names lost with an earlier session of this name, and the run that had bound each.
        only: Names given with ``--in``, which travel in place of what was found.
        send: ``False`` for ``--no-in``.
        limit: Bytes of one value.

    Raises:
        NotPicklable: a value has no faithful copy.
        TooLarge: a value is over ``limit``.
        FlagError: ``--in`` names what is not there.
    """
    if not send:
        return Cargo()
    reads = dict(names.reads) if only is None else dict.fromkeys(only, 0)
    if only is not None and (absent := [name for name in only if name not in namespace]):
        raise FlagError(f"--in names {', '.join(absent)}, which is not defined here")
    packer = Packer(namespace, python=_python_of(workload))
    generation = workload.generation + 1
    selection = choose(
        reads,
        packer=packer,
        builtins=vars(builtins).keys(),
        remote=_remote(workload, former, generation=generation),
        generation=generation,
    )
    parcels = (*_modules(selection, namespace, workload), *packer.pack(selection.names))
    for parcel in parcels:
        _check_size(parcel, limit)
    return Cargo(parcels=parcels, selection=selection)


def _python_of(workload: Workload) -> tuple[int, int]:
    """The session's major and minor version of Python; this one's where it is not known yet."""
    head = workload.ranks.get(0)
    parts = head.python.split(".")[:2] if head else []
    if len(parts) == 2 and all(part.isdecimal() for part in parts):
        return int(parts[0]), int(parts[1])
    return sys.version_info[:2]


def _remote(workload: Workload, former: Mapping[str, str], *, generation: int) -> dict[str, RemoteName]:
    """The session's table of names, with those that were lost."""
    remote = {name: RemoteName(generation=0, run=run) for name, run in {**former, **workload.lost}.items()}
    for name, info in workload.names.items():
        run = workload.bound_by.get(name, "")
        remote[name] = RemoteName(digest=info.digest, generation=generation, run=run)
    return remote


def _modules(selection: Selection, namespace: Mapping[str, object], workload: Workload) -> list[Parcel]:
    """Imported modules travel as their names, once; before the values, which may need them to be made."""
    parcels = []
    for name, module in selection.modules.items():
        mark = f"module {module}"
        known = workload.names.get(name)
        if known is None or known.digest != mark:
            encoded = encode(namespace[name], name=name, namespace=namespace)
            parcels.append(Parcel(names=(name,), encoded=encoded, digests={name: mark}))
    return parcels


def _check_size(parcel: Parcel, limit: int) -> None:
    if parcel.encoded.length > limit:
        raise TooLarge(
            f"{parcel.name} has {show_bytes(parcel.encoded.length)}",
            why=f"values of up to {show_bytes(limit)} are sent (values-limit)",
            fix="Put it on a volume or into a store and read it there, or raise values-limit",
        )


async def deliver(
    cargo: Cargo, channel: Channel, *, run: str, progress: Callable[[str, int, int], None] | None = None
) -> None:
    """Send the parcels; they become variables just before ``run`` starts.

    Args:
        cargo: What :func:`pack` gave.
        channel: To the session's agent.
        run: The run they belong to.
        progress: Called with a name, the bytes sent of it and its length.
    """
    for parcel in cargo.parcels:

        def moved(sent: int, parcel: Parcel = parcel) -> None:
            if progress is not None:
                progress(parcel.name, sent, parcel.encoded.length)

        await channel.put_value(
            parcel.name,
            codec=parcel.encoded.codec,
            length=parcel.encoded.length,
            chunks=parcel.encoded.chunks,
            run=run,
            digest=",".join(parcel.digests[name] for name in parcel.names),
            progress=moved,
        )
