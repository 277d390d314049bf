"""The agent's HTTP through Jupyter's server: streamed both ways, for the owner alone, and never drawn by a browser."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import aiohttp
import pytest

from tests.kernels import Notebook, notebook
from tests.servers import Server, shared_server

pytestmark = pytest.mark.timeout(180)

SIZE = 200_000_000


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("agent-routes")


@pytest.fixture(scope="module")
def nb(folder: Path) -> Iterator[Notebook]:
    with notebook(folder) as made:
        made.check("%%gpu\nprint('up')\nx = 42\npage = '<script>alert(1)</script>'")
        yield made


@pytest.fixture(scope="module")
def server(folder: Path, nb: Notebook) -> Iterator[Server]:
    """A server with two users, started for ada as JupyterHub does."""
    env = {"GPU_WORKBENCH_STATE_DIR": str(folder / ".state")}
    with shared_server(folder / "shared", env=env) as made:
        yield made


@pytest.fixture
async def ada(server: Server) -> AsyncIterator[aiohttp.ClientSession]:
    async with server.client(**{"x-user": "ada"}) as client:
        yield client


@pytest.fixture
async def agent(server: Server, ada: aiohttp.ClientSession) -> str:
    """Where the session's agent is reached."""
    async with ada.get(f"{server.url}/gpu-workbench/api/runs") as reply:
        (workload,) = (await reply.json())["runs"]
    return f"{server.url}/gpu-workbench/api/runs/{workload}/agent/v1"


async def test_what_the_agent_says_comes_through(ada: aiohttp.ClientSession, agent: str) -> None:
    async with ada.get(f"{agent}/state") as reply:
        assert reply.status == 200
        assert reply.headers["gpu-workbench-version"] == "1"
        state = await reply.json()
    assert state["kind"] == "session"
    assert {"x", "page"} <= set(state["names"])
    async with ada.get(f"{agent}/values/nothing") as reply:
        assert (reply.status, (await reply.json())["error"]) == (404, "unknown-name")


async def test_a_value_is_streamed_there_and_back(
    ada: aiohttp.ClientSession, agent: str, server: Server
) -> None:
    before, piece = resident(server), os.urandom(1_000_000)

    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(SIZE // len(piece)):
            yield piece

    header = b"\x93NUMPY\x01\x00" + (118).to_bytes(2, "little")
    form = f"{{'descr': '|u1', 'fortran_order': False, 'shape': ({SIZE},), }}"
    header += form.ljust(117).encode() + b"\n"

    async def body() -> AsyncIterator[bytes]:
        yield header
        async for one in pieces():
            yield one

    query = {"codec": "npy"}
    length = {"Content-Length": str(SIZE + len(header))}
    async with ada.put(f"{agent}/values/big", params=query, data=body(), headers=length) as reply:
        assert reply.status == 201, await reply.text()
    most, count = 0, 0
    async with ada.get(f"{agent}/values/big") as reply:
        assert reply.status == 200
        async for chunk in reply.content.iter_chunked(1 << 20):
            count += len(chunk)
            most = max(most, resident(server))
    assert count == SIZE + len(header)
    assert most - before < SIZE / 3, "it goes through in pieces"


async def test_nothing_is_given_to_a_browser_as_a_page(ada: aiohttp.ClientSession, agent: str) -> None:
    async with ada.get(f"{agent}/values/page") as reply:
        assert reply.status == 200
        assert b"<script>" in await reply.read()
        assert reply.headers["Content-Type"] in ("application/octet-stream", "application/json")
        assert reply.headers["X-Content-Type-Options"] == "nosniff"
        assert reply.headers["Content-Disposition"] == "attachment"
        assert "default-src 'none'" in reply.headers["Content-Security-Policy"]


async def test_the_journal_comes_from_its_cursor(ada: aiohttp.ClientSession, agent: str) -> None:
    async with ada.ws_connect(f"{agent}/journal") as socket:
        lines = (await asyncio.wait_for(socket.receive_str(), 30)).splitlines()
        first = json.loads(lines[0])
        assert first["n"] == 1
    async with ada.ws_connect(f"{agent}/journal?after={first['epoch']}.3") as socket:
        lines = (await asyncio.wait_for(socket.receive_str(), 30)).splitlines()
        assert json.loads(lines[0])["n"] == 4
        await socket.send_str("hello")
        closed = await asyncio.wait_for(socket.receive(), 30)
        while closed.type is aiohttp.WSMsgType.TEXT:
            closed = await asyncio.wait_for(socket.receive(), 30)
        assert closed.data == 1008


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "state"),
        ("GET", "values/x"),
        ("PUT", "values/x"),
        ("POST", "stop"),
        ("DELETE", "archive?path=a"),
        ("GET", "journal"),
    ],
)
async def test_a_guest_reaches_no_agent(server: Server, agent: str, method: str, path: str) -> None:
    upgrade = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13"}
    upgrade |= {"Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ=="}
    headers = upgrade if path == "journal" else {}
    async with (
        server.client(**{"x-user": "grace"}) as grace,
        grace.request(method, f"{agent}/{path}", data=b"42", headers=headers) as reply,
    ):
        assert reply.status == 403
    async with server.client(**{"x-user": "ada"}) as ada, ada.get(f"{agent}/state") as reply:
        state = await reply.json()
        assert state["names"]["x"]["type"] == "int"


async def test_an_unknown_run_has_no_agent(ada: aiohttp.ClientSession, agent: str, server: Server) -> None:
    for method in ("GET", "PUT"):
        url = f"{server.url}/gpu-workbench/api/runs/nobody/agent/v1/values/x"
        async with ada.request(method, url, data=b"42") as reply:
            assert (reply.status, (await reply.json())["error"]) == (404, "RunNotFound")


async def test_who_goes_away_disturbs_nobody(ada: aiohttp.ClientSession, agent: str) -> None:
    async with ada.get(f"{agent}/values/big") as reply:
        await reply.content.readexactly(1000)
        reply.close()
    with pytest.raises(aiohttp.ClientError):
        async with ada.put(
            f"{agent}/values/half",
            params={"codec": "json"},
            data=_half(),
            headers={"Content-Length": "1000000"},
        ):
            pass
    async with ada.get(f"{agent}/state") as reply:
        assert reply.status == 200
        assert "half" not in (await reply.json())["names"]


async def _half() -> AsyncIterator[bytes]:
    yield b"1" * 1000
    raise aiohttp.ClientError("it went away")


def resident(server: Server) -> int:
    return int(Path(f"/proc/{server.pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
