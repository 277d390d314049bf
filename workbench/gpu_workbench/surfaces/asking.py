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
    what = "a detached run" if spec.kind is Kind.JOB else "a session"
    name = f" {spec.name!r}" if spec.name else ""
    return f"Would start {what}{name} on {where}: {', '.join(_resources(spec))}"


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
