"""A notebook and a session in a pod: the project mirrored, its changes sent, files copied, packages, secrets, the doctor."""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.kernels import Notebook, notebook
from tests.wheels import make_wheel

from .handle import Cluster, Unavailable

pytestmark = pytest.mark.timeout(300, func_only=True)

NOT_MIRRORED = ".state\n.config\n.ipython\nignored.csv\nlarge\n"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    (folder / ".git").mkdir(parents=True)
    (folder / ".gitignore").write_text(NOT_MIRRORED)
    (folder / "nb").mkdir()
    return folder


@pytest.fixture
def nb(cluster: Cluster, namespace: str, project: Path) -> Iterator[Notebook]:
    keys = (f"image: {cluster.images.worker}", "cpus: 100m", "user-id: 4321", "group-id: 4321")
    text = "profiles:\n  default:\n" + "".join(f"    {key}\n" for key in keys)
    place = project / "nb" / ".config" / "gpu-workbench"
    place.mkdir(parents=True)
    (place / "config.yaml").write_text(text)
    with notebook(project / "nb", env={"KUBECONFIG": str(cluster.kubeconfig)}) as made:
        made.check(f"%gpu use kubernetes --namespace {namespace}")
        yield made


def test_the_project_is_there_and_stays_in_step(nb: Notebook, project: Path) -> None:
    (project / "nb" / "data.csv").write_text("1,2")
    (project / "src").mkdir()
    (project / "src" / "gwb_mod.py").write_text("value = 1\n")
    (project / "nb" / "run.sh").write_text("#!/bin/sh\necho ran\n")
    (project / "nb" / "run.sh").chmod(0o755)
    (project / "nb" / "link.csv").symlink_to("data.csv")
    (project / "nb" / "ignored.csv").write_text("x")
    (project / "nb" / "huge.bin").write_bytes(bytes(21 * 2**20))
    nb.check("import sys; sys.path.append('../src'); import gwb_mod")
    cell = "%%gpu\nimport os, subprocess, gwb_mod\nprint(os.getcwd(), os.getuid(), gwb_mod.value, open('link.csv').read())"
    ran = nb.check(cell + "\nsubprocess.check_output('./run.sh')")
    assert ran.stream().split() == ["/gwb/work/nb", "4321", "1", "1,2"]
    assert ran.result == "b'ran\\n'"
    assert "Not mirrored: nb/huge.bin (21 MiB, over 20 MiB a file)" in ran.shown

    (project / "nb" / "data.csv").write_text("3")
    (project / "nb" / "run.sh").unlink()
    (project / "src" / "gwb_mod.py").write_text("value = 22\n")
    ran = nb.check("%%gpu\nprint(gwb_mod.value, open('data.csv').read(), os.path.exists('run.sh'))")
    assert ran.stream() == "22 3 False\n"
    assert "gwb_mod changed and was reloaded in the session" in ran.shown
    assert "gwb_mod changed on disk since imported here" in ran.shown
    assert "Not mirrored" not in ran.shown

    ran = nb.run("%%gpu\nopen('ignored.csv')")
    assert ran.error.startswith("FileNotFoundError")
    assert ran.traceback.endswith(
        "ignored.csv is here and not in the session: nb/ignored.csv is ignored by .gitignore. "
        "`%gpu cp ignored.csv :ignored.csv` sends it, --volume mounts data"
    ), ran.traceback
    nb.check("%gpu cp ignored.csv :ignored.csv")
    assert nb.check("%%gpu\nopen('ignored.csv').read()").result == "'x'"
    ran = nb.run("%%gpu\nopen('nowhere.csv')")
    assert "is here" not in ran.traceback

    (project / "nb" / "before.txt").write_text("x")
    nb.check("%%gpu\n1")
    nb.check("%gpu stop")  # another session: everything is sent again, by itself
    assert (
        nb.check("%%gpu\nimport os; sorted(os.listdir())").result == "['before.txt', 'data.csv', 'link.csv']"
    )


