"""Fixtures of every test that needs a real Kubernetes; `handle` says which one they get.

cluster     the cluster, for the whole session (a `handle.Cluster`); a test that asks for it is marked `cluster`
namespace   a fresh namespace that enforces the Pod Security level `restricted`; it and its pods are gone afterwards
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator

import pytest

from .handle import Cluster, Unavailable, session
from .shell import ClusterError

_SECURITY = {f"pod-security.kubernetes.io/{mode}": "restricted" for mode in ("enforce", "warn")}


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
    name = f"test-{secrets.token_hex(4)}"
    cluster.share()
    metadata = {"name": name, "labels": _SECURITY}
    cluster.kubectl(
        "create", "-f", "-", data=json.dumps({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata})
    )
    cluster.kubectl("-n", name, "wait", "--for=create", "serviceaccount/default", "--timeout=30s")
    try:
        yield name
    finally:
        cluster.mend()
        cluster.kubectl("delete", "namespace", name, "--wait=false")
        _end_pods(cluster, name)
        cluster.forget_volumes(name)


def _end_pods(cluster: Cluster, namespace: str) -> None:
    """Wait until no pod of a namespace is left; they get a second to end by themselves."""
    try:
        cluster.kubectl("-n", namespace, "delete", "pods", "--all", "--grace-period=1", "--timeout=60s")
    except ClusterError:
        left = cluster.kubectl("-n", namespace, "get", "pods", "-o", "name", check=False).split()
        if left:
            pytest.fail(f"pods that did not go: {', '.join(left)}")
