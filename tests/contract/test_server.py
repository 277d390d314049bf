"""The extension of Jupyter's server as browsers meet it: a real server, real sessions, two users on every route."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import pytest

from gpu_workbench.surfaces.server.guests import PRIVATE
from gpu_workbench.surfaces.server.openapi_route import whole_description
from tests.kernels import Notebook, notebook
from tests.servers import Server, jupyter_server, shared_server, tab

pytestmark = pytest.mark.timeout(180)

ROUTES = [
    ("GET", "hello"),
    ("GET", "openapi.json"),
    ("GET", "runs"),
    ("GET", "runs/{id}"),
    ("GET", "runs/{id}/outputs/{id}"),
    ("DELETE", "runs/{id}"),
    ("POST", "runs/{id}/stop"),
    ("POST", "runs/{id}/keep"),
    ("POST", "runs/{id}/interrupt"),
    ("GET", "runs/{id}/log"),
    ("GET", "runs/{id}/log/download"),
    ("GET", "start"),
    ("POST", "start"),
]
FOR_ITS_OWNER = {
    ("GET", "runs/{id}/outputs/{id}"),
    ("GET", "runs/{id}/log"),
    ("GET", "runs/{id}/log/download"),
    ("GET", "start"),
}
"""Reading that only the server's owner may do."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("server")


@pytest.fixture(scope="module")
def nb(folder: Path) -> Iterator[Notebook]:
    with notebook(folder) as made:
        made.check("%%gpu --name shown\nprint('up')\n6 * 7")
        yield made


@pytest.fixture(scope="module")
def state(folder: Path) -> dict[str, str]:
    return {"GPU_WORKBENCH_STATE_DIR": str(folder / ".state")}


@pytest.fixture(scope="module")
def server(folder: Path, state: dict[str, str], nb: Notebook) -> Iterator[Server]:
    with jupyter_server(folder / "owner", env=state) as made:
        yield made


@pytest.fixture(scope="module")
def shared(folder: Path, state: dict[str, str], nb: Notebook) -> Iterator[Server]:
    """A server with two users, started for ada as JupyterHub does."""
    with shared_server(folder / "shared", env=state) as made:
        yield made


async def session_id(server: Server, **headers: str) -> str:
    async with (
        server.client(**headers) as client,
        client.get(f"{server.url}/gpu-workbench/api/runs") as reply,
    ):
        rows = (await reply.json())["runs"]
        return next(row["id"] for row in rows.values() if row["word"] in ("Idle", "Busy"))


async def ask(server: Server, method: str, path: str, **headers: str) -> tuple[int, dict[str, object]]:
    async with server.client(**headers) as client:
        url = f"{server.url}/gpu-workbench/api/{path}"
        async with client.request(method, url, json={} if method == "POST" else None) as reply:
            return reply.status, await reply.json(content_type=None)


async def test_hello_says_who_answers(server: Server) -> None:
    status, form = await ask(server, "GET", "hello")
    assert status == 200
    assert (form["wire"], form["owner"], form["errors"]) == (1, True, {})


async def test_runs_are_rows_and_one_is_a_view(server: Server) -> None:
    found = await session_id(server)
    status, form = await ask(server, "GET", f"runs/{found}")
    assert status == 200
    assert form["id"] == found
    assert form["snapshot.word"] in ("Idle", "Busy")


async def test_a_tab_sees_a_run_begin_go_on_and_end(server: Server, nb: Notebook) -> None:
    found = await session_id(server)
    topic = f"run/{found}"
    async with tab(server) as seen:
        await seen.subscribe(topic)
        await seen.subscribe("runs")
        await seen.until(lambda states: topic in states and found in states.get("runs", {}))
        cell = await asyncio.to_thread(nb.begin, "%%gpu\nimport time; time.sleep(3)")
        await seen.until(lambda states: states["runs"][found]["word"] == "Busy")
        await seen.until(lambda states: states[topic]["snapshot.word"] == "Busy")
        await asyncio.to_thread(nb.end, cell)
        await seen.until(lambda states: states[topic]["snapshot.word"] == "Idle")
        numbers = [form["seq"] for form in seen.messages if form.get("topic") == topic]
        assert numbers == [*range(1, len(numbers) + 1)]
        assert "state" in next(form for form in seen.messages if form.get("topic") == topic)


