"""Lines of the journal and places in it."""

from __future__ import annotations

import dataclasses
import json
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpu_workbench.core import events as e
from gpu_workbench.core.errors import ProtocolError
from gpu_workbench.core.events import Cursor, Entry, decode_entry, encode_entry
from gpu_workbench.core.model import (
    DaskState,
    DaskTasks,
    DaskWorker,
    Failure,
    GpuSample,
    Kind,
    NameInfo,
    Progress,
    Receipt,
    StoredValue,
)

finite = st.floats(0, 1e6, allow_nan=False)
short = st.text(max_size=8)
numbers = st.none() | finite
st.register_type_strategy(
    Failure, st.builds(Failure, what=short, detail=short, exit_code=st.none() | st.integers(0, 255))
)
st.register_type_strategy(Progress, st.builds(Progress, short, finite, numbers, short, numbers, numbers))
st.register_type_strategy(Receipt, st.builds(Receipt, seconds=finite, mean_utilisation=numbers))
st.register_type_strategy(
    GpuSample,
    st.builds(GpuSample, st.integers(0, 7), power=numbers, missing=st.dictionaries(short, short, max_size=2)),
)
st.register_type_strategy(NameInfo, st.builds(NameInfo, short, st.none() | st.integers(0)))
st.register_type_strategy(StoredValue, st.builds(StoredValue, short, st.integers(0), short, short))
contents = st.dictionaries(short, st.none() | short | st.integers() | st.lists(short, max_size=2), max_size=3)

outputs = st.builds(
    e.OutputWritten, run=short, message=st.sampled_from(["stream", "display_data", "error"]), content=contents
)
others = [
    st.from_type(cls)
    for cls in e.TYPES.values()
    if cls not in (e.OutputWritten, e.LimitSet, e.GpuSampled, e.DaskSampled, e.AgentStarted)
]
limits = st.builds(e.LimitSet, short, numbers)
samples = st.builds(e.GpuSampled, st.lists(st.from_type(GpuSample), max_size=2).map(tuple))
workers = st.builds(
    DaskWorker,
    short,
    short,
    cpu=numbers,
    memory=st.none() | st.integers(0),
    sent=finite,
    received=finite,
    gpus=st.lists(st.from_type(GpuSample), max_size=2).map(tuple),
)
counts = st.integers(0, 10**6)
tasks = st.builds(
    DaskTasks,
    counts,
    counts,
    counts,
    counts,
    rate=numbers,
    seconds_left=numbers,
    groups=st.dictionaries(short, st.tuples(counts, counts), max_size=2),
)
clusters = st.builds(
    e.DaskSampled,
    st.builds(DaskState, st.lists(workers, max_size=2).map(tuple), tasks, counts, idle_since=numbers),
)
starts = st.builds(e.AgentStarted, st.sampled_from(Kind), short, short, gpus=st.just(()))
any_event: st.SearchStrategy[e.Event] = st.one_of(outputs, limits, samples, clusters, starts, *others)
entries = st.builds(
    Entry,
    rank=st.integers(0, 100),
    epoch=st.from_regex(r"[0-9a-f]{8}", fullmatch=True),
    n=st.integers(1, 2**40),
    t=finite.map(lambda t: round(t, 4)),
    event=any_event,
)


@given(entries)
def test_an_entry_comes_back_from_its_line(entry: Entry) -> None:
    line = encode_entry(entry)
    assert "\n" not in line
    assert decode_entry(line) == entry
    assert decode_entry(line.encode()) == entry


@given(entries)
def test_every_line_is_json_that_any_parser_reads(entry: Entry) -> None:
    def refuse(constant: str) -> None:
        raise AssertionError(constant)

    json.loads(encode_entry(entry), parse_constant=refuse)


@pytest.mark.parametrize("text", ["\ud800", "a\udcffb", "\x00", "\u2028", "line\nbreak\r\n", "😀"])
def test_any_text_a_program_can_print_fits_on_one_line(text: str) -> None:
    event = e.OutputWritten("r", "stream", {"name": "stdout", "text": text})
    entry = Entry(rank=0, epoch="a", n=1, t=0.0, event=event)
    line = encode_entry(entry).encode()
    assert b"\n" not in line
    assert decode_entry(line) == entry


def test_every_event_is_known_by_its_name_and_none_hides_the_numbers() -> None:
    assert set(e.TYPES.values()) == set(get_args(e.Event))
    for cls in e.TYPES.values():
        assert not {"rank", "epoch", "n", "t", "type"} & {field.name for field in dataclasses.fields(cls)}


def test_an_event_of_a_newer_version_is_passed_over() -> None:
    assert decode_entry('{"rank":0,"epoch":"a","n":1,"t":0,"type":"MoonRose","height":3}') is None


def test_fields_of_a_newer_version_are_passed_over() -> None:
    line = '{"rank":0,"epoch":"a","n":1,"t":0,"type":"RunStarted","run":"r","moon":3}'
    assert decode_entry(line) == Entry(0, "a", 1, 0.0, e.RunStarted("r"))


@pytest.mark.parametrize(
    "line",
    [
        "",
        "rubbish",
        "[]",
        "1",
        "{}",
        '{"rank":0,"epoch":"a","n":1,"t":0}',
        '{"rank":"0","epoch":"a","n":1,"t":0,"type":"RunStarted","run":"r"}',
        '{"rank":0,"epoch":"a","n":true,"t":0,"type":"RunStarted","run":"r"}',
        '{"rank":0,"epoch":"a","n":1.5,"t":0,"type":"RunStarted","run":"r"}',
        '{"rank":0,"epoch":"a","n":1,"t":0,"type":"RunStarted"}',
        '{"rank":0,"epoch":"a","n":1,"t":0,"type":"OutputWritten","run":"r","message":"stream","content":3}',
        '{"rank":0,"epoch":"a","n":1,"t":1' + "0" * 400 + ',"type":"RunStarted","run":"r"}',
        "[" * 100_000,
        '{"rank":0,"epoch":"a","n":' + "9" * 5000 + "}",
        b"\xff\xfe\xfd",
    ],
)
def test_a_line_that_is_none_is_one_clear_error(line: str | bytes) -> None:
    with pytest.raises(ProtocolError):
        decode_entry(line)


@given(st.text(min_size=1, max_size=20), st.integers(0, 2**53))
def test_a_cursor_comes_back_from_its_text(epoch: str, n: int) -> None:
    assert Cursor.parse(str(Cursor(epoch, n))) == Cursor(epoch, n)


def test_no_text_is_the_beginning() -> None:
    assert Cursor.parse("") == Cursor.START == Cursor()
    assert str(Cursor.START) == ""


@pytest.mark.parametrize("text", ["a", "a.", ".5", "a.-1", "a.1.x", "a.1e3", "a." + "9" * 5000, "a.²", "a.٣"])
def test_what_is_no_cursor_is_refused(text: str) -> None:
    with pytest.raises(ProtocolError, match="not a cursor"):
        Cursor.parse(text)


def test_an_entry_knows_the_place_behind_it() -> None:
    assert Entry(0, "a.b", 7, 0.0, e.RunStarted("r")).cursor == Cursor("a.b", 7)
