"""Who may do what at the server's extension: each route as its owner, a guest, a stranger and a strict authorizer meet it.

What runs was started by a plain Python process: it is in the list as what notebooks start is.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from gpu_workbench.backends.local.backend import LocalBackend
from gpu_workbench.core.model import Phase
from gpu_workbench.core.spec import WorkloadSpec
from gpu_workbench.surfaces.server.guests import PRIVATE
from gpu_workbench.surfaces.server.openapi_route import whole_description
from tests.contract.test_server import ask
from tests.kernels import end_all
from tests.servers import USERS, Server, jupyter_server, tab

pytestmark = pytest.mark.timeout(180)

ADA, BOB, NOBODY = {"x-user": "ada"}, {"x-user": "bob"}, {"x-nothing": "1"}
READ, ACT, START = "read", "act", "start"
ROUTES = {
    ("GET", "hello"): READ,
    ("GET", "openapi.json"): READ,
    ("GET", "runs"): READ,
    ("GET", "runs/{id}"): READ,
    ("GET", "runs/{id}/outputs/{id}"): READ,
    ("DELETE", "runs/{id}"): ACT,
    ("POST", "runs/{id}/stop"): ACT,
    ("POST", "runs/{id}/keep"): ACT,
    ("POST", "runs/{id}/interrupt"): ACT,
    ("GET", "runs/{id}/log"): READ,
    ("GET", "runs/{id}/log/download"): READ,
    ("GET", "start"): START,
    ("POST", "start"): START,
}
"""What is described, and what the authorizer is to be asked for."""

BESIDE = {
    ("GET", "runs/{id}/agent/v1/state"): READ,
    ("PUT", "runs/{id}/agent/v1/values/x"): ACT,
    ("POST", "runs/{id}/agent/v1/stop"): ACT,
    ("DELETE", "runs/{id}/agent/v1/archive"): ACT,
    ("WS", "runs/{id}/agent/v1/journal"): READ,
    ("WS", "live"): READ,
}
"""The agent's own, and WebSockets."""

FOR_ITS_OWNER = {
    ("GET", "runs/{id}/outputs/{id}"),
    ("GET", "runs/{id}/log"),
    ("GET", "runs/{id}/log/download"),
    ("GET", "start"),
}
"""Reading that only the server's owner may do."""

SDK = """
import gpu_workbench as gw
session = gw.session("shown", gpus=0, cpus=0.05)
session.run("print('up')\\n6 * 7")
job = gw.submit("print('by itself')", name="alone", gpus=0, cpus=0.05)
print(session.id, job.id, job.wait(60).value)
"""

