"""The double of an API server with what stands behind a real one: Jobs get their pod, Dask clusters what an operator makes,
and what is owned goes with its owner.

SIMULATED: no node runs anything. A pod is as it is after its start, or as a watch first tells of it.
"""

from __future__ import annotations

import json
import re
import struct

from aiohttp import web

from tests.unit.backends.kubernetes.api_server import ApiServer, Fault, Request

_COLLECTIONS = re.compile(
    r"/(configmaps|secrets|services|jobs|pods|events|nodes|resourcequotas|persistentvolumeclaims|workloads"
    r"|deployments|daskclusters|daskworkergroups|daskautoscalers)$"
)
_ID = re.compile(r"\b[0-9a-f]{12}\b")

RUNNING = {
    "phase": "Running",
    "podIP": "127.0.0.1",
    "containerStatuses": [{"name": "agent", "state": {"running": {"startedAt": "2026-01-01T00:00:00Z"}}}],
}
PENDING = {"phase": "Pending"}

Key = tuple[str, str]
"""A call: its verb and its path, with ids that are drawn anew each time left out."""


def key_of(request: Request) -> Key:
    verb = "watch" if "watch" in request.query else request.verb
    return verb, _ID.sub("*", request.path)


class LivingServer(ApiServer):
    """Answers all that the backend asks for."""

    def __init__(self) -> None:
        super().__init__()
        self.pods = RUNNING
        """What the status of a pod is as soon as it is there."""
        self.failing = False
        """Whether the call that is to fail has not come yet."""
        self.said = ""
        """Which one that is."""
        self.told: dict[str, dict] = {}
        """What a watch of these tells: a plural, and what has become of each object's status meanwhile."""

    def become(self, objects: str) -> None:
        """Hold what another one held, as JSON; versions and uids are drawn on from far above."""
        self.objects = json.loads(objects)
        self._version += 1000

    def remove(self, path: str) -> None:
        """Have an object go, with all that it owns."""
        self._collect(self.objects.pop(path))

    def fail_first(self, key: Key, fault: Fault) -> None:
        """The next time that call is made, and only then, it fails like this."""

        def fault_of(number: int, request: Request) -> Fault | None:
            if not self.failing or key_of(request) != key:
                return None
            self.failing = False
            return fault

        self.failing, self.fault = True, fault_of
        self.said = f"{fault} at {key}"

    async def _handle(self, http: web.Request) -> web.StreamResponse:
        reply = await super()._handle(http)
        forwards = http.path.endswith("/portforward") and getattr(reply, "status", 0) == 200
        return await self._forward(http) if forwards else reply

    async def _forward(self, http: web.Request) -> web.StreamResponse:
        """What is sent comes back."""
        websocket = web.WebSocketResponse(protocols=("v4.channel.k8s.io",))
        await websocket.prepare(http)
        for channel in (b"\0", b"\1"):
            await websocket.send_bytes(channel + struct.pack("<H", int(http.query["ports"])))
        async for message in websocket:
            await websocket.send_bytes(message.data)
        return websocket

    def _answer(self, request: Request) -> tuple[int, dict]:
        if request.path.endswith("selfsubjectaccessreviews"):
            return 201, {"status": {"allowed": True}}
        if request.path.endswith(("/version", "/log", "/portforward")):
            return 200, {"major": "1", "minor": "34"}
        if request.verb == "get" and _COLLECTIONS.search(request.path):
            return 200, self._list(request)
        found = self.objects.get(request.path)
        code, answer = super()._answer(request)
        if request.verb == "delete" and found is not None:
            self._collect(found)
        return code, answer

    def _create(self, request: Request) -> tuple[int, dict]:
        code, made = super()._create(request)
        if code == 201 and request.path.endswith("/jobs"):
            template = made["spec"]["template"]
            self._give_pod(made, template["metadata"]["labels"], template["spec"])
        if code == 201 and request.path.endswith("/daskclusters"):
            self._give_cluster(made)
        return code, made

    def _give_pod(self, owner: dict, labels: dict, spec: dict) -> None:
        self._give(
            "/api/v1/namespaces/ns/pods",
            f"{owner['metadata']['name']}-0",
            owner=owner,
            labels=labels,
            spec={**spec, "nodeName": "node"},
            status=self.pods,
        )

    def _give_cluster(self, cluster: dict) -> None:
        """A scheduler that runs, and the group of its workers, which have no pods."""
        name, spec = cluster["metadata"]["name"], cluster["spec"]
        for component in ("scheduler", "worker"):
            labels = {**cluster["metadata"]["labels"], "dask.org/component": component}
            deployment = self._give(
                "/apis/apps/v1/namespaces/ns/deployments",
                f"{name}-{component}",
                owner=cluster,
                labels=labels,
                spec={"replicas": 1},
            )
            if component == "scheduler":
                self._give_pod(deployment, labels, spec["scheduler"]["spec"])
        self._give(
            "/apis/kubernetes.dask.org/v1/namespaces/ns/daskworkergroups",
            f"{name}-default",
            owner=cluster,
            labels=cluster["metadata"]["labels"],
            spec={"cluster": name, "worker": spec["worker"]},
        )

    def _give(self, folder: str, name: str, *, owner: dict, labels: dict, **fields: object) -> dict:
        self._version += 1
        metadata = {
            "name": name,
            "uid": f"uid-{self._version}",
            "labels": labels,
            "ownerReferences": [{"uid": owner["metadata"]["uid"]}],
        }
        self.objects[f"{folder}/{name}"] = {"metadata": metadata, **fields}
        return self.objects[f"{folder}/{name}"]

    def _collect(self, gone: dict) -> None:
        """Remove what an object owned."""
        owned = [
            path
            for path, item in self.objects.items()
            if any(
                owner["uid"] == gone["metadata"]["uid"]
                for owner in item["metadata"].get("ownerReferences", [])
            )
        ]
        for path in owned:
            if path in self.objects:
                self._collect(self.objects.pop(path))

    async def _watch(self, http: web.Request) -> web.StreamResponse:
        """All there is that matches, as it is now; then nothing more."""
        reply = web.StreamResponse()
        await reply.prepare(http)
        status = self.told.get(http.path.rpartition("/")[2])
        for item in self._list(Request("get", http.path, dict(http.query), {}, None))["items"]:
            self._version += 1
            item["metadata"]["resourceVersion"] = str(self._version)
            if status is not None:
                item["status"] = status
            await reply.write(json.dumps({"type": "MODIFIED", "object": item}).encode() + b"\n")
        await self._release.wait()
        return reply

    def _list(self, request: Request) -> dict:
        found = super()._list(request)
        _, _, about = request.query.get("fieldSelector", "").partition("involvedObject.name=")
        if about:
            found["items"] = [item for item in found["items"] if item["involvedObject"]["name"] == about]
        return found

    def shape(self) -> dict[str, tuple[str, ...]]:
        """What there is, and what each holds; contents that are drawn anew each time are left out."""
        return {
            _ID.sub("*", path): (*sorted(item.get("data", {})), *item["metadata"].get("annotations", {}))
            for path, item in sorted(self.objects.items())
        }
