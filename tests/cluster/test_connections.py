"""Connections that break in mid-cell, on a real cluster, from a real notebook kernel."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import threading
import time
from pathlib import Path

import pytest

from gpu_workbench.app.workbench import Cell
from gpu_workbench.backends.kubernetes.backend import KubernetesBackend
from gpu_workbench.backends.kubernetes.reach import Reach
from gpu_workbench.core.model import Phase
from tests.contract.conftest import Place

from .handle import Cluster
from .sessions import Session, during, open_notebook
from .shell import until

pytestmark = pytest.mark.timeout(300, func_only=True)

SMALL = "--gpus 0 --cpus 0.2"


class Forwarder:
    """Carries connections on this machine to another address, and can cut them all."""

    def __init__(self, target: tuple[str, int]) -> None:
        self._target = target
        self._listening = socket.create_server(("127.0.0.1", 0))
        self._open: list[socket.socket] = []
        self.made = 0
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def port(self) -> int:
        return int(self._listening.getsockname()[1])

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                here, _ = self._listening.accept()
                there = socket.create_connection(self._target)
                self.made += 1
                self._open += [here, there]
                for source, sink in ((here, there), (there, here)):
                    threading.Thread(target=self._carry, args=(source, sink), daemon=True).start()

    @staticmethod
    def _carry(source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(1 << 16):
                sink.sendall(data)
        with contextlib.suppress(OSError):
            sink.shutdown(socket.SHUT_WR)

    def cut(self) -> int:
        """Reset every connection; how many there were."""
        connections, self._open = self._open, []
        for one in connections:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()
        return len(connections) // 2

    def close(self) -> None:
        self._listening.close()
        self.cut()


def through(forwarder: Forwarder, cluster: Cluster, folder: Path) -> Path:
    """A kubeconfig whose way to the API server leads through ``forwarder``."""
    config = json.loads(cluster.kubectl("config", "view", "--raw", "--minify", "-o", "json"))
    entry = config["clusters"][0]["cluster"]
    host = entry["server"].removeprefix("https://").rsplit(":", 1)[0]
    entry.update({"server": f"https://127.0.0.1:{forwarder.port}", "tls-server-name": host})
    path = folder / "through.kubeconfig"
    path.touch(mode=0o600)
    path.write_text(json.dumps(config))
    return path


def test_connections_that_are_cut_in_mid_cell_cost_no_line(
    cluster: Cluster, namespace: str, tmp_path: Path
) -> None:
    config = json.loads(cluster.kubectl("config", "view", "--raw", "--minify", "-o", "json"))
    host, port = config["clusters"][0]["cluster"]["server"].removeprefix("https://").rsplit(":", 1)
    forwarder = Forwarder((host, int(port)))
    with open_notebook(cluster, namespace, tmp_path, through(forwarder, cluster, tmp_path)) as session:
        cut: list[int] = []
        before: list[int] = []

        def fault() -> None:
            before.append(forwarder.made)
            cut.append(forwarder.cut())

        session.run_through(fault, steps=100)
        assert cut[0] > 0
        assert forwarder.made > before[0], "it came back by new connections"
    forwarder.close()


@pytest.mark.cluster_alone
def test_an_api_server_that_is_gone_for_20_s_costs_no_line(session: Session) -> None:
    def fault() -> None:
        session.cluster.stop("kube-apiserver")
        time.sleep(20)  # the fault itself
        session.cluster.start("kube-apiserver")

    session.run_through(fault)


async def test_a_pods_network_that_is_gone_for_30_s_costs_no_line(
    cluster: Cluster, namespace: str, tmp_path: Path
) -> None:
    """The way straight to the pod: a port-forward enters the pod's network from inside, and would not notice."""

    def make() -> KubernetesBackend:
        return KubernetesBackend(kubeconfig=str(cluster.kubeconfig), namespace=namespace, reach=Reach.DIRECT)

    place = Place("kubernetes", make, cluster.images.worker, {}, tmp_path)
    kernel, steps, texts, cutting = place.kernel(), 400, [""], []
    source = (
        f"import time\nfor step in range(1, {steps} + 1): print('line', step, flush=True); time.sleep(0.1)"
    )

    async def cut() -> None:
        address = cluster.kubectl("-n", namespace, "get", "pods", "-o", "jsonpath={.items[0].status.podIP}")
        with cluster.cut_off(address):
            await asyncio.sleep(30)  # the fault itself

    started = await kernel.workbench.start("kubernetes", place.spec(id=""), Cell(source=source), asked={})
    async for step in started.execution.steps():
        texts += [str(event.content.get("text", "")) for event in step.outputs]
        if not cutting and any("line 20\n" in text for text in texts):
            cutting.append(asyncio.create_task(cut()))
    await cutting[0]
    assert "".join(texts) == "".join(f"line {number}\n" for number in range(1, steps + 1))
    run = started.execution.run
    assert run is not None
    assert run.phase is Phase.SUCCEEDED
    await kernel.close()
    await place.close()


UNPULLABLE = "registry.invalid/no/such:1"
UNREACHED = "The registry registry.invalid cannot be reached from the node"


def test_a_cell_that_waits_for_an_image_says_why_and_keeps_its_place_when_interrupted(
    session: Session,
) -> None:
    cell = f"%%gpu --gpus 1 --cpus 0.1 --image {UNPULLABLE}\n1"
    ran = during(session.nb, cell, UNREACHED, session.nb.interrupt, limit=90)
    assert ran.error.startswith("CellInterrupted: Waiting was stopped"), ran.shown
    assert "keeps its place" in ran.error
    assert "`%%gpu --detach` waits without this notebook" in ran.error
    pod = session.pod()["metadata"]["uid"]
    again = during(session.nb, "%%gpu\n1", UNREACHED, session.nb.interrupt, limit=90)
    assert "keeps its place" in again.error
    assert session.pod()["metadata"]["uid"] == pod, "the same pod still waits"

    session.nb.check("%gpu stop")
    until("the end of all but the root", 30, lambda: not session.left(), log="kubelet")
    roots = session.kubectl("get", "configmaps", "-l", "gpu-workbench.dev/id", "-o", "name").split()
    assert len(roots) == 1, "what remembers how it ended"
