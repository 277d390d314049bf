"""Logs as browsers read them: page by page from any place, and the whole as a file; for the server's owner alone."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.kernels import Notebook, notebook
from tests.servers import Server, shared_server

pytestmark = pytest.mark.timeout(180)

ADA = {"x-user": "ada"}
BOB = {"x-user": "bob"}
TALK = """%%gpu --name talk
import sys
print("one")
print("\\x1b[31mred\\x1b[0m")
print("careful", file=sys.stderr)
6 * 7
"""
LONG = """%%gpu --name long
for i in range(300_000): print(f"line {i}")
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("logs")


@pytest.fixture(scope="module")
def nb(folder: Path) -> Iterator[Notebook]:
    with notebook(folder) as made:
        made.check(TALK)
        made.check(LONG)
        yield made


@pytest.fixture(scope="module")
def server(folder: Path, nb: Notebook) -> Iterator[Server]:
    """A server with two users, started for ada as JupyterHub does."""
    env = {"GPU_WORKBENCH_STATE_DIR": str(folder / ".state")}
    with shared_server(folder / "shared", env=env) as made:
        yield made


async def get(
    server: Server, path: str, user: Mapping[str, str] = ADA, **query: str
) -> tuple[int, dict[str, Any]]:
    async with (
        server.client(**user) as client,
        client.get(f"{server.url}/gpu-workbench/api/{path}", params=query) as reply,
    ):
        return reply.status, await reply.json()


@pytest.fixture(scope="module")
def session(folder: Path, nb: Notebook) -> Path:
    """The folder of the session's journal."""
    (found,) = (folder / ".state" / "local").glob("*/state/journal")
    return found


@pytest.fixture(scope="module")
def log(session: Path) -> str:
    """Where the session's log is."""
    return f"runs/{session.parent.parent.name}/log"


@pytest.fixture(scope="module")
def runs(session: Path) -> dict[str, str]:
    """Name of a run to its id."""
    lines = [json.loads(line) for file in sorted(session.glob("*.ndjson")) for line in file.open()]
    return {line["name"]: line["run"] for line in lines if line["type"] == "RunQueued"}


async def pages(server: Server, log: str, **query: str) -> list[dict[str, Any]]:
    """All pages, from the beginning to where there is no more."""
    found: list[dict[str, Any]] = []
    while not found or found[-1].get("more"):
        begin = {"from": found[-1]["cursor"]} if found else {}
        status, form = await get(server, log, **query, **begin)
        assert status == 200, form
        found.append(form)
    return found


def written(found: list[dict[str, Any]], stream: str) -> str:
    return "".join(
        piece["text"] for page in found for piece in page.get("pieces", ()) if piece["stream"] == stream
    )


async def test_one_run_is_read_with_its_streams_and_times(
    server: Server, log: str, runs: dict[str, str]
) -> None:
    (page,) = await pages(server, log, run=runs["talk"])
    assert [(piece["stream"], piece["text"]) for piece in page["pieces"]] == [
        ("stdout", "one\n\x1b[31mred\x1b[0m\n"),
        ("stderr", "careful\n"),
        ("stdout", "42\n"),
    ]
    assert all(abs(piece["at"] - time.time()) < 600 for piece in page["pieces"])
    assert not page.get("end")  # its session goes on


async def test_all_runs_of_a_session_are_read_in_order_each_with_its_name(server: Server, log: str) -> None:
    found = await pages(server, log)
    assert written(found, "remark") == "Run talk beginsRun long begins"
    assert written(found, "stdout").startswith("one\n")
    assert written(found, "stdout").endswith("line 299999\n")


async def test_a_long_log_comes_in_pages_of_bounded_size_with_nothing_lost_or_twice(
    server: Server, log: str, runs: dict[str, str]
) -> None:
    found = await pages(server, log, run=runs["long"])
    assert len(found) > 2
    sizes = [sum(len(piece["text"]) for piece in page.get("pieces", ())) for page in found]
    assert max(sizes) < 1_600_000
    assert written(found, "stdout") == "".join(f"line {number}\n" for number in range(300_000))
    status, again = await get(server, log, run=runs["long"], **{"from": found[-1]["cursor"]})
    assert (status, again.get("pieces", [])) == (200, [])


