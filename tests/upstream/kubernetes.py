"""A plugin of pytest: what dask-kubernetes' tests ask for, as its own conftest makes it of kind, docker and helm.

Their own conftest is left out (`--noconftest`), since it stops where one of those is missing.
"""

from __future__ import annotations

import functools
import os
import re
import secrets
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.cluster.handle import Cluster, OwnCluster, session
from tests.cluster.shell import ClusterError, sh
from tests.upstream import image, operator, recorder, stand_in

THEIR_IMAGE = "dask-kubernetes:dev"
"""The image in their manifests, which their own conftest builds."""

_LIMIT = 170.0


class Kind:
    """Their cluster, which is a `pytest_kind.KindCluster` for them: kubectl and port-forward of ours."""

    def __init__(self, cluster: Cluster, docker_image: str) -> None:
        self._cluster = cluster
        self._image = docker_image

    def kubectl(self, *argv: str) -> str:
        """Run kubectl; manifests that are applied get the image that is there."""
        words = list(argv)
        data = None
        if words[0] == "apply" and "-f" in words:
            place = words.index("-f") + 1
            data = "---\n".join(file.read_text() for file in _manifests(Path(words[place])))
            data = data.replace(THEIR_IMAGE, self._image)
            words[place] = "-"
        return sh(*self._cluster.command(*words), data=data, timeout=_LIMIT)

    @contextmanager
    def port_forward(self, target: str, remote: int, *argv: str) -> Iterator[int]:
        """A port of this machine that leads to one of a pod or service, once something answers there."""
        until = time.monotonic() + _LIMIT
        while True:
            with self._cluster.stream("port-forward", target, f":{remote}", *argv) as process:
                assert process.stdout is not None
                said = process.stdout.readline()
                found = re.match(r"Forwarding from 127\.0\.0\.1:(\d+)", said)
                if found and _answers(int(found.group(1))):
                    yield int(found.group(1))
                    return
            if time.monotonic() > until:
                raise ClusterError(f"port-forward to {target}: {said}")
            time.sleep(0.5)


def _answers(port: int) -> bool:
    """Whether a connection there is held: with nobody behind it, it is closed at once."""
    with socket.create_connection(("127.0.0.1", port), timeout=2) as connection:
        try:
            return connection.recv(1) != b""
        except TimeoutError:
            return True
        except OSError:
            return False


def _manifests(path: Path) -> list[Path]:
    return sorted(path.iterdir()) if path.is_dir() else [path]


def pytest_configure(config: pytest.Config) -> None:
    """Put our stand-in into the place of `KubeCluster`, where that is asked for, before a test imports it."""
    config.addinivalue_line("markers", "anyio: theirs")
    config.pluginmanager.register(recorder.Recorder())
    from dask_kubernetes import operator as theirs

    if os.environ.get("UPSTREAM_CLUSTER") == "ours":
        theirs.KubeCluster = stand_in.KubeCluster
    else:
        # A spec that is made without an image has one that no cluster here can pull.
        theirs.make_cluster_spec = functools.partial(theirs.make_cluster_spec, image=_image_of_this_run())


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run what they skip as well ("Flaky in CI"): that it is flaky is for us to see."""
    for item in items:
        marks = [mark for mark in item.own_markers if mark.name == "skip"]
        for mark in marks:
            item.own_markers.remove(mark)
            item.user_properties.append(("skipped by them", mark.kwargs.get("reason", "")))


def _image_of_this_run() -> str:
    return os.environ.get("UPSTREAM_IMAGE", "") or image.NAME


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """Our test cluster, with the operator in it."""
    with session() as own:
        if not isinstance(own, OwnCluster):
            pytest.exit("only the tests' own cluster can be given their image")
        own.dask_operator()
        image.load()
        os.environ["KUBECONFIG"] = str(own.kubeconfig)
        yield own
        image.unload()


@pytest.fixture(scope="session")
def docker_image(cluster: Cluster) -> str:
    return _image_of_this_run()


@pytest.fixture(scope="session")
def k8s_cluster(cluster: Cluster, docker_image: str) -> Kind:
    return Kind(cluster, docker_image)


@pytest.fixture
def namespace(request: pytest.FixtureRequest, cluster: Cluster) -> Iterator[str]:
    """A namespace, which the operator sees to where the test has one."""
    cluster.share()
    name = f"upstream-{secrets.token_hex(5)}"
    cluster.kubectl("create", "namespace", name)
    try:
        if request.node.originalname == "test_cluster_without_operator":
            with operator.away(cluster, name):
                yield name
        else:
            yield name
    finally:
        cluster.kubectl("delete", "namespace", name, "--wait=false")
        cluster.release()


@pytest.fixture
def kopf_runner(k8s_cluster: Kind, cluster: Cluster, namespace: str) -> operator.Runner:
    return operator.Runner(cluster, namespace)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"
