"""A bar for what takes over half a second to travel, gone when it has arrived."""

from __future__ import annotations

import pytest

from gpu_workbench.surfaces.magics.moving import Moving

MIB = 2**20


class Clock:
    """Seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_what_arrives_within_half_a_second_shows_nothing(
    clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    clock.now += 10  # before its first byte nothing moves
    with Moving("is going", clock=clock) as moving:
        for step in range(5):
            moving("x", step * MIB, 5 * MIB)
            clock.now += 0.124
    assert capsys.readouterr().err == ""


def test_what_takes_longer_has_a_bar_that_fills_and_goes(
    clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    with Moving("is going", clock=clock) as moving:
        moving("x", 0, 4 * MIB)
        clock.now += 0.5
        moving("x", MIB, 4 * MIB)
        assert capsys.readouterr().err.strip() == "x is going: █████                1 MiB of 4 MiB"
        clock.now += 0.125
        moving("x", 2 * MIB, 4 * MIB)
        assert capsys.readouterr().err == "", "not drawn anew for every packet"
        clock.now += 0.125
        moving("x", 3 * MIB, 4 * MIB)
        drawn = capsys.readouterr().err
        assert drawn.startswith("\rx is going: ███████████████ ")
        moving("y", 4 * MIB, 4 * MIB)
        assert capsys.readouterr().err.strip() == f"y is going: {'█' * 20} 4 MiB of 4 MiB"
    assert capsys.readouterr().err == "\r" + " " * (len(drawn) - 1) + "\r"
    moving.close()
    assert capsys.readouterr().err == "", "it goes once"


def test_an_error_takes_the_bar_away_and_something_empty_has_a_full_one(
    clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted() -> None:
        with Moving("is coming", what="ck", clock=clock) as moving:
            moving("", 0, 0)
            clock.now += 1
            moving("", 0, 0)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    drawn = capsys.readouterr().err
    assert drawn.startswith(f"\rck is coming: {'█' * 20} 0 B of 0 B")
    assert drawn.endswith(" \r")
