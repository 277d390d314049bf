"""What differs between the notebook and a cluster, as one sentence."""

from __future__ import annotations

import copy
from collections.abc import AsyncIterator
from typing import Any

import pytest
from distributed import Client, Scheduler, Worker

from gpu_workbench.app.dask.versions import DECISIVE, differences, fix


@pytest.fixture
async def versions() -> AsyncIterator[Any]:
    """As Dask itself tells them: this very interpreter's, three times."""
    async with (
        Scheduler(host="127.0.0.1", port=0, dashboard=False, dashboard_address="127.0.0.1:0") as scheduler,
        Worker(scheduler.address, host="127.0.0.1"),
        Client(scheduler.address, asynchronous=True) as client,
    ):
        yield copy.deepcopy(await client.get_versions())


def packages(versions: Any, where: str) -> Any:
    found = versions[where]
    return (next(iter(found.values())) if where == "workers" else found)["packages"]


async def test_the_same_interpreter_differs_in_nothing(versions: Any) -> None:
    assert all(packages(versions, "client")[name] for name in DECISIVE), "Dask still tells of these"
    assert differences(versions) == ""


@pytest.mark.parametrize("where", ["scheduler", "workers"])
@pytest.mark.parametrize("name", [name for name in DECISIVE if name != "python"])
async def test_a_decisive_package_of_another_version_is_named(versions: Any, where: str, name: str) -> None:
    mine = packages(versions, "client")[name]
    packages(versions, where)[name] = "1.2.3"
    assert differences(versions) == f"{name} {mine} here, 1.2.3 there"


async def test_of_python_the_minor_version_counts(versions: Any) -> None:
    for where, python in (("client", "3.12.7.final.0"), ("scheduler", "3.12.1.final.0")):
        versions[where]["host"]["python"] = python
    next(iter(versions["workers"].values()))["host"]["python"] = "3.12.9.final.0"
    assert differences(versions) == ""
    versions["scheduler"]["host"]["python"] = "3.11.9.final.0"
    assert differences(versions) == "python 3.12 here, 3.11 there"


@pytest.mark.parametrize(
    ("here", "there", "expected"),
    [
        ("2.1", "2.0", "numpy 2.1 here, 2.0 there"),
        ("2.1", None, ""),  # nobody there needs it, or the first task says so
        (None, "2.0", ""),
        (None, None, ""),
    ],
)
async def test_what_values_are_made_of_matters_where_both_have_it(
    versions: Any, here: str | None, there: str | None, expected: str
) -> None:
    packages(versions, "client")["numpy"] = here
    for where in ("scheduler", "workers"):
        packages(versions, where)["numpy"] = there
    assert differences(versions) == expected


async def test_each_version_there_is_named_once_and_a_missing_one_here_too(versions: Any) -> None:
    packages(versions, "client")["msgpack"] = None
    packages(versions, "scheduler")["msgpack"] = "1.0"
    packages(versions, "workers")["msgpack"] = "1.1"
    versions["workers"]["tcp://another"] = copy.deepcopy(next(iter(versions["workers"].values())))
    packages(versions, "scheduler")["dask"] = "2026.1"
    mine = packages(versions, "client")["dask"]
    assert differences(versions) == (
        f"dask {mine} here, 2026.1 there; msgpack not installed here, 1.0 and 1.1 there"
    )


@pytest.mark.parametrize("versions", [{}, {"client": None, "scheduler": None, "workers": {"tcp://a": None}}])
def test_what_nobody_tells_differs_in_nothing(versions: Any) -> None:
    assert differences(versions) == ""


def test_what_to_do_depends_on_whose_versions_these_are() -> None:
    assert fix("worker:1").startswith("Use an image with these versions in place of worker:1")
    assert fix("").startswith("Restart the kernel")
