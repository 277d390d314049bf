"""Connections that break and pods that die in mid-cell, on a real cluster, from a real notebook kernel."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from gpu_workbench.app.workbench import Cell
from gpu_workbench.backends.kubernetes.backend import KubernetesBackend
from gpu_workbench.backends.kubernetes.reach import Reach
from gpu_workbench.core.model import Phase
from tests.contract.conftest import Place
from tests.kernels import Notebook, Ran, notebook

from .handle import Cluster
from .network import pod_processes
from .shell import until

pytestmark = pytest.mark.timeout(300, func_only=True)

SMALL = "--gpus 0 --cpus 0.2"
SOON = 10.0
"""Seconds after which an end that the cluster knows of has to be told."""


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


@dataclass
class Session:
    """A notebook with a session in a namespace of its own."""

    cluster: Cluster
    namespace: str
    nb: Notebook

    def kubectl(self, *argv: object, check: bool = True) -> str:
        return self.cluster.kubectl("-n", self.namespace, *argv, check=check)

    def pod(self) -> dict[str, dict[str, object]]:
        """The session's pod."""
        [pod] = json.loads(self.kubectl("get", "pods", "-o", "json"))["items"]
        assert isinstance(pod, dict)
        return pod

    def left(self) -> list[str]:
        """What there is of workloads in the namespace, beside the roots that say how they ended."""
        kinds = "pods,jobs,services,secrets,configmaps"
        found = self.kubectl("get", kinds, "-l", "gpu-workbench.dev/id", "-o", "name").split()
        return [name for name in found if not name.startswith("configmap/")]

    def run_through(self, fault: Callable[[], None], *, steps: int = 300) -> Ran:
        """Run a cell that counts, let ``fault`` happen in its midst, and hold its output to what it wrote."""
        cell = f"""%%gpu {SMALL}
import os, time
process, steps = os.getpid(), 0
for steps in range(1, {steps} + 1):
    print('line', steps, flush=True)
    time.sleep(0.1)
steps
"""
        ran = during(self.nb, cell, "line 20\n", fault)
        assert ran.status == "ok", ran.shown
        assert ran.stream() == "".join(f"line {number}\n" for number in range(1, steps + 1))
        assert ran.result == str(steps)
        assert self.nb.check("%%gpu\nprocess == os.getpid(), steps").result == f"(True, {steps})"
        return ran


def during(nb: Notebook, cell: str, text: str, act: Callable[[], None], *, limit: float = 150) -> Ran:
    """Run a cell to its end; ``act`` once, as soon as it has shown ``text``."""
    acted = []

    def seen(ran: Ran) -> None:
        if text in ran.shown and not acted:
            acted.append(True)
            act()

    ran = nb.end(nb.begin(cell), limit=limit, seen=seen)
    assert acted, f"the cell ended without {text!r}:\n{ran.shown}"
    return ran


@contextlib.contextmanager
def open_notebook(cluster: Cluster, namespace: str, folder: Path, kubeconfig: Path) -> Iterator[Session]:
    env = {
        "GPU_WORKBENCH_BACKEND": "kubernetes",
        "GPU_WORKBENCH_NAMESPACE": namespace,
        "KUBECONFIG": str(kubeconfig),
        "JUPYTER_IMAGE_SPEC": cluster.images.worker,
    }
    with notebook(folder, env=env, stop=False) as nb:
        yield Session(cluster, namespace, nb)


@pytest.fixture
def session(cluster: Cluster, namespace: str, tmp_path: Path) -> Iterator[Session]:
    with open_notebook(cluster, namespace, tmp_path, cluster.kubeconfig) as made:
        yield made


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


def processes_in(pod: dict[str, dict[str, object]]) -> dict[int, str]:
    """The processes of a pod as this machine sees them, with their command lines."""
    uid, found = str(pod["metadata"]["uid"]), {}
    for pid in pod_processes():
        with contextlib.suppress(OSError):
            if uid in Path(f"/proc/{pid}/cgroup").read_text():
                found[pid] = Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ")
    return found


def first_process(pod: dict[str, dict[str, object]]) -> int:
    """The agent: number 1 in its container."""
    for pid, command in processes_in(pod).items():
        status = Path(f"/proc/{pid}/status").read_text()
        inside = next(line.split()[-1] for line in status.splitlines() if line.startswith("NSpid"))
        if inside == "1" and "agent.pyz" in command:
            return pid
    raise AssertionError(f"no agent among {processes_in(pod)}")


