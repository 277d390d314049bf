"""Which session a cell runs in: the one this notebook has, found again after a kernel restart, or a new one."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from gpu_workbench.app.endings import why_ended
from gpu_workbench.app.subscriptions import Subscription
from gpu_workbench.backends.protocol import Backend
from gpu_workbench.core.errors import FlagError, RunNotFound, SessionLost, UsageError
from gpu_workbench.core.model import Kind
from gpu_workbench.core.spec import DEFAULT_SESSION, Handle, WorkloadSpec, contradictions
from gpu_workbench.transport.timing import within

ENDING = 30.0
"""Seconds that a session which is ending is waited for before a new one takes its name."""

SETTLE = 2.0
"""Seconds that a first look at a workload may take."""


def new_id() -> str:
    """An id of our own for a workload or a run: 12 hexadecimal digits."""
    return secrets.token_hex(6)


class NameLost(SessionLost, NameError):
    """A name that lived in a session is gone with it; it is not silently made again."""


@dataclass
class Former:
    """What is remembered of a session that ended: when and why in words, and the names that went with it."""

    sentence: str
    names: dict[str, str] = field(default_factory=dict)
    said: bool = False


@dataclass
class Opened:
    """A session to run in.

    Args:
        subscription: The living session.
        started: It was started now.
        rejoined: It was found again, not started from this kernel.
        lost: What became of the session of this name before it, once.
    """

    subscription: Subscription
    started: bool = False
    rejoined: bool = False
    lost: Former | None = None


class Sessions:
    """The sessions this process has met, by backend and name. Used in the portal's event loop."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str], Subscription] = {}
        self._former: dict[tuple[str, str], Former] = {}

    def living(self, backend: Backend, name: str) -> Subscription | None:
        """The session of that name, if this process knows one that has not ended."""
        key = (backend.name, name)
        known = self._known.get(key)
        if known is not None and known.over:
            self._bury(key, known)
            return None
        return known

    def former(self, backend: Backend, name: str) -> Former | None:
        """What is remembered of the session that had this name before."""
        return self._former.get((backend.name, name))

    def all(self) -> list[Subscription]:
        """Every session this process follows. Other threads may ask."""
        return [known for known in list(self._known.values()) if not known.over]

    def _bury(self, key: tuple[str, str], known: Subscription) -> None:
        del self._known[key]
        made = {
            name: run for name, run in known.workload.bound_by.items() if run and not _is_module(known, name)
        }
        before = self._former.get(key)
        names = {**(before.names if before else {}), **known.workload.lost, **made}
        self._former[key] = Former(sentence=_ending(known), names=names)

    async def open(self, backend: Backend, spec: WorkloadSpec, *, asked: Mapping[str, object]) -> Opened:
        """The session ``spec.name`` of this notebook or for any: the living one, or a new one like ``spec``.

        Args:
            backend: Where.
            spec: What a new one would be; its id is made here.
            asked: The dotted fields that were given explicitly, which a living session must not contradict.

        Raises:
            FlagError: a living session is otherwise than asked.
        """
        known = self.living(backend, spec.name)
        if known is not None and known.stop_reason:  # it is on its way out
            with contextlib.suppress(asyncio.TimeoutError):
                await within(known.ended(), ENDING)
            known = self.living(backend, spec.name)
        if known is not None:
            _check(asked, known.handle)
            return Opened(known)
        found = await self._find(backend, spec)
        if found is not None:
            _check(asked, found)
            return Opened(self._follow(backend, found), rejoined=True)
        handle = await backend.start(replace(spec, id=new_id()))
        former = self._former.get((backend.name, spec.name)) or await self._before(backend, handle)
        lost = former if former is not None and not former.said else None
        if former is not None:
            former.said = True
        return Opened(self._follow(backend, handle), started=True, lost=lost)

    async def look(
        self, backend: Backend, spec: WorkloadSpec, *, asked: Mapping[str, object]
    ) -> Subscription | None:
        """The session that :meth:`open` would give, or ``None`` where it would start one.

        Raises:
            FlagError: a living session is otherwise than asked.
        """
        known = self.living(backend, spec.name)
        if known is None:
            found = await self._find(backend, spec)
            known = self._follow(backend, found) if found is not None else None
        if known is not None:
            _check(asked, known.handle)
            await known.settle(SETTLE)
        return known

    async def _find(self, backend: Backend, spec: WorkloadSpec) -> Handle | None:
        """A living session of that name that another process started: this notebook's own, else one for any notebook."""
        if not spec.notebook and spec.name == DEFAULT_SESSION:
            return None
        handles = [handle for handle in await backend.list(owner=spec.owner) if not handle.ended]
        for handle in sorted(handles, key=lambda handle: handle.spec.any_notebook):
            if _same_place(handle.spec, spec) and await lives(backend, handle):
                return handle
        return None

    async def _before(self, backend: Backend, new: Handle) -> Former | None:
        """What became of this notebook's session of the same name, where it ended while no kernel looked."""
        for handle in await backend.list(owner=new.spec.owner) if new.spec.notebook else ():
            if handle.id == new.id or not _same_place(handle.spec, new.spec):
                continue
            known = Subscription(backend, handle)
            await known.settle(SETTLE)
            if known.over:
                self._former[(backend.name, new.spec.name)] = Former(_ending(known), _made(known))
            await known.close()
            break  # the ones before it were told of when it was started
        return self._former.get((backend.name, new.spec.name))

    async def find(self, backend: Backend, name: str, *, owner: str, notebook: str) -> Subscription:
        """The living session of that name: met before, or this notebook's from before a kernel restart.

        Raises:
            RunNotFound: there is none.
        """
        known = self.living(backend, name)
        if known is not None:
            return known
        found = await self._find(backend, WorkloadSpec(id="", name=name, owner=owner, notebook=notebook))
        if found is None:
            former = self.former(backend, name)
            raise RunNotFound(
                f"There is no session {name!r} of this notebook",
                why=former.sentence if former else "",
                fix="Start one with `%gpu start`, or run a `%%gpu` cell",
            )
        return self._follow(backend, found)

    def attach(self, backend: Backend, handle: Handle) -> Subscription:
        """Follow any workload; the subscription this process has already, if it has one."""
        for known in self._known.values():
            if known.handle.id == handle.id:
                return known
        return Subscription(backend, handle)

    def join(self, subscription: Subscription) -> bool:
        """Let this process's cells run in a session, whichever notebook started it; ``False`` where they do already.

        Raises:
            UsageError: this notebook uses another session of that name.
        """
        backend, name = subscription.backend, subscription.handle.spec.name
        known = self.living(backend, name)
        if known is not None and known.handle.id != subscription.handle.id:
            raise UsageError(
                f"This notebook has a session {name!r} of its own",
                why=f"{known.handle.id} runs, and {subscription.handle.id} goes by the same name",
                fix="`%gpu stop` ends the one of this notebook; `%gpu logs ID` shows the other without joining it",
            )
        self._known[(backend.name, name)] = subscription
        return known is None

    def mine(self, subscription: Subscription) -> bool:
        """Whether this process runs cells in it."""
        return any(known is subscription for known in self._known.values())

    def _follow(self, backend: Backend, handle: Handle) -> Subscription:
        subscription = Subscription(backend, handle)
        self._known[(backend.name, handle.spec.name)] = subscription
        return subscription

    async def close(self) -> None:
        """Stop following all of them; they go on."""
        for known in self._known.values():
            await known.close()
        self._known.clear()


