"""What a word means: a workload of the user's, or one run in a session."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TypeVar

from gpu_workbench.app.sessions import SETTLE, Sessions, lives
from gpu_workbench.backends.protocol import Backend
from gpu_workbench.core.errors import RunNotFound
from gpu_workbench.core.model import Kind, RunState
from gpu_workbench.core.spec import Handle

SESSIONS_SEARCHED = 20
"""Sessions, newest first, whose runs are looked through."""

T = TypeVar("T")


@dataclass(frozen=True)
class Found:
    """A workload, or one run in it.

    Args:
        handle: The workload.
        run: The id of the run that was meant; empty for all of it.
    """

    handle: Handle
    run: str = ""


async def find(place: Backend, sessions: Sessions, word: str, *, owner: str) -> Found:
    """The one that goes by ``word``: by its name, its id, or an unambiguous beginning of either.

    Runs in sessions are looked through only where no workload goes by it.

    Raises:
        RunNotFound: none, or several.
    """
    handles = await place.list(owner=owner)
    found = matching(handles, word, lambda handle: (handle.spec.name, handle.id))
    if len(found) > 1:  # of several by one name, the one that has not ended is meant
        living = [handle for handle in found if await lives(place, handle)]
        found = living if len(living) == 1 else found
    if found:
        return Found(the_one(found, word, lambda handle: (handle.spec.name, handle.id)))
    runs = await _runs(place, sessions, handles)
    fitting = matching(runs, word, lambda item: (item[1].name, item[1].id))
    handle, run = the_one(fitting, word, lambda item: (item[1].name, item[1].id))
    return Found(handle, run.id)


async def _runs(
    place: Backend, sessions: Sessions, handles: Iterable[Handle]
) -> list[tuple[Handle, RunState]]:
    """All runs of the newest sessions, as their journals tell."""
    searched = [handle for handle in handles if handle.spec.kind is Kind.SESSION][:SESSIONS_SEARCHED]

    async def of_one(handle: Handle) -> list[tuple[Handle, RunState]]:
        subscription = sessions.attach(place, handle)
        await subscription.settle(SETTLE)
        runs = [(handle, run) for run in subscription.workload.runs.values()]
        if not sessions.mine(subscription):
            await subscription.close()
        return runs

    return [item for runs in await asyncio.gather(*map(of_one, searched)) for item in runs]


def matching(items: Iterable[T], word: str, words: Callable[[T], tuple[str, ...]]) -> list[T]:
    """Those that go by exactly this word; where there are none, those one of whose words begins with it."""
    items = list(items)
    exact = [item for item in items if word in words(item)]
    return exact or [item for item in items if any(other.startswith(word) for other in words(item))]


def the_one(found: list[T], word: str, words: Callable[[T], tuple[str, ...]]) -> T:
    """The only one of them.

    Raises:
        RunNotFound: there is none, or there are several.
    """
    if not found:
        raise RunNotFound(f"There is no run {word!r}", fix="`%gpu ls --all` lists yours")
    if len(found) > 1:
        names = ", ".join(" ".join(filter(None, words(item))) for item in found[:5])
        raise RunNotFound(f"{word!r} may mean {len(found)} runs", why=names, fix="Write more of the id")
    return found[0]
