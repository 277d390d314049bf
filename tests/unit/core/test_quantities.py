"""Amounts as people write them and as they like to read them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpu_workbench.core.errors import FlagError
from gpu_workbench.core.quantities import (
    Gpus,
    parse_bytes,
    parse_cpus,
    parse_duration,
    parse_gpus,
    read_quantity,
    show_about,
    show_bytes,
    show_seconds,
    write_bytes,
    write_duration,
)


@pytest.mark.parametrize(
    ("text", "gpus"),
    [
        ("2", Gpus(2)),
        ("0", Gpus(0)),
        ("h200:2", Gpus(2, "h200")),
        (" H100-80GB:8 ", Gpus(8, "H100-80GB")),
        ("1g.10gb:3", Gpus(3, "1g.10gb")),
    ],
)
def test_gpus_are_a_number_or_a_kind_and_a_number(text: str, gpus: Gpus) -> None:
    assert parse_gpus(text) == gpus


@given(
    st.integers(0, 10_000), st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,20}", fullmatch=True) | st.just("")
)
def test_gpus_read_back_what_they_show(count: int, kind: str) -> None:
    assert parse_gpus(str(Gpus(count, kind))) == Gpus(count, kind)


@pytest.mark.parametrize("text", ["", "two", "h200", "h200:", ":2", "-1", "1.5", "h200:2:3", "h 200:2", "٢"])
def test_anything_else_is_no_amount_of_gpus(text: str) -> None:
    with pytest.raises(FlagError, match="--gpus h200:2"):
        parse_gpus(text)


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("0", 0),
        ("512", 512),
        ("16Gi", 16 * 2**30),
        ("16GiB", 16 * 2**30),
        ("1.5Gi", 3 * 2**29),
        ("500M", 500_000_000),
    ],
)
def test_memory_is_written_as_kubernetes_does(text: str, count: int) -> None:
    assert parse_bytes(text) == count


@pytest.mark.parametrize("text", ["", "16gi", "500m", "-1Gi", "1e9", "Gi", "16 Gi Gi", "1,5Gi"])
def test_what_is_no_memory_says_how_to_write_it(text: str) -> None:
    with pytest.raises(FlagError, match="16Gi"):
        parse_bytes(text)


@pytest.mark.parametrize(("text", "cores"), [("2", 2.0), ("0.5", 0.5), ("500m", 0.5), ("1500m", 1.5)])
def test_cpus_may_be_thousandths(text: str, cores: float) -> None:
    assert parse_cpus(text) == cores


@pytest.mark.parametrize("text", ["", "two", "2k", "-1", "500M"])
def test_what_is_no_count_of_cpus_says_how_to_write_it(text: str) -> None:
    with pytest.raises(FlagError, match="500m"):
        parse_cpus(text)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90", 90.0),
        ("90s", 90.0),
        ("0.5s", 0.5),
        ("15m", 900.0),
        ("4h", 14400.0),
        ("1d12h", 129600.0),
        ("1h30m", 5400.0),
        ("1m30s", 90.0),
    ],
)
def test_durations(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "0", "0s", "-5m", "4 hours", "h", "30m4h", "10ms", "nan", "inf"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(FlagError):
        parse_duration(text)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("4", 4.0),
        (4, 4.0),
        ("500m", 0.5),
        ("1k", 1000.0),
        ("16Gi", 16.0 * 2**30),
        ("2Ei", 2.0 * 2**60),
        ("1e3", 1000.0),
        ("12E", 12e18),
        ("0", 0.0),
        ("-1", -1.0),
        ("n/a", None),
        ("", None),
        (None, None),
        (True, None),
        ([], None),
    ],
)
def test_what_the_api_server_says_of_an_amount_is_read_or_missing(
    text: str | int | None, value: float | None
) -> None:
    assert read_quantity(text) == value


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1024, "1 KiB"),
        (1536, "1.5 KiB"),
        (1_500_000, "1.4 MiB"),
        (16 * 2**30, "16 GiB"),
        (139 * 2**30, "139 GiB"),
        (1023.7 * 2**20, "1 GiB"),
        (3 * 2**40, "3 TiB"),
    ],
)
def test_bytes_are_shown_short(count: float, text: str) -> None:
    assert show_bytes(count) == text


@given(st.floats(0, 999 * 2.0**40))
def test_bytes_are_shown_with_three_figures_at_most(count: float) -> None:
    figures = show_bytes(count).partition(" ")[0]
    assert len(figures.replace(".", "").lstrip("0")) <= 3


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.04, "0.0 s"),
        (8.24, "8.2 s"),
        (9.96, "10 s"),
        (59.4, "59 s"),
        (59.6, "1:00"),
        (101, "1:41"),
        (7625, "2:07:05"),
    ],
)
def test_seconds_are_shown_as_a_clock_would(seconds: float, text: str) -> None:
    assert show_seconds(seconds) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(40, "40 s"), (304, "5 min 04 s"), (3599.6, "1 h 00 min"), (6720, "1 h 52 min")],
)
def test_time_to_go_is_shown_in_words(seconds: float, text: str) -> None:
    assert show_about(seconds) == text


@given(st.integers(0, 2**60))
def test_bytes_read_back_what_is_written(count: int) -> None:
    assert parse_bytes(write_bytes(count)) == count


@given(st.integers(1, 10**7))
def test_a_duration_reads_back_what_is_written(seconds: int) -> None:
    assert parse_duration(write_duration(seconds)) == seconds


def test_what_is_written_is_short() -> None:
    assert (write_bytes(64 * 2**30), write_bytes(1500), write_duration(5400)) == ("64Gi", "1500", "1h30m")
