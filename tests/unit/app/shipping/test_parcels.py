"""What a cell's names are sent as: together where they share an object, all or nothing, and by source across versions."""

from __future__ import annotations

import builtins
import functools
import io
import linecache
import sys
import threading
from typing import Any

import numpy as np
import pytest

from gpu_workbench.app.shipping.names import analyse
from gpu_workbench.app.shipping.parcels import Packer, Parcel, choose
from gpu_workbench.app.shipping.selection import RemoteName
from gpu_workbench.core.errors import NotPicklable
from gpu_workbench.values import codecs
from gpu_workbench.values.codecs import decode

OTHER = (sys.version_info[0], sys.version_info[1] + 1)


def notebook(source: str, **names: Any) -> dict[str, Any]:
    """A namespace as a cell of ``source`` leaves it; its lines can be found, as IPython sees to."""
    namespace: dict[str, Any] = {"__name__": "__main__", **names}
    filename = f"<cell {abs(hash(source))}>"
    linecache.cache[filename] = len(source), None, source.splitlines(keepends=True), filename
    exec(compile(source, filename, "exec"), namespace)
    return namespace


def arrive(parcels: list[Parcel], **modules: Any) -> dict[str, Any]:
    session: dict[str, Any] = {"__name__": "__main__", **modules}
    for parcel in parcels:
        encoded = parcel.encoded
        data = io.BytesIO(b"".join(encoded.chunks))
        value: Any = decode(encoded.codec, data, length=encoded.length, trust_pickle=True, namespace=session)
        session.update(value if len(parcel.names) > 1 else {parcel.names[0]: value})
    return session


def reading(cell: str, packer: Packer, remote: dict[str, RemoteName] | None = None) -> dict[str, int]:
    found = choose(
        analyse(cell).reads, packer=packer, builtins=dir(builtins), remote=remote or {}, generation=0
    )
    return dict(found.names)


class Optimizer:
    def __init__(self, weights: Any) -> None:
        self.weights = weights

    def step(self) -> None:
        self.weights += 1


def test_a_model_and_its_optimizer_still_share_their_weights_there() -> None:
    weights = np.zeros(100_000)
    here = notebook("", weights=weights, optimizer=Optimizer(weights), other=np.ones(3), number=1)
    parcels = Packer(here).pack({"weights": 1, "number": 1, "optimizer": 2, "other": 3})
    assert sorted(parcel.names for parcel in parcels) == [("number",), ("other",), ("weights", "optimizer")]
    there = arrive(parcels)
    there["optimizer"].step()
    assert there["weights"].sum() == 100_000


def test_two_names_of_one_list_stay_one_list() -> None:
    one = [1]
    there = arrive(Packer(notebook("", a=one, b=one)).pack({"a": 1, "b": 1}))
    assert there["a"] is there["b"]


def test_each_name_of_a_parcel_has_its_own_fingerprint() -> None:
    weights = np.zeros(10)
    here = notebook("", weights=weights, optimizer=Optimizer(weights))
    (together,) = Packer(here).pack({"weights": 1, "optimizer": 1})
    (alone,) = Packer(here).pack({"weights": 1})
    assert together.digests["weights"] == alone.digests["weights"]
    known = {name: RemoteName(digest=digest) for name, digest in together.digests.items()}
    assert reading("weights, optimizer", Packer(here), known) == {}
    weights += 1
    assert set(reading("weights, optimizer", Packer(here), known)) == {"weights", "optimizer"}


def test_what_functions_inside_a_value_read_travels_too() -> None:
    here = notebook("scale = 3\ndef f(x): return x * scale\nfunctions = {'f': [f]}\nunused = 1")
    packer = Packer(here)
    names = reading("functions['f'][0](2)", packer)
    assert names == {"functions": 1, "scale": 0}
    there = arrive(packer.pack(names))
    assert there["functions"]["f"][0](2) == 6


def test_a_name_that_cannot_travel_says_which_where_and_what_to_do_before_anything_is_sent() -> None:
    here = notebook("", good=1, bad={"lock": [threading.Lock()]})
    with pytest.raises(NotPicklable) as caught:
        Packer(here).pack({"good": 1, "bad": 7})
    text = str(caught.value)
    assert "bad cannot travel" in text
    assert "bad['lock'][0] is a _thread.lock" in text
    assert "line 7 of the cell reads it" in text
    assert "Make it in the cell" in text


def test_an_encoded_value_is_made_once(monkeypatch: pytest.MonkeyPatch) -> None:
    made = []
    real = codecs.encode
    monkeypatch.setattr(
        "gpu_workbench.app.shipping.parcels.encode",
        lambda value, **options: made.append(value) or real(value, **options),
    )
    packer = Packer(notebook("", x=(1, 2)))
    names = reading("x", packer, {"x": RemoteName(digest="another")})
    packer.pack(names)
    assert made == [(1, 2)]


VERSIONS = """
import functools
scale = 3
class Base:
    def twice(self, x): return 2 * x * scale
def deco(f):
    f.decorated = True
    return f
def counted(f):
    @functools.wraps(f)
    def wrapper(*args): return f(*args)
    return wrapper
@deco
@counted
def f(x): return x + scale
class Empty: pass
class Net(Base):
    rate = f(1)
    def forward(self, x): return f(self.twice(x))
g = f
net = Net()
"""


def test_to_another_version_of_python_functions_and_classes_go_as_their_source() -> None:
    here = notebook(VERSIONS)
    packer = Packer(here, python=OTHER)
    names = reading("net.forward(1), g(1), Net, Base, Empty", packer)
    parcels = packer.pack(names)
    by_name = {parcel.names[0]: parcel.encoded.codec for parcel in parcels}
    assert {by_name[name] for name in ("f", "g", "Net", "Base", "deco", "counted", "Empty")} == {"source"}
    there = arrive(parcels, functools=functools)
    assert there["net"].forward(1) == 9
    assert type(there["net"]) is there["Net"]
    assert there["f"].decorated
    assert there["f"].__globals__ is there
    assert "return x + scale" in linecache.getline(there["f"].__wrapped__.__code__.co_filename, 3)


def test_no_bytecode_travels_to_another_version_of_python() -> None:
    here = notebook("functions = [lambda x: x]\ndef f(): pass\nheld = [f]")
    with pytest.raises(NotPicklable, match="another version of Python") as caught:
        Packer(here, python=OTHER).pack({"functions": 1})
    there, ours = (f"Python {major}.{minor}" for major, minor in (OTHER, sys.version_info[:2]))
    assert f"the session runs {there}, this notebook {ours}" in str(caught.value)
    packer = Packer(here, python=OTHER)
    there = arrive(packer.pack(reading("held", packer)))
    assert there["held"][0] is there["f"]
