"""The names of the user's variables: which of them a cell has bound, what is told of each, and the results it gave."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from gpu_workbench.agent.inkernel.changes import changed_names
from gpu_workbench.agent.inkernel.outputs import drain
from gpu_workbench.values.plain import type_name

CELL = "gwb"
"""Key in the metadata of an ``execute_request`` that is a run's cell, and in that of its reply."""

_RESULTS_KEPT = 8
"""Runs whose results are held until they are fetched."""

_SIZED = frozenset({list, tuple, dict, set, str, bytes})
_HIDDEN = frozenset({"In", "Out", "exit", "quit", "get_ipython", "open"})


class Names:
    """The variables of one kernel.

    Args:
        shell: IPython's.
    """

    def __init__(self, shell: Any) -> None:
        self._shell = shell
        self._known = self._ids()
        self._results: dict[str, dict[str, object]] = {}

    def brought(self, values: Mapping[str, object]) -> None:
        """Bind values that were sent: no cell has made them."""
        self._shell.user_ns.update(values)
        self._known.update({name: id(value) for name, value in values.items()})

    def after(self, told: Mapping[str, Any]) -> dict[str, Any]:
        """What a run changed, and its results; all it wrote is sent before this returns.

        Args:
            told: Its id as ``run``, its source as ``cell``, and the names it is to give as ``out``.
        """
        drain()
        before, now = self._known, self._ids()
        self._known = now
        said = changed_names(told.get("cell") or "")  # a new object may lie where the old one was
        changed = [name for name in now if name in said or before.get(name) != now[name]]
        removed = [name for name in before if name not in now]
        wanted = list(told.get("out") or [])
        results = {name: self._shell.user_ns[name] for name in wanted if name in self._shell.user_ns}
        if results:
            self._results[told["run"]] = results
            for old in list(self._results)[:-_RESULTS_KEPT]:
                del self._results[old]
        return {"bound": self.table(changed), "removed": removed, "out": table(results)}

    def of_run(self, run: str) -> Mapping[str, object]:
        """The results of a run; all variables where it gave none, or is no run."""
        return self._results.get(run) or self._shell.user_ns

    def forget(self, run: str) -> None:
        """Hold a run's results no longer."""
        self._results.pop(run, None)

    def table(self, names: Iterable[str]) -> dict[str, dict[str, object]]:
        """What there is to tell of these variables, as far as they are there."""
        here = self._shell.user_ns
        return table({name: here[name] for name in names if name in here})

    def _user_names(self) -> dict[str, object]:
        hidden = getattr(self._shell, "user_ns_hidden", {})
        names = list(self._shell.user_ns.items())
        return {
            name: value
            for name, value in names
            if not name.startswith("_") and name not in _HIDDEN and hidden.get(name, self) is not value
        }

    def _ids(self) -> dict[str, int]:
        return {name: id(value) for name, value in self._user_names().items()}


def table(names: Mapping[str, object]) -> dict[str, dict[str, object]]:
    """What people want to know of each variable without seeing it."""
    return {name: describe(value) for name, value in names.items()}


def describe(value: object) -> dict[str, object]:
    """A variable's type, and its shape, size and device where it has such; a value that fails when asked has none."""
    form: dict[str, object] = {"type": type_name(value)}
    shape = _asked(value, "shape")
    if isinstance(shape, tuple) and all(isinstance(side, int) for side in shape):
        form["shape"] = "×".join(map(str, shape)) or "scalar"
    elif type(value) in _SIZED:  # not isinstance: that asks the value, too
        form["shape"] = str(len(value))  # type: ignore[arg-type]
    size = _asked(value, "nbytes")
    if isinstance(size, int):
        form["size"] = size
    device = _asked(value, "device")
    if device is not None and type(device).__module__.partition(".")[0] in ("torch", "jaxlib", "jax", "cupy"):
        form["device"] = str(device)
    return form


def _asked(value: object, attribute: str) -> object:
    try:
        return getattr(value, attribute, None)
    except Exception:  # a property of the user's may raise anything
        return None
