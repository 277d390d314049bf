"""What lives where: the notebook's variables beside the session's."""

from __future__ import annotations

import types
from collections.abc import Mapping
from dataclasses import dataclass

from gpu_workbench.app.shipping.selection import IPYTHON_NAMES
from gpu_workbench.core.model import Workload
from gpu_workbench.values.fingerprint import fingerprint
from gpu_workbench.values.plain import is_a, type_name


@dataclass(frozen=True)
class Row:
    """One variable.

    Args:
        where: ``here``, ``session`` or ``both``.
        run: Name or id of the run that bound it last in the session.
        differs: Whether the two copies differ; ``None`` where that cannot be told.
    """

    name: str
    type: str
    where: str
    size: int | None = None
    shape: str = ""
    device: str = ""
    run: str = ""
    differs: bool | None = None


def compare(workload: Workload, namespace: Mapping[str, object]) -> list[Row]:
    """All variables of the session, and those of the notebook that are data."""
    here = {
        name: value
        for name, value in namespace.items()
        if not name.startswith("_") and name not in IPYTHON_NAMES and not is_a(value, types.ModuleType)
    }
    rows = []
    for name in sorted({*workload.names, *here}):
        info = workload.names.get(name)
        if info is None:
            rows.append(Row(name=name, type=type_name(here[name]), where="here", size=_size(here[name])))
            continue
        if info.type == "module":
            continue
        bound = workload.bound_by.get(name, "")
        run = workload.runs.get(bound)
        rows.append(
            Row(
                name=name,
                type=info.type,
                where="both" if name in here else "session",
                size=info.size,
                shape=info.shape,
                device=info.device,
                run=(run.name or run.id) if run else bound,
                differs=_differs(here[name], info.digest, bound) if name in here else None,
            )
        )
    return rows


def _differs(value: object, sent: str, bound: str) -> bool | None:
    present = fingerprint(value)
    if present is None:
        return None
    if present != sent:
        return True if sent else None
    return None if bound else False


def _size(value: object) -> int | None:
    try:
        size = getattr(value, "nbytes", None)
    except Exception:  # a property of the user's may raise anything
        return None
    return size if isinstance(size, int) else None
