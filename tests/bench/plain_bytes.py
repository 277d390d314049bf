"""The baselines that values are held against: a relay over plain Python sockets, here and in a pod, and ``kubectl cp``."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from gpu_workbench.backends.credentials import make_credentials
from gpu_workbench.engines.names import CERTIFICATE_KEY, TLS_KEY_KEY
from tests.bench import relay
from tests.bench.place import OnCluster

PORT = 7000
POD = "relay"

Connect = Callable[[], socket.socket]

_SECURITY = {
    "allowPrivilegeEscalation": False,
    "runAsNonRoot": True,
    "runAsUser": 1000,
    "capabilities": {"drop": ["ALL"]},
    "seccompProfile": {"type": "RuntimeDefault"},
}


def there_and_back(connect: Connect, data: memoryview) -> float:
    """Seconds to send the bytes, and to get as many into new memory."""
    began = time.perf_counter()
    with connect() as sock:
        sock.sendall(b"P")
        sock.sendall(data)
        sock.recv(1)
    with connect() as sock:
        sock.sendall(b"G")
        relay.fill(sock, memoryview(np.empty(data.nbytes, dtype=np.uint8)))
    return time.perf_counter() - began


@contextlib.contextmanager
def relay_here(folder: Path, size: int) -> Iterator[Connect]:
    """Unix sockets all the way."""
    folder.mkdir()
    path = folder / "relay"
    process = subprocess.Popen([sys.executable, relay.__file__, str(size), "socket", str(path)])
    try:
        _until(path.exists)

        def connect() -> socket.socket:
            made = socket.socket(socket.AF_UNIX)
            made.connect(str(path))
            return made

        yield connect
    finally:
        process.kill()
        process.wait()


@contextlib.contextmanager
def relay_pod(cluster: OnCluster, size: int) -> Iterator[str]:
    """The same in a pod, with TLS up to it; its address."""
    made = asyncio.run(make_credentials(POD))
    script = Path(relay.__file__).read_text()
    data = {
        "relay.py": script,
        "tls.crt": made[CERTIFICATE_KEY].decode(),
        "tls.key": made[TLS_KEY_KEY].decode(),
    }
    settings = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": POD}, "data": data}
    command = ["python3", "/bench/relay.py", str(size), "tls", str(PORT), "/bench/tls.crt", "/bench/tls.key"]
    container = {
        "name": POD,
        "image": cluster.image,
        "imagePullPolicy": "IfNotPresent",
        "command": command,
        "securityContext": _SECURITY,
        "resources": {"requests": {"cpu": "50m"}},
        "volumeMounts": [{"name": "bench", "mountPath": "/bench"}, {"name": "tmp", "mountPath": "/tmp"}],
    }
    volumes = [{"name": "bench", "configMap": {"name": POD}}, {"name": "tmp", "emptyDir": {}}]
    spec = {"containers": [container], "volumes": volumes, "terminationGracePeriodSeconds": 1}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": POD}, "spec": spec}
    both = {"apiVersion": "v1", "kind": "List", "items": [settings, pod]}
    cluster.kubectl("create", "-f", "-", data=json.dumps(both))
    try:
        cluster.kubectl("wait", f"pod/{POD}", "--for=condition=Ready", "--timeout=60s")
        address = cluster.kubectl("get", "pod", POD, "-o", "jsonpath={.status.podIP}")
        connect = encrypted(address, PORT)
        _until(lambda: _answers(connect))
        yield address
    finally:
        cluster.kubectl("delete", "pod,configmap", POD, "--grace-period=1", "--wait=false")


@contextlib.contextmanager
def forwarded(cluster: OnCluster) -> Iterator[Connect]:
    """``kubectl port-forward`` to the pod's port."""
    argv = ("-n", cluster.namespace, "port-forward", f"pod/{POD}", f":{PORT}")
    with cluster.cluster.stream(*argv) as process:
        assert process.stdout is not None
        line = process.stdout.readline()  # Forwarding from 127.0.0.1:41234 -> 7000
        port = int(line.split(" -> ")[0].rpartition(":")[2])
        yield encrypted("127.0.0.1", port)


def encrypted(address: str, port: int) -> Connect:
    """TLS to the relay's port."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.minimum_version = ssl.TLSVersion.TLSv1_3

    def connect() -> socket.socket:
        return context.wrap_socket(socket.create_connection((address, port), timeout=120))

    return connect


def copied(cluster: OnCluster, folder: Path, data: memoryview) -> float:
    """Seconds for ``kubectl cp`` to the relay's pod and back."""
    folder.mkdir(exist_ok=True)
    (folder / "there").write_bytes(data)
    began = time.perf_counter()
    cluster.kubectl("cp", folder / "there", f"{POD}:/tmp/copied", "--retries=-1", timeout=300)
    cluster.kubectl("cp", f"{POD}:/tmp/copied", folder / "back", "--retries=-1", timeout=300)
    seconds = time.perf_counter() - began
    if (folder / "back").stat().st_size != data.nbytes:
        raise RuntimeError("kubectl cp lost something")
    return seconds


def _answers(connect: Connect) -> bool:
    try:
        connect().close()
    except OSError:
        return False
    return True


def _until(holds: Callable[[], bool]) -> None:
    end = time.monotonic() + 30
    while not holds():
        if time.monotonic() > end:
            raise RuntimeError("the relay did not come up")
        time.sleep(0.02)
