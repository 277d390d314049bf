"""No secret of ours is where somebody else can read it: not in arguments, environments, logs, outputs or the journal.

First on this machine, with one secret; then on a cluster, with all of them.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import secrets
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from gpu_workbench.backends.local.backend import LocalBackend
from gpu_workbench.backends.local.folder import WorkloadFolder
from gpu_workbench.core.errors import PermissionDenied
from tests.cluster.handle import Cluster
from tests.kernels import Notebook, Ran, notebook
from tests.servers import jupyter_server

pytestmark = pytest.mark.timeout(180, func_only=True)


@pytest.fixture(scope="module")
def used(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Notebook, Path, list[Ran]]]:
    """A notebook that has run a few cells, its workload's folder, and all that the cells left."""
    folder = tmp_path_factory.mktemp("secrets")
    with notebook(folder) as nb:
        ran = [
            nb.check("x = 1"),
            nb.check(
                "%%gpu --out y\nimport time\ny = x + 1\nfor _ in range(3): print('.', flush=True); time.sleep(1)"
            ),
            nb.run("%%gpu\nraise ValueError('no')"),
            nb.check("%gpu ls"),
            nb.check("%gpu why"),
        ]
        [workload] = [path for path in (folder / ".state" / "local").iterdir() if (path / "token").exists()]
        yield nb, workload, ran


def processes_of(workload: Path) -> list[Path]:
    """/proc folders of the agent and of all it started."""
    agent = json.loads((workload / "process.json").read_text())["pid"]
    found, waiting = [], [agent]
    while waiting:
        pid = waiting.pop()
        found.append(Path(f"/proc/{pid}"))
        for task in Path(f"/proc/{pid}/task").iterdir():
            waiting += [int(child) for child in (task / "children").read_text().split()]
    return found


def test_the_token_is_in_no_argument_and_no_environment(used: tuple[Notebook, Path, list[Ran]]) -> None:
    _, workload, _ = used
    token = (workload / "token").read_bytes().strip()
    assert len(token) >= 32
    processes = processes_of(workload)
    assert len(processes) >= 2
    for process in processes:
        assert token not in (process / "cmdline").read_bytes()
        assert token not in (process / "environ").read_bytes()


def test_the_token_is_in_no_output_log_or_journal(used: tuple[Notebook, Path, list[Ran]]) -> None:
    _, workload, ran = used
    token = (workload / "token").read_text().strip()
    assert all(token not in json.dumps(one.outputs) for one in ran)
    for path in workload.rglob("*"):
        if path.is_file() and path.name != "token":
            assert token.encode() not in path.read_bytes(), path


async def test_everything_of_a_workload_is_for_its_user_alone(
    used: tuple[Notebook, Path, list[Ran]],
) -> None:
    _, workload, _ = used
    agent = WorkloadFolder(workload).socket
    for folder in {workload, agent.parent}:
        found = folder.stat()
        assert (stat.S_IMODE(found.st_mode), found.st_uid) == (0o700, os.getuid())
    for path in (workload / "token", agent):
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path.name
    backend = LocalBackend(workload.parent)
    handle = await backend.find(workload.name)
    assert handle is not None
    (await backend.open(handle)).close()
    agent.parent.chmod(0o777)  # where others could put a socket of theirs, nobody is spoken to
    try:
        with pytest.raises(PermissionDenied):
            await backend.open(handle)
    finally:
        agent.parent.chmod(0o700)


def test_a_cell_cannot_read_the_token_from_its_environment(used: tuple[Notebook, Path, list[Ran]]) -> None:
    nb, workload, _ = used
    token = (workload / "token").read_text().strip()
    seen = nb.check("%%gpu\nimport os; repr(dict(os.environ))").result
    assert token not in seen


KINDS = (
    "pods,jobs,services,endpoints,endpointslices,configmaps,events,serviceaccounts,persistentvolumeclaims,"
    "leases,rolebindings,resourcequotas,replicasets,podtemplates,controllerrevisions"
)
"""What a namespace may hold, beside Secrets."""

REPRS = """
import gc, pathlib
import gpu_workbench as gw
public = gw.session(), gw.list()
ours = [one for one in gc.get_objects() if str(type(one).__module__).partition(".")[0] == "gpu_workbench"]
pathlib.Path("reprs.txt").write_text("\\n".join(map(repr, [public, *ours])))
len(ours)
"""

JOURNAL = """%%gpu
import pathlib
print(*(path.read_text() for path in pathlib.Path("/gwb/state/journal").rglob("*") if path.is_file()))
"""


