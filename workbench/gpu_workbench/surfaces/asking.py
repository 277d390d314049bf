"""What a spec asks for, in one sentence: for ``--dry-run``, and beside the form that starts a session."""

from __future__ import annotations

from collections.abc import Iterable

from gpu_workbench.core.model import Kind
from gpu_workbench.core.quantities import show_bytes
from gpu_workbench.core.spec import WorkloadSpec


def would_start(spec: WorkloadSpec, *, backend: str) -> str:
    """The sentence. Of variables and secrets it says nothing."""
    namespace = f", namespace {spec.placement.namespace}" if spec.placement.namespace else ""
    where = "this machine" if backend == "local" else f"the cluster{namespace}"
    what = {Kind.JOB: "a detached run", Kind.DASK: "a Dask cluster"}.get(spec.kind, "a session")
    name = f" {spec.name!r}" if spec.name else ""
    return f"Would start {what}{name} on {where}: {_workers(spec)}{', '.join(_resources(spec))}"


def _workers(spec: WorkloadSpec) -> str:
    """How many of what follows, of a Dask cluster."""
    if spec.dask is None:
        return ""
    groups = [f"{name} {count}" for name, count in spec.dask.groups.items()]
    beside = f" (and {', '.join(groups)} without GPUs)" if groups else ""
    one = spec.dask.n_workers == 1
    return f"{spec.dask.n_workers} worker{'' if one else 's'}{beside} with {'' if one else 'each '}"


def _resources(spec: WorkloadSpec) -> Iterable[str]:
    asked = spec.resources
    gpus = asked.gpus
    yield f"{gpus.count} {gpus.kind or 'GPU'}{'s' if gpus.count != 1 and not gpus.kind else ''}"
    if asked.cpus is not None:
        yield f"{asked.cpus:g} CPUs"
    if asked.memory is not None:
        yield f"{show_bytes(asked.memory)} memory"
    if spec.image:
        yield f"image {spec.image}"
    yield from (f"{volume.claim} at {volume.path}" for volume in spec.volumes)
