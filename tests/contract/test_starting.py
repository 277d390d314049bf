"""Sessions that are started from a form: what it offers and refuses, what is started, and who may use it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.kernels import end_all, notebook
from tests.servers import Server, jupyter_server, shared_server, tab

pytestmark = pytest.mark.timeout(180)

ENDED = ("Stopped", "Lost")  # lost is one whose agent had not come up yet
PROFILES = """
profiles:
  big: {gpus: h200:8, memory: 64Gi, image: pytorch/pytorch:2.6.0, price: 3.20, currency: EUR, env: {TOKEN: s3cret}}
  alone: {idle-limit: 2h, orphan-limit: 1m}
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    made = tmp_path_factory.mktemp("starting")
    for name in ("owner", "shared"):
        (made / name / "notebooks").mkdir(parents=True)
        (made / name / "gpu-workbench.yaml").write_text(PROFILES)
    yield made
    end_all(made / ".state")


@pytest.fixture(scope="module")
def state(folder: Path) -> dict[str, str]:
    return {"GPU_WORKBENCH_STATE_DIR": str(folder / ".state")}


@pytest.fixture(scope="module")
def server(folder: Path, state: dict[str, str]) -> Iterator[Server]:
    with jupyter_server(folder / "owner", env=state) as made:
        yield made


@pytest.fixture(scope="module")
def shared(folder: Path, state: dict[str, str]) -> Iterator[Server]:
    """A server with two users, started for ada as JupyterHub does."""
    with shared_server(folder / "shared", env=state) as made:
        yield made


async def ask(server: Server, method: str, path: str, body: object = None, **headers: str) -> tuple[int, Any]:
    async with server.client(**headers) as client:
        url = f"{server.url}/gpu-workbench/api/{path}"
        data = body if isinstance(body, bytes) else None
        async with client.request(method, url, data=data, json=None if data else body) as reply:
            return reply.status, await reply.json(content_type=None)


async def plan(server: Server, **form: object) -> tuple[int, Any]:
    return await ask(server, "POST", "start", {**form, "dry_run": True})


async def stopped(server: Server, workload: str) -> None:
    async with tab(server) as seen:
        await seen.subscribe("runs")
        await seen.until(lambda states: workload in states.get("runs", {}))
        status, _ = await ask(server, "POST", f"runs/{workload}/stop")
        assert status == 200
        await seen.until(lambda states: states["runs"][workload]["phase"] in ENDED)


async def test_the_form_has_the_magics_flags_and_what_holds_without_them(server: Server) -> None:
    status, form = await ask(server, "GET", "start")
    assert status == 200
    assert form["target"] == "local"
    keys = [field["key"] for field in form["fields"]]
    assert keys[:4] == ["backend", "profile", "session", "gpus"]
    assert {"memory", "cpus", "image", "idle_limit", "volume", "env", "folder"} <= set(keys)
    of_a_cluster = {field["key"] for field in form["fields"] if field.get("cluster")}
    assert of_a_cluster == {"image", "python", "shared_memory", "volume", "secret"}
    (target,) = form["targets"]
    big = next(one for one in target["profiles"] if one["name"] == "big")
    assert (big["defaults"]["gpus"], big["defaults"]["memory"]) == ("h200:8", "64Gi")
    assert big["defaults"]["env"] == "TOKEN"
    assert next(field for field in form["fields"] if field["key"] == "gpus")["choices"] == ["h200"]
    assert "s3cret" not in str(form)


async def test_a_dry_run_says_what_is_asked_for_and_starts_nothing(server: Server) -> None:
    status, form = await plan(server, gpus=2, memory="8Gi", env=["TOKEN=s3cret"], session="dry")
    assert status == 200
    assert form["words"] == "Would start a session 'dry' on this machine: 2 GPUs, 8 GiB memory"
    assert (form["name"], form["idle_limit"]) == ("dry", 3600)
    assert "s3cret" not in str(form)
    _, runs = await ask(server, "GET", "runs")
    assert "dry" not in [row["name"] for row in runs["runs"].values()]


@pytest.mark.parametrize(
    ("field", "value", "sentence"),
    [
        ("gpus", "some", "--gpus some is not an amount of GPUs. Write a number or kind:number"),
        ("memory", "a lot", "--memory: 'a lot' is not an amount of memory. Write it as Kubernetes does"),
        ("idle_limit", "soon", "--idle-limit: 'soon' is not a duration"),
        ("session", "Not A Name", "--session: 'Not A Name' is not a name"),
        ("session", "default", "'default' is what each notebook calls its own session. Choose another name"),
        ("profile", "bigg", "There is no profile 'bigg'"),
        ("env", ["a b=s3cret"], "--env: 'a b' is no name of a variable"),
        ("folder", "../elsewhere", "'../elsewhere' is no folder here"),
        ("folder", "nowhere", "'nowhere' is no folder here"),
        ("backend", "kubernetes", "This server does not look at kubernetes"),
        ("gpus", {"count": 1}, "GPUs is neither text nor a number"),
        ("gpus", ["1", "2"], "GPUs takes one value"),
        ("gpus", "1" * 10_000, "GPUs is too long"),
        ("image", "a\u0000b", "Image has a character in it that cannot be shown"),
        ("detach", True, "There is no field 'detach'"),
    ],
)
@pytest.mark.parametrize("dry_run", [True, False])
async def test_what_cannot_be_meant_is_said_of_its_field_in_the_magics_words(
    server: Server, field: str, value: object, sentence: str, dry_run: bool
) -> None:
    status, form = await ask(server, "POST", "start", {field: value, "dry_run": dry_run})
    assert status == 400
    assert form["fields"].keys() == {field}
    assert form["fields"][field].startswith(sentence)
    assert "s3cret" not in str(form)


