"""Sends what a cell needs before it runs: the names it reads, encoded and streamed, each once per content."""

from __future__ import annotations

import builtins
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from gpu_workbench.app.shipping.names import CellNames
from gpu_workbench.app.shipping.selection import RemoteName, Selection, select
from gpu_workbench.backends.channel import Channel
from gpu_workbench.core.errors import FlagError, TooLarge
from gpu_workbench.core.model import Workload
from gpu_workbench.core.quantities import show_bytes
from gpu_workbench.values.codecs import Encoded, encode
from gpu_workbench.values.fingerprint import fingerprint


@dataclass(frozen=True)
class Parcel:
    """A name ready to travel: its value as bytes, and the digest it will be known by."""

    name: str
    line: int
    encoded: Encoded
    digest: str


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
    digests: dict[str, str | None] = {}

    def digest(name: str) -> str | None:
        if name not in digests:
            digests[name] = fingerprint(namespace[name])
        return digests[name]

    if only is not None and (absent := [name for name in only if name not in namespace]):
        raise FlagError(f"--in names {', '.join(absent)}, which is not defined here")
    selection = _select(reads, namespace, workload, former, digest)
    known = {name: info.digest for name, info in workload.names.items()}
    modules = {name: f"module {module}" for name, module in selection.modules.items()}
    wanted = dict(selection.names) | {name: 0 for name, mark in modules.items() if known.get(name) != mark}
    parcels = tuple(
        _parcel(name, line, namespace=namespace, digest=modules.get(name) or digest(name) or "", limit=limit)
        for name, line in wanted.items()
    )
    return Cargo(parcels=parcels, selection=selection)


def _select(
    reads: Mapping[str, int],
    namespace: Mapping[str, object],
    workload: Workload,
    former: Mapping[str, str],
    digest: Callable[[str], str | None],
) -> Selection:
    generation = workload.generation + 1
    remote = {name: RemoteName(generation=0, run=run) for name, run in {**former, **workload.lost}.items()}
    for name, info in workload.names.items():
        run = workload.bound_by.get(name, "")
        remote[name] = RemoteName(digest=info.digest, generation=generation, run=run)
    return select(
        reads,
        namespace=namespace,
        builtins=vars(builtins).keys(),
        remote=remote,
        generation=generation,
        digest=digest,
    )


def _parcel(name: str, line: int, *, namespace: Mapping[str, object], digest: str, limit: int) -> Parcel:
    encoded = encode(namespace[name], name=name, namespace=namespace)
    if encoded.length > limit:
        raise TooLarge(
            f"{name} has {show_bytes(encoded.length)}",
            why=f"values of up to {show_bytes(limit)} are sent (values-limit)",
            fix="Put it on a volume or into a store and read it there, or raise values-limit",
        )
    return Parcel(name=name, line=line, encoded=encoded, digest=digest)


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
            digest=parcel.digest,
            progress=moved,
        )