def _check(asked: Mapping[str, object], handle: Handle) -> None:
    found = contradictions(asked, handle.spec)
    if found:
        raise FlagError(
            f"The session {handle.spec.name!r} is running and is otherwise",
            why="; ".join(found),
            fix="Use `--session NAME` for another one beside it, or `%gpu stop` to end this one first",
        )


def _is_module(known: Subscription, name: str) -> bool:
    """A module is not lost: whoever needs it imports it again."""
    info = known.workload.names.get(name)
    return info is not None and info.type == "module"


def _same_place(found: WorkloadSpec, spec: WorkloadSpec) -> bool:
    """Whether it is the session that this notebook means by that name."""
    mine = found.any_notebook or (found.notebook == spec.notebook and bool(spec.notebook))
    return mine and (found.kind, found.name) == (Kind.SESSION, spec.name)


async def lives(backend: Backend, handle: Handle) -> bool:
    """Whether a workload has not ended, as its backend says now."""
    async for facts in backend.watch(handle):
        return not facts.gone and not facts.phase.ended
    return False


def _made(known: Subscription) -> dict[str, str]:
    """The names that went with a session, and the run that bound each."""
    made = {name: run for name, run in known.workload.bound_by.items() if run}
    return {**known.workload.lost, **made}


def _ending(known: Subscription) -> str:
    reason = why_ended(known) or "its process is gone"
    if reason[1:2].islower():  # it goes on a sentence here
        reason = reason[0].lower() + reason[1:]
    when = (
        "has ended"
        if known.ended_at is None
        else f"ended at {time.strftime('%H:%M', time.localtime(known.ended_at))}"
    )
    return f"The session {known.handle.spec.name!r} {when}: {reason}"