def test_functions_travel_to_an_image_without_cloudpickle(nb: Notebook, cluster: Cluster) -> None:
    if not (image := cluster.images.no_cloudpickle):
        raise Unavailable("only the tests' own cluster has an image without cloudpickle")
    nb.check("factor = 2\ndef times(number): return factor * number")
    cell = f"""%%gpu --image {image} --out back
import importlib.util
back = lambda number: times(number) + 1
importlib.util.find_spec('cloudpickle'), times(3)"""
    assert nb.check(cell).result == "(None, 6)"
    assert nb.check("back(3)").result == "7"


def test_the_same_cell_runs_here_or_in_the_pod_as_one_line_says(
    nb: Notebook, project: Path, namespace: str
) -> None:
    data = project / "nb" / "data.csv"
    data.write_text("1,2")
    (project / "src").mkdir()
    (project / "src" / "gwb_mod.py").write_text("value = 7\n")
    nb.check("import sys; sys.path.append('../src'); factor = 2")
    cell = """%%gpu --out where
import os, gwb_mod
where, times = os.getuid(), globals().get('times', 0) + 1
print(times, factor * gwb_mod.value, open('data.csv').read())"""

    def ran() -> tuple[str, str]:
        return nb.check(cell).stream().strip(), nb.check("where").result

    here, pod = str(os.getuid()), "4321"
    assert ran() == ("1 14 1,2", pod)
    nb.check("%gpu use local")
    assert ran() == ("1 14 1,2", here)
    nb.check("factor = 3")
    data.write_text("5")
    assert ran() == ("2 21 5", here)
    nb.check(f"%gpu use kubernetes --namespace {namespace}")
    assert ran() == ("2 21 5", pod), "its session is found again, and has what changed meanwhile"


def test_an_unchanged_project_costs_next_to_nothing(nb: Notebook, project: Path) -> None:
    for number in range(2000):
        place = project / f"pkg{number % 40}"
        place.mkdir(exist_ok=True)
        (place / f"m{number}.py").write_text(f"value = {number}\n" * 20)
    began = time.monotonic()
    assert nb.check("%%gpu\nlen(open('../pkg7/m1927.py').read())").result == "260"
    first = time.monotonic() - began
    nb.check("import time; time.sleep(2.1)")  # file times are believed from then on
    nb.check("%%gpu\n1")
    nb.check("""
import time
from gpu_workbench.app.companions import Companion
took, prepare = [], Companion.prepare
async def timed(*args, **more):
    began = time.perf_counter()
    try:
        return await prepare(*args, **more)
    finally:
        took.append(time.perf_counter() - began)
Companion.prepare = timed
""")
    for _ in range(15):
        nb.check("%%gpu\n1")
    took = [float(word) for word in nb.check("print(*took)").stream().split()]
    print(
        f"first {first:.2f} s; unchanged: least {min(took) * 1e3:.1f} ms, median {sorted(took)[7] * 1e3:.1f} ms"
    )
    assert min(took) < 0.05  # others use this machine, too: the least is what it costs


def test_packages_go_over_a_read_only_image_without_pip_as_any_user(nb: Notebook, project: Path) -> None:
    make_wheel(project / "nb", "gwb_package", "1.0", "value = 7")
    ran = nb.run("%%gpu\nimport gwb_package")
    assert "gwb_package is not in the image" in ran.error
    assert "--image" in ran.error
    ran = nb.check("%gpu pip install --no-index gwb_package-1.0-py3-none-any.whl")
    assert "Successfully installed gwb-package-1.0" in ran.stream()
    assert nb.check("%%gpu\nimport gwb_package; gwb_package.value").result == "7"
    nb.run("%%gpu\nimport os; os._exit(1)")
    assert nb.check("%%gpu\nimport gwb_package; gwb_package.value").result == "7"


