"""What every backend owes to those who use it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from gpu_workbench.backends.channel import Channel
from gpu_workbench.backends.protocol import Backend, Listed
from gpu_workbench.core.errors import Unreachable
from gpu_workbench.core.model import Kind, Phase
from gpu_workbench.core.spec import Handle
from tests.contract.conftest import LIMIT, OWNER, Place, facts_when

pytestmark = pytest.mark.timeout(300, func_only=True)


class Seen:
    """What is seen of all workloads of a user."""

    def __init__(self) -> None:
        self.handles: dict[str, Handle] | None = None
        self._news = asyncio.Event()

    async def follow(self, listings: AsyncIterator[Listed]) -> None:
        async for listed in listings:
            if listed.handles is not None:
                self.handles = {handle.id: handle for handle in listed.handles}
            self._news.set()

    async def until(self, condition: Callable[[], bool]) -> None:
        async def wait() -> None:
            while self.handles is None or not condition():
                self._news.clear()
                await self._news.wait()

        await asyncio.wait_for(wait(), LIMIT)


@contextlib.asynccontextmanager
async def seen_by(backend: Backend) -> AsyncIterator[Seen]:
    seen = Seen()
    task = asyncio.create_task(seen.follow(backend.watch_all(owner=OWNER)))
    try:
        yield seen
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


def alive(facts: Any) -> bool:
    return bool(facts.agent_ready)


async def test_a_workload_is_started_found_watched_stopped_and_forgotten(place: Place) -> None:
    backend, elsewhere = place.backend(), place.backend()
    assert await backend.list(owner=OWNER) == []
    spec = place.spec(name="baseline")
    handle = await backend.start(spec)
    assert (handle.id, handle.backend, handle.spec.name) == (spec.id, place.name, "baseline")

    found = await elsewhere.find(spec.id)
    assert found is not None
    assert found.spec == handle.spec
    assert [one.id for one in await elsewhere.list(owner=OWNER)] == [spec.id]
    assert await elsewhere.list(owner="f" * 16) == []
    assert await elsewhere.find("f" * 12) is None

    facts = await facts_when(elsewhere, found, alive)
    assert facts.phase is Phase.RUNNING
    channel = await elsewhere.open(found)
    state = await _state(channel)
    assert (state["workload"], state["kind"]) == (spec.id, "session")
    channel.close()

    await elsewhere.stop(found)
    facts = await facts_when(backend, handle, lambda facts: facts.phase.ended)
    assert facts.phase is Phase.STOPPED
    await facts_when(backend, handle, lambda facts: facts.gone)
    with pytest.raises(Unreachable):
        await backend.open(handle)
    assert [one.id for one in await backend.list(owner=OWNER)] == [spec.id], "remembered until forgotten"
    await backend.stop(handle)

    await backend.forget(handle)
    assert await elsewhere.find(spec.id) is None
    assert await elsewhere.list(owner=OWNER) == []
    await backend.forget(handle)


async def test_all_workloads_are_watched_at_once(place: Place) -> None:
    backend = place.backend()
    async with seen_by(backend) as seen:
        await seen.until(lambda: seen.handles == {})
        one, other = [await backend.start(place.spec(name=name)) for name in ("one", "other")]
        await seen.until(lambda: set(seen.handles) == {one.id, other.id})
        for handle in (one, other):
            assert (await facts_when(backend, handle, alive)).phase is Phase.RUNNING
        own = [task.get_name() for task in asyncio.all_tasks() if f" of {one.id}" in task.get_name()]
        assert not own, "what is watched for all is not watched again for each"
        await backend.stop(one)
        await facts_when(backend, one, lambda facts: facts.gone)
        await seen.until(lambda: seen.handles[one.id].ended)
        assert not seen.handles[other.id].ended
        await backend.forget(one)
        await seen.until(lambda: set(seen.handles) == {other.id})
        going_on = asyncio.create_task(facts_when(backend, other, lambda facts: facts.gone))
        await asyncio.sleep(0)
    facts = await facts_when(backend, other, alive)
    assert facts.phase is Phase.RUNNING, "one may be watched after all are watched no longer"
    going_on.cancel()
    await backend.stop(other)


async def test_the_same_id_starts_one_workload_however_often_it_is_asked_for(place: Place) -> None:
    one, other = place.backend(), place.backend()
    spec = place.spec()
    handles = await asyncio.gather(one.start(spec), other.start(spec), one.start(spec))
    assert len({handle.started for handle in handles}) == 1
    await facts_when(one, handles[0], alive)
    channels = [await one.open(handles[0]), await other.open(handles[1])]
    epochs = {(await _state(channel))["epoch"] for channel in channels}
    assert len(epochs) == 1, "all reach one and the same agent, with one token"
    for channel in channels:
        channel.close()
    again = await other.start(spec)
    assert again.started == handles[0].started


async def test_a_cell_runs_and_its_result_comes_back(place: Place) -> None:
    kernel = place.kernel(numbers=[1, 2, 3])
    assert await kernel.run("total = sum(numbers); print(total)", out=("total",)) == "6\n"
    assert kernel.namespace["total"] == 6
    assert await kernel.run("total += 1; print(total)", out=("total",)) == "7\n"
    assert kernel.namespace["total"] == 7
    await kernel.close()


async def test_two_kernels_of_one_notebook_share_its_session(place: Place) -> None:
    first = place.kernel(notebook="c0ffee")
    await first.run("model = [1]")
    second = place.kernel(notebook="c0ffee")
    assert await second.run("model.append(2); print(model)") == "[1, 2]\n"
    outputs = await asyncio.gather(*(kernel.run(_APPEND) for kernel in (first, second)))
    assert outputs == ["start\nend\n", "start\nend\n"], "each sees its own output"
    assert await first.run("print(log)") == "['start', 'end', 'start', 'end']\n", "one at a time"
    await first.close()
    assert await second.run("print(len(model))") == "2\n", "the session does not end with a kernel"
    await second.close()


_APPEND = """
import time
if "log" not in globals(): log = []
log.append("start"); print("start", flush=True); time.sleep(0.3); log.append("end"); print("end")
"""


class LosesReplies:
    """A channel whose every request is done, and whose first reply to each is lost."""

    def __init__(self, inner: Channel) -> None:
        self._inner = inner
        self.lost: list[str] = []

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._inner, name)
        if name not in ("put_run", "put_value"):
            return found

        async def once(*args: Any, **kwargs: Any) -> Any:
            reply = await found(*args, **kwargs)
            if name not in self.lost:
                self.lost.append(name)
                raise Unreachable("The reply was lost")
            return reply

        return once


async def test_a_lost_reply_runs_nothing_twice(place: Place) -> None:
    kernel = place.kernel(step=1)
    await kernel.run("count = 0")
    backend = kernel.workbench.backend(place.name)
    opened, made = backend.open, []

    async def open_(handle: Handle) -> Any:
        made.append(LosesReplies(await opened(handle)))
        return made[-1]

    backend.open = open_  # type: ignore[method-assign]
    session = kernel.workbench.sessions.all()[0]
    session._channel = LosesReplies(await session.channel())  # type: ignore[assignment]
    made.append(session._channel)
    assert await kernel.run("count += step; print(count)") == "1\n"
    assert {name for channel in made for name in channel.lost} == {"put_value", "put_run"}
    assert await kernel.run("print(count)") == "1\n"
    await kernel.close()


async def test_a_session_that_was_stopped_is_over_and_its_end_is_known(place: Place) -> None:
    kernel = place.kernel()
    await kernel.run("precious = 1")
    session = kernel.workbench.sessions.all()[0]
    await kernel.workbench.stop(place.name, session.handle)
    await asyncio.wait_for(session.ended(), LIMIT)
    assert session.phase is Phase.STOPPED
    assert session.handle.spec.kind is Kind.SESSION
    former = kernel.workbench.sessions
    assert former.all() == []
    await kernel.close()


async def _state(channel: Channel) -> dict[str, Any]:
    """What the agent says, once it listens."""
    for _ in range(300):
        try:
            return dict(await channel.state())
        except Unreachable:
            await asyncio.sleep(0.1)
    raise AssertionError("the agent does not answer")
