"""What the agent asks of a payload, whatever it is: a kernel that takes cells, a script, or a server."""

from __future__ import annotations

from typing import Protocol

from gpu_workbench.agent.runs import Runs
from gpu_workbench.agent.values import ReadInto
from gpu_workbench.core.model import Failure, Phase
from gpu_workbench.core.spec import RunSpec
from gpu_workbench.core.wire import JsonObject
from gpu_workbench.transport.server import HttpError, Sender


class Payload(Protocol):
    """Runs things and journals what happens."""

    runs: Runs

    @property
    def generation(self) -> int:
        """How often it was started anew."""
        ...

    @property
    def names(self) -> dict[str, JsonObject]:
        """What is known of the variables in it."""
        ...

    @property
    def python(self) -> str:
        """The version of its Python; empty before it is known."""
        ...

    async def start(self) -> None:
        """Bring it up.

        Raises:
            KernelDied: it did not come up.
        """
        ...

    async def stop(self, phase: Phase, failure: Failure, *, patience: float) -> None:
        """End what runs and waits in ``phase``, then the process, which is given ``patience`` seconds to end by itself."""
        ...

    def submit(self, spec: RunSpec) -> tuple[JsonObject, bool]:
        """Queue a run. Returns its place and whether it is new."""
        ...

    def interrupt(self, run_id: str, *, grade: int) -> JsonObject:
        """Interrupt that run and no other. Raises HttpError: 404, no such run; 409, it is over."""
        ...

    def answer(self, run_id: str, *, request: str, value: str) -> None:
        """Pass a line of input on. Raises HttpError: 409, it was answered already or the run is over."""
        ...

    async def put_value(
        self, *, name: str, codec: str, length: int, run: str, digest: str, readinto: ReadInto
    ) -> None:
        """Take a value in. Raises HttpError: 409, a cell runs, or that run has started."""
        ...

    async def get_value(self, name: str, *, run: str) -> tuple[JsonObject, Sender]:
        """A variable, or a run's result, as it can be sent. Raises HttpError: it cannot."""
        ...

    async def ask(self, **question: object) -> JsonObject:
        """A question about its names and modules."""
        ...


class WithoutKernel:
    """A payload that has no variables and takes no input: a process of another kind. Whoever asks is told so.

    Args:
        runs: The agent's runs.
    """

    what = "a script"
    """What it is, for people."""

    def __init__(self, runs: Runs, *, generation: int = 0) -> None:
        self.runs = runs
        self.generation = generation
        self.names: dict[str, JsonObject] = {}

    def submit(self, spec: RunSpec) -> tuple[JsonObject, bool]:
        """Refuse: it runs no cells."""
        raise HttpError(409, "busy", f"This workload is {self.what} and runs no cells")

    def interrupt(self, run_id: str, *, grade: int) -> JsonObject:
        """Refuse: there is no run."""
        self.runs.living(run_id)
        raise HttpError(409, "over", f"This workload is {self.what} and runs no cells")

    def answer(self, run_id: str, *, request: str, value: str) -> None:
        """Refuse: it has nobody to ask."""
        raise HttpError(409, "over", f"This workload is {self.what} and does not ask for input")

    async def put_value(
        self, *, name: str, codec: str, length: int, run: str, digest: str, readinto: ReadInto
    ) -> None:
        """Refuse: there is nothing to bind a name in."""
        raise HttpError(
            409, "busy", f"This workload is {self.what} and takes no values", "Run a cell in its place"
        )

    async def get_value(self, name: str, *, run: str) -> tuple[JsonObject, Sender]:
        """Refuse: its variables cannot be seen."""
        raise HttpError(
            404,
            "unknown-name",
            f"This workload is {self.what} and has no {name} to give",
            "Have it write a file",
        )

    async def ask(self, **question: object) -> JsonObject:
        """Refuse: there is no kernel to ask."""
        raise HttpError(409, "busy", f"There is no kernel in this workload; it is {self.what}")