def test_large_folders_go_there_and_back(nb: Notebook, project: Path) -> None:
    large = project / "nb" / "large"
    large.mkdir()
    (large / "weights.bin").write_bytes(os.urandom(60 * 2**20))
    (large / "small.txt").write_text("x")
    nb.check("%%gpu\n1")
    began = time.monotonic()
    nb.check("%gpu cp large :/tmp/large")
    nb.check("%gpu cp :/tmp/large back")
    print(f"60 MiB there and back in {time.monotonic() - began:.1f} s")
    assert (project / "nb/back/weights.bin").read_bytes() == (large / "weights.bin").read_bytes()
    for path in ("/etc/gpu-workbench/token", "/etc/gpu-workbench", "/gwb/state/journal", "/"):
        ran = nb.run(f"%gpu cp :{path} stolen")
        assert "agent's own" in ran.error, path
    assert not (project / "nb" / "stolen").exists()


def type_secret(nb: Notebook, name: str, value: str) -> str:
    """Answer the question for a secret's value; returns all that the notebook shows."""
    message = nb.begin(f"%gpu secret set {name}")
    asked = nb.client.get_stdin_msg(timeout=60)["content"]
    assert asked == {"prompt": f"{name}: ", "password": True}
    nb.client.input(value)
    return nb.end(message).shown


def test_a_secret_is_typed_unseen_and_reaches_the_pod(nb: Notebook, cluster: Cluster, namespace: str) -> None:
    shown = [type_secret(nb, "HF_TOKEN", "hunter2"), nb.check("%gpu secret ls").shown]
    assert "HF_TOKEN" in shown[1]
    cell = "%%gpu --secret HF_TOKEN\nimport os, hashlib; hashlib.md5(os.environ['HF_TOKEN'].encode()).hexdigest()[:6]"
    assert nb.check(cell).result == "'2ab963'"
    found = json.loads(cluster.kubectl("-n", namespace, "get", "secret", "hf-token", "-o", "json"))
    assert found["metadata"]["labels"]["gpu-workbench.dev/role"] == "user-secret"
    assert type_secret(nb, "HF_TOKEN", "hunter3").startswith("Replaced")
    cluster.kubectl("-n", namespace, "create", "secret", "generic", "of-others", "--from-literal=A=b")
    assert "was not made by you" in type_secret(nb, "OF_OTHERS", "hunter4")
    assert "was not made by you" in nb.run("%gpu secret rm OF_OTHERS").error
    nb.check("%gpu secret rm HF_TOKEN")
    assert "No secrets" in nb.check("%gpu secret ls").shown
    assert "There is no secret hf-token" in nb.run("%gpu secret rm HF_TOKEN").error
    kept = cluster.kubectl("-n", namespace, "get", "configmaps", "-o", "json")
    assert "hunter2" not in kept + "".join(shown)


def test_the_doctor_sees_the_cluster_and_the_role_it_prints_is_enough(
    nb: Notebook, cluster: Cluster, namespace: str, project: Path
) -> None:
    shown = nb.check("%gpu doctor").result
    assert re.search(r"^✓ Kubernetes 1\.\d+ answers$", shown, re.M)
    assert f"✓ Namespace {namespace}; Pod Security restricted" in shown
    assert re.search(r"^✓ \d+ nvidia.com/gpu on 1 node", shown, re.M)
    assert shown.endswith("All that is needed is there")

    config = cluster.kubeconfig_of("someone", namespace=namespace, folder=project / "nb" / ".config")
    with notebook(project / "nb", name="other.ipynb", env={"KUBECONFIG": str(config)}, stop=False) as other:
        other.check("%gpu use kubernetes")
        shown = other.check("%gpu doctor").result
        assert (
            "✗ You may not create, get, list, patch, delete configmaps: nothing can be started or found"
            in shown
        )
        assert "– You may not list nodes" in shown
        assert "`%gpu doctor --role` prints the Role" in shown
        role = other.check("%gpu doctor --role").stream()
        assert f"system:serviceaccount:{namespace}:someone" in role
        cluster.kubectl("apply", "-f", "-", data=role)
        try:
            assert "✗" not in other.check("%gpu doctor").result
        finally:
            cluster.kubectl("delete", "-f", "-", data=role)
