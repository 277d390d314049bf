"""Each thing that can go wrong, brought about on a real cluster, and the sentence that a user then reads.

The cases do not wait for each other: each has a namespace of its own, and most of a case is waiting.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Lock

import pytest

from gpu_workbench.backends.kubernetes.backend import KubernetesBackend
from gpu_workbench.core.explain import explain
from gpu_workbench.core.facts import Explanation

from .handle import Cluster
from .why import CASES
from .why.place import own_place
from .why.told import handle_of, told

pytestmark = pytest.mark.timeout(300, func_only=True)

AT_ONCE = 8
_ONE_LOGIN = Lock()
"""A kubeconfig's certificates are read through files that the client's library shares between threads."""

HOST = r"127\.0\.0\.1:\d+"

# Case -> the code and the whole sentence, as a regular expression.
SENTENCES: dict[str, tuple[str, str]] = {
    "image-not-found": ("image-not-found", rf"There is no image {HOST}/nobody/nothing:1"),
    "image-no-access": (
        "image-no-access",
        rf"The registry {HOST} does not give image {HOST}/private/secret:1 to this cluster without credentials",
    ),
    "registry-throttled": (
        "registry-throttled",
        rf"The registry {HOST} lets no more pulls through for now \(429 Too Many Requests\)",
    ),
    "registry-unreachable": (
        "registry-unreachable",
        r"The registry 127\.0\.0\.1:1 cannot be reached from the node \(connection refused\)",
    ),
    "registry-unknown": (
        "registry-unreachable",
        r"The registry registry\.invalid cannot be reached from the node \(.+\)",
    ),
    "image-invalid": (
        "image-invalid",
        r"Not//Valid:1 cannot be the name of an image \(.+ must be lowercase\)",
    ),
    "image-not-present": (
        "image-not-present",
        r"Image tb\.local/nothing:1 is not on the node, and its pull policy forbids to fetch it",
    ),
    "image-pulling": ("image-pulling", rf"Pulling image {HOST}/slow/large:1"),
    "gpu-kind-missing": ("gpu-kind-missing", r"No node has H200 GPUs; .+"),
    "gpu-too-many": ("gpu-too-many", r"No node has more than \d+ GPUs?, you ask 64"),
    "gpu-taken": ("gpu-taken", r"\d+ of \d+ GPUs taken by \d+ (run|pod)s?, you ask \d+"),
    "gpu-none": ("gpu-none", r"No node it may run on has GPUs \(explain\.test/accelerator\)"),
    "cpu-too-many": ("cpu-too-much", r"No node has more than \d+ CPUs, you ask 500"),
    "memory-too-much": ("memory-too-much", r"No node has more than [\d.]+ [GT]iB of memory, you ask 9 TiB"),
    "node-selector": ("node-selector", r"No node has the label pool=moon it asks for"),
    "taint": (
        "taint",
        r"The nodes that fit are reserved by taints it does not tolerate \(explain\.test/team=vision\)",
    ),
    "quota-exceeded": (
        "quota-exceeded",
        r"The namespace's quota team is exceeded \(nvidia\.com/gpu: 1 of 1 used, you ask 1\)",
    ),
    "quota-too-small": (
        "quota-too-small",
        r"The namespace's quota team allows 1 nvidia\.com/gpu in all, you ask 2",
    ),
    "quota-unspecified": (
        "quota-needs-limits",
        r"The namespace's quota team wants cpu and memory to be stated",
    ),
    "limit-range": ("limit-range", r"The namespace allows at most 1 cpu per container, you ask 2"),
    "pod-security": (
        "pod-security",
        r"The namespace's Pod Security level restricted refuses the pod: privilege escalation must be off, all "
        r"capabilities must be dropped, volumes of type hostPath are not allowed, it must not run as root, the "
        r"seccomp profile must be RuntimeDefault",
    ),
    "admission-policy": (
        "admission-policy",
        r"The cluster's admission policy explain-\S+ refuses it: Every pod must carry the label team",
    ),
    "service-account-missing": ("service-account-missing", r"Service account trainer does not exist"),
    "priority-class-missing": ("priority-class-missing", r"Priority class urgent does not exist"),
    "claim-missing": ("claim-missing", r"The volume claim data does not exist in this namespace"),
    "claim-unbound": ("claim-unbound", r"The volume claim data has no volume.*"),
    "claim-waits-for-consumer": (
        "claim-no-volume",
        r"No free volume of storage class explain-\S+ fits the claim data on any node",
    ),
    "configmap-missing": (
        "configmap-missing",
        r"The ConfigMap settings, which the pod needs, does not exist in this namespace",
    ),
    "secret-missing": (
        "secret-missing",
        r"The Secret hf-token, which the pod needs, does not exist in this namespace",
    ),
    "image-runs-as-root": ("image-runs-as-root", r"Image \S+ wants to run as root, which the pod forbids"),
    "crash": (
        "crashed",
        r'The container ended (at its start|\d+ s after its start): exit code 3; its last lines: "'
        r'(no such option: --colour / reading the settings|reading the settings / no such option: --colour)"',
    ),
    "image-without-python": ("image-without-python", r"Image \S+ has no python3"),
    "image-without-python-in-a-shell": ("image-without-python", r"Image \S+ has no python"),
    "image-without-ipykernel": (
        "image-without-ipykernel",
        r"Image \S+ has no ipykernel, which a session needs",
    ),
    "image-architecture": (
        "image-architecture",
        r"Image \S+ is made for another kind of processor than its node's( \(amd64\))?",
    ),
    "out-of-memory": (
        "out-of-memory",
        r"Out of memory: it used more than its limit of 64 MiB and was killed",
    ),
    "evicted-scratch-full": ("evicted-disk", r"Evicted: it wrote more than 1Mi to its folder scratch"),
    "evicted-by-drain": (
        "drained",
        r"Its pod was moved off its node, as for maintenance \(evicted through the API\)",
    ),
    "preempted": ("preempted", r"It had to give its place to a workload of higher priority"),
    "node-lost": (
        "node-lost",
        r"Its node explain-\S+ does not answer since \d\d:\d\d UTC, so the pod cannot end and no other takes its place",
    ),
    "time-limit": ("time-limit", r"Its time limit of 2 s is over"),
    "suspended": ("suspended", r"It was suspended from outside; no queue holds it"),
    "stopping": ("stopping", r"It is being stopped; its processes are given 20 s to end"),
}

SILENT = ("all-is-well",)


@pytest.fixture(scope="module")
def findings(
    cluster: Cluster, request: pytest.FixtureRequest
) -> Iterator[Mapping[str, Future[Explanation | None]]]:
    """What is told in each case that was selected, as it becomes known."""
    here = (
        item
        for item in request.session.items
        if item.path == request.path and isinstance(item, pytest.Function)
    )
    names = [str(item.callspec.params["name"]) for item in here if hasattr(item, "callspec")]
    cluster.share()
    try:
        with ThreadPoolExecutor(AT_ONCE) as pool:
            yield {name: pool.submit(_find, cluster, name) for name in names}
        cluster.mend()
    finally:
        cluster.release()


def _find(cluster: Cluster, name: str) -> Explanation | None:
    case = CASES[name]
    with own_place(cluster) as place, case.arrange(place) as spec:
        if name in SILENT:
            return explain(place.until_said(case.words), spec=spec)

        async def find() -> Explanation:
            backend = KubernetesBackend(kubeconfig=str(cluster.kubeconfig), namespace=place.namespace)
            try:
                with _ONE_LOGIN:
                    await backend.connect()
                return await told(backend, handle_of(place, spec), SENTENCES[name][0])
            finally:
                await backend.close()

        return asyncio.run(find())


def test_every_case_has_its_sentence() -> None:
    assert set(CASES) == {*SENTENCES, *SILENT}


@pytest.mark.parametrize("name", ["node-lost", *(name for name in SENTENCES if name != "node-lost")])
def test_the_cluster_says_why(findings: Mapping[str, Future[Explanation | None]], name: str) -> None:
    found = findings[name].result()
    assert found is not None
    assert re.fullmatch(SENTENCES[name][1], found.sentence), found.sentence
    assert found.source
    assert found.fix or found.waits


@pytest.mark.parametrize("name", SILENT)
def test_of_what_runs_well_there_is_nothing_to_say(
    findings: Mapping[str, Future[Explanation | None]], name: str
) -> None:
    assert findings[name].result() is None
