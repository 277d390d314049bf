"""A plugin of pytest: where the clusters of distributed's tests are, this machine or the test cluster (UPSTREAM_BACKEND)."""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import wait
from threading import Barrier

import distributed
import pytest
from distributed.utils_test import *  # noqa: F403 - their fixtures, as distributed's own conftest has them

from tests.cluster.fixtures import RESTRICTED
from tests.cluster.handle import session
from tests.upstream import local_cluster
from tests.upstream.recorder import Recorder

THREADS = min(32, (os.cpu_count() or 1) + 4)
"""Of an event loop that has to wait for what blocks."""


def pytest_configure(config: pytest.Config) -> None:
    """Put our stand-in into the place of `LocalCluster`, where that is asked for, before a test imports it."""
    config.pluginmanager.register(Recorder())
    for marker in ("slow", "gpu", "workerstate"):
        config.addinivalue_line("markers", f"{marker}: theirs")
    if os.environ.get("UPSTREAM_CLUSTER") == "ours":
        distributed.LocalCluster = local_cluster.local_cluster
        distributed.Client = local_cluster.client


@pytest.fixture(autouse=True)
def _touched(request: pytest.FixtureRequest) -> Iterator[None]:
    """Note whether a test has asked for a cluster at all, where that is ours."""
    before = local_cluster.asked
    yield
    if os.environ.get("UPSTREAM_CLUSTER") == "ours":
        request.node.user_properties.append(("clusters", local_cluster.asked - before))


@pytest.fixture(autouse=True, scope="session")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A state folder of the run's own, and a namespace where that is needed."""
    os.environ["GPU_WORKBENCH_STATE_DIR"] = str(tmp_path_factory.mktemp("state"))
    _begin_threads()
    if os.environ.get("UPSTREAM_BACKEND") != "kubernetes":
        yield
        return
    with session() as cluster:
        cluster.dask_operator()
        cluster.share()
        os.environ["KUBECONFIG"] = str(cluster.kubeconfig)
        os.environ["JUPYTER_IMAGE_SPEC"] = cluster.images.worker
        with cluster.namespace("upstream", labels=RESTRICTED) as name:
            os.environ["GPU_WORKBENCH_NAMESPACE"] = name
            yield
        cluster.release()


def _begin_threads() -> None:
    """Start what outlives a test: theirs count the threads that are left, and ours has one loop a process."""
    from gpu_workbench.app.portal import portal

    met = Barrier(THREADS)

    async def meet() -> None:
        import asyncio

        await asyncio.to_thread(met.wait)

    wait([portal.submit(meet()) for _ in range(THREADS)])