STRICT = """
import json
from jupyter_server.auth.authorizer import Authorizer

class Strict(Authorizer):
    '''Notes what it is asked, and denies what a header says.'''
    def is_authorized(self, handler, user, action, resource):
        request = handler.request
        with open({path!r}, "a") as noted:
            print(json.dumps([request.headers.get("x-case", ""), action, resource]), file=noted)
        return [resource, action] != ["gpu-workbench", request.headers.get("x-deny", "")]

c.ServerApp.authorizer_class = Strict
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    made = tmp_path_factory.mktemp("rights")
    yield made
    end_all(made / ".state")


@pytest.fixture(scope="module")
def state(folder: Path) -> dict[str, str]:
    return {"GPU_WORKBENCH_STATE_DIR": str(folder / ".state"), "GPU_WORKBENCH_BACKEND": "local"}


@pytest.fixture(scope="module")
def started(folder: Path, state: dict[str, str]) -> tuple[str, str]:
    """A session and a job that a plain Python has started; their ids."""
    env = {**os.environ, **state, "XDG_CONFIG_HOME": str(folder / "xdg")}
    done = subprocess.run(
        [sys.executable, "-c", SDK],
        cwd=folder,
        env=env,
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    session, job, ended = done.stdout.split()[-3:]
    assert ended == "Succeeded"
    return session, job


@pytest.fixture(scope="module")
def session(started: tuple[str, str]) -> str:
    return started[0]


@pytest.fixture(scope="module")
def noted(folder: Path) -> Path:
    """What the authorizer was asked."""
    return folder / "asked.ndjson"


@pytest.fixture(scope="module")
def shared(folder: Path, state: dict[str, str], noted: Path, started: tuple[str, str]) -> Iterator[Server]:
    """A server with two users and an authorizer of its own, started for ada as JupyterHub does."""
    config = USERS + STRICT.format(path=str(noted))
    env = {**state, "JUPYTERHUB_USER": "ada"}
    with jupyter_server(folder / "shared", env=env, config=config, prefix="/user/ada") as made:
        yield made


@pytest.fixture
async def foreign(folder: Path) -> AsyncIterator[str]:
    """The id of a session of somebody else's who shares this machine's state."""
    backend = LocalBackend(folder / ".state" / "local")
    handle = await backend.start(WorkloadSpec(id="0123456789ab", owner="fedcba9876543210", name="theirs"))
    async for facts in backend.watch(handle):
        if facts.agent_ready:
            break
    yield handle.id
    async for facts in backend.watch(handle):
        assert facts.phase is Phase.RUNNING, "nobody has stopped it"
        break
    await backend.forget(handle)
    await backend.close()


async def answer(server: Server, method: str, path: str, **headers: str) -> tuple[int, str]:
    """Status and body of any route; a WebSocket that opens has the status 101."""
    url = f"{server.url}/gpu-workbench/api/{path}"
    async with server.client(**headers) as client:
        if method == "WS":
            try:
                async with client.ws_connect(url):
                    return 101, ""
            except aiohttp.WSServerHandshakeError as error:
                return error.status, ""
        body: dict[str, Any] = {"data": b"42"} if method == "PUT" else {}
        if method == "POST":
            body = {"json": {"dry_run": True}}  # where something is started, it is only said
        async with client.request(method, url, allow_redirects=False, **body) as reply:
            return reply.status, await reply.text()


def test_each_route_is_asked() -> None:
    paths: Any = whole_description()["paths"]
    described = {
        (method.upper(), re.sub(r"\{\w+\}", "{id}", path).removeprefix("/"))
        for path, methods in paths.items()
        for method in methods
        if method != "parameters"
    }
    assert described == set(ROUTES)


async def test_what_a_plain_python_has_started_is_in_the_list_as_all_else(
    shared: Server, started: tuple[str, str]
) -> None:
    session, job = started
    async with tab(shared, **ADA) as seen:
        await seen.subscribe("runs")
        await seen.until(lambda states: states.get("runs", {}).get(session, {}).get("runs"))
        await seen.until(lambda states: states["runs"].get(job, {}).get("phase") == "Succeeded")
    rows = seen.states["runs"]
    assert rows.keys() == {session, job}
    assert (rows[session]["name"], rows[session]["word"]) == ("shown", "Idle")
    assert [run["phase"] for run in rows[session]["runs"]] == ["Succeeded"]
    assert (rows[job]["name"], rows[job]["kind"], rows[job]["phase"]) == ("alone", "job", "Succeeded")
    _, form = await ask(shared, "GET", f"runs/{job}/outputs/{job}", **ADA)
    outputs: Any = form["outputs"]
    assert outputs == [{"output_type": "stream", "name": "stdout", "text": "by itself\n"}]


@pytest.mark.parametrize(("method", "path"), [*ROUTES, *BESIDE])
async def test_without_a_name_nothing_is_answered(shared: Server, method: str, path: str) -> None:
    status, _ = await answer(shared, method, path.format(id="a"), **NOBODY)
    assert status == 403


@pytest.mark.parametrize(("method", "path"), ROUTES)
async def test_a_guest_reads_and_does_nothing(shared: Server, session: str, method: str, path: str) -> None:
    status, form = await ask(shared, method, path.format(id=session), **BOB)
    if method != "GET" or (method, path) in FOR_ITS_OWNER:
        assert (status, form["error"]) == (403, "PermissionDenied")
    else:
        assert status == 200
        assert not {"snapshot.failure", "snapshot.results", "snapshot.cell"} & form.keys()


@pytest.mark.parametrize(("route", "action"), {**ROUTES, **BESIDE}.items())
async def test_the_authorizer_is_asked_for_the_right_of_each_route_and_may_refuse(
    shared: Server, noted: Path, route: tuple[str, str], action: str
) -> None:
    """Its owner asks, of a run that is not there: so nothing is done where it is let through."""
    method, path = route[0], route[1].format(id="nobody")
    case = " ".join(route)
    status, _ = await answer(shared, method, path, **ADA, **{"x-case": case})
    assert status != 403
    asked = [json.loads(line) for line in noted.read_text().splitlines()]
    first = next(asked for name, *asked in asked if name == case)
    assert first == [action, "gpu-workbench"]
    status, _ = await answer(shared, method, path, **ADA, **{"x-deny": action})
    assert status == 403
    for other in {READ, ACT, START} - {action}:
        status, _ = await answer(shared, method, path, **ADA, **{"x-deny": other})
        assert status != 403


async def test_what_the_authorizer_forbids_its_owner_is_not_offered(shared: Server) -> None:
    for denied, expected in ((ACT, {ACT: False, START: True}), (START, {ACT: True, START: False})):
        _, form = await ask(shared, "GET", "hello", **ADA, **{"x-deny": denied})
        assert form["may"] == expected


async def test_a_run_of_somebody_else_is_answered_like_one_that_is_not_there(
    shared: Server, foreign: str
) -> None:
    routes = [route for route in (*ROUTES, *BESIDE) if "{id}" in route[1]]
    for method, path in routes:
        status, body = await answer(shared, method, path.format(id=foreign), **ADA)
        unknown, other = await answer(shared, method, path.format(id="nobody"), **ADA)
        assert (status, body.replace(foreign, "nobody")) == (unknown, other), (method, path)
        assert status in (400, 404), (method, path)
    for path, body in (("keep", {"seconds": 60}), ("interrupt", {"run": "a"}), ("stop", {"force": True})):
        async with shared.client(**ADA) as client:
            url = f"{shared.url}/gpu-workbench/api/runs/{foreign}/{path}"
            async with client.post(url, json=body) as reply:
                assert (reply.status, (await reply.json())["error"]) == (404, "RunNotFound")
    async with tab(shared, **ADA) as seen:
        for topic in (f"run/{foreign}", f"run/{foreign}/{foreign}"):
            await seen.subscribe(topic)
            assert (await seen.receive())["error"]["error"] == "RunNotFound"
        await seen.subscribe("runs")
        await seen.until(lambda states: "runs" in states)
        assert foreign not in seen.states["runs"]


async def test_a_runs_output_is_a_notebooks_and_its_owners_alone(
    shared: Server, session: str, folder: Path
) -> None:
    (journal,) = (folder / ".state" / "local" / session / "state" / "journal").glob("*.ndjson")
    run = next(form["run"] for form in map(json.loads, journal.read_text().splitlines()) if form.get("run"))
    status, form = await ask(shared, "GET", f"runs/{session}/outputs/{run}", **ADA)
    assert status == 200
    first, second = form["outputs"]  # type: ignore[misc]
    assert (first["output_type"], first["text"]) == ("stream", "up\n")
    assert (second["output_type"], second["data"]) == ("execute_result", {"text/plain": "42"})
    assert (form["characters"], form["complete"]) == ({"stdout": 3}, True)
    view = form["view"]["data"]["application/vnd.gpu-workbench.run+json"]  # type: ignore[index,call-overload]
    assert view["snapshot"]["phase"] == "Succeeded"
    assert view["snapshot"]["saved"] == "summary"
    status, form = await ask(shared, "GET", f"runs/{session}/outputs/{run}", **BOB)
    assert (status, form["error"]) == (403, "PermissionDenied")
    status, form = await ask(shared, "GET", f"runs/{session}/outputs/nobody", **ADA)
    assert (status, form["error"]) == (404, "RunNotFound")


async def test_the_owner_by_name_may_act(shared: Server, session: str) -> None:
    async with shared.client(**ADA) as client:
        url = f"{shared.url}/gpu-workbench/api/runs/{session}/keep"
        async with client.post(url, json={"seconds": 7200}) as reply:
            assert reply.status == 200, await reply.text()
        async with client.post(url, json={"seconds": "soon"}) as reply:
            assert reply.status == 400


async def test_a_guests_tab_lacks_what_is_private(shared: Server, session: str) -> None:
    async with tab(shared, **BOB) as guest, tab(shared, **ADA) as owner:
        for one in (guest, owner):
            await one.subscribe(f"run/{session}")
            await one.until(lambda states: states)
        hidden = owner.states[f"run/{session}"].keys() - guest.states[f"run/{session}"].keys()
        assert "snapshot.answer" in hidden, "it quotes what a failed cell has printed"
        assert hidden <= {*PRIVATE, "snapshot.answer", "snapshot.explanation"}
