"""Exit codes and signals in words."""

from __future__ import annotations

import pytest

from gpu_workbench.core.exits import Exit, exit_in_words, signal_of


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (0, "ended well (exit code 0)"),
        (3, "exit code 3"),
        (65, "the image has no ipykernel (exit code 65)"),
        (127, "the command was not found (exit code 127)"),
        (137, "killed (SIGKILL)"),
        (-9, "killed (SIGKILL)"),
        (139, "crashed on a wrong memory address (SIGSEGV)"),
        (138, "ended by a signal (SIGUSR1)"),
        (255, "exit code 255"),
    ],
)
def test_an_exit_code_is_said_in_words(code: int, words: str) -> None:
    assert exit_in_words(code) == words


def test_the_agents_own_codes_are_the_ones_its_backends_know() -> None:
    assert {code.name: int(code) for code in Exit} == {
        "USER_ERROR": 64,
        "NO_IPYKERNEL": 65,
        "BAD_SEAL": 66,
        "BARRIER": 67,
        "NO_DASK": 68,
        "INTERNAL": 70,
    }
    assert all("exit code" in exit_in_words(code) and not signal_of(code) for code in Exit)