async def test_a_new_session_comes_into_the_list_and_goes_to_the_ended(server: Server, nb: Notebook) -> None:
    async with tab(server) as seen:
        await seen.subscribe("runs")
        await seen.until(lambda states: "runs" in states)
        before = set(seen.states["runs"])
        await asyncio.to_thread(nb.check, "%gpu start --session other")
        await seen.until(lambda states: set(states["runs"]) - before)
        (new,) = set(seen.states["runs"]) - before
        status, _ = await ask(server, "POST", f"runs/{new}/stop")
        assert status == 200
        await seen.until(lambda states: states["runs"][new]["phase"] == "Stopped")


async def test_which_backends_are_looked_at_is_a_topic(server: Server) -> None:
    async with tab(server) as seen:
        await seen.subscribe("targets")
        await seen.until(lambda states: "targets" in states)
        assert seen.states["targets"] == {"local": {"name": "local"}}


async def test_what_is_unknown_is_one_clear_error(server: Server) -> None:
    status, form = await ask(server, "GET", "runs/nobody")
    assert (status, form["error"], form["message"]) == (404, "RunNotFound", "There is no run 'nobody'")
    async with tab(server) as seen:
        await seen.subscribe("run/nobody")
        assert (await seen.receive())["error"]["error"] == "RunNotFound"


@pytest.mark.parametrize(
    "frame",
    [
        "",
        "{",
        "[]",
        "{}",
        '{"subscribe": 1}',
        '{"subscribe": "run/../x"}',
        '{"a": "runs"}',
        "[" * 900,
        b"\x00\xff",
    ],
)
async def test_a_frame_that_is_not_understood_is_answered_and_the_rest_goes_on(
    server: Server, frame: str | bytes
) -> None:
    async with tab(server) as seen:
        await (seen.socket.send_bytes(frame) if isinstance(frame, bytes) else seen.socket.send_str(frame))
        assert (await seen.receive())["error"]["error"] == "UsageError"
        await seen.subscribe("runs")
        await seen.until(lambda states: "runs" in states)


@pytest.mark.parametrize(
    "sent",
    [
        pytest.param(b"\x81\x02{}", id="not masked"),
        pytest.param(b"\x83\x80\0\0\0\0", id="of no kind"),
        pytest.param(b"\xf1\x80\0\0\0\0", id="reserved bits"),
        pytest.param(b"\x89\xfe\x01\x00\0\0\0\0" + b"x" * 256, id="a ping that is too long"),
        pytest.param(b"\x81\x82\0\0\0\0\xff\xfe", id="text that is none"),
        pytest.param(b"\x81\xff\x7f\xff\xff\xff\xff\xff\xff\xff\0\0\0\0", id="longer than can be"),
        pytest.param(b"\x00\x80\0\0\0\0", id="goes on with nothing"),
        pytest.param(b"GET / HTTP/1.1\r\n\r\n", id="HTTP"),
        pytest.param(b"\x81\x82\0\0", id="breaks off"),
    ],
)
async def test_bytes_that_are_no_frames_end_that_connection_alone(server: Server, sent: bytes) -> None:
    address = urlsplit(server.url)
    async with tab(server) as other:
        reader, writer = await asyncio.open_connection(address.hostname, address.port)
        writer.write(
            f"GET {address.path}/gpu-workbench/api/live HTTP/1.1\r\nHost: {address.netloc}\r\n"
            f"Authorization: token {server.token}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n".encode()
        )
        assert b"101" in await reader.readuntil(b"\r\n\r\n")
        writer.write(sent)
        writer.write_eof()
        with contextlib.suppress(ConnectionError):
            await asyncio.wait_for(reader.read(), 10)
        writer.close()
        await other.subscribe("runs")
        await other.until(lambda states: "runs" in states, 10)
    assert "Uncaught exception" not in server.log.read_text()


