"""What ``%gpu capacity`` shows: each kind of GPU with who holds it, and below it what waits and what cannot be seen."""

from __future__ import annotations

from gpu_workbench.core.capacity import Capacity, GpuKind, Quota, Unseen, Waiting
from gpu_workbench.surfaces.view import clean, lines
from gpu_workbench.surfaces.view.markup import tag
from gpu_workbench.surfaces.view.tables import Rendered, plain

_TITLES = ("GPU", "free", "mine", "others", "")
_UNSEEN = {
    "nodes": "Which GPUs there are is not visible to you",
    "pods": "What others hold is not visible to you",
    "resourcequotas": "The quota is not visible to you",
}


def capacity(found: Capacity) -> Rendered:
    """``%gpu capacity``."""
    where = found.namespace or "this machine"
    rows = [_cells(kind) for kind in found.kinds]
    empty = (
        ""
        if found.unseen
        else "No GPU is visible on this machine"
        if not found.namespace
        else "No GPU in this cluster"
    )
    table = plain(_TITLES, rows, empty=empty)
    below = notes(found)
    head = f"Capacity · {clean.line(where, 63)}"
    said = [tag("div", note, cls="gwb-quiet") for note in below]
    html = tag("div", tag("strong", head), table.html, said, cls="gwb")
    return Rendered(html=html, text="\n".join(part for part in (head, table.text, *below) if part))


def _cells(kind: GpuKind) -> tuple[str, ...]:
    free = _figure(kind.free)
    tagged = ["SIMULATED"] if kind.simulated else []
    closed = [f"{kind.closed} more on nodes that take no pods now"] if kind.closed else []
    return (
        kind.name,
        free if kind.total is None else f"{free} of {kind.total}",
        _figure(kind.mine),
        _figure(kind.others),
        lines.joined([*tagged, *closed]),
    )


def _figure(count: int | None) -> str:
    return "n/a" if count is None else str(count)


def notes(found: Capacity) -> list[str]:
    """What is to be said below the kinds, one sentence each."""
    starting = f"{found.starting} {'node is' if found.starting == 1 else 'nodes are'} starting"
    return [
        *([starting] if found.starting else []),
        *(_waiting(waiting) for waiting in found.waiting),
        *(clean.line(f"Yours: {place}", 200) for place in found.places),
        *(_quota(quota) for quota in found.quotas),
        *(_unseen(unseen) for unseen in found.unseen),
    ]


def _waiting(waiting: Waiting) -> str:
    mine, others = waiting.mine or 0, waiting.others
    count = mine + (others or 0)
    name = "GPU" if (waiting.name, count) == ("GPUs", 1) else waiting.name
    if others is None:
        return f"{mine} {name} queued by you; by others n/a"
    return f"{count} {name} queued" + (f", {mine} of them by you" if mine else "")


def _quota(quota: Quota) -> str:
    what = clean.line(f"Quota {quota.name}", 80)
    return f"{what}: {_figure(quota.used)} of {quota.hard} {quota.resource} used"


def _unseen(unseen: Unseen) -> str:
    where = f" in namespace {unseen.namespace}" if unseen.namespace else " in all namespaces"
    where = "" if unseen.resource == "nodes" else where
    right = f"you may not {unseen.verb} {unseen.resource}{where}"
    return f"{_UNSEEN.get(unseen.resource, 'Something is not visible to you')}: {right}"
