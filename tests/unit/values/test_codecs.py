"""A value comes back as it was sent: equal, of its own type, and writable where it was."""

from __future__ import annotations

import io
import json
import math
import random
import struct
import subprocess
import sys
import threading
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from gpu_workbench.core.errors import ForgedValue, NotPicklable, ProtocolError
from gpu_workbench.values.codecs import Decoder, Encoded, decode, encode


def sent(value: object, **options: Any) -> tuple[Encoded, bytes]:
    encoded = encode(value, **options)
    data = b"".join(encoded.chunks)
    assert len(data) == encoded.length
    return encoded, data


def there_and_back(value: object) -> Any:
    encoded, data = sent(value)
    return decode(encoded.codec, io.BytesIO(data), length=len(data), trust_pickle=True)


def same(left: Any, right: Any) -> bool:
    """Equal with types, where ``nan`` is itself and ``1`` is not ``True``."""
    if type(left) is not type(right):
        return False
    if isinstance(left, float):
        return struct.pack("d", left) == struct.pack("d", right) or (math.isnan(left) and math.isnan(right))
    if isinstance(left, list | tuple):
        return len(left) == len(right) and all(map(same, left, right))
    if isinstance(left, dict):
        return same(list(left), list(right)) and same(list(left.values()), list(right.values()))
    return bool(left == right)


scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters())
    | st.binary()
    | st.complex_numbers(allow_nan=False)
)
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner)
        | st.lists(inner).map(tuple)
        | st.dictionaries(st.text(), inner)
        | st.dictionaries(st.integers(), inner)
        | st.sets(st.integers())
    ),
    max_leaves=30,
)


@given(values)
def test_plain_values_come_back_exactly(value: object) -> None:
    assert same(there_and_back(value), value)


@given(
    hnp.arrays(
        dtype=hnp.scalar_dtypes() | hnp.byte_string_dtypes() | hnp.unicode_string_dtypes(),
        shape=hnp.array_shapes(min_dims=0, min_side=0),
    ),
    st.sampled_from(["as it is", "transposed", "Fortran", "strided", "reversed"]),
)
def test_arrays_come_back_exactly_and_writable(array: Any, layout: str) -> None:
    if layout == "transposed":
        array = array.T
    elif layout == "Fortran":
        array = np.asfortranarray(array)
    elif layout == "strided" and array.ndim:
        array = array[::2]
    elif layout == "reversed" and array.ndim:
        array = array[::-1]
    encoded, data = sent(array)
    back: Any = decode(encoded.codec, io.BytesIO(data), length=len(data), trust_pickle=False)
    assert encoded.codec == "npy"
    assert (back.dtype, back.shape) == (array.dtype, array.shape)
    assert back.tobytes() == array.tobytes()
    assert back.flags.writeable
    assert back.flags.owndata or back.base.flags.owndata


@pytest.mark.parametrize(
    ("value", "codec"),
    [
        ({"a": [1, 2.5, None, "é"]}, "json"),
        (b"raw", "bytes"),
        (np.arange(4), "npy"),
        ((1, 2), "pickle5"),
        ({1: "a"}, "pickle5"),
        ([float("nan")], "pickle5"),
        (np.float64(1), "pickle5"),
        (np.ma.array([1, 2]), "pickle5"),
        (np.array([(1, 2.0)], [("a", "i4"), ("b", "f8")]), "pickle5"),
        (np.array([{}], dtype=object), "pickle5"),
        ("\ud83d\ude00", "pickle5"),
        (["x"] * 20_000, "pickle5"),
    ],
)
def test_data_codecs_come_first_and_only_where_they_are_exact(value: object, codec: str) -> None:
    assert sent(value)[0].codec == codec
    assert type(there_and_back(value)) is type(value)


def test_sharing_and_cycles_inside_a_value_survive() -> None:
    inner: list[object] = [1]
    cycle: list[object] = []
    cycle.append(cycle)
    first, second = there_and_back([inner, inner])
    assert first is second
    back = there_and_back(cycle)
    assert back[0] is back


def test_a_frame_comes_back_with_its_columns_in_place() -> None:
    frame = pd.DataFrame(np.random.default_rng(0).random((50_000, 4)), columns=list("abcd"))
    frame["text"] = "x"
    frame["when"] = pd.Timestamp("2024-02-29", tz="UTC")
    back = there_and_back(frame)
    pd.testing.assert_frame_equal(back, frame)
    back.iloc[0, 0] = 7.0
    assert back.iloc[0, 0] == 7.0


def test_a_large_array_inside_an_object_is_not_copied_and_comes_back_writable() -> None:
    array = np.arange(500_000.0)
    encoded, data = sent({"array": array, 1: "key that json does not hold"})
    parts = encoded.chunks.parts()
    assert any(np.shares_memory(np.frombuffer(part, "u1"), array) for part in parts)
    back: Any = decode(encoded.codec, io.BytesIO(data), length=len(data), trust_pickle=True)
    back["array"][0] = 5
    assert back["array"].sum() == array.sum() + 5


def test_chunks_are_small_and_can_be_sent_a_second_time() -> None:
    encoded = encode(np.zeros(3_000_000))
    assert max(map(len, encoded.chunks)) <= 2**20
    assert sum(map(len, encoded.chunks)) == encoded.length == sum(map(len, encoded.chunks))


