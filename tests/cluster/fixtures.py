"""Fixtures of every test that needs a real Kubernetes; `handle` says which one they get.

cluster     the cluster, for the whole session (a `handle.Cluster`); a test that asks for it is marked `cluster`
namespace   a fresh namespace that enforces the Pod Security level `restricted`; it and its pods are gone afterwards
module_namespace  the same, for all tests of a module together
dask_operator     the dask-kubernetes operator works on the cluster
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from .handle import Cluster, Unavailable, session
from .shell import ClusterError, until

RESTRICTED = {f"pod-security.kubernetes.io/{mode}": "restricted" for mode in ("enforce", "warn")}
"""Labels of a namespace with that level."""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests that need the cluster, and let only the test itself count against its time limit."""
    for item in items:
        if "cluster" in getattr(item, "fixturenames", ()):
            item.add_marker("cluster")
            if item.get_closest_marker("timeout") is None:  # one of the test's own would be hidden
                item.add_marker(pytest.mark.timeout(func_only=True))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup() -> Iterator[None]:
    """Skip a test when the cluster cannot do what one of its fixtures asks for."""
    try:
        return (yield)
    except Unavailable as reason:
        pytest.skip(str(reason))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call() -> Iterator[None]:
    """Skip a test when the cluster cannot do what it asks for."""
    return (yield from pytest_runtest_setup())


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """A real Kubernetes: the one of GPU_WORKBENCH_TEST_KUBECONFIG, else our own, else the test is skipped."""
    try:
        with session() as chosen:
            yield chosen
    except Unavailable as reason:
        pytest.skip(str(reason))


@pytest.fixture
def namespace(cluster: Cluster) -> Iterator[str]:
    """The name of a namespace of one's own, where Pod Security `restricted` is enforced.

    Afterwards what the test broke is mended, the namespace is deleted, and pods that do not go are a failure.
    """
    with _own_namespace(cluster) as name:
        yield name


@pytest.fixture(scope="module")
def module_namespace(cluster: Cluster) -> Iterator[str]:
    """The same for a module, none of whose tests breaks the cluster."""
    with _own_namespace(cluster) as name:
        yield name


@pytest.fixture(scope="session")
def dask_operator(cluster: Cluster) -> None:
    """The dask-kubernetes operator works: started on our own cluster, a reason to skip where another has none."""
    cluster.dask_operator()


@contextmanager
def _own_namespace(cluster: Cluster) -> Iterator[str]:
    cluster.share()
    try:
        with cluster.namespace("test", labels=RESTRICTED) as name:
            try:
                yield name
            finally:
                cluster.mend()
        _pods_are_gone(cluster, name)
        cluster.forget_volumes(name)
    finally:
        cluster.release()


def _pods_are_gone(cluster: Cluster, namespace: str) -> None:
    """Wait until no pod of a namespace is left; they get a second to end by themselves."""
    path = f"/api/v1/namespaces/{namespace}/pods"
    try:
        until(
            "pods that go", 60, lambda: not cluster.api.call("GET", path)["items"], log="kubelet", every=0.1
        )
    except ClusterError:
        left = [item["metadata"]["name"] for item in cluster.api.call("GET", path)["items"]]
        if left:
            pytest.fail(f"pods that did not go: {', '.join(left)}")
