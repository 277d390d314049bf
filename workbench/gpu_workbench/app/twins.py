"""Variables that are here and in a session, under one name: whether the session's has become another since it was sent."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from gpu_workbench.core.model import Workload
from gpu_workbench.core.spec import Handle


@dataclass(frozen=True)
class Twin:
    """A name whose copy in a session a run has bound again since it was sent.

    Args:
        session: Name of the session.
        run: What people call the run.
        change: Tells this change from an earlier or later one of the same name.
    """

    name: str
    session: str
    run: str
    change: tuple[str, str, str]


class Twins:
    """Remembers what was brought back, and of which change was spoken already."""

    def __init__(self) -> None:
        self._settled: set[tuple[str, str, str]] = set()

    def brought(self, handle: Handle, workload: Workload, name: str) -> None:
        """The session's value is here now, so that both are one again."""
        self._settled.add((handle.id, name, workload.bound_by.get(name, "")))

    def settle(self, twins: Iterable[Twin]) -> None:
        """Do not speak of these changes again."""
        self._settled.update(twin.change for twin in twins)

    def apart(self, sessions: Iterable[tuple[Handle, Workload]], names: Collection[str]) -> list[Twin]:
        """Those of ``names`` that were sent and then bound again by a run, and were not brought back since."""
        found = []
        for handle, workload in sessions:
            for name, run in workload.bound_by.items():
                change = (handle.id, name, run)
                info = workload.names.get(name)
                sent = info is not None and info.digest
                if run and sent and name in names and change not in self._settled:
                    known = workload.runs.get(run)
                    title = known.name if known is not None and known.name else run[:8]
                    found.append(Twin(name, handle.spec.name, title, change))
        return found
