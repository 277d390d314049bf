"""Every backend, for tests that all of them have to pass. Those of a cluster are marked so by their parameter."""

from __future__ import annotations

import asyncio
import os
import secrets
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from gpu_workbench.app.settings import Settings
from gpu_workbench.app.subscriptions import Subscription
from gpu_workbench.app.workbench import Cell, Workbench
from gpu_workbench.backends.kubernetes.backend import KubernetesBackend
from gpu_workbench.backends.local.backend import LocalBackend
from gpu_workbench.backends.protocol import Backend
from gpu_workbench.core.facts import Facts
from gpu_workbench.core.spec import Handle, Resources, WorkloadSpec
from tests.kernels import Notebook, notebook

BACKENDS = [
    pytest.param("local", id="local"),
    pytest.param("kubernetes", id="kubernetes", marks=[pytest.mark.cluster]),
]
OWNER = "0123456789abcdef"
LIMIT = 90.0
"""Seconds for anything that has to happen."""


@dataclass
class Place:
    """Where workloads of one test live.

    Args:
        name: Of the backend.
        make: Makes a backend, as each process of the user has its own.
        image: For its pods; empty on this machine.
        env: What a process needs to find the same place.
    """

    name: str
    make: Callable[[], Backend]
    image: str
    env: dict[str, str]
    folder: Path
    _made: list[Backend] = field(default_factory=list)

    def backend(self) -> Backend:
        """A backend of one's own."""
        self._made.append(self.make())
        return self._made[-1]

    def spec(self, **fields: Any) -> WorkloadSpec:
        """A new workload that asks for little."""
        resources = Resources(cpus=0.05)
        spec = WorkloadSpec(id=secrets.token_hex(6), owner=OWNER, image=self.image, resources=resources)
        return replace(spec, **fields)

    def kernel(self, *, notebook: str = "", **namespace: Any) -> Kernel:
        """A kernel of the user's, with these variables."""
        return Kernel(self, notebook, namespace, self.backend())

    def python(self, code: str, **options: Any) -> subprocess.Popen[str]:
        """Another Python of the user's."""
        return subprocess.Popen(
            [sys.executable, "-c", code],
            env=self.env,
            cwd=self.folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            **options,
        )

    async def close(self) -> None:
        """End everything that was started."""
        backend = self.backend()
        for handle in await backend.list(owner=""):
            await backend.forget(handle)
        for made in self._made:
            await made.close()


class Kernel:
    """A process of the user's as the app sees it: variables, and a workbench."""

    def __init__(self, place: Place, notebook: str, namespace: dict[str, Any], backend: Backend) -> None:
        self.place = place
        self.notebook = notebook
        self.namespace = {"__name__": "__main__", **namespace}
        self.workbench = Workbench(Settings(backend=place.name), self.namespace, lambda name: backend)

    async def run(self, source: str, *, out: tuple[str, ...] = ()) -> str:
        """Run a cell in this notebook's session; its output. Its results become variables."""
        spec = self.place.spec(id="", notebook=self.notebook)
        cell = Cell(source=source, out=out)
        started = await self.workbench.start(self.place.name, spec, cell, asked={})
        text = ""
        async for step in started.execution.steps():
            text += "".join(str(event.content.get("text", "")) for event in step.outputs)
        run = started.execution.run
        assert run is not None
        assert run.failure is None, run.failure
        for name in out:
            self.namespace[name] = await self.workbench.fetch(started.opened.subscription, name, run=run.id)
        return text

    async def detach(self, source: str, *, name: str = "", out: tuple[str, ...] = ()) -> Handle:
        """Seal a cell and start it."""
        spec = self.place.spec(id="", name=name, notebook=self.notebook)
        package = await self.workbench.seal(self.place.name, spec, Cell(source=source, out=out, name=name))
        return await self.workbench.launch(self.place.name, package)

    async def ended(self, handle: Handle) -> Subscription:
        """Follow a detached run until it has ended."""
        from gpu_workbench.app.outcomes import outcome_of

        subscription = await self.workbench.follow(self.place.name, handle)
        await asyncio.wait_for(subscription.until(lambda: outcome_of(subscription) is not None), LIMIT)
        return subscription

    async def close(self) -> None:
        """The kernel ends; what it started goes on."""
        await self.workbench.close()


