"""Every call to the API server fails once in every way: what was asked for is done, or one clear error says that it is not.

After an error the same is asked for again, as a user would, and then it is done, with nothing left over. The calls are found
in the code: one that no operation makes fails the last test here.
"""

from __future__ import annotations

import ast
import asyncio
import functools
import json
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from gpu_workbench.backends import kubernetes
from gpu_workbench.backends.channel import Channel
from gpu_workbench.backends.kubernetes import backend as backend_module
from gpu_workbench.backends.kubernetes import children, mirror, resources, rights, surroundings, watch
from gpu_workbench.backends.kubernetes import client as client_module
from gpu_workbench.backends.kubernetes.access import Access
from gpu_workbench.backends.kubernetes.backend import KubernetesBackend
from gpu_workbench.backends.kubernetes.client import ApiClient
from gpu_workbench.core.errors import BackendError
from gpu_workbench.transport.timing import within
from tests.unit.backends.kubernetes.api_server import Fault, status
from tests.unit.backends.kubernetes.conftest import access_to
from tests.unit.backends.kubernetes.dask_operations import OPERATIONS
from tests.unit.backends.kubernetes.living_server import Key, LivingServer, key_of
from tests.unit.backends.kubernetes.operations import OWNER, Operation, World

PASSING = {  # to ask again helps, and is done without being told to
    "429": Fault(code=429, headers={"Retry-After": "0"}),
    "500": Fault(code=500),
    "503": Fault(code=503),
    "hang": Fault(hang=True),
    "lost reply": Fault(lose_reply=True),
    "409": Fault(code=409, body=json.dumps(status(409, "Conflict", "the object has been modified"))),
}
REFUSALS = {
    "410": Fault(code=410, body=json.dumps(status(410, "Expired", "too old resource version"))),
}
FAULTS = {**PASSING, **REFUSALS}
AT_ONCE = 16
LIMIT = 30.0
"""Seconds for one operation, with its fault."""


