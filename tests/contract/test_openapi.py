"""The OpenAPI description is what the running server does: each route, whatever it is sent."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, settings
from jsonschema import Draft202012Validator
from schemathesis.specs.openapi.checks import (
    missing_required_header,
    negative_data_rejection,
    positive_data_acceptance,
)

from gpu_workbench.surfaces.server.openapi import BASE
from gpu_workbench.surfaces.server.openapi_route import described_routes, whole_description
from tests.kernels import notebook
from tests.servers import Server, jupyter_server

pytestmark = pytest.mark.timeout(120)

DESCRIPTION = whole_description()
SCHEMA = schemathesis.openapi.from_dict(DESCRIPTION)  # type: ignore[arg-type]
METHODS = ("get", "put", "post", "patch", "delete")

KNOWN: dict[str, str] = {}
"""A living session and an ended run, for requests that meet something."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("openapi")
    with notebook(folder) as nb:
        nb.check("%%gpu --name lives\nprint('up')")
        nb.check("%%gpu --detach --name ended\nprint('done')")
        nb.check("%gpu attach ended")
        state = {"GPU_WORKBENCH_STATE_DIR": str(folder / ".state")}
        with jupyter_server(folder / "server", env=state) as made:
            reply = requests.get(f"{made.url}{BASE}/runs", headers=made.headers, timeout=30)
            for row in reply.json()["runs"].values():
                KNOWN["ended" if row["name"] == "ended" else "lives"] = row["id"]
            assert KNOWN.keys() == {"ended", "lives"}
            yield made


@SCHEMA.hook
def map_path_parameters(context: Any, path_parameters: dict[str, Any] | None) -> Any:
    """Every second id is one of those there are, and one that is not to end is not ended."""
    ids = path_parameters or {}
    ends = context.operation.method.upper() == "DELETE"
    known = KNOWN["lives" if ends else "ended"], KNOWN["ended" if not ends else "lives"]
    for name, value in ids.items():
        if isinstance(value, str) and re.fullmatch(r"[A-Za-z0-9_-]{1,64}", value) and len(value) % 2:
            keeps = context.operation.path.endswith(("keep", "interrupt"))
            ids[name] = KNOWN["lives"] if keeps else known[len(value) // 2 % 2]
    return path_parameters


@SCHEMA.parametrize()
@settings(
    max_examples=25,
    deadline=None,
    derandomize=True,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
def test_each_route_does_what_its_description_says(case: schemathesis.Case, server: Server) -> None:
    starts = case.operation.path == "/start" and isinstance(case.body, dict)
    if starts and case.body.get("dry_run", False) is False:  # what would be started is told, and nothing is
        case.body["dry_run"] = True
    elsewhere = [missing_required_header]  # jupyter_server answers 403, and test_server.py asks each route
    if case.operation.path == "/start":  # what its texts mean is no matter of a schema
        elsewhere.append(positive_data_acceptance)
    if "/log" in case.operation.path:  # a parameter that it does not know is no fault
        elsewhere.append(negative_data_rejection)
    case.call_and_validate(
        base_url=server.url + BASE, headers=server.headers, timeout=30, excluded_checks=elsewhere
    )


def test_the_server_gives_its_description(server: Server) -> None:
    reply = requests.get(f"{server.url}{BASE}/openapi.json", headers=server.headers, timeout=30)
    assert reply.json() == DESCRIPTION


def test_each_route_is_described_and_nothing_else() -> None:
    described: dict[str, Any] = dict(DESCRIPTION["paths"])  # type: ignore[arg-type]
    for pattern, handler in described_routes():
        fitting = {path for path in described if re.fullmatch(pattern, BASE + re.sub(r"\{\w+\}", "x", path))}
        assert fitting == handler.api.keys(), f"{handler.__name__} does not describe {pattern}"
        does = {method for method in METHODS if getattr(handler, method) is not handler._unimplemented_method}
        for path in fitting:
            assert {method for method in described.pop(path) if method in METHODS} == does, path
    assert not described


def test_a_view_has_no_member_that_is_not_described(server: Server) -> None:
    paths: Any = DESCRIPTION["paths"]
    answer = paths["/runs/{workload}"]["get"]["responses"]["200"]["content"]["application/json"]["schema"]
    for known in KNOWN.values():
        reply = requests.get(f"{server.url}{BASE}/runs/{known}", headers=server.headers, timeout=30)
        assert not reply.json().keys() - answer["properties"].keys()
        schema = {**answer, "components": DESCRIPTION["components"]}
        Draft202012Validator(schema).validate(reply.json())


@pytest.mark.parametrize("path", ["/nothing", "/runs/a/b/c", "/runs/ü", "/runs/" + "x" * 65, "/runs/%00"])
@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
def test_where_there_is_nothing_the_answer_is_an_error_of_ours(
    server: Server, path: str, method: str
) -> None:
    reply = requests.request(method, server.url + BASE + path, headers=server.headers, timeout=30)
    assert reply.status_code == 404
    assert reply.json()["error"] == "NotFound"


def test_what_a_route_has_no_method_for_is_said_with_those_it_has(server: Server) -> None:
    reply = requests.put(f"{server.url}{BASE}/runs/x", headers=server.headers, timeout=30)
    assert (reply.status_code, reply.headers["Allow"]) == (405, "DELETE, GET")
    assert reply.json()["error"] == "MethodNotAllowed"
