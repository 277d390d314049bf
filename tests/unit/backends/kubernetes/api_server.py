"""A small HTTP server that answers like an API server: it keeps objects, and fails as it is told to, one request at a time.

It is a double, for answers that a real one gives rarely; ``tests/cluster`` holds the same backend to a real one.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass, field

from aiohttp import web


def status(code: int, reason: str, message: str) -> dict:
    return {
        "kind": "Status",
        "apiVersion": "v1",
        "status": "Failure",
        "code": code,
        "reason": reason,
        "message": message,
    }


@dataclass
class Fault:
    """What happens to one request: an answer, a lost reply (done, then cut), a cut, or no answer at all."""

    code: int = 0
    body: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    lose_reply: bool = False
    hang: bool = False


@dataclass(frozen=True)
class Request:
    """A request as it came in."""

    verb: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: dict | None


class ApiServer:
    """Keeps objects by path; answers create, get, list, patch, delete and watch."""

    def __init__(self) -> None:
        self.objects: dict[str, dict] = {}
        self.requests: list[Request] = []
        self.fault: Callable[[int, Request], Fault | None] = lambda number, request: None
        self.watch_lines: list[bytes] = []
        self.pages: list[dict] = []
        self.url = ""
        self._version = 100
        self._runner: web.AppRunner | None = None
        self._release = asyncio.Event()

    async def start(self) -> None:
        app = web.Application(client_max_size=8 * 2**20)
        app.router.add_route("*", "/{path:.*}", self._handle)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"

    async def stop(self) -> None:
        self._release.set()
        assert self._runner is not None
        await self._runner.cleanup()

    def names(self, plural: str) -> list[str]:
        """Names of the objects of a kind."""
        return [path.rpartition("/")[2] for path in self.objects if f"/{plural}/" in path]

    def fail_once(self, *faults: Fault) -> None:
        """The first requests from now on fail like this, one each."""
        left = list(faults)
        self.fault = lambda number, request: left.pop(0) if left else None

    async def _handle(self, http: web.Request) -> web.StreamResponse:
        body = await http.json() if http.can_read_body else None
        verb = {"POST": "create", "PATCH": "patch", "DELETE": "delete"}.get(http.method, "get")
        request = Request(verb, http.path, dict(http.query), dict(http.headers), body)
        self.requests.append(request)
        fault = self.fault(len(self.requests), request)
        if fault is not None and fault.hang:
            await self._release.wait()
        if fault is not None and fault.code:
            return web.Response(status=fault.code, text=fault.body, headers=fault.headers)
        if "watch" in request.query:
            return await self._watch(http)
        code, answer = self._answer(request)
        if fault is not None and fault.lose_reply:
            assert http.transport is not None
            http.transport.abort()
        return web.json_response(answer, status=code)

    def _answer(self, request: Request) -> tuple[int, dict]:
        if request.path.endswith("selfsubjectreviews"):
            return 201, {"status": {"userInfo": {"username": "ada@example.org"}}}
        if request.verb == "create":
            return self._create(request)
        if request.path.endswith(("/configmaps", "/secrets", "/jobs", "/pods", "/events", "/nodes")):
            return 200, self._list(request)
        found = self.objects.get(request.path)
        if found is None:
            return 404, status(404, "NotFound", f"{request.path} not found")
        if request.verb == "delete":
            return 200, self.objects.pop(request.path)
        if request.verb == "patch":
            _merge(found, request.body or {})
            self._version += 1
            found["metadata"]["resourceVersion"] = str(self._version)
        return 200, found

    def _create(self, request: Request) -> tuple[int, dict]:
        body = request.body or {}
        path = f"{request.path}/{body['metadata']['name']}"
        if path in self.objects:
            return 409, status(409, "AlreadyExists", f'"{body["metadata"]["name"]}" already exists')
        self._version += 1
        server_side = {
            "uid": f"uid-{self._version}",
            "resourceVersion": str(self._version),
            "creationTimestamp": "2026-01-01T00:00:00Z",
        }
        body["metadata"] = {**server_side, **body["metadata"]}
        self.objects[path] = body
        return 201, body

    def _list(self, request: Request) -> dict:
        if self.pages:
            return self.pages.pop(0)
        wanted = [
            pair.split("=") for pair in request.query.get("labelSelector", "").split(",") if "=" in pair
        ]
        items = [
            item
            for path, item in self.objects.items()
            if path.startswith(request.path + "/")
            and all(item["metadata"].get("labels", {}).get(key) == value for key, value in wanted)
        ]
        return {"items": items, "metadata": {"resourceVersion": str(self._version)}}

    async def _watch(self, http: web.Request) -> web.StreamResponse:
        reply = web.StreamResponse()
        await reply.prepare(http)
        for line in self.watch_lines:
            await reply.write(line)
        self.watch_lines = []
        return reply


def _merge(target: dict, change: dict) -> None:
    for key, value in change.items():
        if isinstance(value, dict):
            _merge(target.setdefault(key, {}), value)
        else:
            target[key] = value


def watch_event(kind: str, name: str, version: int, **fields: object) -> bytes:
    metadata = {"name": name, "uid": name, "resourceVersion": str(version)}
    return json.dumps({"type": kind, "object": {"metadata": metadata, **fields}}).encode() + b"\n"
