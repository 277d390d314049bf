"""One agent with a warm kernel, shared by the tests of a module: starting one takes longer than most tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from .harness import AgentProcess, agent


@pytest.fixture(scope="package")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AgentProcess]:
    """An agent that tests leave as they found it, up to its variables and its generation."""
    with agent(tmp_path_factory.mktemp("agent")) as made:
        yield made
