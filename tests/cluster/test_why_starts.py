"""What is told of a start that really fails, of missing rights, and when nobody answers."""

from __future__ import annotations

import asyncio
import json
import re
import secrets
import subprocess
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gpu_workbench.backends.kubernetes.backend import KubernetesBackend
from gpu_workbench.core.errors import PermissionDenied
from gpu_workbench.core.explain import explain, explain_error
from gpu_workbench.core.facts import Facts
from gpu_workbench.core.spec import Resources, WorkloadSpec
from tests.contract import conftest as contract

from .handle import Cluster, Unavailable
from .why import CASES
from .why.place import Place, job_of
from .why.told import handle_of, told

pytestmark = pytest.mark.timeout(240, func_only=True)

ROOTS = "/root"
"""The folder of the image for root alone that is closed to others."""


@pytest.fixture
def place(cluster: Cluster, namespace: str) -> Place:
    return Place(cluster, namespace)


@pytest.fixture
async def backend(cluster: Cluster, namespace: str) -> AsyncIterator[KubernetesBackend]:
    backend = KubernetesBackend(kubeconfig=str(cluster.kubeconfig), namespace=namespace)
    yield backend
    await backend.close()


async def test_an_image_without_ipykernel_is_found_by_the_real_agent(
    backend: KubernetesBackend, cluster: Cluster
) -> None:
    image = cluster.images.no_ipykernel
    handle = await backend.start(_session(image))
    found = await told(backend, handle, "image-without-ipykernel")
    assert found.sentence == f"Image {image} has no ipykernel, which a session needs"
    assert "pip install ipykernel" in found.fix


async def test_an_image_without_python_is_found_by_the_real_start(
    backend: KubernetesBackend, cluster: Cluster
) -> None:
    image = cluster.images.no_python
    handle = await backend.start(_session(image))
    found = await told(backend, handle, "image-without-python")
    assert found.sentence == f"Image {image} has no python3"


async def test_an_image_for_another_processor_is_found_by_the_real_start(
    backend: KubernetesBackend, cluster: Cluster
) -> None:
    image = cluster.images.other_architecture
    handle = await backend.start(_session(image))
    found = await told(backend, handle, "image-architecture")
    assert found.sentence.startswith(f"Image {image} is made for another kind of processor than its node's")


async def test_an_image_whose_own_folders_are_closed_to_us_works_unless_its_python_is_among_them(
    backend: KubernetesBackend, cluster: Cluster, namespace: str, tmp_path: Path
) -> None:
    image = cluster.images.root_only
    if not image:
        raise Unavailable("only the tests' own cluster has an image for root alone")
    closed = _session(image, python=f"{ROOTS}/bin/python3")
    place = contract.Place("kubernetes", lambda: backend, image, {}, tmp_path)
    kernel = place.kernel()
    code = f"import os; print(os.getuid(), os.access({ROOTS!r}, os.X_OK), open('kept', 'w').write('here'))"
    handle, printed = await asyncio.gather(backend.start(closed), kernel.run(code))
    assert printed == "1000 False 4\n"
    found = await told(backend, handle, "command-not-executable")
    assert found.sentence == f"The command of image {image} may not be executed by its user id"


def _session(image: str, **more: Any) -> WorkloadSpec:
    return WorkloadSpec(id=secrets.token_hex(6), image=image, resources=Resources(cpus=0.05), **more)


def _seen(place: Place, name: str) -> tuple[Facts, WorkloadSpec]:
    with CASES[name].arrange(place) as spec:
        return place.until_said(CASES[name].words), spec


def test_without_the_right_to_see_nodes_the_sentence_says_so(place: Place) -> None:
    facts, spec = _seen(place, "gpu-too-many")
    found = explain(replace(facts, nodes=None, gpu_pods=None), spec=spec)
    assert found is not None
    assert found.sentence == "No node has 64 GPUs free; how many there are is not visible to you"


def test_a_missing_right_is_named_with_its_verb_and_resource(place: Place) -> None:
    user = f"system:serviceaccount:{place.namespace}:default"
    command = place.cluster.command("-n", place.namespace, "create", "--as", user, "-f", "-")
    found = explain_error(PermissionDenied("No", why=_refusal(command, json.dumps(job_of(place, "true")))))
    assert found.code == "no-permission"
    assert found.sentence == f"You may not create jobs.batch in namespace {place.namespace}"
    assert found.fix == "Ask your administrator for verb create on jobs.batch: `%gpu doctor --role`"


def _refusal(command: list[str], data: str) -> str:
    ended = subprocess.run(command, input=data, text=True, capture_output=True, check=False, timeout=60)
    assert ended.returncode, ended.stdout
    return ended.stderr


async def test_an_api_server_that_does_not_answer_is_said(
    place: Place, cluster: Cluster, tmp_path: Path
) -> None:
    config = tmp_path / "config"
    config.write_text(re.sub(r"https://[^\"\s]+", "https://127.0.0.1:1", cluster.kubeconfig.read_text()))
    backend = KubernetesBackend(kubeconfig=str(config), namespace=place.namespace, patience=1.0)
    try:
        found = await told(backend, handle_of(place, _session("x")), "api-unreachable", limit=60)
    finally:
        await backend.close()
    assert found.sentence.startswith("The cluster's API server cannot be reached (")