@pytest.mark.parametrize("value", [{"a": 1}, b"b" * 5000, np.arange(1000), (1, np.zeros(100_000))])
def test_bytes_may_come_in_any_pieces(value: Any) -> None:
    encoded, data = sent(value)
    cut = random.Random(1)
    decoder = Decoder(encoded.codec, length=len(data), trust_pickle=True)
    rest = memoryview(data)
    while rest:
        assert not decoder.done
        count = min(cut.choice([1, 2, 3, 70, 5000, 100_000]), len(rest))
        if cut.random() < 0.5:
            decoder.feed(rest[:count])
        else:
            place = decoder.get_buffer()
            count = min(count, len(place))
            place[:count] = rest[:count]
            decoder.buffer_updated(count)
        rest = rest[count:]
    assert decoder.done
    assert repr(decoder.value()) == repr(value)
    with pytest.raises(ProtocolError, match="more bytes"):
        decoder.feed(b"x")


@pytest.mark.parametrize("value", [{"a": 1}, b"abc", np.arange(10), (1, 2)])
def test_a_value_that_ends_early_is_refused(value: object) -> None:
    encoded, data = sent(value)
    with pytest.raises(ProtocolError):
        decode(encoded.codec, io.BytesIO(data[:-1]), length=len(data), trust_pickle=True)


@pytest.mark.parametrize("codec", ["json", "npy", "pickle5", "arrow", "no such"])
@given(data=st.binary(max_size=200))
def test_rubbish_is_a_protocol_error(codec: str, data: bytes) -> None:
    try:
        value = decode(codec, io.BytesIO(data), length=len(data), trust_pickle=True)
    except ProtocolError:
        return
    assert codec == "json"
    assert same(json.loads(data), value)


def test_a_pickle_of_an_unknown_sender_is_not_loaded() -> None:
    loaded = []

    class Payload:
        def __reduce__(self) -> Any:
            return loaded.append, (1,)

    _, data = sent((1, 2))
    with pytest.raises(ForgedValue, match="not loaded"):
        decode("pickle5", io.BytesIO(data), length=len(data), trust_pickle=False)
    assert not loaded


def test_an_array_file_with_objects_inside_is_refused() -> None:
    file = io.BytesIO()
    np.save(file, np.array([{}], dtype=object), allow_pickle=True)
    data = file.getvalue()
    with pytest.raises(ProtocolError):
        decode("npy", io.BytesIO(data), length=len(data), trust_pickle=True)


class Model:
    def __init__(self) -> None:
        self.config = {"steps": [1, threading.Lock()]}


@pytest.mark.parametrize(
    ("value", "where"),
    [
        (Model(), "model.config['steps'][1] is a _thread.lock"),
        ((i for i in range(3)), "model is a generator"),
        ({"a": (1, memoryview(b"").__iter__())}, "model['a'][1] is a memory_iterator"),
    ],
)
def test_what_cannot_be_pickled_is_named_down_to_the_part(value: object, where: str) -> None:
    with pytest.raises(NotPicklable) as caught:
        encode(value, name="model")
    assert "model cannot travel" in str(caught.value)
    assert where in caught.value.why


def test_a_closure_over_something_unpicklable_is_named() -> None:
    lock = threading.Lock()

    def critical() -> object:
        return lock

    with pytest.raises(NotPicklable, match="lock inside critical is a _thread"):
        encode(critical, name="critical")


class Closed:
    """Lets itself be asked nothing, as a proxy outside of its context does."""

    def __getattribute__(self, name: str) -> Any:
        raise RuntimeError("outside of its context")


def test_a_value_that_cannot_be_looked_into_is_named_all_the_same() -> None:
    with pytest.raises(
        NotPicklable, match=r"request cannot travel: request is a .*Closed \(outside of its context\)"
    ):
        encode(Closed(), name="request")
    with pytest.raises(NotPicklable, match=r"bag\['request'\] is a .*Closed"):
        encode({"request": Closed(), "ok": 1}, name="bag")


_MEMORY = """
import socket, sys, threading
import numpy as np
from gpu_workbench.values.codecs import decode, encode
def peak():  # of this program alone: ru_maxrss begins with its parent's
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM")) * 1024
size = 256 * 2**20
value = np.ones(size // 8)
if sys.argv[1] == "strided":
    value = np.ones((size // 8, 2))[:, 0]
if sys.argv[1] == "pickle5":
    value = {1: value}
here, there = socket.socketpair()
encoded = encode(value)
before = peak()
def send():
    for chunk in encoded.chunks:
        here.sendall(chunk)
thread = threading.Thread(target=send)
thread.start()
back = decode(encoded.codec, there.makefile("rb", buffering=0), length=encoded.length, trust_pickle=True)
thread.join()
array = back[1] if isinstance(back, dict) else back
assert array.sum() == size // 8
print(peak() - before - size)
"""


@pytest.mark.parametrize("case", ["npy", "pickle5", "strided"])
def test_sending_and_receiving_take_little_memory_beside_the_value(case: str) -> None:
    done = subprocess.run([sys.executable, "-c", _MEMORY, case], capture_output=True, text=True, check=True)
    assert int(done.stdout) < 64 * 2**20