def kubeconfig_with_everything(cluster: Cluster, namespace: str, folder: Path) -> tuple[Path, dict[str, str]]:
    """A kubeconfig with a key and a token, and what of it is secret."""
    config = json.loads(cluster.kubectl("config", "view", "--raw", "--minify", "--flatten", "-o", "json"))
    user = config["users"][0]["user"]
    user.setdefault("token", cluster.kubectl("-n", namespace, "create", "token", "default").strip())
    path = folder / "kubeconfig"
    path.touch(mode=0o600)
    path.write_text(json.dumps(config))
    kept = {f"kubeconfig's {key}": value for key, value in user.items() if key in ("token", "password")}
    if "client-key-data" in user:
        kept["kubeconfig's key"] = base64.b64decode(user["client-key-data"]).decode()
    return path, kept


def forms(secret: str) -> set[str]:
    """How it may be written: as it is, in base64, and of a key in PEM each line."""
    lines = [line for line in secret.splitlines() if not line.startswith("-----")]
    return {secret, base64.b64encode(secret.encode()).decode(), *(line for line in lines if len(line) > 30)}


def type_secret(nb: Notebook, name: str, value: str) -> Ran:
    message = nb.begin(f"%gpu secret set {name}")
    nb.client.get_stdin_msg(timeout=60)
    nb.client.input(value)
    return nb.end(message)


def arguments_of_all() -> str:
    """The arguments of every process of this machine, those in pods as well."""
    found = []
    for process in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            found.append(process.read_text(errors="replace"))
    return "\n".join(found)


async def test_of_a_cluster_no_secret_is_anywhere_but_in_its_secrets(
    cluster: Cluster, namespace: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    kubeconfig, kept = kubeconfig_with_everything(cluster, namespace, tmp_path)
    kept["secret of the user's"] = secrets.token_hex(20)
    env = {
        "GPU_WORKBENCH_BACKEND": "kubernetes",
        "GPU_WORKBENCH_NAMESPACE": namespace,
        "KUBECONFIG": str(kubeconfig),
        "JUPYTER_IMAGE_SPEC": cluster.images.worker,
    }
    work = tmp_path / "work"
    work.mkdir()
    (work / ".gitignore").write_text("*")  # what the kernel keeps there is its own
    debug = "c.ServerApp.log_level = 'DEBUG'"

    def kubectl(*argv: object) -> str:
        return cluster.kubectl("-n", namespace, *argv)

    with (
        notebook(work, env=env) as nb,
        jupyter_server(tmp_path / "server", env=env, config=debug) as server,
    ):
        nb.check("import logging; logging.basicConfig(level=logging.DEBUG, filename='kernel.log')")
        ran = [
            type_secret(nb, "HF_TOKEN", kept["secret of the user's"]),
            nb.check("%gpu secret ls"),
            nb.check("%%gpu --gpus 0 --cpus 0.1 --secret HF_TOKEN --out y\ny = {1, 2}"),
            nb.run("%%gpu\nraise ValueError('no')"),  # what fails has a view
            nb.check("%%gpu --detach --gpus 0 --cpus 0.1 --name later --out y\ny = {'later'}"),
            *(nb.check(f"%gpu {line}") for line in ("attach later", "result later", "ls", "why", "doctor")),
        ]
        assert any(
            "application/vnd." in key for one in ran for shown in one.displays for key in shown["data"]
        )
        async with server.client() as client:
            async with client.get(f"{server.url}/gpu-workbench/api/runs") as reply:
                rows = (await reply.json())["runs"]
            assert len(rows) >= 2
            for row in rows.values():
                async with client.get(f"{server.url}/gpu-workbench/api/runs/{row['id']}") as reply:
                    ran_there = await reply.text()
                    assert reply.status == 200, ran_there
        assert int(nb.check(REPRS).result) > 100
        places = {
            "outputs": json.dumps([one.outputs for one in ran]),
            "journal": nb.check(JOURNAL).stream(),
            "pods' logs": "".join(
                kubectl("logs", pod, "--all-containers")
                for pod in kubectl("get", "pods", "-o", "name").split()
            ),
            "objects": kubectl("get", KINDS, "-o", "json", "--show-managed-fields"),
            "arguments": arguments_of_all(),
            "what the server says": json.dumps(rows) + ran_there,
        }
        for item in json.loads(kubectl("get", "secrets", "-o", "json"))["items"]:
            for key in {"token", "run.key", "tls.key"} & item.get("data", {}).keys():
                content = base64.b64decode(item["data"][key]).decode()
                kept[f"{item['metadata']['name']}'s {key}"] = content
    assert sum(key.endswith(("'s token", "run.key", "tls.key")) for key in kept) >= 2 * 3, kept.keys()
    places["the kernel's own output"] = "".join(capfd.readouterr())
    for path in tmp_path.rglob("*"):
        if path.is_file() and path != kubeconfig:
            places[str(path.relative_to(tmp_path))] = path.read_bytes().decode(errors="replace")
    assert {"work/reprs.txt", "work/kernel.log", "server/server.log"} <= places.keys()
    assert all(places[name] for name in ("journal", "objects", "pods' logs", "server/server.log"))
    found = [
        f"{what} in {name}"
        for what, secret in kept.items()
        for name, text in places.items()
        if any(form in text for form in forms(secret))
    ]
    assert found == []
