"""One agent: journal, payload, devices and limits, from its first event to its last."""

from __future__ import annotations

import asyncio
import contextlib
import os
import platform
import secrets
import socket
import time
from collections.abc import Iterator
from pathlib import Path

from gpu_workbench.__about__ import __version__
from gpu_workbench.agent.echo import Echo
from gpu_workbench.agent.environment import payload_environment
from gpu_workbench.agent.exits import describe_death
from gpu_workbench.agent.files import Mirror
from gpu_workbench.agent.gpus import GpuSampler
from gpu_workbench.agent.journal import Journal
from gpu_workbench.agent.kernel import Kernel, KernelDied
from gpu_workbench.agent.limits import Limits
from gpu_workbench.agent.session import Session
from gpu_workbench.core import events as e
from gpu_workbench.core.agent_config import AgentConfig
from gpu_workbench.core.model import Failure, GpuDevice, GpuSample, Phase
from gpu_workbench.core.wire import JsonObject


class Service:
    """Holds the parts together. Everything in it belongs to one event loop.

    Args:
        config: What the backend said.
        command: How to start Python with this agent: interpreter and archive, or interpreter and module.
    """

    def __init__(self, config: AgentConfig, *, command: list[str]) -> None:
        self.config = config
        self.rank = int(os.environ.get(config.rank_env) or 0) if config.rank_env else 0
        self._born = time.monotonic()
        self._command = [config.python or command[0], *command[1:]]
        state = Path(config.state_dir)
        self.journal = Journal(
            state / "journal",
            rank=self.rank,
            epoch=secrets.token_hex(6),
            clock=self.clock,
            limit=config.journal_limit,
        )
        self._kernel_dir = state / "k"
        self._kernel_dir.mkdir(mode=0o700, exist_ok=True)
        self.mirror = Mirror(Path(config.work_dir), state / "files")
        self.sampler = GpuSampler(self._sampled_in_thread)
        self.limits = Limits(idle=config.idle_limit, orphan=config.orphan_limit, time=config.time_limit)
        self.payload = Session(
            make_kernel=self._make_kernel, journal=self.journal, clock=self.clock, devices=self._devices
        )
        if config.echo:
            self.journal.listen(Echo().entry)
        self._loop = asyncio.get_running_loop()
        self._clients = 0
        self._alone_since: float | None = 0.0
        self._limit: tuple[str, float] | None = None
        self._ending: asyncio.Future[tuple[str, Phase]] = self._loop.create_future()
        self.failure: Failure | None = None

    def clock(self) -> float:
        """Seconds since the agent started."""
        return time.monotonic() - self._born

    def _devices(self) -> tuple[GpuDevice, ...]:
        return self.sampler.devices

    def _make_kernel(self) -> Kernel:
        return Kernel(
            command=self._command,
            folder=self._kernel_dir,
            work_dir=Path(self.config.work_dir),
            env=payload_environment(self.config),
        )

    async def run(self) -> Phase:
        """Bring the payload up, serve until there is a reason to end, and end. Returns how it ended."""
        self.sampler.start()
        self.journal.append(
            e.AgentStarted(
                kind=self.config.kind,
                version=__version__,
                started=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
                python=platform.python_version(),
                host=socket.gethostname(),
                gpus=self.sampler.devices,
                gpus_missing=self.sampler.missing,
            )
        )
        try:
            await self.payload.start()
        except KernelDied as death:
            return await self._not_started(describe_death(death.code, tail=death.tail))
        watch = asyncio.create_task(self._watch_limits())
        try:
            reason, phase = await self._ending
        finally:
            watch.cancel()
        self.journal.append(e.StopBegan(reason=reason, phase=phase))
        await self.payload.stop(reason)
        self.journal.append(e.RankEnded(phase=phase))
        self.sampler.stop()
        return phase

    async def _not_started(self, failure: Failure) -> Phase:
        self.failure = failure
        self.journal.append(e.RankEnded(phase=Phase.FAILED, failure=failure))
        with contextlib.suppress(asyncio.TimeoutError):  # whoever waits for it should hear why
            await asyncio.wait_for(asyncio.shield(self._ending), 5.0)
        return Phase.FAILED

    def stop(self, reason: str, phase: Phase = Phase.STOPPED) -> None:
        """Begin to end; the first reason counts."""
        if not self._ending.done():
            self._ending.set_result((reason, phase))

    async def _watch_limits(self) -> None:
        while True:
            deadline = self.limits.deadline(idle_since=self.payload.idle_since, alone_since=self._alone_since)
            shown = (deadline[0], round(deadline[1])) if deadline else None
            if shown != self._limit:
                self._limit = shown
                self.journal.append(
                    e.LimitSet(limit=deadline[0], ends_at=round(deadline[1], 1))
                    if deadline
                    else e.LimitSet(limit="none")
                )
            if deadline and self.clock() >= deadline[1]:
                return self.stop(self.limits.reason(deadline[0]))
            await asyncio.sleep(1.0 if deadline is None else min(1.0, max(0.05, deadline[1] - self.clock())))

    def keep(self, seconds: float) -> float:
        """Postpone the idle limit; returns when it ends now."""
        self.limits.keep(now=self.clock(), seconds=seconds)
        return self.limits.kept_until

    def heard_from_client(self) -> None:
        """A client asked something."""
        if self._alone_since is not None:
            self._alone_since = self.clock()

    @contextlib.contextmanager
    def client(self) -> Iterator[None]:
        """While a client reads the journal."""
        self._clients += 1
        self._alone_since = None
        try:
            yield
        finally:
            self._clients -= 1
            if not self._clients:
                self._alone_since = self.clock()

    def state(self) -> JsonObject:
        """What ``GET /v1/state`` answers."""
        return {
            "version": 1,
            "agent": __version__,
            "kind": self.config.kind.value,
            "workload": self.config.workload,
            "rank": self.rank,
            "epoch": self.journal.epoch,
            "generation": self.payload.generation,
            "cursor": str(self.journal.cursor),
            "now": round(self.clock(), 3),
            "busy": self.payload.busy,
            "queue": list(self.payload.queued),
            "python": self.payload.kernel.python,
            "names": dict(self.payload.names),
            "clients": self._clients,
        }

    def _sampled_in_thread(self, samples: tuple[GpuSample, ...]) -> None:
        with contextlib.suppress(RuntimeError):  # the loop may be closed by now
            self._loop.call_soon_threadsafe(self._sampled, samples)

    def _sampled(self, samples: tuple[GpuSample, ...]) -> None:
        self.payload.sampled(samples)
        self.journal.append(e.GpuSampled(samples=samples))
