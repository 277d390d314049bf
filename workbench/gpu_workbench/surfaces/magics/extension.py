"""``%load_ext gpu_workbench``: registers the magics. What they need is imported when they are first used."""

from __future__ import annotations

from typing import Any

from IPython.core.magic import Magics, cell_magic, line_magic, magics_class, no_var_expand

from gpu_workbench.core.errors import WorkbenchError
from gpu_workbench.surfaces.magics.hooks import Hooks


@magics_class
class GpuMagics(Magics):  # type: ignore[misc]
    """The magics of one IPython shell."""

    def __init__(self, shell: Any) -> None:
        super().__init__(shell)
        self._here: Any = None
        Hooks(shell, lambda: self._here).register()

    @property
    def here(self) -> Any:
        """This process as the workbench knows it."""
        if self._here is None:
            from gpu_workbench.surfaces.here import shared

            self._here = shared(self.shell.user_ns)
        return self._here

    @line_magic("gpu")  # type: ignore[untyped-decorator]
    def line(self, line: str) -> Any:
        """Sessions and runs: ``%gpu --help``."""
        from gpu_workbench.surfaces.magics.line import run_line

        return self._shown(run_line, self.here, self.shell, line)

    @no_var_expand  # type: ignore[untyped-decorator]
    @cell_magic("gpu")  # type: ignore[untyped-decorator]
    def cell(self, line: str, cell: str) -> None:
        """Run the cell on GPUs: ``%%gpu --help``."""
        from gpu_workbench.surfaces.magics.line import run_cell

        self._shown(run_cell, self.here, self.shell, self.shell.var_expand(line, depth=2), cell)

    @staticmethod
    def _shown(function: Any, *args: Any) -> Any:
        from gpu_workbench.surfaces.magics.failures import shown_error

        try:
            return function(*args)
        except WorkbenchError as error:
            raise shown_error(error) from None


def load(shell: Any) -> None:
    """Register the magics."""
    shell.register_magics(GpuMagics)
