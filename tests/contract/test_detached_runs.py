"""A detached run needs nobody: whoever started it may be gone, and who looks for it finds it."""

from __future__ import annotations

import asyncio
import os
import signal
import textwrap
from typing import Any

import pytest

from gpu_workbench.core.errors import ForgedValue, NotFound, RunNotFound, TooLarge, UsageError
from gpu_workbench.core.model import Phase
from tests.contract.conftest import OWNER, Place

pytestmark = pytest.mark.timeout(300, func_only=True)

SUBMIT_AND_DIE = """
    import os, signal
    import gpu_workbench as gw

    factor = 7

    def scaled(number):
        return factor * number

    print(gw.submit("print('begun'); answer = scaled(number)", out="answer", name="orphan", cpus=0.05, gpus=0).id)
"""


def test_a_run_ends_well_though_its_starter_was_killed_at_once(quiet_place: Place) -> None:
    place = quiet_place
    code = textwrap.dedent(SUBMIT_AND_DIE).replace("factor = 7", "factor, number = 7, 6")
    starter = place.python(f"{code}import sys; sys.stdout.flush()\nos.kill(os.getpid(), signal.SIGKILL)")
    printed, errors = starter.communicate(timeout=60)
    assert starter.returncode == -signal.SIGKILL, errors
    finder = place.python(
        "import gpu_workbench as gw\n"
        f"run = gw.attach({printed[:4]!r})\n"
        "print(run.id, run.wait(120).value, run.result(), list(run.logs()))"
    )
    found, errors = finder.communicate(timeout=150)
    assert found == f"{printed.strip()} Succeeded {{'answer': 42}} ['begun']\n", errors


async def test_results_and_output_are_there_as_long_as_was_said(place: Place) -> None:
    kernel = place.kernel(numbers=[1, 2, 3])
    handle = await kernel.detach(
        "print('so much')\ntotal = sum(numbers); twice = [total] * 2", name="sums", out=("total", "twice")
    )
    await kernel.close()
    other = place.kernel()
    assert (await other.workbench.find(place.name, "sums", owner=OWNER)).handle.id == handle.id
    subscription = await other.ended(handle)
    assert subscription.workload.runs[handle.id].phase is Phase.SUCCEEDED
    assert await other.workbench.results(place.name, handle) == {"total": 6, "twice": [6, 6]}
    if place.name == "kubernetes":  # without a store its head stays for a while, and has now been asked
        return
    await asyncio.wait_for(subscription.ended(), 30)
    assert await other.workbench.results(place.name, handle) == {"total": 6, "twice": [6, 6]}
    await other.close()


async def test_a_run_that_failed_before_its_result_says_why(place: Place) -> None:
    kernel = place.kernel()
    handle = await kernel.detach("raise ValueError('no luck')\nresult = 1", out=("result",))
    subscription = await kernel.ended(handle)
    run = subscription.workload.runs[handle.id]
    assert (run.phase, run.failure and run.failure.what) == (Phase.FAILED, "ValueError: no luck")
    with pytest.raises(NotFound, match="no luck"):
        await kernel.workbench.results(place.name, handle)
    await kernel.close()


async def test_a_stored_result_that_somebody_else_wrote_is_refused_unread(place: Place) -> None:
    if place.name != "local":
        pytest.skip("tests/cluster/test_store.py has the same for each kind of store")
    kernel = place.kernel()
    handle = await kernel.detach("secret = {1: 'a pickle, for its key is no text'}", out=("secret",))
    subscription = await kernel.ended(handle)
    await asyncio.wait_for(subscription.ended(), 30)
    kept = await kernel.workbench.backend(place.name).kept(handle)
    assert kept is not None
    result = await kept.result("secret")
    assert result is not None
    result.path.write_bytes(result.path.read_bytes()[::-1])
    with pytest.raises(ForgedValue, match="secret"):
        await kernel.workbench.results(place.name, handle)
    await kernel.close()


async def test_a_run_is_stopped_from_elsewhere(place: Place) -> None:
    kernel, other = place.kernel(), place.kernel()
    handle = await kernel.detach("import time; print('begun', flush=True); time.sleep(600)", name="long")
    subscription = await kernel.workbench.follow(place.name, handle)
    run = handle.id
    await asyncio.wait_for(
        subscription.until(lambda: subscription.workload.runs[run].phase is Phase.RUNNING), 90
    )
    found = (await other.workbench.find(place.name, "lon", owner=OWNER)).handle
    with pytest.raises(NotFound, match="has not ended"):
        await other.workbench.results(place.name, found)
    await other.workbench.stop(place.name, found)
    await asyncio.wait_for(subscription.until(lambda: subscription.phase.ended), 60)
    assert subscription.phase is Phase.STOPPED
    await kernel.close()
    await other.close()


async def test_a_word_that_fits_none_or_two_is_one_clear_error(place: Place) -> None:
    kernel = place.kernel()
    first = await kernel.detach("import time; time.sleep(60)", name="twin")
    second = await kernel.detach("import time; time.sleep(60)", name="twin")
    find = kernel.workbench.find
    with pytest.raises(RunNotFound, match="may mean 2 runs") as refused:
        await find(place.name, "twin", owner=OWNER)
    assert first.id in str(refused.value)
    assert second.id in str(refused.value)
    with pytest.raises(RunNotFound, match="There is no run 'nobody'"):
        await find(place.name, "nobody", owner=OWNER)
    await kernel.workbench.stop(place.name, first, force=True)
    assert (await find(place.name, "twin", owner=OWNER)).handle.id == second.id, (
        "the one that goes on is meant"
    )
    await kernel.close()


async def test_what_lives_in_the_session_alone_is_asked_for_before_anything_starts(place: Place) -> None:
    kernel = place.kernel()
    await kernel.run("weights = [1, 2]")
    before = await kernel.workbench.backend(place.name).list(owner=OWNER)
    with pytest.raises(UsageError, match="%gpu pull weights"):
        await kernel.detach("print(weights)")
    assert await kernel.workbench.backend(place.name).list(owner=OWNER) == before
    await kernel.close()


async def test_what_a_backend_cannot_hold_is_refused_with_the_size_and_nothing_starts(place: Place) -> None:
    kernel = place.kernel(large=os.urandom(900_000))
    backend: Any = kernel.workbench.backend(place.name)
    if backend.sealed_limit is None:
        pytest.skip("it holds anything")
    with pytest.raises(
        TooLarge, match="879 KiB; without a store 768 KiB can be sealed: largest are large 879 KiB"
    ):
        await kernel.detach("len(large)")
    assert await backend.list(owner=OWNER) == []
    await kernel.close()