async def test_a_tab_that_only_sends_rubbish_is_cut_off(server: Server) -> None:
    async with tab(server) as seen:
        for _ in range(50):
            await seen.socket.send_str("{")
        while (answer := await seen.socket.receive()).type is aiohttp.WSMsgType.TEXT:
            pass
        assert answer.type is aiohttp.WSMsgType.CLOSE
        assert answer.data == 1008


async def test_a_hundred_thousand_subscriptions_are_refused_and_disturb_nobody(server: Server) -> None:
    """To what there is, as much as may be had; to what is not there, none is remembered; then it is cut off."""
    found = await session_id(server)
    async with tab(server) as many, tab(server) as other:

        async def flood() -> None:
            with contextlib.suppress(ConnectionError):  # it was cut off in the middle of it
                for number in range(100_000):
                    await many.subscribe(f"run/{found}/x{number}")

        async def drain() -> aiohttp.WSMessage:
            while (answer := await many.socket.receive()).type is aiohttp.WSMsgType.TEXT:
                pass
            return answer

        flooding, draining = asyncio.create_task(flood()), asyncio.create_task(drain())
        await other.subscribe("runs")
        await other.until(lambda states: "runs" in states, 10)
        answer = await asyncio.wait_for(draining, 60)
        if answer.type is aiohttp.WSMsgType.CLOSE:  # else it was still sending, and the reason went by
            assert answer.data == 1008
        flooding.cancel()
        await other.unsubscribe("runs")
        await other.subscribe(f"run/{found}")
        await other.until(lambda states: f"run/{found}" in states, 10)


async def test_a_journal_of_a_newer_version_is_shown_as_far_as_it_is_understood(
    server: Server, folder: Path, nb: Notebook
) -> None:
    nb.check("%%gpu --detach --name newer\nprint('understood')")
    nb.check("%gpu attach newer")
    (id_,) = [
        form["spec"]["id"]
        for path in (folder / ".state" / "local").glob("*/workload.json")
        if (form := json.loads(path.read_text()))["spec"].get("name") == "newer"
    ]
    await _has_ended(folder / ".state" / "local" / id_)
    (journal,) = (folder / ".state" / "local" / id_ / "state" / "journal").glob("*.ndjson")
    lines = [json.loads(line) for line in journal.read_text().splitlines()]
    newer = []
    for form in lines:
        newer.append({**form, "n": 2 * form["n"] - 1, "of_a_newer_version": {"deep": [1]}})
        newer.append(
            {**{key: form[key] for key in ("rank", "epoch", "t")}, "n": 2 * form["n"], "type": "New"}
        )
    journal.write_text("".join(json.dumps(form) + "\n" for form in newer))
    status, form = await ask(server, "GET", f"runs/{id_}")
    assert (status, form["snapshot.phase"]) == (200, "Succeeded")
    status, form = await ask(server, "GET", f"runs/{id_}/outputs/{id_}")
    assert (status, form["complete"]) == (200, True)
    assert form["outputs"] == [{"output_type": "stream", "name": "stdout", "text": "understood\n"}]


async def _has_ended(workload: Path) -> None:
    while not (workload / "record.json").exists():
        await asyncio.sleep(0.05)


def test_each_route_is_asked_by_two_users() -> None:
    paths: Any = whole_description()["paths"]
    described = {
        (method.upper(), re.sub(r"\{\w+\}", "{id}", path).removeprefix("/"))
        for path, methods in paths.items()
        for method in methods
        if method != "parameters"
    }
    assert described == set(ROUTES)


@pytest.mark.parametrize(("method", "path"), ROUTES)
async def test_without_a_token_nothing_is_answered(server: Server, method: str, path: str) -> None:
    async with (
        server.client(**{"x-nothing": "1"}) as client,
        client.request(
            method, f"{server.url}/gpu-workbench/api/{path.format(id='a')}", allow_redirects=False
        ) as reply,
    ):
        assert reply.status == 403
    with pytest.raises(aiohttp.WSServerHandshakeError, match="403"):
        async with tab(server, **{"x-nothing": "1"}):
            pass


