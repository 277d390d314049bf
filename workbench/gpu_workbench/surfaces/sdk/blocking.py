"""The API for scripts and notebooks: every call waits for its answer."""

from __future__ import annotations

import builtins
import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, ParamSpec, TypeVar, overload

from gpu_workbench.app.dask.opening import OpenedCluster, scheduler_of
from gpu_workbench.app.detached import RESULT
from gpu_workbench.app.portal import Pull
from gpu_workbench.app.vars import Row
from gpu_workbench.app.workbench import Cell
from gpu_workbench.backends.dask import SchedulerAddress
from gpu_workbench.core.model import Phase
from gpu_workbench.core.quantities import parse_duration
from gpu_workbench.surfaces.dask import cluster_request, flags_of
from gpu_workbench.surfaces.flags import cell_flags
from gpu_workbench.surfaces.here import Here, shared
from gpu_workbench.surfaces.interrupts import Presses, kernel_ends
from gpu_workbench.surfaces.magics.dask import require_dask
from gpu_workbench.surfaces.sdk import core
from gpu_workbench.surfaces.sdk.code import call_of, cell_of, run_flags, work_of
from gpu_workbench.surfaces.sdk.showing import Result, ask, outputs_here, raise_failure

if TYPE_CHECKING:
    from gpu_workbench.app.dask.cluster import Cluster

P = ParamSpec("P")
T = TypeVar("T")


class Workload:
    """What sessions and runs have in common."""

    def __init__(self, here: Here, inner: core.Workload) -> None:
        self._here = here
        self._inner = inner

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name or self.id} on {self._inner.backend}>"

    @property
    def id(self) -> str:
        """Its id, 12 hexadecimal digits."""
        return self._inner.handle.id

    @property
    def name(self) -> str:
        """What it is called; empty for a run without a name."""
        return self._inner.handle.spec.name

    def status(self) -> Phase:
        """Where it stands now."""
        return self._here.portal.call(self._inner.status)

    def why(self) -> str:
        """One sentence: why it waits, or how it ended; empty where neither is to be said."""
        return self._here.portal.call(self._inner.why)

    def stop(self, *, force: bool = False) -> None:
        """End it and release its pods or processes.

        Args:
            force: Do not wait for a node that no longer answers.
        """
        self._here.portal.call(self._inner.stop, force=force)


