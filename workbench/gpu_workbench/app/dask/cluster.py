"""A Dask cluster as Dask's users know one: a ``distributed.deploy.Cluster`` over a workload of ours.

Importing this module imports Dask. Source: ``distributed.deploy.cluster``, whose methods it has.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import cloudpickle
from distributed.core import rpc
from distributed.deploy.cluster import Cluster as DaskCluster
from distributed.security import Security

from gpu_workbench.app.dask import onworkers
from gpu_workbench.app.dask.modules import LocalModules
from gpu_workbench.app.dask.opening import DEFAULT_GROUP, adapt, backend_of
from gpu_workbench.app.notebook import server_base
from gpu_workbench.app.portal import Portal
from gpu_workbench.app.stopping import stop
from gpu_workbench.app.subscriptions import Subscription
from gpu_workbench.backends.dask import SchedulerAddress
from gpu_workbench.core.errors import ProtocolError, UsageError
from gpu_workbench.core.model import DaskState, DaskTasks
from gpu_workbench.core.wire import decode

_MODULES = "gpu-workbench-modules"


class Cluster(DaskCluster):  # type: ignore[misc]
    """A Dask cluster on this machine or on Kubernetes, with all methods of ``distributed.deploy.Cluster``.

    It lives on when this object, or this notebook, is gone; :meth:`close` ends it where it was started by this very object,
    and lets go of it where it was found.

    Args:
        subscription: To the workload, whose scheduler answers.
        address: Of its scheduler.
        portal: Where the subscription lives.
        started: Whether it was started for this object.
        asynchronous: Whether it is used in an event loop of the caller's.
    """

    def __init__(
        self,
        subscription: Subscription,
        address: SchedulerAddress,
        *,
        portal: Portal,
        started: bool,
        asynchronous: bool = False,
    ) -> None:
        self._subscription = subscription
        self._address = address.address
        self._portal = portal
        self._ends = started
        self._modules = LocalModules()
        self._orders: set[asyncio.Future[None]] = set()
        self.security = Security(
            require_encryption=True,
            tls_ca_file=address.certificate,
            tls_client_cert=address.certificate,
            tls_client_key=address.key,
        )
        super().__init__(asynchronous=asynchronous, quiet=True, name=subscription.handle.spec.name)
        if not self.called_from_running_loop:
            self._loop_runner.start()
            try:
                self.sync(self._start)
            except BaseException:
                self.let_go()
                self.close()
                raise

    async def _start(self) -> None:
        arguments = self.security.get_connection_args("client")
        self.scheduler_comm = rpc(self._address, connection_args=arguments)
        await super()._start()
        self.name = self._subscription.handle.spec.name  # the scheduler had one of its own
        await self._ship_modules()

    def __await__(self) -> Any:
        """Connect, where it is used in the caller's own event loop."""

        async def begin() -> Cluster:
            if self.scheduler_comm is None:
                await self._start()
            return self

        return begin().__await__()

    @property
    def id(self) -> str:
        """The workload's id, 12 hexadecimal digits."""
        return self._subscription.handle.id

    @property
    def state(self) -> DaskState | None:
        """What its scheduler said last of its workers and tasks; ``None`` before it has said anything."""
        return self._subscription.workload.dask

    def tasks(self) -> DaskTasks | None:
        """The tasks of the computation under way, or of the last one, asked for now; ``None`` where nobody answers."""
        try:
            return self.sync(self._tasks, callback_timeout=1.0)  # type: ignore[no-any-return]
        except (OSError, TimeoutError, asyncio.TimeoutError, ProtocolError, ValueError):
            return None

    async def _tasks(self) -> DaskTasks:
        return decode(DaskTasks, json.loads(await self.scheduler_comm.gpu_workbench_tasks()))

    @property
    def dashboard_link(self) -> str:
        """Path of the dashboard on the Jupyter server, behind its log-in; empty where the scheduler has none."""
        state = self.state
        if state is None or not state.dashboard:
            return ""
        return f"{server_base()}gpu-workbench/dask/{self._subscription.handle.backend}/{self.id}/{state.dashboard}"

    def scale(self, n: int, group: str = DEFAULT_GROUP) -> Any:
        """Have that many workers. Workers that go hand their results to those that stay.

        Args:
            n: How many.
            group: In which worker group.

        Raises:
            UsageError: it is no number of workers.
            NotFound: there is no such group.
        """
        if n < 0:
            raise UsageError(f"A cluster cannot have {n} workers", fix="Give 0 or more")
        backend, handle = backend_of(self._subscription.backend), self._subscription.handle
        return self._order(lambda: backend.scale(handle, int(n), group=group))

    def adapt(self, minimum: int = 0, maximum: int | None = None, **options: Any) -> Any:
        """Have as many workers as the tasks need, between two sizes, until :meth:`scale` is called; also without a client.

        Args:
            minimum: Workers that stay though there is nothing to do.
            maximum: Workers at most.
            options: None: how often is looked is the operator's matter.

        Raises:
            UsageError: the bounds are missing or the wrong way round, or there are options.
        """
        if options:
            raise UsageError(f"adapt takes no {', '.join(sorted(options))}", fix="Give minimum and maximum")
        if maximum is None or not 0 <= minimum <= maximum:
            raise UsageError(
                f"A cluster cannot adapt between {minimum} and {maximum} workers",
                why="without an upper bound a long computation would take every GPU there is",
                fix="Give both: cluster.adapt(minimum=0, maximum=8)",
            )
        subscription, most = self._subscription, maximum
        return self._order(lambda: adapt(subscription, minimum=minimum, maximum=most))

    def ship_modules(self) -> Any:
        """Have the cluster import the notebook's own modules as they are now, where one is new or has changed.

        In a notebook that is done before each cell.

        Raises:
            TooLarge: they are more than travels.
        """
        return self.sync(self._ship_modules)

    async def _ship_modules(self) -> bool:
        found = self._modules.changed()
        if found is None:
            return False
        cloudpickle.register_pickle_by_value(onworkers)
        try:
            plugins = {
                "register_scheduler_plugin": cloudpickle.dumps(onworkers.SchedulerModules(*found)),
                "register_worker_plugin": cloudpickle.dumps(onworkers.WorkerModules(*found)),
            }
        finally:
            cloudpickle.unregister_pickle_by_value(onworkers)
        for call, plugin in plugins.items():
            await getattr(self.scheduler_comm, call)(plugin=plugin, name=_MODULES, idempotent=False)
        return True

    def _order(self, work: Callable[[], Coroutine[Any, Any, None]]) -> Awaitable[None] | None:
        if not self.asynchronous:
            return self._portal.call(work)
        order = asyncio.ensure_future(self._portal.elsewhere(work()))  # as Dask's own, it need not be awaited
        self._orders.add(order)
        order.add_done_callback(self._orders.discard)
        return order

    def let_go(self) -> None:
        """Have :meth:`close` leave the cluster as it is."""
        self._ends = False

    def close(self, timeout: float | None = None) -> Any:
        """End the cluster where this very object has started it; let go of it where it was found.

        Args:
            timeout: Seconds after which waiting for that is given up; ``None`` for never.
        """
        closing = super().close(timeout)
        if not self.asynchronous:
            self._loop_runner.stop()
        return closing

    async def _close(self) -> None:
        await super()._close()
        if self._ends:
            self._ends = False
            await self._portal.elsewhere(stop(self._subscription, force=False))
