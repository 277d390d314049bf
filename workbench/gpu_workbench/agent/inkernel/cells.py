"""A run's cell in the user's kernel: it has the notebook's number, and its reply tells what it changed."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import Callable, Iterator
from typing import Any

from gpu_workbench.agent.inkernel.names import CELL, Names
from gpu_workbench.agent.inkernel.nudge import NUDGE


class HeldInterrupt:
    """Ctrl-C while IPython gets ready for a cell: kept until the cell's own code begins.

    IPython prints what its callbacks raise and goes on, with a KeyboardInterrupt too: the cell would never hear of it.
    """

    def __init__(self) -> None:
        self._came = False

    def hold(self) -> None:
        """Keep what comes from now on."""
        self._came = False
        signal.signal(signal.SIGINT, self._note)

    def _note(self, *_: Any) -> None:
        self._came = True

    def until(self, run: Callable[..., Any]) -> Callable[..., Any]:
        """The coroutine function that runs a cell's code, which first hears of what was kept."""

        async def begin(*args: Any, **options: Any) -> Any:
            if signal.getsignal(signal.SIGINT) == self._note:
                signal.signal(signal.SIGINT, signal.default_int_handler)
            came, self._came = self._came, False
            if came:  # to whoever hears it now: of a cell with `await` that is ipykernel, which cancels it
                signal.raise_signal(signal.SIGINT)
            return await run(*args, **options)

        return begin


def kernel_class(base: type) -> type:
    """ipykernel's kernel, with what a run's cell needs before and after it.

    Both are done within its own request, so that a cell costs no further question and answer.

    Args:
        base: ``ipykernel.ipkernel.IPythonKernel`` of this image.
    """

    class SessionKernel(base):  # type: ignore[misc]
        def __init__(self, **settings: Any) -> None:
            super().__init__(**settings)
            self.names = Names(self.shell)
            self.held = HeldInterrupt()
            signal.signal(NUDGE, lambda *_: None)
            self.shell.run_ast_nodes = self.held.until(self.shell.run_ast_nodes)

        def init_metadata(self, parent: Any) -> Any:
            """Before the cell is executed."""
            told = parent.get("metadata", {}).get(CELL)
            if told and told.get("count"):
                self.shell.execution_count = told["count"]
            if told:
                self.held.hold()
            return super().init_metadata(parent)

        @contextlib.contextmanager
        def _cancel_on_sigint(self, future: Any) -> Iterator[None]:
            """While a cell that awaits is executed: ipykernel's own handler does not wake a loop that waits."""
            loop = asyncio.get_running_loop()
            with super()._cancel_on_sigint(future):
                cancel: Any = signal.getsignal(signal.SIGINT)

                def cancel_now(*args: Any) -> None:
                    cancel(*args)
                    loop.call_soon_threadsafe(lambda: None)

                signal.signal(signal.SIGINT, cancel_now)
                yield

        def finish_metadata(self, parent: Any, metadata: Any, reply_content: Any) -> Any:
            """After the cell was executed, before its reply is sent."""
            metadata = super().finish_metadata(parent, metadata, reply_content)
            told = parent.get("metadata", {}).get(CELL)
            if told:  # an interrupt that comes now has come too late; ipykernel hears the next one again
                signal.signal(signal.SIGINT, signal.SIG_IGN)
                with contextlib.suppress(Exception):  # without it the agent asks, and tells what is wrong
                    metadata[CELL] = self.names.after(told)
            return metadata

    return SessionKernel
