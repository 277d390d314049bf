"""Too little of a resource is free: how much there is, how much is taken and by how many, and how much is asked."""

from __future__ import annotations

from collections.abc import Sequence

from gpu_workbench.core.explain.case import Case
from gpu_workbench.core.explain.nodes import is_open, offered_by, on_nodes, wanted_by
from gpu_workbench.core.facts import Explanation
from gpu_workbench.core.objects import label, name_of, text
from gpu_workbench.core.quantities import show_bytes
from gpu_workbench.core.spec import LABEL_PREFIX
from gpu_workbench.core.wire import JsonObject

_ID = LABEL_PREFIX + "id"


def too_little(case: Case, resource: str, *, source: str) -> Explanation:
    """Say why ``resource`` does not suffice, as exactly as the user may see."""
    gpus = resource == case.spec.resources.gpu_resource
    asked = wanted_by(case.pod, resource) or float(case.spec.resources.gpus.count if gpus else 0)
    if case.facts.nodes is None:
        return _unseen(case, resource, asked, source)
    nodes = [node for node in case.facts.nodes if is_open(case.pod, node)]
    largest = max((offered_by(node, resource) for node in nodes), default=0.0)
    if asked > largest:
        return _too_large(case, resource, asked, largest, source)
    if gpus:
        return _gpus_taken(case, asked, nodes, source)
    return Explanation(
        code=f"{_code(resource)}-taken",
        sentence=f"No node has {_amount(resource, asked)} free now, though the largest has {_amount(resource, largest)}",
        fix=f"It starts when enough is released; asking for less may start it sooner{_flag(resource)}",
        source=source,
    )


def _too_large(case: Case, resource: str, asked: float, largest: float, source: str) -> Explanation:
    gpus = resource == case.spec.resources.gpu_resource
    if not largest:
        return Explanation(
            code="gpu-none" if gpus else "resource-none",
            sentence=f"No node it may run on has {_word(case, resource)}"
            + (f" ({resource})" if gpus else ""),
            fix="Ask your administrator whether this cluster has GPUs for you, or start without `--gpus`"
            if gpus
            else "",
            source=f"{source}, nodes: status.allocatable",
            waits=False,
        )
    at_most = f"`--gpus {_with_kind(case, int(largest))}`" if gpus else f"less{_flag(resource)}"
    return Explanation(
        code="gpu-too-many" if gpus else f"{_code(resource)}-too-much",
        sentence=f"No node has more than {_amount(resource, largest, case)}, you ask {_figure(resource, asked)}",
        fix=f"Ask for at most {at_most}" if gpus else f"Ask for {at_most}",
        source=f"{source}, nodes: status.allocatable",
        waits=False,
    )


def _gpus_taken(case: Case, asked: float, nodes: Sequence[JsonObject], source: str) -> Explanation:
    resource, word = case.spec.resources.gpu_resource, _word(case, case.spec.resources.gpu_resource)
    total = sum(offered_by(node, resource) for node in nodes)
    fix = "It starts when enough are released; `%gpu ls` shows which are yours"
    if case.facts.gpu_pods is None:
        return Explanation(
            code="gpu-taken",
            sentence=f"Too few of the {total:g} {word} are free on one node, you ask {asked:g}; "
            "how many hold them is not visible to you",
            fix=fix,
            source=source,
        )
    holders = [pod for pod in on_nodes(case.facts.gpu_pods, nodes) if wanted_by(pod, resource)]
    taken = sum(wanted_by(pod, resource) for pod in holders)
    sentence = f"{taken:g} of {total:g} {word} taken by {_holders(holders)}, you ask {asked:g}"
    if asked <= total - taken:
        sentence += f", and no single node has {asked:g} free"
    return Explanation(code="gpu-taken", sentence=sentence, fix=fix, source=f"{source}, pods with {resource}")


def _holders(pods: Sequence[JsonObject]) -> str:
    """``3 runs`` where all of them are the workbench's, else ``3 pods``; never whose."""
    runs = {(text(pod, "metadata", "namespace"), label(pod, _ID)) for pod in pods}
    ours = all(label(pod, _ID) for pod in pods)
    count, word = (len(runs), "run") if ours else (len({_place(pod) for pod in pods}), "pod")
    return f"{count} {word}" + ("" if count == 1 else "s")


def _place(pod: JsonObject) -> tuple[str, str]:
    return text(pod, "metadata", "namespace"), name_of(pod)


def _unseen(case: Case, resource: str, asked: float, source: str) -> Explanation:
    gpus = resource == case.spec.resources.gpu_resource
    return Explanation(
        code="gpu-taken" if gpus else f"{_code(resource)}-taken",
        sentence=f"No node has {_amount(resource, asked, case)} free; how many there are is not visible to you",
        fix="If it stays so, ask for less, or ask your administrator what there is",
        source=source,
    )


def _with_kind(case: Case, count: int) -> str:
    kind = case.spec.resources.gpus.kind
    return f"{kind}:{count}" if kind else str(count)


def _word(case: Case, resource: str) -> str:
    if resource == case.spec.resources.gpu_resource:
        return case.spec.resources.gpus.kind.upper() or "GPUs"
    return {"cpu": "CPUs"}.get(resource, resource)


def _figure(resource: str, amount: float) -> str:
    return show_bytes(amount) if resource in ("memory", "ephemeral-storage") else f"{amount:g}"


def _amount(resource: str, amount: float, case: Case | None = None) -> str:
    if resource in ("memory", "ephemeral-storage"):
        return f"{show_bytes(amount)} of {_NAMES[resource]}"
    if case is not None and resource == case.spec.resources.gpu_resource:
        word = _word(case, resource)
        return f"{amount:g} {word[:-1] if word == 'GPUs' and amount == 1 else word}"
    return f"{amount:g} {_NAMES.get(resource, resource)}"


_NAMES = {"cpu": "CPUs", "memory": "memory", "ephemeral-storage": "disk space"}


def _flag(resource: str) -> str:
    return {"cpu": ": `--cpus`", "memory": ": `--memory`"}.get(resource, "")


def _code(resource: str) -> str:
    return {"cpu": "cpu", "memory": "memory", "ephemeral-storage": "disk"}.get(resource, "resource")