async def test_what_is_written_later_is_read_from_where_one_was(
    server: Server, log: str, nb: Notebook
) -> None:
    cursor = (await pages(server, log))[-1]["cursor"]
    await asyncio.to_thread(nb.check, "%%gpu --name later\nprint('more')")
    _, page = await get(server, log, **{"from": cursor})
    assert written([page], "stdout") == "more\n"


async def test_a_place_in_another_life_of_the_agent_is_said_and_all_is_read_again(
    server: Server, log: str
) -> None:
    _, page = await get(server, log, **{"from": "0123456789ab.7"})
    first, *rest = page["pieces"]
    assert first["stream"] == "remark"
    assert first["text"].startswith("The agent was started again here")
    assert written([{"pieces": rest}], "stdout").startswith("one\n")


@pytest.mark.parametrize("cursor", ["x", "a.b", "..", ".5", "a.-1", "a." + "9" * 40, "<script>"])
async def test_a_cursor_that_is_none_is_refused_in_words(server: Server, log: str, cursor: str) -> None:
    status, form = await get(server, log, **{"from": cursor})
    assert (status, form["error"], form["message"]) == (400, "UsageError", "That is no place in a log")
    assert "from its beginning" in form["fix"]


@pytest.mark.parametrize("part", ["", "/download"])
async def test_what_is_unknown_is_one_clear_error(server: Server, log: str, part: str) -> None:
    status, form = await get(server, f"{log}{part}", run="nobody")
    assert (status, form["error"]) == (404, "RunNotFound")
    status, form = await get(server, f"runs/nobody/log{part}")
    assert (status, form["error"]) == (404, "RunNotFound")
    status, form = await get(server, f"{log}{part}", run="../x")
    assert (status, form["error"]) == (400, "UsageError")


@pytest.mark.parametrize("part", ["", "/download"])
async def test_a_guest_sees_no_log(server: Server, log: str, runs: dict[str, str], part: str) -> None:
    for query in ({}, {"run": runs["talk"]}, {"from": "0123456789ab.7"}):
        status, form = await get(server, f"{log}{part}", BOB, **query)
        assert (status, form["error"]) == (403, "PermissionDenied")


@pytest.mark.parametrize("part", ["", "/download"])
async def test_without_a_name_nothing_is_answered(server: Server, log: str, part: str) -> None:
    status, _ = await get(server, f"{log}{part}", {"x-nothing": "1"})
    assert status == 403


async def test_the_whole_is_a_text_file_without_colours(
    server: Server, log: str, runs: dict[str, str]
) -> None:
    async with server.client(**ADA) as client:
        url = f"{server.url}/gpu-workbench/api/{log}/download"
        async with client.get(url, params={"run": runs["talk"]}) as reply:
            assert reply.status == 200
            assert reply.content_type == "text/plain"
            assert reply.headers["Content-Disposition"].endswith(f"talk-{runs['talk']}.log")
            assert await reply.text() == "one\nred\ncareful\n42\n"
        async with client.get(url) as reply:
            text = await reply.text()
            assert text.startswith("[Run talk begins]\none\n")
            assert "[Run long begins]\nline 0\n" in text
            assert "line 299999\n" in text


async def test_it_is_all_there_after_the_session_has_ended(server: Server, log: str, nb: Notebook) -> None:
    cursor = (await pages(server, log))[-1]["cursor"]
    await asyncio.to_thread(nb.check, "%gpu stop")
    found = await pages(server, log)
    assert found[-1]["end"]
    assert written(found, "stdout").startswith("one\n")
    _, page = await get(server, log, **{"from": cursor})
    assert (page.get("pieces", []), page["end"]) == ([], True)