async def test_a_page_of_another_origin_gets_no_socket_and_posts_nothing(server: Server) -> None:
    """A browser that is logged in by its cookie is asked where the page is from, and for the XSRF token."""
    jar = aiohttp.CookieJar(unsafe=True)  # the address is a number
    async with aiohttp.ClientSession(cookie_jar=jar) as browser:
        async with browser.get(f"{server.url}/api/status?token={server.token}") as reply:
            assert reply.status == 200
        live = f"{server.url}/gpu-workbench/api/live"
        async with browser.ws_connect(live, origin=server.url):
            pass
        with pytest.raises(aiohttp.WSServerHandshakeError, match="403"):
            await browser.ws_connect(live, origin="http://elsewhere.example")
        async with browser.post(f"{server.url}/gpu-workbench/api/runs/x/stop", json={}) as reply:
            assert reply.status == 403


@pytest.mark.parametrize(("method", "path"), ROUTES)
async def test_a_guest_reads_and_does_nothing(shared: Server, method: str, path: str) -> None:
    found = await session_id(shared, **{"x-user": "ada"})
    status, form = await ask(shared, method, path.format(id=found), **{"x-user": "bob"})
    if method != "GET" or (method, path) in FOR_ITS_OWNER:
        assert (status, form["error"]) == (403, "PermissionDenied")
    else:
        assert status == 200
        assert not {"snapshot.failure", "snapshot.results", "snapshot.cell"} & form.keys()


async def test_a_runs_output_is_a_notebooks_and_its_owners_alone(shared: Server, folder: Path) -> None:
    found = await session_id(shared, **{"x-user": "ada"})
    (journal,) = (folder / ".state" / "local" / found / "state" / "journal").glob("*.ndjson")
    run = next(form["run"] for form in map(json.loads, journal.read_text().splitlines()) if form.get("run"))
    status, form = await ask(shared, "GET", f"runs/{found}/outputs/{run}", **{"x-user": "ada"})
    assert status == 200
    first, second = form["outputs"]  # type: ignore[misc]
    assert (first["output_type"], first["text"]) == ("stream", "up\n")
    assert (second["output_type"], second["data"]) == ("execute_result", {"text/plain": "42"})
    assert (form["characters"], form["complete"]) == ({"stdout": 3}, True)
    view = form["view"]["data"]["application/vnd.gpu-workbench.run+json"]  # type: ignore[index,call-overload]
    assert view["snapshot"]["phase"] == "Succeeded"
    assert view["snapshot"]["saved"] == "summary"
    status, form = await ask(shared, "GET", f"runs/{found}/outputs/{run}", **{"x-user": "bob"})
    assert (status, form["error"]) == (403, "PermissionDenied")
    status, form = await ask(shared, "GET", f"runs/{found}/outputs/nobody", **{"x-user": "ada"})
    assert (status, form["error"]) == (404, "RunNotFound")


async def test_the_owner_by_name_may_act(shared: Server) -> None:
    found = await session_id(shared, **{"x-user": "ada"})
    async with shared.client(**{"x-user": "ada"}) as client:
        url = f"{shared.url}/gpu-workbench/api/runs/{found}/keep"
        async with client.post(url, json={"seconds": 7200}) as reply:
            assert reply.status == 200, await reply.text()
        async with client.post(url, json={"seconds": "soon"}) as reply:
            assert reply.status == 400


async def test_a_guests_tab_lacks_what_is_private(shared: Server) -> None:
    found = await session_id(shared, **{"x-user": "ada"})
    async with tab(shared, **{"x-user": "bob"}) as guest, tab(shared, **{"x-user": "ada"}) as owner:
        for one in (guest, owner):
            await one.subscribe(f"run/{found}")
            await one.until(lambda states: states)
        hidden = owner.states[f"run/{found}"].keys() - guest.states[f"run/{found}"].keys()
        assert "snapshot.answer" in hidden, "it quotes what a failed cell has printed"
        assert hidden <= {*PRIVATE, "snapshot.answer", "snapshot.explanation"}
