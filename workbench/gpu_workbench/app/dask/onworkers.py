"""What a cluster's workers and scheduler run of ours. It travels by value: nothing of ours is installed there."""

from __future__ import annotations

import importlib
import io
import shutil
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import Any

from distributed.diagnostics.plugin import SchedulerPlugin, WorkerPlugin


def install(archive: bytes, names: tuple[str, ...]) -> str:
    """Lay modules out in a folder of their own, have Python look there first, and forget what was imported of them before.

    Args:
        archive: Their files, zipped.
        names: Of the top-level modules.

    Returns:
        The folder.
    """
    folder = tempfile.mkdtemp(prefix="gpu-workbench-modules-")
    with zipfile.ZipFile(io.BytesIO(archive)) as files:
        files.extractall(folder)
    sys.path.insert(0, folder)
    importlib.invalidate_caches()
    for name in [name for name in sys.modules if name.partition(".")[0] in names]:
        del sys.modules[name]
    return folder


def remove(folder: str) -> None:
    """Look there no longer."""
    while folder in sys.path:
        sys.path.remove(folder)
    shutil.rmtree(folder, ignore_errors=True)


class _Modules:
    """The notebook's own modules, in a process of the cluster.

    Args:
        archive: Their files, zipped.
        names: Of the top-level modules.
    """

    def __init__(self, archive: bytes, names: tuple[str, ...]) -> None:
        self._archive = archive
        self._names = names
        self._folder = ""

    def _install(self) -> None:
        self._folder = install(self._archive, self._names)

    def _remove(self) -> None:
        if self._folder and Path(self._folder).exists():
            remove(self._folder)


class WorkerModules(_Modules, WorkerPlugin):  # type: ignore[misc]
    """For workers, those that come later too."""

    def setup(self, worker: Any) -> None:
        """Called by Dask in each worker."""
        self._install()

    def teardown(self, worker: Any) -> None:
        """Called by Dask when others take their place, or the worker ends."""
        self._remove()


class SchedulerModules(_Modules, SchedulerPlugin):  # type: ignore[misc]
    """For the scheduler, which unpickles graphs."""

    async def start(self, scheduler: Any) -> None:
        """Called by Dask in the scheduler."""
        before = getattr(scheduler, "gpu_workbench_modules", None)
        if before is not None:
            before._remove()
        scheduler.gpu_workbench_modules = self
        self._install()
