"""Makes payloads: a session's kernel, a script, a Dask scheduler; each with all that it needs to know of its agent."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from gpu_workbench.agent.children import Children
from gpu_workbench.agent.conductor import Conductor
from gpu_workbench.agent.environment import payload_environment
from gpu_workbench.agent.indask.launch import scheduler_environment
from gpu_workbench.agent.journal import Journal
from gpu_workbench.agent.kernel import Kernel
from gpu_workbench.agent.launch import LaunchedKernel, LaunchedScheduler, payload_folder
from gpu_workbench.agent.ranks import Place
from gpu_workbench.agent.runs import Runs
from gpu_workbench.agent.script import Script
from gpu_workbench.agent.session import Keep, Session
from gpu_workbench.agent.wrap import Wrapped
from gpu_workbench.core.agent_config import AgentConfig
from gpu_workbench.core.model import Failure


class Payloads:
    """What one agent can run.

    Args:
        config: The agent's.
        command: How to start Python with this agent: interpreter and archive, or interpreter and module.
        place: The rank it is of.
        journal: Where events go.
        runs: The runs it is asked for.
        children: Looks after processes.
        clock: The agent's seconds.
        launched: The payload's process, if it is under way already.
    """

    def __init__(
        self,
        config: AgentConfig,
        *,
        command: list[str],
        place: Place,
        journal: Journal,
        runs: Runs,
        children: Children,
        clock: Callable[[], float],
        launched: LaunchedKernel | LaunchedScheduler | None,
    ) -> None:
        self._config = config
        self._command = command
        self._place = place
        self._journal = journal
        self._runs = runs
        self._children = children
        self._clock = clock
        self._kernel = launched if isinstance(launched, LaunchedKernel) else None
        self._scheduler = launched if isinstance(launched, LaunchedScheduler) else None
        self._state = Path(config.state_dir)
        self.folder = launched.folder if launched else payload_folder(self._state)
        """Where its sockets lie."""

    def session(
        self,
        *,
        generation: int,
        conductor: Conductor,
        up: Callable[[], None],
        keep: Keep | None = None,
        lost: Callable[[Failure], None] | None = None,
    ) -> Session:
        """Cells in a kernel; see :class:`~gpu_workbench.agent.session.Session`."""
        return Session(
            make_kernel=self._make_kernel,
            journal=self._journal,
            runs=self._runs,
            generation=generation,
            keep=keep,
            lost=lost,
            conductor=conductor,
            up=up,
        )

    def script(
        self, argv: tuple[str, ...], *, generation: int, conductor: Conductor, up: Callable[[], None]
    ) -> Script:
        """A script; see :class:`~gpu_workbench.agent.script.Script`."""
        return Script(
            command=self._become(argv),
            work_dir=Path(self._config.work_dir),
            env=self._environment(),
            journal=self._journal,
            runs=self._runs,
            children=self._children,
            generation=generation,
            conductor=conductor,
            up=up,
        )

    def wrapped(self) -> Wrapped:
        """A Dask scheduler; see :class:`~gpu_workbench.agent.wrap.Wrapped`."""
        return Wrapped(
            command=self._become(self._config.wrapped),
            folder=self.folder,
            work_dir=Path(self._config.work_dir),
            env=scheduler_environment(state=self._state, environment=self._environment()),
            journal=self._journal,
            runs=self._runs,
            children=self._children,
            clock=self._clock,
            launched=self._scheduler,
        )

    def _make_kernel(self) -> Kernel:
        launched, self._kernel = self._kernel, None
        return Kernel(
            command=self._command,
            folder=self.folder,
            work_dir=Path(self._config.work_dir),
            env=self._environment(),
            children=self._children,
            launched=launched,
        )

    def _become(self, argv: tuple[str, ...]) -> list[str]:
        return [*self._command, "become", self._command[0], *argv]

    def _environment(self) -> dict[str, str]:
        return payload_environment(workload=self._config.workload, state=self._state, place=self._place)
