"""What a profile says of volumes, memory, nodes, accounts and credentials is what the pod is, as it runs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from .handle import Cluster
from .sessions import Session, during, open_notebook

pytestmark = [pytest.mark.timeout(240, func_only=True), pytest.mark.cluster_alone]

PROFILE = """\
profiles:
  reserved:
    gpus: 0
    cpus: 100m
    memory: 300Mi
    shared-memory: 40Mi
    volumes: [data:/data, "data:/data-again:ro"]
    node-selector: {{kubernetes.io/os: linux}}
    tolerations: [{{key: {taint}, operator: Exists, effect: NoSchedule}}]
    service-account: notebooks
    pull-secrets: [registry]
    user-id: 4321
    group-id: 4321
    env: {{COLOUR: blue}}
"""


@pytest.fixture
def session(cluster: Cluster, namespace: str, tmp_path: Path) -> Iterator[Session]:
    """A notebook whose user has this profile."""
    place = tmp_path / ".config" / "gpu-workbench"
    place.mkdir(parents=True)
    (place / "config.yaml").write_text(PROFILE.format(taint=f"test/{namespace}"))
    with open_notebook(cluster, namespace, tmp_path, cluster.kubeconfig) as made:
        yield made


def test_a_pod_is_what_its_profile_says(session: Session) -> None:
    taint = f"test/{session.namespace}"
    folder = session.cluster.volume("data", namespace=session.namespace)
    session.kubectl("create", "serviceaccount", "notebooks")
    server = ("--docker-server=tb.local", "--docker-username=ada", "--docker-password=hunter2")
    session.kubectl("create", "secret", "docker-registry", "registry", *server)
    cell = """%%gpu --profile reserved
import os
shm = os.statvfs('/dev/shm')
open('/data/from-the-pod', 'w').write('kept')
try: open('/data-again/x', 'w')
except OSError as error: print(error.strerror)
print(os.getuid(), os.environ['COLOUR'], shm.f_frsize * shm.f_blocks >> 20, open('/data-again/from-the-pod').read())
print(os.path.exists('/var/run/secrets/kubernetes.io/serviceaccount/token'))"""
    with session.cluster.tainted(taint):
        ran = session.nb.check(cell)
        during(
            session.nb,
            "%%gpu --session other --gpus 0\n1",
            f"reserved by taints it does not tolerate ({taint})",
            session.nb.interrupt,
        )
        session.nb.check("%gpu stop other")
    assert ran.stream().splitlines() == ["Read-only file system", "4321 blue 40 kept", "False"]
    assert (folder / "from-the-pod").read_text() == "kept"
    (pod,) = json.loads(
        session.kubectl("get", "pods", "--field-selector=status.phase=Running", "-o", "json")
    )["items"]
    spec = pod["spec"]
    assert spec["serviceAccountName"] == "notebooks"
    assert spec["imagePullSecrets"] == [{"name": "registry"}]
    assert {"key": taint, "operator": "Exists", "effect": "NoSchedule"} in spec["tolerations"]
    assert spec["nodeSelector"] == {"kubernetes.io/os": "linux"}
    assert [
        volume["persistentVolumeClaim"] for volume in spec["volumes"] if "persistentVolumeClaim" in volume
    ] == [{"claimName": "data"}]
    assert spec["containers"][0]["resources"]["limits"]["memory"] == str(300 * 2**20)
    assert "hunter2" not in session.nb.check("%gpu logs").shown
