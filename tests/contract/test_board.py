"""All workloads of a user, as a panel sees them: they come, change, end and are kept, also while nobody can list them."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from typing import Any

import pytest

from gpu_workbench.app.board import Board, Followed, Target
from gpu_workbench.backends.protocol import Listed
from gpu_workbench.core.errors import RunNotFound, Unreachable
from gpu_workbench.core.model import Phase
from tests.contract.conftest import LIMIT, OWNER, Place

pytestmark = pytest.mark.timeout(300, func_only=True)


class Seen:
    """Who looks at a board."""

    def __init__(self, board: Board) -> None:
        self.board = board
        self.told: list[str] = []
        self._news = asyncio.Event()

    def __call__(self, workload: str) -> None:
        self.told.append(workload)
        self._news.set()

    async def until(self, condition: Callable[[], bool]) -> None:
        async def wait() -> None:
            while not condition():
                self._news.clear()
                await self._news.wait()

        await asyncio.wait_for(wait(), LIMIT)


class Cut:
    """A backend that cannot be asked what there is while ``cut`` is set; all else is the real one's."""

    def __init__(self, backend: Any) -> None:
        self._backend = backend
        self.cut = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._backend, name)

    async def watch_all(self, *, owner: str) -> AsyncGenerator[Listed, None]:
        while True:
            if self.cut:
                yield Listed(None, "The cluster is away")
            else:
                yield Listed(tuple(await self._backend.list(owner=owner)))
            await asyncio.sleep(0.2)

    async def list(self, *, owner: str) -> Any:
        if self.cut:
            raise Unreachable("The cluster is away")
        return await self._backend.list(owner=owner)


async def owner() -> str:
    return OWNER


@pytest.fixture
async def cut(place: Place) -> Cut:
    return Cut(place.backend())


@pytest.fixture
async def board(cut: Cut) -> AsyncIterator[Board]:
    made = Board([Target(cut, owner)], pause=0.2, linger=0.0)  # type: ignore[arg-type]
    yield made
    await made.close()


@contextlib.contextmanager
def looking(board: Board) -> Iterator[Seen]:
    seen = Seen(board)
    with board.look(seen):
        yield seen


async def test_workloads_come_change_and_end_and_are_read_once_then(place: Place, board: Board) -> None:
    with looking(board) as seen:
        await board.listed()
        assert not board.workloads
        with pytest.raises(RunNotFound):
            await board.find("nobody")
        handle = await place.backend().start(place.spec(name="seen"))
        followed = await board.find(handle.id)
        await seen.until(lambda: followed.subscription.ready)
        before = followed.version
        await place.backend().stop(handle)
        await seen.until(lambda: followed.subscription.phase is Phase.STOPPED)
        assert followed.version > before
        assert handle.id in seen.told
        await seen.until(lambda: followed.subscription.over)
    await asyncio.wait_for(_closed(board, followed), LIMIT)
    with looking(board) as later:
        again = await board.find(handle.id)
        await later.until(lambda: again.version > 0)
        assert again.subscription.phase is Phase.STOPPED
        assert not again.subscription.heard, "the journals of all that ever ran are not read to list them"
        again.want()
        if place.name == "local":  # elsewhere it went with its pod
            await later.until(lambda: again.subscription.heard)


async def test_what_cannot_be_listed_stays_and_the_reason_is_said(
    place: Place, board: Board, cut: Cut
) -> None:
    with looking(board) as seen:
        handle = await place.backend().start(place.spec(name="stays"))
        followed = await board.find(handle.id)
        cut.cut = True
        await seen.until(lambda: followed.subscription.ready)
        await asyncio.sleep(3 * 0.2)  # it asks again meanwhile
        assert board.errors == {place.name: "The cluster is away"}
        assert seen.told.count("") == 1, "told once, and not at each attempt"
        assert board.workloads[handle.id] is followed
        cut.cut = False
        await place.backend().stop(handle)
        await place.backend().forget(handle)
        await seen.until(lambda: handle.id not in board.workloads)
        assert board.errors == {}


async def test_what_came_and_went_between_two_looks_is_told_of_no_more(place: Place) -> None:
    backend = place.backend()
    board = Board([Target(backend, owner)], linger=0.0)
    with looking(board) as seen:
        await board.listed()
        handle = await backend.start(place.spec())
        await board.find(handle.id)
        await backend.stop(handle, force=True)
        await backend.forget(handle)
        await seen.until(lambda: handle.id not in board.workloads)
    await board.close()


async def test_nothing_is_asked_while_nobody_looks(place: Place, board: Board) -> None:
    handle = await place.backend().start(place.spec())
    with looking(board):
        followed = await board.find(handle.id)
    await asyncio.wait_for(_closed(board, followed), LIMIT)
    await place.backend().stop(handle)


async def _closed(board: Board, followed: Followed) -> None:
    while board.workloads or not followed.subscription._closed:
        await asyncio.sleep(0.01)
