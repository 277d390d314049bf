"""What was seen of a run is there when its pod, its folder and the server that saw it are gone; on every backend."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from gpu_workbench.app.board import Board, Followed, Target
from gpu_workbench.app.outcomes import outcome_of
from gpu_workbench.app.recorder import Recorder
from gpu_workbench.app.replay import Replay
from gpu_workbench.core.errors import Conflict, RunNotFound
from gpu_workbench.core.model import Phase
from tests.contract.conftest import LIMIT, OWNER, Place
from tests.contract.test_board import Cut, looking

pytestmark = pytest.mark.timeout(300, func_only=True)

CELL = "print('seen by many')\nfor number in range(3):\n    print(number)"
OUTPUT = "seen by many\n0\n1\n2\n"


async def owner() -> str:
    return OWNER


@pytest.fixture
async def board(place: Place, tmp_path: Path) -> AsyncIterator[Callable[[], Board]]:
    """Makes boards, each as a server's that was just started."""
    made: list[Board] = []

    def make(backend: Any = None) -> Board:
        recorder = Recorder(tmp_path / "recordings", limit=2**20, count=10)
        target = Target(backend or place.backend(), owner)
        made.append(Board([target], pause=0.2, linger=0.0, recorder=recorder))
        return made[-1]

    yield make
    for one in made:
        await one.close()


async def output(board: Board, workload: str, run: str) -> str:
    followed = await board.find(workload)
    replay = await Replay.begin(followed.subscription.backend, followed.handle, run)
    text = ""
    try:
        async for batch in replay.outputs(follow=False):
            text += "".join(str(event.content.get("text", "")) for event in batch)
    finally:
        await replay.close()
    return text


async def end(place: Place, followed: Followed) -> None:
    """Wait for its end, and let it go: a pod would wait to be fetched."""
    subscription = followed.subscription
    await asyncio.wait_for(subscription.until(lambda: outcome_of(subscription) is not None), LIMIT)
    await place.backend().stop(followed.handle)
    await asyncio.wait_for(subscription.ended(), LIMIT)


async def test_a_run_whose_place_and_server_are_gone_is_there_with_its_output(
    place: Place, board: Callable[[], Board]
) -> None:
    kernel = place.kernel()
    first = board()
    with looking(first) as seen:
        await first.listed()
        handle = await kernel.detach(CELL, name="mine")
        followed = await first.find(handle.id)
        assert not first.is_recorded(followed)
        with pytest.raises(Conflict, match="has not ended"):
            await first.forget(handle.id)
        await end(place, followed)
        await place.backend().forget(handle)
        await seen.until(lambda: first.is_recorded(first.workloads[handle.id]))
    await first.close()

    second = board()
    with looking(second):
        await second.listed()
        followed = second.workloads[handle.id]
        assert second.is_recorded(followed)
        followed.want()
        await followed.known()
        assert followed.handle.spec == handle.spec
        run = followed.subscription.workload.runs[handle.id]
        assert run.phase is Phase.SUCCEEDED
        assert run.receipt is not None
        assert await output(second, handle.id, handle.id) == OUTPUT
        await second.forget(handle.id)
        with pytest.raises(RunNotFound):
            await second.find(handle.id)
    third = board()
    with looking(third):
        await third.listed()
        assert handle.id not in third.workloads
    await kernel.close()


async def test_what_was_seen_to_begin_is_watched_to_its_end_though_nobody_looks(
    place: Place, board: Callable[[], Board], tmp_path: Path
) -> None:
    kernel = place.kernel()
    first = board()
    go = tmp_path / "go"
    with looking(first) as seen:
        source = (
            f"import pathlib, time\nwhile not pathlib.Path({str(go)!r}).exists(): time.sleep(0.05)\n{CELL}"
        )
        if place.name != "local":  # it has another disk
            source = f"import time; time.sleep(10)\n{CELL}"
        handle = await kernel.detach(source)
        followed = await first.find(handle.id)
        await seen.until(lambda: followed.subscription.heard)
    go.touch()
    await end(place, followed)
    await first.close()
    await place.backend().forget(handle)

    second = board()
    with looking(second):
        assert second.is_recorded(await second.find(handle.id))
        assert await output(second, handle.id, handle.id) == OUTPUT
    await kernel.close()


async def test_recordings_are_listed_while_the_cluster_is_away(
    place: Place, board: Callable[..., Board]
) -> None:
    kernel = place.kernel()
    first = board()
    with looking(first):
        handle = await kernel.detach(CELL)
        followed = await first.find(handle.id)
        await end(place, followed)
    await first.close()

    cut = Cut(place.backend())
    cut.cut = True
    second = board(cut)
    with looking(second) as seen:
        await second.listed()
        assert second.is_recorded(second.workloads[handle.id])
        assert second.errors == {place.name: "The cluster is away"}
        cut.cut = False
        await seen.until(lambda: not second.is_recorded(second.workloads[handle.id]))
        assert await output(second, handle.id, handle.id) == OUTPUT
    await kernel.close()


async def test_a_server_that_is_killed_leaves_what_it_saw_to_the_next(
    place: Place, board: Callable[[], Board]
) -> None:
    kernel = place.kernel()
    first = board()
    with looking(first) as seen:
        handle = await kernel.detach("print('before', flush=True)\nimport time; time.sleep(600)")
        followed = await first.find(handle.id)
        await seen.until(lambda: bool(followed.subscription.workload.runs[handle.id].characters))
    await first.close()
    await place.backend().stop(handle, force=True)
    await place.backend().forget(handle)

    second = board()
    with looking(second):
        followed = await second.find(handle.id)
        followed.want()
        await followed.known()
        assert followed.subscription.phase is Phase.LOST
        assert await output(second, handle.id, handle.id) == "before\n"
    await kernel.close()


async def test_where_nothing_can_be_written_looking_goes_on(
    place: Place, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").touch()
    recorder = Recorder(tmp_path / "file" / "recordings", limit=2**20, count=10)
    board = Board([Target(place.backend(), owner)], pause=0.2, linger=0.0, recorder=recorder)
    kernel = place.kernel()
    with caplog.at_level(logging.WARNING), looking(board):
        handle = await kernel.detach(CELL)
        followed = await board.find(handle.id)
        await end(place, followed)
    await board.close()
    said = [record.message for record in caplog.records if "recorded" in record.message]
    assert len(said) == 1
    assert said[0].startswith("Nothing is recorded: ")
    await kernel.close()
