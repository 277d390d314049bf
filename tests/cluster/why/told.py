"""What a user is told of a workload, by the backend's own watch."""

from __future__ import annotations

import asyncio

from gpu_workbench.backends.kubernetes.backend import KubernetesBackend
from gpu_workbench.core.explain import explain
from gpu_workbench.core.facts import Explanation
from gpu_workbench.core.spec import Handle, WorkloadSpec

from .place import Place

ON_ITS_WAY = {
    "pod-creating",
    "scheduling",
    "container-creating",
    "image-pulling",
    "agent-starting",
    "stopping",
    "volume-mount",  # a kubelet on a busy machine may not have read a ConfigMap in time
}
"""What may be said before the cluster has found out: only that it is on its way."""

FIRST = {"node-lost": {"node-silent", "node-tainted"}}
"""What is true as well and may be heard first: that the node is silent while its pod is not told to go yet, or the other way
round."""


def handle_of(place: Place, spec: WorkloadSpec) -> Handle:
    """The handle of a Job that was made without the backend."""
    return Handle(spec=spec, backend="kubernetes", started=0.0, address={"namespace": place.namespace})


async def told(backend: KubernetesBackend, handle: Handle, code: str, *, limit: float = 150) -> Explanation:
    """What is explained once it has that code; whatever is said before must be no more than a step of a start."""
    said: list[Explanation] = []

    async def look() -> Explanation:
        async for facts in backend.watch(handle):
            found = explain(facts, spec=handle.spec)
            if found is not None and found.code == code:
                return found
            if found is not None and found not in said:
                said.append(found)
        raise AssertionError(f"the watch ended; said was {said}")

    try:
        found = await asyncio.wait_for(look(), limit)
    except asyncio.TimeoutError:
        raise AssertionError(f"no {code} within {limit:.0f} s; said was {said}") from None
    assert {item.code for item in said} <= ON_ITS_WAY | FIRST.get(code, set()), said
    return found