class Session(Workload):
    """A place that stays warm between runs. As a context manager it is stopped at the end, if it was started for it.

    Made by :func:`gpu_workbench.session` and :func:`gpu_workbench.attach`.
    """

    _inner: core.Session

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *exception: object) -> None:
        if self._inner.started:
            self.stop()

    def run(self, cell: str, **flags: Any) -> Result:
        """Run code in the session; its output is shown here as it comes.

        Args:
            cell: Python as in a notebook's cell. Names that it reads travel there by themselves.
            flags: ``out``, ``in_``, ``no_in`` and ``name``, as of ``%%gpu``.

        Raises:
            RunFailed: the code raised; the exception bears the same name, and its cause the traceback from over there.
            KeyboardInterrupt: it was interrupted; the session lives on.
            SessionLost, StartFailed, ShippingError: it could not be run.
        """
        return self._run(cell_of(cell, run_flags(flags)))

    def call(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Call a function in the session and return its value; its output is shown here.

        Args:
            function: With all it uses it travels there by itself.

        Raises:
            RunFailed, KeyboardInterrupt, SessionLost, StartFailed, ShippingError: as :meth:`run`.
        """
        value: T = self._run(call_of(function, args, kwargs)).values[RESULT]  # type: ignore[assignment]
        return value

    def _run(self, cell: Cell) -> Result:
        portal = self._here.portal
        execution = portal.call(self._inner.execution, cell)
        outputs, presses = outputs_here(), Presses()
        with Pull(portal, execution.steps()) as pull:
            while True:
                try:
                    taken = pull.take()
                    if taken is None:
                        break
                    outputs.publish(taken[0].outputs)
                    question = taken[0].question
                    if question is not None:
                        with pull.interruptible():
                            answer = ask(question)
                        portal.call(execution.answer, question, answer)
                except KeyboardInterrupt:
                    if not execution.accepted and execution.run is None:
                        name = execution.session.handle.spec.name
                        raise KeyboardInterrupt(f"the session {name!r} keeps its place") from None
                    if kernel_ends():
                        raise
                    grade = presses.grade()
                    if grade is not None:
                        portal.call(execution.interrupt, grade=grade)
        run = execution.run
        assert run is not None
        raise_failure(run, outputs)
        values = {name: portal.call(self._inner.fetch, name, run=run.id) for name in cell.out}
        return Result(id=run.id, name=run.name, status=run.phase, values=values, receipt=run.receipt)

    def put(self, name: str = "", value: object = None, /, **values: object) -> None:
        """Bind variables in the session: ``put("x", x)`` or ``put(x=x, y=y)``.

        Raises:
            ShippingError: a value cannot travel; nothing was bound.
        """
        self._here.portal.call(self._inner.put, {**({name: value} if name else {}), **values})

    def get(self, name: str) -> object:
        """The value of a variable of the session.

        Raises:
            NotFound: there is none of that name.
            ShippingError: it cannot travel.
        """
        return self._here.portal.call(self._inner.fetch, name)

    def vars(self) -> builtins.list[Row]:
        """The session's variables beside the notebook's: where, type, size, device, and whether the two copies differ."""
        return self._here.portal.call(self._inner.vars)

    def keep(self, time: str | float) -> None:
        """Put off the moment at which it ends for having nothing to do.

        Args:
            time: From now: ``"2h"``, or seconds.
        """
        self._here.portal.call(self._inner.keep, parse_duration(str(time)))


class Run(Workload):
    """A detached run: it needs neither this process nor this machine.

    Made by :func:`gpu_workbench.submit` and :func:`gpu_workbench.attach`.
    """

    _inner: core.Run

    def wait(self, timeout: float | None = None) -> Phase:
        """Wait for its end.

        Args:
            timeout: Seconds; ``None`` to wait for ever.

        Raises:
            TimeoutError: it has not ended by then.
        """
        return self._here.portal.call(self._inner.wait, timeout)

    def result(self, timeout: float | None = None) -> Any:
        """What it gave, once it has ended: of a function its value, of code a dict of the names in ``out``.

        Args:
            timeout: Seconds; ``None`` to wait for ever.

        Raises:
            TimeoutError: it has not ended by then.
            RunFailed, SessionLost: it did not end well; the cause has the traceback.
            NotFound: its results are not there any more.
            ForgedValue: a stored result is not what the run signed; nothing was loaded.
        """
        return self._here.portal.call(self._inner.result, timeout)

    def logs(self, *, follow: bool = False) -> Iterator[str]:
        """Its output from the beginning, line by line.

        Args:
            follow: Go on until it has ended.
        """
        pull = Pull(self._here.portal, self._inner.lines(follow=follow))
        while (taken := pull.take()) is not None:
            yield taken[0]


def session(name: str = "default", **flags: Any) -> Session:
    """The session of that name: the one there is, or a new one. Returns at once, long before a new one is ready.

    Args:
        name: Of the session.
        flags: As of ``%gpu start``: ``gpus="h200:2"``, ``memory="64Gi"``, ``backend="kubernetes"``, …

    Raises:
        FlagError: a flag is wrong, or contradicts the session there is.
        BackendError: it cannot be started.
    """
    here = shared()
    request = here.request(cell_flags({**flags, "session": name}))
    return Session(here, here.portal.call(core.open_session, here, request))


def submit(what: str | Path | Callable[..., Any], *args: object, **flags: Any) -> Run:
    """Seal code, a function or a script as a detached run, start it, and return at once.

    Args:
        what: Code of a cell; a function (bind keyword arguments with ``functools.partial``); or the path of a script, as a
            :class:`~pathlib.Path` or a string that ends with ``.py``.
        args: Arguments of the function or the script.
        flags: As of ``%%gpu --detach``: ``out="loss"``, ``name="baseline"``, ``gpus=2``, …

    Raises:
        FlagError, UsageError, ShippingError, BackendError: it cannot be sealed or started; nothing was started.
    """
    here = shared()
    read = cell_flags({**flags, "detach": True})
    work = work_of(what, args, read)
    return Run(here, here.portal.call(core.submit, here, here.request(read), work))


def dask(**flags: Any) -> Cluster:
    """A Dask cluster: the one of that name, or a new one; waits until its scheduler answers.

    It is one of Dask's own ``distributed.deploy.Cluster``: ``distributed.Client(cluster)`` connects. It lives on without
    this process; ``close()``, or leaving its ``with`` block, ends it where this call has started it.

    Args:
        flags: As of ``%gpu dask``: ``n_workers=4, gpus=1, group={"cpu": 4}, adapt="0:8", name="etl"``, …

    Raises:
        FlagError: a flag is wrong, or contradicts the cluster there is.
        UsageError: Dask is not installed here, or its operator not in the cluster.
        StartFailed: its scheduler did not come up.
        BackendError: it cannot be started.
    """
    require_dask()
    here = shared()
    request = cluster_request(here, flags_of(flags))
    opened, address = here.portal.call(core.open_dask, here, request)
    return _cluster(here, opened, address)


def _cluster(here: Here, opened: OpenedCluster, address: SchedulerAddress) -> Cluster:
    from gpu_workbench.app.dask.cluster import Cluster

    return Cluster(opened.subscription, address, portal=here.portal, started=opened.started)


def attach(word: str, **flags: Any) -> Session | Run | Workload | Cluster:
    """A session, run or Dask cluster of mine, whichever notebook or process started it.

    Args:
        word: Its name, its id, or an unambiguous beginning of either.
        flags: ``backend``, ``context``, ``namespace``.

    Raises:
        RunNotFound: there is none, or there are several.
    """
    here = shared()
    found = here.portal.call(core.attach, here, here.request(cell_flags(flags)), word)
    if isinstance(found, OpenedCluster):
        require_dask()
        return _cluster(here, found, here.portal.call(scheduler_of, found.subscription))
    return _wrapped(here, found)


def list(*, all: bool = False, **flags: Any) -> Sequence[Session | Run | Workload]:
    """My sessions and runs, newest first; and Dask clusters, which :func:`attach` connects to.

    Args:
        all: Those that have ended, too.
        flags: ``backend``, ``context``, ``namespace``.
    """
    here = shared()
    found = here.portal.call(core.listing, here, here.request(cell_flags(flags)), ended=all)
    return [_wrapped(here, one) for one in found]


def _wrapped(here: Here, found: core.Workload) -> Session | Run | Workload:
    if isinstance(found, core.Session):
        return Session(here, found)
    return Run(here, found) if isinstance(found, core.Run) else Workload(here, found)


class RemoteFunction(Generic[P, T]):
    """A function whose calls run in a session. Made by :func:`gpu_workbench.remote`; over there it is the plain function."""

    def __init__(self, function: Callable[P, T], flags: Mapping[str, Any]) -> None:
        functools.update_wrapper(self, function)
        self._function = function
        self._flags = dict(flags)

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> T:
        """Call it in the session and return its value."""
        flags = dict(self._flags)
        return session(flags.pop("session", "default"), **flags).call(self._function, *args, **kwargs)

    def submit(self, *args: P.args, **kwargs: P.kwargs) -> Run:
        """Call it as a detached run."""
        return submit(functools.partial(self._function, *args, **kwargs), **self._flags)

    def __reduce__(self) -> tuple[Any, tuple[Callable[P, T]]]:
        """Travel as the plain function, which needs nothing of ours there: copying a function gives that function."""
        import copy

        return copy.copy, (self._function,)


@overload
def remote(function: Callable[P, T], /) -> RemoteFunction[P, T]: ...
@overload
def remote(**flags: Any) -> Callable[[Callable[P, T]], RemoteFunction[P, T]]: ...


def remote(function: Callable[P, T] | None = None, /, **flags: Any) -> Any:
    """Decorate a function so that its calls run in a session: ``@gw.remote(gpus=1)``.

    Args:
        flags: As of :func:`session`, whose name is ``session`` here.
    """
    if function is not None:
        return RemoteFunction(function, flags)
    return lambda function: RemoteFunction(function, flags)
