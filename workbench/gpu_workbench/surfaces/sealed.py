"""What is said of a detached run when it is sealed: what went in, where it is, and how it is found again."""

from __future__ import annotations

from gpu_workbench.app.detached import Package
from gpu_workbench.core.quantities import show_bytes
from gpu_workbench.core.spec import Handle

_LISTED = 8


def contents(package: Package) -> str:
    """``x 38 MiB, model 1.2 MiB, 12 files 80 KiB``; empty where there is nothing but the code."""
    parts = [f"{name} {show_bytes(size)}" for name, size in list(package.names.items())[:_LISTED]]
    if len(package.names) > _LISTED:
        parts.append(f"{len(package.names) - _LISTED} more names")
    if package.project.files:
        parts.append(f"{package.project} {show_bytes(package.project.size)}")
    return ", ".join(parts)


def place(handle: Handle) -> str:
    """Where it is, for people."""
    if handle.backend == "local":
        return "on this machine"
    namespace = handle.address.get("namespace") or handle.spec.placement.namespace
    return f"in the cluster, namespace {namespace}"


def sealed(package: Package, handle: Handle) -> str:
    """One sentence: it is sealed, and what it is made of."""
    inside = contents(package)
    name = f"{handle.spec.name} ({handle.id})" if handle.spec.name else handle.id
    what = "script" if package.script else "cell"
    return f"Sealed {name} {place(handle)}: the {what}" + (f" with {inside}" if inside else "")


def found_again(package: Package, *, prefix: str = "%gpu") -> str:
    """How it is found again, in one line."""
    show = "attach" if prefix == "%gpu" else "logs -f"
    lines = [f"`{prefix} {show} {package.title}` shows it"]
    if package.run.out and prefix == "%gpu":
        lines.append(f"`{prefix} result {package.title}` brings {', '.join(package.run.out)} here")
    return " · ".join([*lines, f"`{prefix} stop {package.title}` ends it"])
