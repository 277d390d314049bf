"""Profiles in the ConfigMap of a namespace: everybody who works there has them, in cells and in the form."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.servers import jupyter_server

from .sessions import Session

pytestmark = pytest.mark.timeout(180, func_only=True)

SHARED = """\
profiles:
  blue:
    gpus: 0
    memory: 300Mi
    env: {COLOUR: blue}
"""
OWN = """\
profiles:
  blue:
    cpus: 100m
    memory: 200Mi
"""


def share(session: Session, text: str) -> None:
    session.kubectl("create", "configmap", "gpu-workbench", f"--from-literal=config.yaml={text}")


def test_a_cell_runs_with_a_profile_of_the_namespace(session: Session, tmp_path: Path) -> None:
    share(session, SHARED)
    (tmp_path / "gpu-workbench.yaml").write_text(OWN)
    shown = session.nb.check("%gpu profiles").result
    assert re.search(r"^blue +gpus +0 +ConfigMap gpu-workbench:3$", shown, re.M), shown
    assert re.search(r"^ +memory +200 MiB +.*/gpu-workbench.yaml:4$", shown, re.M), shown
    ran = session.nb.check("%%gpu --profile blue\nimport os; print(os.environ['COLOUR'])")
    assert ran.stream() == "blue\n"
    limits = session.pod()["spec"]["containers"][0]["resources"]["limits"]
    assert limits["memory"] == str(200 * 2**20)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("profiles:\n  blue:\n    gpu: 0\n", r"ConfigMap gpu-workbench, line 3: .*'gpu'"),
        ("namespace: mine\n", r"ConfigMap gpu-workbench, line 1: namespace cannot be set here"),
    ],
    ids=["a key that nothing reads", "a setting"],
)
def test_a_wrong_one_starts_nothing_and_says_where(session: Session, text: str, says: str) -> None:
    share(session, text)
    ran = session.nb.run("%%gpu --gpus 0\n1")
    assert ran.status == "error"
    assert re.search(says, ran.shown), ran.shown
    assert session.left() == []


async def test_the_form_offers_them(session: Session, tmp_path: Path) -> None:
    share(session, SHARED)
    env = {
        "KUBECONFIG": str(session.cluster.kubeconfig),
        "GPU_WORKBENCH_BACKEND": "kubernetes",
        "GPU_WORKBENCH_NAMESPACE": session.namespace,
    }
    with jupyter_server(tmp_path / "server", env=env) as server:
        async with server.client() as client, client.get(f"{server.url}/gpu-workbench/api/start") as reply:
            options = await reply.json()
    (target,) = [one for one in options["targets"] if one["name"] == "kubernetes"]
    (blue,) = [one for one in target["profiles"] if one["name"] == "blue"]
    assert blue["defaults"]["memory"] == "300Mi"
