"""Images: words of other runtimes and registries, and how far a pull is."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gpu_workbench.core.explain import explain
from tests.unit.core.explain.objects import SPEC, event_of, facts_of, node_of, pod_of


@pytest.mark.parametrize(
    ("message", "code"),
    [
        (
            "pull access denied, repository does not exist or may require authorization: server message: insufficient_scope",
            "image-no-access",
        ),
        ("no match for platform in manifest sha256:1: not found", "image-architecture"),
        (
            "tls: failed to verify certificate: x509: certificate signed by unknown authority",
            "registry-untrusted",
        ),
        ("dial tcp 10.0.0.1:443: i/o timeout", "registry-unreachable"),
        ("write /var/lib/containerd/x: no space left on device", "node-disk-full"),
        ("manifest unknown: manifest unknown", "image-not-found"),
        ("the moon is down", "image-pull-failed"),
    ],
)
def test_words_of_other_runtimes_and_registries(message: str, code: str) -> None:
    told = explain(facts_of(pod=pod_of(node="n", waiting="ErrImagePull", said=message)), spec=SPEC)
    assert told is not None
    assert told.code == code


def test_a_back_off_is_explained_by_the_failure_before_it() -> None:
    pod = pod_of(node="n", waiting="ImagePullBackOff", said='Back-off pulling image "worker:1"')
    event = event_of("Failed", 'Failed to pull image "worker:1": docker.io/library/worker:1: not found')
    told = explain(facts_of(pod=pod, events=(event,)), spec=SPEC)
    assert told is not None
    assert told.code == "image-not-found"


def test_the_name_of_an_image_is_not_read_as_the_cause() -> None:
    image = "reg.example/unauthorized/not-found:429"
    pod = pod_of(
        node="n",
        waiting="ErrImagePull",
        said=f'failed to resolve "{image}": dial tcp: i/o timeout',
        image=image,
    )
    told = explain(facts_of(pod=pod), spec=SPEC)
    assert told is not None
    assert told.code == "registry-unreachable"


def test_a_pull_says_how_large_and_how_long_where_both_are_known() -> None:
    node = node_of("other", {}, images=[{"names": ["worker:1"], "sizeBytes": 3 * 2**30}])
    event = event_of("Pulling", 'Pulling image "worker:1"', at="2026-11-23T17:18:00Z")
    facts = facts_of(pod=pod_of(node="n", waiting="ContainerCreating"), events=(event,), nodes=(node,))
    told = explain(replace(facts, seen="2026-11-23T17:18:41Z"), spec=SPEC)
    assert told is not None
    assert told.sentence == "Pulling image worker:1 (3 GiB, for 41 s so far)"
