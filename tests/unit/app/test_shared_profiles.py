"""Profiles that a backend shares: read once in a while, before all files."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import cast

import pytest

from gpu_workbench.app import shared_profiles
from gpu_workbench.app.config import load, read_config
from gpu_workbench.app.profiles import read_profiles
from gpu_workbench.app.shared_profiles import SharedProfiles
from gpu_workbench.backends.protocol import Backend
from gpu_workbench.core.errors import ProfileError, Unreachable
from gpu_workbench.core.quantities import Gpus


class Sharing:
    """A double of a backend: what it shares can be changed."""

    def __init__(self, text: str = "") -> None:
        self.text = text
        self.asked = 0
        self.away: Callable[[], Awaitable[None]] | None = None

    async def profiles(self) -> tuple[str, str]:
        self.asked += 1
        if self.away is not None:
            await self.away()
        return "ConfigMap x", self.text


async def gpus(shared: SharedProfiles, sharing: Sharing, *own: str) -> object:
    """Of the profile called p, with the user's own files."""
    files = tuple(read_config(text, source="own", level="user") for text in own)
    config = await shared.added_to(replace(load(), files=files), cast(Backend, sharing))
    return read_profiles(config.files)["p"].values["gpus"]


def profile(count: int) -> str:
    return f"profiles: {{p: {{gpus: {count}}}}}"


async def test_files_of_this_machine_win_over_what_is_shared() -> None:
    shared, sharing = SharedProfiles(), Sharing(profile(1))
    assert await gpus(shared, sharing) == Gpus(1)
    assert await gpus(shared, sharing, profile(2)) == Gpus(2)


async def test_it_is_read_again_when_it_is_old_and_each_backend_has_its_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shared, sharing, other = SharedProfiles(), Sharing(profile(1)), Sharing(profile(3))
    await gpus(shared, sharing)
    sharing.text = profile(2)
    assert (await gpus(shared, sharing), sharing.asked) == (Gpus(1), 1)
    assert await gpus(shared, other) == Gpus(3)
    monkeypatch.setattr(shared_profiles, "FRESH", 0.0)
    assert (await gpus(shared, sharing), sharing.asked) == (Gpus(2), 2)


async def test_what_is_wrong_is_said_each_time_until_it_is_mended() -> None:
    shared, sharing = SharedProfiles(), Sharing("backend: local")
    for _ in range(2):
        with pytest.raises(ProfileError, match=r"ConfigMap x, line 1: backend cannot be set here"):
            await gpus(shared, sharing)
    sharing.text = profile(1)
    assert await gpus(shared, sharing) == Gpus(1)


async def refuses() -> None:
    raise Unreachable("The API server is away")


async def hangs() -> None:
    await asyncio.Event().wait()


@pytest.mark.parametrize("away", [refuses, hangs])
async def test_while_the_backend_is_away_those_known_hold(
    monkeypatch: pytest.MonkeyPatch, away: Callable[[], Awaitable[None]]
) -> None:
    monkeypatch.setattr(shared_profiles, "PATIENCE", 0.05)
    shared, sharing = SharedProfiles(), Sharing(profile(1))
    await gpus(shared, sharing)
    sharing.away = away
    monkeypatch.setattr(shared_profiles, "FRESH", 0.0)
    assert await gpus(shared, sharing) == Gpus(1)
    sharing.away, sharing.text = None, profile(2)
    assert await gpus(shared, sharing) == Gpus(2)


async def test_a_backend_that_was_never_heard_is_an_error() -> None:
    shared, sharing = SharedProfiles(), Sharing(profile(1))
    sharing.away = refuses
    with pytest.raises(Unreachable):
        await gpus(shared, sharing)
