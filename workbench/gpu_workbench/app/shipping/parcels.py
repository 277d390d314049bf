"""The values of one cell, made ready before the first byte is sent: so a value that cannot travel leaves nothing half-sent.

Values that hold the same object, such as a model and its optimizer, go in one parcel: apart, they would arrive as two copies
that know nothing of each other.
"""

from __future__ import annotations

import sys
import types
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from gpu_workbench.app.shipping.functions import source_of
from gpu_workbench.app.shipping.names import analyse
from gpu_workbench.app.shipping.selection import RemoteName, Selection, select
from gpu_workbench.core.errors import NotPicklable
from gpu_workbench.values.codecs import SOURCE, Encoded, encode, encode_source
from gpu_workbench.values.fingerprint import fingerprint
from gpu_workbench.values.plain import is_a


@dataclass(frozen=True)
class Parcel:
    """What is sent in one request.

    Args:
        names: The names it binds. With more than one, the value is a dict from name to value.
        encoded: The bytes.
        digests: Name to the fingerprint of its value alone; empty for a value that has none.
    """

    names: tuple[str, ...]
    encoded: Encoded
    digests: Mapping[str, str]

    @property
    def name(self) -> str:
        """All of them, as one word: ``a`` or ``a,b``."""
        return ",".join(self.names)


class Packer:
    """Makes parcels of the notebook's values; each is encoded once, however often it is asked for.

    Make a new one for every cell: values change.

    Args:
        namespace: The notebook's globals.
        python: Major and minor version of Python at the other end. Where it is another than this one, functions and classes
            of the notebook travel as the source of their defining cell.
    """

    def __init__(
        self, namespace: Mapping[str, object], *, python: tuple[int, int] = sys.version_info[:2]
    ) -> None:
        self.namespace = namespace
        self.by_source = python != sys.version_info[:2]
        self._versions = (
            f"; the session runs Python {_shown(python)}, this notebook Python {_shown(sys.version_info)}"
            if self.by_source
            else ""
        )
        self._encoded: dict[str, Encoded] = {}
        self._digests: dict[str, str | None] = {}

    def digest(self, name: str) -> str | None:
        """The fingerprint of a name's present value, or ``None`` where nothing can be proven."""
        if name not in self._digests:
            try:
                encoded = self._encode(name, 0)
            except NotPicklable:
                self._digests[name] = None
            else:
                self._digests[name] = fingerprint(self.namespace[name], encoded=encoded)
        return self._digests[name]

    def pack(self, names: Mapping[str, int]) -> list[Parcel]:
        """Parcels of all ``names``, in an order in which each finds there what it needs to be made.

        Args:
            names: Name to the line that reads it, for errors; 0 where it is not known.

        Raises:
            NotPicklable: names the value, the part of it, the line that reads it, and what to do. Nothing was sent.
        """
        for name, line in names.items():
            self._encode(name, line)
        return [self._parcel(group) for group in self._in_order(self._groups(names))]

    def further(self, names: Mapping[str, int]) -> frozenset[str]:
        """Names of the notebook that functions anywhere inside the values of ``names`` read, and that are not among them."""
        reads = frozenset().union(*(self._encode(name, line).reads for name, line in names.items()))
        return (reads & self.namespace.keys()) - names.keys()

    def _encode(self, name: str, line: int) -> Encoded:
        if name not in self._encoded:
            try:
                self._encoded[name] = self._make(name)
            except NotPicklable as error:
                read_by = (
                    f"line {line} of the cell reads it" if line else "a function that the cell calls reads it"
                )
                raise NotPicklable(
                    error.what, why=f"{error.why}; {read_by}{self._versions}", fix=error.fix
                ) from error.__cause__
        return self._encoded[name]

    def _make(self, name: str) -> Encoded:
        value = self.namespace[name]
        if self.by_source and _defined_in(value, self.namespace):
            source = source_of(value, name=name)
            encoded = encode_source(value, source)  # type: ignore[arg-type]
            return replace(encoded, reads=frozenset(analyse(source).reads))
        return encode(value, name=name, namespace=self.namespace, by_name=self.by_source)

    def _parcel(self, group: tuple[str, ...]) -> Parcel:
        digests = {name: self.digest(name) or "" for name in group}
        if len(group) == 1:
            return Parcel(group, self._encoded[group[0]], digests)
        together = {name: self.namespace[name] for name in group}
        encoded = encode(
            together, name=" and ".join(group), namespace=self.namespace, by_name=self.by_source, shared=True
        )
        return Parcel(group, encoded, digests)

    def _groups(self, names: Iterable[str]) -> list[tuple[str, ...]]:
        """Names whose values hold a common object, together."""
        group_of: dict[str, list[str]] = {}
        holder: dict[int, str] = {}
        for name in names:
            group_of[name] = [name]
            for identity in self._encoded[name].objects:
                other = group_of[holder.setdefault(identity, name)]
                if other is not group_of[name]:
                    other.extend(group_of[name])
                    for member in group_of[name]:
                        group_of[member] = other
        return [tuple(group) for group in {id(group): group for group in group_of.values()}.values()]

    def _in_order(self, groups: list[tuple[str, ...]]) -> list[tuple[str, ...]]:
        """Plain values first, then sources, each after those it needs while it is run, then all that refers to them."""
        if not self.by_source:
            return groups
        sources = [name for (name, *rest) in groups if not rest and self._encoded[name].codec == SOURCE]
        done: dict[str, None] = {}

        def add(name: str) -> None:
            if name in sources:
                sources.remove(name)
                for needed in sorted(self._encoded[name].reads):
                    add(needed)
                done[name] = None

        for name in list(sources):
            add(name)
        others = [group for group in groups if group[0] not in done]
        plain = [group for group in others if not any(self._encoded[name].reads for name in group)]
        return [*plain, *((name,) for name in done), *(group for group in others if group not in plain)]


def choose(
    reads: Mapping[str, int],
    *,
    packer: Packer,
    builtins: Collection[str],
    remote: Mapping[str, RemoteName],
    generation: int,
) -> Selection:
    """:func:`select` for a cell's names and for those that functions inside their values read in turn.

    Raises:
        NotPicklable: as :meth:`Packer.pack`.
    """
    while True:
        selection = select(
            reads,
            namespace=packer.namespace,
            builtins=builtins,
            remote=remote,
            generation=generation,
            digest=packer.digest,
        )
        more = packer.further(selection.names) - reads.keys()
        if not more:
            return selection
        reads = {**reads, **dict.fromkeys(sorted(more), 0)}


def _shown(version: Sequence[object]) -> str:
    return f"{version[0]}.{version[1]}"


def _defined_in(value: object, namespace: Mapping[str, object]) -> bool:
    if is_a(value, types.FunctionType):
        return value.__globals__ is namespace
    return is_a(value, type) and value.__module__ == namespace.get("__name__")
