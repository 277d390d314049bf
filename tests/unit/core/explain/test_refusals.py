"""The API server says no, or says nothing."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gpu_workbench.core.errors import (
    AdmissionDenied,
    Conflict,
    NotFound,
    PermissionDenied,
    Throttled,
    Unreachable,
    WorkbenchError,
)
from gpu_workbench.core.explain import explain, explain_error
from gpu_workbench.core.facts import Facts
from gpu_workbench.core.model import Phase
from tests.unit.core.explain.recorded import recorded


@pytest.mark.parametrize(
    ("message", "code", "words"),
    [
        (
            'admission webhook "gpu.policy.io" denied the request: H200 need approval',
            "admission-webhook",
            "gpu.policy.io refuses it: H200 need approval",
        ),
        (
            'Internal error occurred: failed calling webhook "vjob.kueue": connection refused',
            "admission-webhook-away",
            "vjob.kueue does not answer",
        ),
        ('namespaces "nowhere" not found', "namespace-missing", "Namespace nowhere does not exist"),
        (
            "unable to create new content in namespace x because it is being terminated",
            "namespace-ending",
            "being deleted",
        ),
        ('pods "x" is forbidden: the moon is down', "admission-denied", "the moon is down"),
    ],
)
def test_refusals_name_their_rule(message: str, code: str, words: str) -> None:
    told = explain_error(AdmissionDenied("The Job was refused", why=message))
    assert told.code == code
    assert words in told.sentence


@pytest.mark.parametrize(
    ("error", "code", "waits"),
    [
        (Unreachable("No answer", why="connection refused"), "api-unreachable", True),
        (Throttled("Too many requests", retry_after=5), "api-throttled", True),
        (NotFound("The Job is not there"), "not-found", False),
        (Conflict("The Job has changed"), "conflict", False),
        (PermissionDenied("Unauthorized", why="401"), "not-logged-in", False),
        (
            PermissionDenied("The Job cannot be created", why="verb create on jobs.batch"),
            "no-permission",
            False,
        ),
        (WorkbenchError("What", why="why", fix="fix"), "workbench", False),
        (RuntimeError("boom"), "unexpected", False),
    ],
)
def test_errors_are_said_in_the_same_form(error: Exception, code: str, waits: bool) -> None:
    told = explain_error(error)
    assert (told.code.removesuffix("-error"), told.waits) == (code, waits)
    assert told.sentence


def test_rights_of_the_whole_cluster_are_named_as_such() -> None:
    said = 'nodes is forbidden: User "u" cannot list resource "nodes" in API group "" at the cluster scope'
    told = explain_error(PermissionDenied("no", why=said))
    assert told.sentence == "You may not list nodes in the whole cluster"
    assert told.fix == "Ask your administrator for verb list on nodes: `%gpu doctor --role`"


def test_when_nothing_newer_can_be_seen_that_is_what_is_said() -> None:
    facts, spec = recorded("gpu-taken")
    told = explain(replace(facts, error="API server unreachable: connection refused"), spec=spec)
    assert told is not None
    assert (told.code, told.sentence) == (
        "api-unreachable",
        "The cluster's API server cannot be reached (connection refused)",
    )
    told = explain(
        replace(facts, error='pods is forbidden: User "u" cannot watch resource "pods"'), spec=spec
    )
    assert told is not None
    assert told.code == "no-permission"
    ended = explain(replace(facts, error="API server unreachable", phase=Phase.FAILED), spec=spec)
    assert ended is None or ended.code != "api-unreachable"
    never = explain(
        Facts(phase=Phase.LOST, error="The API server cannot be reached: no route. Check it"), spec=spec
    )
    assert never is not None
    assert never.sentence == "The cluster's API server cannot be reached (no route)"
