"""The extension of Jupyter's server as browsers meet it: a real server, real sessions, two users on every route."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import pytest

from tests.kernels import Notebook, notebook
from tests.servers import Server, jupyter_server, tab

pytestmark = pytest.mark.timeout(180)


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


LOOP = "%%gpu\nfrom tqdm import tqdm\nimport time\nfor _ in tqdm(range(40)): time.sleep(0.1)"


async def test_a_row_out_of_sight_is_renewed_only_where_its_run_stands_elsewhere(
    server: Server, nb: Notebook
) -> None:
    found = await session_id(server)

    def done(states: Any, topic: str) -> float:
        progress = (
            states[topic][found].get("progress") if topic == "runs" else states[topic]["snapshot.progress"]
        )
        return float((progress or {}).get("done", 0))

    async with tab(server) as seen:
        await seen.say({"seen": []})
        await seen.subscribe("runs")
        await seen.until(lambda states: found in states.get("runs", {}))
        cell = await asyncio.to_thread(nb.begin, LOOP)
        await seen.until(lambda states: states["runs"][found]["word"] == "Busy")
        topic = f"run/{found}/{seen.states['runs'][found]['runs'][-1]['id']}"
        await seen.subscribe(topic)
        await seen.until(lambda states: topic in states and done(states, topic) > 20)
        assert done(seen.states, "runs") < 20
        _, listed = await ask(server, "GET", "runs")
        assert done(listed, "runs") > 20
        await seen.say({"seen": [found]})
        await seen.until(lambda states: done(states, "runs") > 20)
        await asyncio.to_thread(nb.end, cell)
        await seen.say({"seen": "all"})
        while not seen.errors:
            await seen.receive()
        assert "at most 200 ids" in seen.errors[0]["error"]["why"]


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


@contextlib.asynccontextmanager
async def narrow(server: Server, is_open: asyncio.Event) -> AsyncIterator[Server]:
    """The same server behind a way that has room for little, and carries what it says only while it is open."""
    address = urlsplit(server.url)
    carrying: list[asyncio.Task[Any] | None] = []

    async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        carrying.append(asyncio.current_task())
        far = socket.socket()
        far.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        far.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, 536)
        far.setblocking(False)
        await asyncio.get_running_loop().sock_connect(far, (address.hostname, address.port))
        far_reader, far_writer = await asyncio.open_connection(sock=far, limit=1024)
        always = asyncio.Event()
        always.set()
        await asyncio.gather(copy(reader, far_writer, always), copy(far_reader, writer, is_open))

    async def copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, may: asyncio.Event) -> None:
        with contextlib.closing(writer), contextlib.suppress(ConnectionError):
            while await may.wait() and (data := await reader.read(4096)):
                writer.write(data)
                await writer.drain()

    listener = await asyncio.start_server(carry, "127.0.0.1")
    try:
        port = listener.sockets[0].getsockname()[1]
        yield replace(server, url=f"http://127.0.0.1:{port}{address.path}")
    finally:
        listener.close()
        is_open.set()
        await asyncio.gather(*filter(None, carrying))


STEADY = "%%gpu\nimport time\nfor number in range(80): print(number, flush=True); time.sleep(0.1)"


async def test_a_tab_that_does_not_read_is_sent_nothing_more_and_then_the_newest(
    server: Server, nb: Notebook
) -> None:
    found = await session_id(server)
    reads = asyncio.Event()
    reads.set()
    async with narrow(server, reads) as way, tab(way) as slow, tab(server) as quick:
        await quick.subscribe("runs")
        cell = await asyncio.to_thread(nb.begin, STEADY)
        await quick.until(lambda states: states.get("runs", {}).get(found, {}).get("word") == "Busy")
        topic = f"run/{found}/{quick.states['runs'][found]['runs'][-1]['id']}"
        for one in (quick, slow):
            await one.subscribe(topic)
        await slow.until(lambda states: topic in states)
        reads.clear()
        for number in range(400):  # more than there is room for on the way
            await slow.subscribe(f"run/{found}/{number:064d}")
        await quick.until(lambda states: states.get(topic, {}).get("snapshot.phase") == "Succeeded")
        await asyncio.to_thread(nb.end, cell)
        reads.set()
        await slow.until(lambda states: states[topic] == quick.states[topic])
    sent, often = (sum(form["topic"] == topic for form in one.messages) for one in (slow, quick))
    assert sent <= 3
    assert often >= 6


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