@pytest.fixture(autouse=True)
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pauses, the list of rights and the agent's archive are short, no kubeconfig is read; and what is asked of an agent is
    answered here, as no node runs one.
    """

    async def load(*, context: str, kubeconfig: str) -> Access:
        return access_to(kubeconfig)

    monkeypatch.setattr(backend_module, "load_access", load)
    monkeypatch.setattr(rights, "RIGHTS", rights.RIGHTS[:1])
    monkeypatch.setattr(client_module, "_BACKOFF", 0.01)
    monkeypatch.setattr(children, "agent_archive", lambda _: b"an archive")
    monkeypatch.setattr(mirror, "_FIRST_PAUSE", 0.01)
    monkeypatch.setattr(mirror, "_SHORT", 0.0)
    monkeypatch.setattr(surroundings, "INTERVAL", 0.1)
    monkeypatch.setattr(watch, "_ROOT_INTERVAL", 0.1)

    async def answer(*_: object) -> dict[str, object]:
        return {}

    for question in ("state", "remove_archive", "dask"):
        monkeypatch.setattr(Channel, question, answer)


@asynccontextmanager
async def world() -> AsyncIterator[World]:
    server = LivingServer()
    await server.start()
    backend = KubernetesBackend(kubeconfig=server.url, timeout=0.5, patience=5.0)
    backend._owner = OWNER
    try:
        yield World(server, backend)
    finally:
        server.fault = lambda number, request: None
        await backend.close()
        await server.stop()


Outcome = tuple[object, dict[str, tuple[str, ...]]]


async def outcome(made: World, of: Operation, prepared: object) -> Outcome | BackendError:
    """What the operation gives, and what there is afterwards; or the error that says why it gives nothing."""
    try:
        found = await within(of.call(made, prepared), LIMIT)
    except BackendError as error:
        return error
    except asyncio.TimeoutError:
        raise AssertionError(
            f"{of.call.__name__} did not end within {LIMIT:.0f} s: {made.server.said}"
        ) from None
    return found, made.server.shape()


@dataclass(frozen=True)
class Health:
    """An operation without any fault.

    Args:
        before: What was there before it, as JSON.
        prepared: What it was given.
        outcome: What came of it.
        calls: Which calls it made.
    """

    before: str
    prepared: object
    outcome: Outcome
    calls: tuple[Key, ...]


async def healthy(of: Operation) -> Health:
    async with world() as made:
        prepared = await of.prepare(made)
        made.server.requests.clear()
        before = json.dumps(made.server.objects)
        found = await outcome(made, of, prepared)
        assert not isinstance(found, BackendError), found
        calls = [key for key in map(key_of, made.server.requests) if _is_needed(of, key, made.server)]
        return Health(before, prepared, found, tuple(dict.fromkeys(calls)))


def _is_needed(of: Operation, key: Key, server: LivingServer) -> bool:
    """Whether the operation cannot end without that call: a watch only where it tells of something."""
    verb, path = key
    return path.rpartition("/")[2] in server.told if verb == "watch" else path not in of.by_chance


async def check_with(of: Operation, health: Health, key: Key, name: str) -> None:
    """The operation with one fault."""
    said = f"{name} at {' '.join(key)}"
    async with world() as made:
        made.server.become(health.before)
        made.server.fail_first(key, FAULTS[name])
        found = await outcome(made, of, health.prepared)
        assert not made.server.failing, f"{said}: it was not called"
        if isinstance(found, BackendError):
            assert of.once or name in REFUSALS, f"{said}: {found}"
            assert found.retryable or name in ("409", "410"), said
            assert found.what, said
            assert found.why, said
        elif name in PASSING:
            assert found == health.outcome, said
        if found != health.outcome:
            assert await outcome(made, of, health.prepared) == health.outcome, f"{said}, asked for again"


@pytest.mark.parametrize("name", OPERATIONS)
async def test_a_fault_at_any_call_is_made_good_or_said(name: str) -> None:
    of = OPERATIONS[name]
    health = await healthy(of)
    assert health.calls
    room = asyncio.Semaphore(AT_ONCE)

    async def check(key: Key, fault: str) -> None:
        async with room:
            await check_with(of, health, key, fault)

    await asyncio.gather(*(check(key, fault) for key in health.calls for fault in FAULTS))


# --- No call is left out ----------------------------------------------------------------------------------------------

Site = tuple[str, str, str]
"""A call in the code: module, function, method of the client."""

METHODS = ("get", "list", "create", "patch", "delete", "logs", "watch", "websocket", "version")


def sites() -> Iterator[Site]:
    """Every call of a method of the client in the backend's modules."""
    for path in Path(kubernetes.__file__).parent.glob("*.py"):
        if path.stem != "client":
            yield from _sites_in(path.stem, ast.parse(path.read_text()), "")


def _sites_in(module: str, node: ast.AST, function: str) -> Iterator[Site]:
    for child in ast.iter_child_nodes(node):
        inner = child.name if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef) else function
        if (
            isinstance(child, ast.Call)
            and isinstance(child.func, ast.Attribute)
            and child.func.attr in METHODS
            and ast.unparse(child.func.value).endswith(("client", "connect())"))
        ):
            yield module, inner, child.func.attr
        yield from _sites_in(module, child, inner)


def _recording(method: str, original: Callable[..., Any], seen: set[Site]) -> Callable[..., Any]:
    @functools.wraps(original)
    def record(self: ApiClient, *args: Any, **options: Any) -> Any:
        frame = sys._getframe(1)
        while frame.f_code.co_name.startswith("<") and frame.f_back is not None:  # a comprehension
            frame = frame.f_back
        seen.add((Path(frame.f_code.co_filename).stem, frame.f_code.co_name, method))
        return original(self, *args, **options)

    return record


async def test_no_call_in_the_code_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: set[Site] = set()
    asked: set[str] = set()
    for method in METHODS:
        monkeypatch.setattr(ApiClient, method, _recording(method, getattr(ApiClient, method), seen))
    for of in OPERATIONS.values():
        asked |= {path for _, path in (await healthy(of)).calls}
    assert set(sites()) - seen == set(), "calls that no operation makes"
    kinds = {kind.plural for kind in vars(resources).values() if isinstance(kind, resources.Resource)}
    assert {kind for kind in kinds if not any(f"/{kind}" in path for path in asked)} == set()
