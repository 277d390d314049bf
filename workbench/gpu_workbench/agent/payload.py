"""What the agent asks of a payload, whatever it is: a kernel that takes cells, or a script."""

from __future__ import annotations

from typing import Protocol

from gpu_workbench.agent.runs import Runs
from gpu_workbench.agent.values import ReadInto
from gpu_workbench.core.model import Failure, Phase
from gpu_workbench.core.spec import RunSpec
from gpu_workbench.core.wire import JsonObject
from gpu_workbench.transport.server import Sender


class Payload(Protocol):
    """Runs things and journals what happens."""

    runs: Runs
    generation: int
    names: dict[str, JsonObject]
    """What is known of the variables in it."""

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
