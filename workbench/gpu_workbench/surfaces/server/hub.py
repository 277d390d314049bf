"""Where browsers meet what they look at: states of topics, made once for all who look."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from gpu_workbench.app.board import Board, Followed
from gpu_workbench.app.capacities import Capacities
from gpu_workbench.app.logs import Logs
from gpu_workbench.core.errors import RunNotFound
from gpu_workbench.core.model import DaskState
from gpu_workbench.surfaces.server.event_log import EventLog
from gpu_workbench.surfaces.server.starting.starter import Starter
from gpu_workbench.surfaces.server.states import capacity, row, run_state, target
from gpu_workbench.surfaces.server.topics import CAPACITY, RUNS, TARGETS, RunTopic, State

Changed = Callable[[str], None]
"""Called with the name of a topic of which something may have changed."""

_LAST_RUNS = 12
"""Of a session: how they stand is known in a list, also where its row is out of sight."""


@dataclass(frozen=True)
class _MadeRow:
    """A row as it is sent.

    Args:
        version: Of the workload, when it was last looked at.
        standing: What else of it is seen in a list than in its row: in which group it stands, what filters and notices say.
        stale: It has changed since it was made, out of sight.
    """

    version: int
    standing: tuple[object, ...]
    text: str
    stale: bool = False


class Hub:
    """The topics of one server.

    Args:
        board: What they are about.
        capacities: And which GPUs there are for it.
        saved: How much of a view may be kept in a notebook file: ``summary``, ``full`` or ``none``.
        root: The folder that the server serves.
        starter: Starts sessions that forms ask for.
        events: Is told what is done.
    """

    def __init__(
        self,
        board: Board,
        capacities: Capacities,
        *,
        saved: str,
        root: Path,
        starter: Starter,
        events: EventLog,
    ) -> None:
        self.board = board
        self.capacities = capacities
        self.starter = starter
        self.events = events
        self.saved = saved
        self._root = root
        self.logs = Logs()
        self._rows: dict[str, _MadeRow] = {}
        self._on_screen: dict[object, frozenset[str] | None] = {}
        self._runs: dict[str, tuple[int, State]] = {}
        self._topics: dict[str, dict[str, int]] = {}

    @contextlib.contextmanager
    def look(self, changed: Changed) -> Iterator[None]:
        """While it lasts, changes of all topics are told."""

        def tell(workload: str) -> None:
            changed(RUNS if workload else TARGETS)
            for topic in list(self._topics.get(workload, ())):
                changed(topic)

        with self.board.look(tell):
            yield

    def on_screen(self, looker: object, rows: frozenset[str] | None) -> None:
        """Which workloads' rows somebody sees now; ``None`` for all. The others are renewed where their standing changes."""
        self._on_screen[looker] = rows

    def off_screen(self, looker: object) -> None:
        """Somebody sees the list no more."""
        self._on_screen.pop(looker, None)

    def want(self, topic: str | RunTopic, changed: Changed) -> contextlib.AbstractContextManager[None]:
        """While it lasts, that topic is wanted: what is known only while somebody does is found out and told."""
        if isinstance(topic, RunTopic):
            return self._want_run(topic)
        if topic == CAPACITY:
            return self.capacities.look(lambda: changed(CAPACITY))
        return contextlib.nullcontext()

    @contextlib.contextmanager
    def _want_run(self, topic: RunTopic) -> Iterator[None]:
        wanted = self._topics.setdefault(topic.workload, {})
        wanted[str(topic)] = wanted.get(str(topic), 0) + 1
        try:
            yield
        finally:
            wanted[str(topic)] -= 1
            if not wanted[str(topic)]:
                del wanted[str(topic)]
                self._runs.pop(str(topic), None)
            if not wanted:
                self._topics.pop(topic.workload, None)

    def state(self, topic: str | RunTopic, *, all_rows: bool = False) -> State:
        """What is known now.

        Args:
            topic: Of what.
            all_rows: Of the list also what is out of every browser's sight.

        Raises:
            RunNotFound: that workload is not there any more.
        """
        if isinstance(topic, RunTopic):
            return self._state_of_run(topic)
        if topic == TARGETS:
            return {name: target(name, self.board.errors.get(name, "")) for name in self.board.targets}
        if topic == CAPACITY:
            return {name: capacity(name, counted) for name, counted in self.capacities.known.items()}
        return self._state_of_list(None if all_rows else self._seen())

    def _state_of_run(self, topic: RunTopic) -> State:
        followed = self.board.workloads.get(topic.workload)
        if followed is None:
            raise RunNotFound(f"There is no run {topic.workload!r}")
        followed.want()
        version, state = self._runs.get(str(topic), (-1, {}))
        if version != followed.version:
            version, state = followed.version, self._state_of(followed, topic)
            self._runs[str(topic)] = version, state
        return state

    def _state_of(self, followed: Followed, topic: RunTopic) -> State:
        return run_state(followed, topic.run, recorded=self.board.is_recorded(followed))

    def _state_of_list(self, seen: frozenset[str] | None) -> State:
        rows = {}
        for workload, followed in self.board.workloads.items():
            made = self._rows.get(workload)
            if made is None or made.stale or made.version != followed.version:
                made = self._row(followed, made, is_seen=seen is None or workload in seen)
            rows[workload] = made
        self._rows = rows
        return {workload: made.text for workload, made in rows.items()}

    def _seen(self) -> frozenset[str] | None:
        """The workloads whose rows anybody sees; ``None`` for all."""
        looks = list(self._on_screen.values())
        return None if None in looks else frozenset[str]().union(*(rows for rows in looks if rows))

    def _row(self, followed: Followed, before: _MadeRow | None, *, is_seen: bool) -> _MadeRow:
        """The row as it is now; one that nobody sees is left as it was, unless it stands elsewhere."""
        version = followed.version
        if before is not None and not is_seen and before.stale and before.version == version:
            return before
        standing = self._standing(followed)
        if before is not None and not is_seen and before.standing == standing:
            return replace(before, version=version, stale=True)
        recorded = self.board.is_recorded(followed)
        return _MadeRow(version, standing, row(followed, root=self._root, recorded=recorded))

    def _standing(self, followed: Followed) -> tuple[object, ...]:
        subscription = followed.subscription
        workload = subscription.workload
        runs = list(workload.runs.values())[-_LAST_RUNS:]
        return (
            subscription.phase,
            len(workload.ranks),
            _standing_of_dask(workload.dask),
            self.board.is_recorded(followed),
            *((run.id, run.phase) for run in runs),
        )


def _standing_of_dask(state: DaskState | None) -> tuple[object, ...]:
    """How many GPUs it has, and whether it idles."""
    return () if state is None else (sum(len(one.gpus) for one in state.workers), state.tasks.open > 0)
