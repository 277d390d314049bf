"""Where browsers meet what they look at: states of topics, made once for all who look."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

from gpu_workbench.app.board import Board, Followed
from gpu_workbench.app.capacities import Capacities
from gpu_workbench.app.logs import Logs
from gpu_workbench.core.errors import RunNotFound
from gpu_workbench.surfaces.server.event_log import EventLog
from gpu_workbench.surfaces.server.starting.starter import Starter
from gpu_workbench.surfaces.server.states import capacity, row, run_state, target
from gpu_workbench.surfaces.server.topics import CAPACITY, RUNS, TARGETS, RunTopic, State

Changed = Callable[[str], None]
"""Called with the name of a topic of which something may have changed."""


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
        self._rows: dict[str, tuple[int, str]] = {}
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

    def state(self, topic: str | RunTopic) -> State:
        """What is known now.

        Raises:
            RunNotFound: that workload is not there any more.
        """
        if isinstance(topic, RunTopic):
            return self._state_of_run(topic)
        if topic == TARGETS:
            return {name: target(name, self.board.errors.get(name, "")) for name in self.board.targets}
        if topic == CAPACITY:
            return {name: capacity(name, counted) for name, counted in self.capacities.known.items()}
        return self._state_of_list()

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

    def _state_of_list(self) -> State:
        rows = {}
        for workload, followed in self.board.workloads.items():
            version, text = self._rows.get(workload, (-1, ""))
            if version != followed.version:
                recorded = self.board.is_recorded(followed)
                version, text = followed.version, row(followed, root=self._root, recorded=recorded)
            rows[workload] = version, text
        self._rows = rows
        return {workload: text for workload, (_, text) in rows.items()}
