"""The way to a workload's head agent: straight to its pod where that can be reached, else through the API server."""

from __future__ import annotations

import asyncio
import enum
import logging
import socket

from gpu_workbench.backends.kubernetes.client import ApiClient
from gpu_workbench.backends.kubernetes.portforward import PodStream, connect_forwarded, open_stream
from gpu_workbench.backends.kubernetes.resources import PODS
from gpu_workbench.core.errors import BackendError, Unreachable
from gpu_workbench.core.objects import name_of, text
from gpu_workbench.core.port import DEFAULT_PORT
from gpu_workbench.core.wire import JsonObject
from gpu_workbench.engines.names import selector
from gpu_workbench.engines.status import agent_ready, head_pod
from gpu_workbench.transport.timing import within

log = logging.getLogger(__name__)

_DIRECT_PATIENCE = 3.0


class Reach(str, enum.Enum):
    """How pods are reached. ``auto`` goes straight to them inside the cluster, and falls back to a port-forward."""

    AUTO = "auto"
    DIRECT = "direct"
    PORT_FORWARD = "port-forward"


class PodConnector:
    """Makes connections to the head pod of one workload; to the new one when it was replaced.

    Args:
        client: Whom to ask.
        namespace: Where the workload lives.
        workload_id: Which.
        reach: How its pod is reached.
        port: Of the pod; the agent's by default.
    """

    def __init__(
        self,
        client: ApiClient,
        *,
        namespace: str,
        workload_id: str,
        reach: Reach,
        port: int = DEFAULT_PORT,
    ) -> None:
        self._client = client
        self._namespace = namespace
        self._id = workload_id
        self._reach = reach
        self._port = port
        self._pod: JsonObject | None = None

    async def __call__(self) -> socket.socket:
        """One connected, non-blocking socket.

        Raises:
            Unreachable: there is no running head pod, or no way to it.
            PermissionDenied: neither way is allowed.
        """
        if self._pod is not None:
            try:
                return await self._connect(self._pod)
            except BackendError as error:
                log.info("connection to %s failed, looking for its pod anew: %s", self._id, error)
        self._pod = None
        pod = await self.find_pod()
        connection = await self._connect(pod)
        self._pod = pod
        return connection

    async def open(self) -> PodStream:
        """One connection through the API server.

        Raises:
            Unreachable, PermissionDenied: as a call.
        """
        pod, self._pod = self._pod or await self.find_pod(), None
        stream = await open_stream(self._client, namespace=self._namespace, pod=name_of(pod), port=self._port)
        self._pod = pod
        return stream

    async def find_pod(self) -> JsonObject:
        """The head pod: running, or about to be, as far as its status tells.

        Raises:
            Unreachable: there is none.
        """
        pods = (await self._client.list(PODS, namespace=self._namespace, labels=selector(self._id))).items
        head = head_pod(pods)
        if head is None or not (agent_ready(head) or _on_its_node(head)):
            why = f"its pod is {text(head, 'status', 'phase')}" if head else "it has no pod"
            raise Unreachable(
                "The session's agent cannot be reached", why=why, fix="`%gpu why` says what it waits for"
            )
        return head

    async def _connect(self, pod: JsonObject) -> socket.socket:
        if self._reach is not Reach.PORT_FORWARD:
            if not text(pod, "status", "podIP"):
                raise Unreachable(f"Pod {name_of(pod)} has no address yet")
            try:
                return await _connect_directly(text(pod, "status", "podIP"), self._port)
            except (OSError, asyncio.TimeoutError) as error:
                if self._reach is Reach.DIRECT:
                    why = str(error) or "no answer in time"
                    raise Unreachable(f"Pod {name_of(pod)} cannot be reached directly", why=why) from None
                log.info(
                    "pod %s is not reachable directly (%s); going through the API server", name_of(pod), error
                )
                self._reach = Reach.PORT_FORWARD
        return await connect_forwarded(
            self._client, namespace=self._namespace, pod=name_of(pod), port=self._port
        )


def _on_its_node(pod: JsonObject) -> bool:
    """Whether its containers may have started though its status does not say so yet."""
    return text(pod, "status", "phase") == "Pending" and bool(text(pod, "spec", "nodeName"))


async def _connect_directly(address: str, port: int) -> socket.socket:
    made = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_STREAM)
    made.setblocking(False)
    try:
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        connecting = asyncio.get_running_loop().sock_connect(made, (address, port))
        await within(connecting, _DIRECT_PATIENCE)
    except BaseException:
        made.close()
        raise
    return made
