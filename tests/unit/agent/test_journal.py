"""The journal: numbered without a gap, bounded, and read from any place while it grows."""

from __future__ import annotations

import asyncio
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from gpu_workbench.agent.journal import Journal
from gpu_workbench.agent.store import JournalCopy, next_life
from gpu_workbench.core import events as e
from gpu_workbench.core.events import Cursor


def journal(folder: Path, *, limit: int = 10**9, segment: int = 8 * 2**20) -> Journal:
    return Journal(folder, rank=0, epoch="e1", clock=lambda: 1.0, limit=limit, segment=segment)


def output(text: str) -> e.OutputWritten:
    return e.OutputWritten("r1", "stream", {"name": "stdout", "text": text})


async def read_all(made: Journal, after: Cursor) -> list[e.Entry]:
    made.end()
    entries = []
    async for chunk, last in made.read(after):
        for line in chunk.splitlines():
            entry = e.decode_entry(line)
            assert entry is not None
            entries.append(entry)
        assert entries[-1].n == last
    return entries


@settings(max_examples=40, deadline=None)
@given(
    sizes=st.lists(st.one_of(st.integers(0, 50), st.integers(60_000, 300_000)), min_size=1, max_size=40),
    after=st.integers(0, 45),
    segment=st.sampled_from([200, 10_000, 500_000]),
)
def test_reading_on_from_any_number_gives_exactly_what_follows(
    tmp_path_factory: object, sizes: list[int], after: int, segment: int
) -> None:
    async def check() -> None:
        folder: Path = tmp_path_factory.mktemp("j")  # type: ignore[attr-defined]
        made = journal(folder, segment=segment)
        for size in sizes:
            made.append(output("x" * size))
        entries = await read_all(made, Cursor("e1", after))
        assert [entry.n for entry in entries] == list(range(after + 1, len(sizes) + 1))
        made.close()

    asyncio.run(check())


async def test_a_full_journal_drops_its_oldest_part_and_says_how_much(tmp_path: Path) -> None:
    made = journal(tmp_path, limit=40_000, segment=10_000)
    for _ in range(1000):
        made.append(output("y" * 100))
    assert made.size < 60_000
    entries = await read_all(made, Cursor.START)
    numbers = [entry.n for entry in entries]
    assert numbers == list(range(numbers[0], numbers[-1] + 1))
    gone = [entry.event for entry in entries if isinstance(entry.event, e.JournalTruncated)]
    assert gone
    assert all(event.characters for event in gone if event.run == "r1")
    made.close()


async def test_a_reader_follows_and_is_told_the_end(tmp_path: Path) -> None:
    made = journal(tmp_path)
    seen: list[int] = []

    async def follow() -> None:
        async for _, last in made.read(Cursor.START):
            seen.append(last)

    reading = asyncio.create_task(follow())
    made.append(output("1"))
    await asyncio.sleep(0.01)
    made.extend([output("2"), output("3")])
    await asyncio.sleep(0.01)
    made.end()
    await asyncio.wait_for(reading, 5)
    assert seen == [1, 3]
    made.close()


async def test_half_a_surrogate_pair_can_be_printed(tmp_path: Path) -> None:
    made = journal(tmp_path)
    made.append(output("\ud83d"))
    (entry,) = await read_all(made, Cursor.START)
    assert entry.event == output("\ud83d")
    made.close()


async def test_the_copy_in_the_store_is_what_the_journal_is(tmp_path: Path) -> None:
    made = journal(tmp_path / "j", limit=40_000, segment=10_000)
    copy = JournalCopy(made, tmp_path / "store")
    for number in range(600):
        made.append(output("z" * 100))
        if number % 50 == 0:
            copy.copy()
    copy.copy()
    ours = {path.name: path.read_bytes() for path in (tmp_path / "j").iterdir()}
    assert {path.name: path.read_bytes() for path in (tmp_path / "store" / "e1").iterdir()} == ours
    made.close()


def test_each_life_of_a_run_has_a_higher_generation(tmp_path: Path) -> None:
    assert [next_life(tmp_path / "store") for _ in range(3)] == [0, 1, 2]