async def facts_when(backend: Backend, handle: Handle, condition: Callable[[Facts], bool]) -> Facts:
    """The first facts of a workload for which ``condition`` holds."""

    async def look() -> Facts:
        seen: list[Facts] = []
        async for facts in backend.watch(handle):
            seen.append(facts)
            if condition(facts):
                return facts
        raise AssertionError(f"the watch ended; last seen: {seen[-1] if seen else 'nothing'}")

    return await asyncio.wait_for(look(), LIMIT)


@pytest.fixture(params=BACKENDS)
async def place(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Place]:
    """One backend after the other, empty."""
    made = _local(tmp_path) if request.param == "local" else _kubernetes(request, tmp_path)
    yield made
    await made.close()


@pytest.fixture(params=BACKENDS)
def quiet_place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    """The same for tests without an event loop of their own."""
    made = _local(tmp_path) if request.param == "local" else _kubernetes(request, tmp_path)
    yield made
    asyncio.run(made.close())


@dataclass(frozen=True)
class Desk:
    """Where the notebooks of a module lie, and the backend they use.

    Args:
        backend: Its name.
        folder: Of the notebooks.
        env: What their kernels need to find it.
        small: Flags for a session that asks for little.
    """

    backend: str
    folder: Path
    env: Mapping[str, str]
    small: str

    def open(self, name: str = "test.ipynb", *, stop: bool = True) -> AbstractContextManager[Notebook]:
        """A kernel of one of them; see :func:`tests.kernels.notebook`."""
        return notebook(self.folder, name=name, env=self.env, stop=stop)

    @contextmanager
    def warm(self) -> Iterator[Notebook]:
        """The same, with a session."""
        with self.open() as nb:
            nb.check(f"%gpu start {self.small}")
            yield nb


@pytest.fixture(scope="module", params=BACKENDS)
def desk(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Desk:
    """One backend after the other, for real notebooks that all tests of a module share."""
    folder = tmp_path_factory.mktemp("notebooks")
    if request.param == "local":
        return Desk("local", folder, {}, "--gpus 0")
    cluster: Any = request.getfixturevalue("cluster")
    namespace: str = request.getfixturevalue("module_namespace")
    env = {"GPU_WORKBENCH_BACKEND": "kubernetes", **_way_to(cluster, namespace)}
    return Desk("kubernetes", folder, env, "--gpus 0 --cpus 0.1")


ON_THIS_MACHINE = pytest.mark.parametrize("desk", ["local"], indirect=True)
"""Of a test that says nothing new of a cluster."""


def _environment(folder: Path, backend: str) -> dict[str, str]:
    ours = ("GPU_WORKBENCH_", "JUPYTER", "JPY_", "KUBECONFIG")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    return {**kept, "GPU_WORKBENCH_BACKEND": backend, "XDG_CONFIG_HOME": str(folder / "config")}


def _local(folder: Path) -> Place:
    env = {**_environment(folder, "local"), "GPU_WORKBENCH_STATE_DIR": str(folder / "state")}
    root = folder / "state" / "local"
    return Place("local", lambda: LocalBackend(root), "", env, folder)


def _way_to(cluster: Any, namespace: str) -> dict[str, str]:
    return {
        "KUBECONFIG": str(cluster.kubeconfig),
        "GPU_WORKBENCH_NAMESPACE": namespace,
        "JUPYTER_IMAGE_SPEC": cluster.images.worker,
    }


def _kubernetes(request: pytest.FixtureRequest, folder: Path) -> Place:
    cluster: Any = request.getfixturevalue("cluster")
    namespace: str = request.getfixturevalue("namespace")
    env = {**_environment(folder, "kubernetes"), **_way_to(cluster, namespace)}

    def make() -> Backend:
        return KubernetesBackend(kubeconfig=str(cluster.kubeconfig), namespace=namespace)

    return Place("kubernetes", make, cluster.images.worker, env, folder)
