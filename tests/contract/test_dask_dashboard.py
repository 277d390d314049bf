"""Dask's dashboard through the server: for the server's owner, without the log-in going there, on every backend."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import aiohttp
import pytest

from tests.contract.conftest import Desk
from tests.kernels import Notebook
from tests.servers import Server, jupyter_server, shared_server

pytestmark = pytest.mark.timeout(240)


@pytest.fixture(scope="module")
def nb(desk: Desk, request: pytest.FixtureRequest) -> Iterator[Notebook]:
    if desk.backend == "kubernetes":
        request.getfixturevalue("dask_operator")
    with desk.open() as made:
        made.check("%gpu dask --n-workers 1 --gpus 0 --cpus 0.1 --memory 512Mi")
        made.check("client.wait_for_workers(1)")
        yield made


@pytest.fixture(scope="module")
def env(desk: Desk) -> dict[str, str]:
    return {**desk.env, "GPU_WORKBENCH_STATE_DIR": str(desk.folder / ".state")}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, env: dict[str, str], nb: Notebook) -> Iterator[Server]:
    with jupyter_server(tmp_path_factory.mktemp("server"), env=env) as made:
        yield made


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory, env: dict[str, str], nb: Notebook) -> Iterator[Server]:
    with shared_server(tmp_path_factory.mktemp("shared"), env=env) as made:
        yield made


def link(nb: Notebook) -> str:
    return str(nb.check("print(cluster.dashboard_link)").stream().strip())


async def test_its_pages_come_and_its_web_socket_speaks(server: Server, nb: Notebook) -> None:
    path = link(nb)
    async with server.client() as client:
        async with client.get(f"{server.url}{path}") as reply:
            page = await reply.text()
            assert reply.status == 200
            assert "Dask" in page
        token = re.search(r'"token":"([^"]+)"', page)
        assert token is not None
        protocols = ("bokeh", token[1])
        async with client.ws_connect(
            f"{server.url}{path}/ws", protocols=protocols, headers={"Origin": server.url}
        ) as socket:
            header = await socket.receive(timeout=30)
            assert json.loads(header.data)["msgtype"] == "ACK"
        async with client.get(f"{server.url}{path.replace('status', 'api/v1/check_idle')}") as reply:
            assert reply.status == 200  # what the operator asks is there, too


async def test_it_is_looked_at_and_changed_by_nobody(server: Server, nb: Notebook) -> None:
    url = f"{server.url}{link(nb).replace('status', 'api/v1/retire_workers')}"
    async with server.client() as client, client.post(url, json={"n": 1}) as reply:
        assert reply.status == 405
    workers = nb.check("print(client.run_on_scheduler(lambda dask_scheduler: len(dask_scheduler.workers)))")
    assert workers.stream().strip() == "1"


async def test_strangers_and_guests_are_sent_away(server: Server, shared: Server, nb: Notebook) -> None:
    path = link(nb)
    async with aiohttp.ClientSession() as stranger:
        async with stranger.get(f"{server.url}{path}", allow_redirects=False) as reply:
            assert reply.status in (302, 403)
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await stranger.ws_connect(f"{server.url}{path}/ws", headers={"Origin": server.url})
        assert refused.value.status == 403
    for user, status in (("ada", 200), ("bob", 403)):
        async with shared.client(**{"x-user": user}) as client, client.get(f"{shared.url}{path}") as reply:
            assert reply.status == status


@pytest.mark.parametrize("workload", ["0123456789ab", "nosuch"])
async def test_there_is_none_of_what_is_no_cluster(server: Server, desk: Desk, workload: str) -> None:
    url = f"{server.url}/gpu-workbench/dask/{desk.backend}/{workload}/status"
    async with server.client() as client, client.get(url) as reply:
        assert reply.status == 404


async def test_what_lets_somebody_in_here_does_not_go_there(
    server: Server, nb: Notebook, tmp_path: Path
) -> None:
    """Dask's own server notes nothing of a request, so a handler beside its routes tells what came."""
    nb.check(
        """
def tell(dask_scheduler):
    from tornado.web import RequestHandler
    class Tell(RequestHandler):
        def get(self):
            self.write({"uri": self.request.uri, "headers": dict(self.request.headers)})
    dask_scheduler.http_application.add_handlers(".*$", [("/tell", Tell)])
client.run_on_scheduler(tell)
"""
    )
    url = f"{server.url}{link(nb).replace('status', 'tell')}?token={server.token}&kept=1"
    async with aiohttp.ClientSession() as client:
        headers = {**server.headers, "Cookie": "secret=1", "X-XSRFToken": "x", "X-Kept": "y"}
        async with client.get(url, headers=headers) as reply:
            assert reply.status == 200
            came = await reply.json()
    names = {name.lower() for name in came["headers"]}
    assert "x-kept" in names
    assert not names & {"cookie", "authorization", "x-xsrftoken"}
    assert "kept=1" in came["uri"]
    assert server.token not in json.dumps(came)
