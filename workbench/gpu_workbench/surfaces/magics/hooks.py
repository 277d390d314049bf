"""What happens beside the magics: a line when two copies of a variable differ, a word under a NameError, and completion.

All of it costs nothing until a magic was used: a plain cell in a notebook without sessions is not even looked at.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

from gpu_workbench.core.errors import WorkbenchError
from gpu_workbench.surfaces.magics.bars import CellBar, Connections, shower

_MAGIC = re.compile(r"\s*%%?gpu\b")
_TYPED = re.compile(r"[^\W\d]\w*\Z")


class Hooks:
    """The hooks of one IPython shell.

    Args:
        shell: The shell.
        here: Gives this process's place of work; ``None`` while no magic was used.
    """

    def __init__(self, shell: Any, here: Callable[[], Any]) -> None:
        self._shell = shell
        self._here = here
        self._bar: CellBar | None = None

    def register(self) -> None:
        """Ask IPython to call them."""
        self._shell.events.register("pre_run_cell", self.before)
        self._shell.events.register("post_run_cell", self.after)
        completer = getattr(self._shell, "Completer", None)
        if completer is not None:
            completer.custom_matchers.append(self.session_names)
            for magic in ("%gpu", "%%gpu"):
                self._shell.set_hook("complete_command", self.magic_words, str_key=magic)

    # around a cell

    def before(self, info: Any) -> None:
        """Say which of the names that the cell reads have become others in a session since they were sent."""
        here = self._here()
        if here is not None and here.clusters:
            self._ship_modules(here)
            if not _MAGIC.match(info.raw_cell):
                self._bar = CellBar(Connections(here.clusters), shower(self._shell))
        apart = self._apart()
        if not apart or _MAGIC.match(info.raw_cell):
            return
        reads = _names(info.raw_cell)[0]
        read = [twin for twin in apart if twin.name in reads]
        if read:
            from gpu_workbench.surfaces.magics.notes import note

            note(self._shell, *(_differs(twin) for twin in read))
            self._here().twins.settle(read)

    def _ship_modules(self, here: Any) -> None:
        from gpu_workbench.surfaces.magics.dask import ship_modules
        from gpu_workbench.surfaces.magics.notes import note

        said = ship_modules(here)
        if said:
            note(self._shell, *said)

    def after(self, result: Any) -> None:
        """What the cell bound here is the user's own choice; and a name that only a session has is told."""
        if self._bar is not None:
            self._bar.end()
            self._bar = None
        here = self._here()
        if here is None or result.info is None:
            return
        error = result.error_in_exec
        name = getattr(error, "name", None)
        if isinstance(error, NameError) and name and not isinstance(error, WorkbenchError):
            self._lives_elsewhere(here, name)
        apart = self._apart()
        if apart and not _MAGIC.match(result.info.raw_cell):
            binds = _names(result.info.raw_cell)[1]
            here.twins.settle(twin for twin in apart if twin.name in binds)

    def _apart(self) -> list[Any]:
        here = self._here()
        if here is None:
            return []
        found: list[Any] = here.twins.apart(here.living(), self._shell.user_ns)
        return found

    def _lives_elsewhere(self, here: Any, name: str) -> None:
        for handle, workload in here.living():
            if name in workload.names:
                from gpu_workbench.surfaces.magics.notes import note

                note(
                    self._shell,
                    f"{name} lives in the session {handle.spec.name!r}: `%gpu pull {name}` brings it here",
                )
                return

    # completion

    def session_names(self, text: str) -> list[str]:
        """Names of the sessions that begin with what was typed, beside those that are here."""
        here = self._here()
        typed = _TYPED.search(text)
        if here is None or typed is None or typed[0] != text:
            return []
        names = {name for _, workload in here.living() for name in workload.names}
        return sorted(name for name in names if name.startswith(text) and name not in self._shell.user_ns)

    def magic_words(self, shell: Any, event: Any) -> Sequence[str]:
        """Commands, flags, runs and profiles in a line of ``%gpu`` or ``%%gpu``."""
        from gpu_workbench.surfaces.completion import complete

        line = event.text_until_cursor
        here = self._here()
        known = here.known() if here is not None else ([], [], [])
        try:
            return complete(line, len(line), runs=known[0], profiles=known[1], sessions=known[2])
        except WorkbenchError:
            return []


def _names(cell: str) -> tuple[set[str], frozenset[str]]:
    """The names that a cell reads, and those that it binds; none of a cell that is not Python."""
    from gpu_workbench.app.shipping.names import analyse

    try:
        found = analyse(cell)
    except (SyntaxError, ValueError):
        return set(), frozenset()
    return set(found.reads), found.binds


def _differs(twin: Any) -> str:
    return (
        f"{twin.name} is another one in the session {twin.session!r} since run {twin.run}: "
        f"`%gpu pull {twin.name}` brings that here"
    )
