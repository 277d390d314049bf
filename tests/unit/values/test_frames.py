"""The frame around a pickle: its parts find their place, and a frame that lies about itself costs nothing."""

from __future__ import annotations

import io
import mmap
import os
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpu_workbench.core.errors import ProtocolError
from gpu_workbench.values import frames
from gpu_workbench.values.frames import Filler, Frame


def whole(pickle: bytes, buffers: list[bytes]) -> bytes:
    return b"".join([frames.header(pickle=len(pickle), buffers=map(len, buffers)), pickle, *buffers])


@given(st.binary(min_size=1), st.lists(st.binary(), max_size=5))
def test_a_frame_is_taken_apart_as_it_was_put_together(pickle: bytes, buffers: list[bytes]) -> None:
    data = whole(pickle, buffers)
    frame = cast(Frame, Filler(frames.receive(len(data))).read(io.BytesIO(data)))
    assert bytes(frame.pickle) == pickle
    assert [bytes(buffer) for buffer in frame.buffers] == buffers


def test_the_layout_is_fixed() -> None:
    assert whole(b"P", [b"ab"]) == (
        b"GWBP5\0\0\1" + b"\1\0\0\0" + b"\1\0\0\0\0\0\0\0" + b"\2\0\0\0\0\0\0\0" + b"P" + b"ab"
    )


@pytest.mark.parametrize(
    "head",
    [
        b"GWBP5\0\0\2" + bytes(12),
        b"GWBP5\0\0\1" + b"\xff\xff\xff\xff" + bytes(8),
        b"GWBP5\0\0\1" + bytes(4) + b"\xff" * 8,
        frames.header(pickle=1, buffers=[2**60]),
        b"short",
    ],
)
def test_a_frame_that_lies_about_its_parts_is_refused_before_memory_is_taken(
    head: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(frames, "allocate", lambda length: pytest.fail(f"{length} bytes were allocated"))
    with pytest.raises(ProtocolError):
        Filler(frames.receive(len(head) + 10)).read(io.BytesIO(head + bytes(10)))


def test_large_memory_is_this_process_alone() -> None:
    """A child process (a data loader's worker) must not write into its parent's arrays."""
    place = frames.allocate(4 * 2**20)
    assert isinstance(place, mmap.mmap)
    child = os.fork()
    if child == 0:
        place[0] = 1
        os._exit(0)
    os.waitpid(child, 0)
    assert place[0] == 0


def test_pieces_of_an_empty_part_are_none() -> None:
    assert list(frames.pieces([b"", b"ab"])) == [memoryview(b"ab")]
