"""Functions and classes of a notebook live on in the session, with its globals, whatever cloudpickle is called there."""

from __future__ import annotations

import io
import shutil
import subprocess
import sys
import types
from pathlib import Path
from typing import Any

import cloudpickle
import pytest

from gpu_workbench.values import rebuild
from gpu_workbench.values.codecs import decode, encode

ROOT = Path(__file__).parents[3] / "workbench"

NOTEBOOK = """
import math
scale = 3

def helper(x):
    return x * scale

def outer(x, *, power=2):
    "Doc."
    def inner(y):
        return helper(y) ** power
    return inner(x) + math.floor(0.5)

def counter():
    count = 0
    def step():
        nonlocal count
        count += 1
        return count
    return step

def even(n):
    return True if n == 0 else odd(n - 1)

def odd(n):
    return False if n == 0 else even(n - 1)

class Net:
    def forward(self, x):
        return helper(x)
"""


@pytest.fixture
def notebook() -> dict[str, Any]:
    namespace: dict[str, Any] = {"__name__": "__main__"}
    exec(NOTEBOOK, namespace)
    return namespace


def arrive(value: object, *, here: dict[str, Any], there: dict[str, Any]) -> Any:
    encoded = encode(value, namespace=here)
    data = b"".join(encoded.chunks)
    return decode(encoded.codec, io.BytesIO(data), length=len(data), trust_pickle=True, namespace=there)


def test_a_function_reads_the_globals_of_where_it_arrived(notebook: dict[str, Any]) -> None:
    there: dict[str, Any] = {"__name__": "__main__", "scale": 10}
    there["helper"] = arrive(notebook["helper"], here=notebook, there=there)
    assert there["helper"](2) == 20
    there["scale"] = 100
    assert there["helper"](2) == 200
    assert there["helper"].__globals__ is there
    assert notebook["helper"](2) == 6


def test_arriving_binds_and_changes_no_name(notebook: dict[str, Any]) -> None:
    there: dict[str, Any] = {"scale": 10}
    arrive(notebook["outer"], here=notebook, there=there)
    assert there == {"scale": 10}


def test_what_a_function_reads_is_reported(notebook: dict[str, Any]) -> None:
    assert {"helper", "math"} <= encode(notebook["outer"], namespace=notebook).reads
    assert encode([notebook["Net"]()], namespace=notebook).reads >= {"helper"}
    assert encode((1, 2), namespace=notebook).reads == frozenset()


def test_a_function_keeps_all_that_belongs_to_it(notebook: dict[str, Any]) -> None:
    notebook["outer"].note = "kept"
    there: dict[str, Any] = {"helper": lambda x: x, "math": __import__("math")}
    back = arrive(notebook["outer"], here=notebook, there=there)
    assert (back(3), back(3, power=1)) == (9, 3)
    assert (back.__name__, back.__doc__, back.__kwdefaults__, back.note, back.__module__) == (
        "outer",
        "Doc.",
        {"power": 2},
        "kept",
        "__main__",
    )


def test_closures_keep_their_state_and_their_recursion(notebook: dict[str, Any]) -> None:
    step = notebook["counter"]()
    step()
    back = arrive(step, here=notebook, there={})
    assert (back(), back(), step()) == (2, 3, 2)

    exec("def make():\n    def fact(n): return 1 if n < 2 else n * fact(n - 1)\n    return fact", notebook)
    assert arrive(notebook["make"](), here=notebook, there={})(5) == 120


def test_without_a_namespace_a_function_carries_its_globals(notebook: dict[str, Any]) -> None:
    encoded = encode(notebook["even"])
    data = b"".join(encoded.chunks)
    even: Any = decode(encoded.codec, io.BytesIO(data), length=len(data), trust_pickle=True)
    assert even(10)
    assert not even(7)


def test_an_instance_of_a_notebook_class_comes_home_as_that_class(notebook: dict[str, Any]) -> None:
    there: dict[str, Any] = {"helper": lambda x: -x}
    back = arrive(notebook["Net"](), here=notebook, there=there)
    assert type(back) is notebook["Net"]  # one process here: classes are tracked by identity, as in a session


_OTHER_END = """
import io, sys
from gpu_workbench.values.codecs import decode, encode
data = sys.stdin.buffer.read()
namespace = {"__name__": "__main__", "helper": lambda x: x + 1000}
net, function = decode("pickle5", io.BytesIO(data), length=len(data), trust_pickle=True, namespace=namespace)
assert "_gwb_cloudpickle" in sys.modules and "cloudpickle" not in sys.modules
assert net.forward(1) == 1001
exec("def born_there(x): return helper(x)", namespace)
class Local: pass
Local.__module__ = "__main__"
back = encode((net, function, namespace["born_there"], Local), namespace=namespace)
sys.stdout.buffer.write(b"".join(back.chunks))
"""


def test_either_end_may_have_cloudpickle_under_another_name(tmp_path: Path, notebook: dict[str, Any]) -> None:
    shutil.copytree(Path(cloudpickle.__file__).parent, tmp_path / "_gwb_cloudpickle")
    encoded = encode((notebook["Net"](), notebook["outer"]), namespace=notebook)
    data = b"".join(encoded.chunks)
    command = [sys.executable, "-S", "-c", _OTHER_END]  # -S: no site-packages, so nothing is installed there
    environment = {"PYTHONPATH": f"{tmp_path}:{ROOT}", "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(command, input=data, capture_output=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr.decode()
    back: Any = decode(
        "pickle5", io.BytesIO(done.stdout), length=len(done.stdout), trust_pickle=True, namespace=notebook
    )
    net, function, born_there, local = back
    assert type(net) is notebook["Net"]
    assert function(2) == 36
    assert born_there(2) == 6
    assert local.__name__ == "Local"


class TorchStandIn(types.ModuleType):
    """STAND-IN for torch, whose real package these tests do not install: devices, and what ``torch.load`` was told."""

    def __init__(self, *, devices: int) -> None:
        super().__init__("torch")
        self.told: dict[str, object] = {}
        self.cuda = types.SimpleNamespace(is_available=lambda: devices > 0, device_count=lambda: devices)

    def load(self, file: io.BytesIO, **options: object) -> bytes:
        self.told = options
        return file.read()


def _load_from_bytes(data: bytes) -> bytes:
    raise AssertionError("torch's own function would need the CUDA device the tensor was on")


_load_from_bytes.__module__ = "torch.storage"


class Storage:
    def __reduce__(self) -> Any:
        return _load_from_bytes, (b"storage",)


@pytest.mark.parametrize(("devices", "where"), [(0, "cpu"), (1, None)])
def test_a_cuda_storage_comes_back_on_the_cpu_where_there_is_no_cuda(
    devices: int, where: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch = TorchStandIn(devices=devices)
    storage = types.ModuleType("torch.storage")
    storage._load_from_bytes = _load_from_bytes  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "torch", torch)
    monkeypatch.setitem(sys.modules, "torch.storage", storage)
    assert arrive(Storage(), here={}, there={}) == b"storage"
    assert torch.told["map_location"] == where


def test_a_tensor_goes_to_its_own_device_only_where_that_is() -> None:
    assert rebuild.has_device(TorchStandIn(devices=2), "cuda:1")
    assert not rebuild.has_device(TorchStandIn(devices=1), "cuda:1")
    assert not rebuild.has_device(TorchStandIn(devices=0), "cuda")