async def test_all_wrong_fields_are_named_at_once(server: Server) -> None:
    _, form = await plan(server, gpus="some", memory="a lot", cpus="4")
    assert form["fields"].keys() == {"gpus", "memory"}


@pytest.mark.parametrize(
    "body", [b"{", b"[]", b"\xff\xfe", b"[" * 20_000, b'{"gpus": ' + b"9" * 5000 + b"}", b" " * 1_000_000]
)
async def test_a_body_that_is_no_form_is_one_clear_error(server: Server, body: bytes) -> None:
    status, form = await ask(server, "POST", "start", body)
    assert (status, form["error"]) == (400, "UsageError")


async def test_a_session_is_started_by_name_used_by_a_notebook_and_stopped(
    server: Server, folder: Path, state: dict[str, str]
) -> None:
    asked = {"session": "made", "gpus": 0, "profile": "alone", "folder": "notebooks"}
    status, started = await ask(server, "POST", "start", asked)
    assert status == 200, started
    assert (started["name"], started["line"]) == ("made", "%%gpu --session made")
    found = started["id"]
    _, runs = await ask(server, "GET", "runs")
    assert runs["runs"][found]["name"] == "made"  # at once
    status, refused = await ask(server, "POST", "start", {"session": "made"})
    assert (status, refused["fields"].keys()) == (400, {"session"})
    async with tab(server) as seen:
        await seen.subscribe("runs")
        await seen.until(lambda states: "ending" in states.get("runs", {}).get(found, {}))
        ending = seen.states["runs"][found]["ending"]
        assert (ending["name"], ending["seconds"]) == ("idle", pytest.approx(7200, abs=60))
    told = json.loads((folder / ".state" / "local" / found / "agent.json").read_text())
    assert told["orphan_limit"] == 7200  # that no kernel is there shortens nothing
    cell = "%%gpu --session made\n"
    with (
        notebook(folder, name="one.ipynb") as one,
        notebook(folder, name="two.ipynb", stop=False) as other,
    ):
        ran = await asyncio.to_thread(one.check, cell + "import os\nplace = os.getcwd()")
        assert "Runs in the session 'made', which any notebook may use." in ran.shown
        ran = await asyncio.to_thread(other.check, cell + "print(place)")
        assert str(folder / "owner" / "notebooks") in ran.shown
        await stopped(server, found)
        ran = await asyncio.to_thread(one.run, cell + "place")
        assert "The session 'made' ended" in ran.shown


async def test_a_name_is_given_where_none_is_typed_and_each_only_once(server: Server) -> None:
    _, planned = await plan(server)
    assert planned["name"] == "gpu-1"
    asked = [ask(server, "POST", "start", {"gpus": 0}) for _ in range(2)]
    started = [form for _, form in await asyncio.gather(*asked)]
    assert sorted(form["name"] for form in started) == ["gpu-1", "gpu-2"]
    for form in started:
        await stopped(server, form["id"])


async def test_where_starting_fails_it_is_said_and_nothing_is_left(folder: Path) -> None:
    places = folder / ".broken" / "local"
    places.mkdir(parents=True)
    (places / ".agent").write_text("in the way of the agent's folder")
    env = {"GPU_WORKBENCH_STATE_DIR": str(folder / ".broken")}
    with jupyter_server(folder / "broken", env=env) as broken:
        status, form = await ask(broken, "POST", "start", {"gpus": 0})
        assert (status, form["error"]) == (500, "StartFailed")
        assert form["message"] == "The session could not be started"
        async with tab(broken) as seen:
            await seen.subscribe("runs")
            await seen.until(lambda states: states.get("runs") == {})
    assert [path.name for path in places.iterdir()] == [".agent"]


async def test_only_the_owner_may_start_and_see_the_form(shared: Server) -> None:
    _, before = await ask(shared, "GET", "runs", **{"x-user": "ada"})
    for method in ("GET", "POST"):
        status, form = await ask(
            shared, method, "start", {} if method == "POST" else None, **{"x-user": "bob"}
        )
        assert (status, form["error"]) == (403, "PermissionDenied")
    _, runs = await ask(shared, "GET", "runs", **{"x-user": "bob"})
    assert runs["runs"].keys() == before["runs"].keys()
    _, hello = await ask(shared, "GET", "hello", **{"x-user": "bob"})
    assert hello["may"] == {"act": False, "start": False}
    _, hello = await ask(shared, "GET", "hello", **{"x-user": "ada"})
    assert hello["may"] == {"act": True, "start": True}
    status, _ = await ask(shared, "GET", "start", **{"x-user": "ada"})
    assert status == 200


async def test_without_a_token_or_from_another_page_nothing_is_started(server: Server) -> None:
    status, _ = await ask(server, "POST", "start", {}, **{"x-nothing": "1"})
    assert status == 403
    jar = aiohttp.CookieJar(unsafe=True)  # the address is a number
    async with aiohttp.ClientSession(cookie_jar=jar) as browser:
        async with browser.get(f"{server.url}/api/status?token={server.token}") as reply:
            assert reply.status == 200
        async with browser.post(f"{server.url}/gpu-workbench/api/start", json={}) as reply:
            assert reply.status == 403