def end_in_mid_cell(session: Session, act: Callable[[], None]) -> Ran:
    """Let a cell lose its pod while it runs; when, why and what is gone is said, soon."""
    session.nb.check(f"%%gpu {SMALL}\nprecious = 1")
    told: list[float] = []

    def fault() -> None:
        act()
        told.append(time.monotonic())

    ran = during(session.nb, "%%gpu\nimport time\nprint('in', flush=True)\ntime.sleep(200)", "in\n", fault)
    took = time.monotonic() - told[0]
    assert ran.status == "error", ran.shown
    assert took < SOON, f"{took:.1f} s after the cluster knew"
    return ran


def missed(session: Session, *, why: str) -> None:
    """The next cell says what is gone with the session."""
    ran = session.nb.run(f"%%gpu {SMALL}\nprecious")
    assert ran.error.startswith("NameLost: precious lived in the session and is gone"), ran.shown
    assert why in ran.shown
    assert "Gone with it: precious" in ran.shown
    assert session.nb.check("%%gpu\n2 + 2").result == "4"


DELETED = "it was told to end from outside (SIGTERM)"


def test_a_pod_deleted_with_grace_ends_the_run_and_says_so(session: Session) -> None:
    def delete() -> None:
        session.kubectl("delete", "pod", session.pod()["metadata"]["name"], "--wait=false")

    ran = end_in_mid_cell(session, delete)
    assert DELETED in ran.error
    missed(session, why=DELETED)


def test_a_pod_deleted_at_once_ends_the_run_and_says_so(session: Session) -> None:
    def delete() -> None:
        name = session.pod()["metadata"]["name"]
        session.kubectl("delete", "pod", name, "--grace-period=0", "--force")

    ran = end_in_mid_cell(session, delete)
    assert DELETED in ran.error
    missed(session, why=DELETED)


def test_an_agent_killed_with_sigkill_ends_the_run_and_says_so(session: Session) -> None:
    def kill() -> None:
        os.kill(first_process(session.pod()), signal.SIGKILL)
        name = session.pod()["metadata"]["name"]
        session.kubectl("wait", f"pod/{name}", "--for=jsonpath={.status.phase}=Failed", "--timeout=30s")

    ran = end_in_mid_cell(session, kill)
    assert "SIGKILL" in ran.shown, ran.shown
    missed(session, why="SIGKILL")


def test_a_cell_that_uses_up_the_memory_is_told_so(session: Session) -> None:
    session.nb.check(f"%%gpu {SMALL} --memory 300Mi\nprecious = 1")
    ran = session.nb.run("%%gpu\nhoard = [bytearray(b'x' * (1 << 20)) for _ in range(1000)]")
    assert ran.status == "error"
    assert "memory" in ran.error, ran.shown
    assert "--memory" in ran.shown
    lost = session.nb.run("%%gpu\nprecious")
    assert lost.error.startswith("NameLost: precious lived in the session and is gone"), lost.shown
    assert session.nb.check("%%gpu\n2 + 2").result == "4"


UNPULLABLE = "registry.invalid/no/such:1"
UNREACHED = "The registry registry.invalid cannot be reached from the node"


def test_a_cell_that_waits_for_an_image_says_why_and_keeps_its_place_when_interrupted(
    session: Session,
) -> None:
    cell = f"%%gpu --gpus 1 --cpus 0.1 --image {UNPULLABLE}\n1"
    ran = during(session.nb, cell, UNREACHED, session.nb.interrupt, limit=90)
    assert ran.error.startswith("CellInterrupted: Waiting was stopped"), ran.shown
    assert "keeps its place" in ran.error
    pod = session.pod()["metadata"]["uid"]
    again = during(session.nb, "%%gpu\n1", UNREACHED, session.nb.interrupt, limit=90)
    assert "keeps its place" in again.error
    assert session.pod()["metadata"]["uid"] == pod, "the same pod still waits"

    session.nb.check("%gpu stop")
    until("the end of all but the root", 30, lambda: not session.left(), log="kubelet")
    roots = session.kubectl("get", "configmaps", "-l", "gpu-workbench.dev/id", "-o", "name").split()
    assert len(roots) == 1, "what remembers how it ended"
