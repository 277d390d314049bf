"""One agent: journal, payload, devices and limits, from its first event to its last."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import os
import platform
import secrets
import shutil
import socket
import subprocess
import time
from collections.abc import Coroutine, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from gpu_workbench.__about__ import __version__
from gpu_workbench.agent.audience import Audience
from gpu_workbench.agent.children import Children
from gpu_workbench.agent.copies import Copies
from gpu_workbench.agent.echo import Echo
from gpu_workbench.agent.endings import Ended, Ending, Outcome
from gpu_workbench.agent.exits import describe_death, exit_code, no_scheduler, not_started
from gpu_workbench.agent.files import Mirror
from gpu_workbench.agent.gang import Gang
from gpu_workbench.agent.gpus import GpuSampler
from gpu_workbench.agent.job import Job, SealBroken, broken, open_seal
from gpu_workbench.agent.journal import Journal
from gpu_workbench.agent.keeping import Keeping
from gpu_workbench.agent.kernel import KernelDied
from gpu_workbench.agent.launch import LaunchedKernel, LaunchedScheduler
from gpu_workbench.agent.limits import Limits
from gpu_workbench.agent.others import Others
from gpu_workbench.agent.payload import Payload
from gpu_workbench.agent.payloads import Payloads
from gpu_workbench.agent.ranks import Place
from gpu_workbench.agent.remote import StoreUnusable
from gpu_workbench.agent.results import Results
from gpu_workbench.agent.runs import Runs
from gpu_workbench.agent.script import Script
from gpu_workbench.agent.session import Keep, Session
from gpu_workbench.agent.tie import Tie
from gpu_workbench.agent.together import Together
from gpu_workbench.agent.wrap import Wrapped
from gpu_workbench.core import events as e
from gpu_workbench.core.agent_config import AgentConfig
from gpu_workbench.core.exits import Exit
from gpu_workbench.core.model import Cause, Failure, GpuDevice, GpuSample, Kind, Phase
from gpu_workbench.core.sealed import SealedJob
from gpu_workbench.core.wire import JsonObject
from gpu_workbench.transport.timing import within

SESSION_PATIENCE = 2.0
"""Seconds a session's kernel is given to end by itself."""

JOB_PATIENCE = 20.0
"""Seconds the code of a detached run is given after SIGTERM, to write a checkpoint; less than a pod's grace period."""

HEARD_PATIENCE = 5.0
"""Seconds that an agent whose payload did not come up waits for somebody to hear why."""

T = TypeVar("T")


class Service:
    """Holds the parts together. Everything in it belongs to one event loop.

    Args:
        config: What the backend said.
        command: How to start Python with this agent: interpreter and archive, or interpreter and module.
        place: The rank it is of.
        launched: The payload's process, if it is under way already.
        others: The agents of other ranks that this one started.
    """

    def __init__(
        self,
        config: AgentConfig,
        *,
        command: list[str],
        place: Place,
        launched: LaunchedKernel | LaunchedScheduler | None = None,
        others: Sequence[subprocess.Popen[bytes]] = (),
    ) -> None:
        self.config = config
        self.rank = place.rank
        self._place = place
        self._born = time.monotonic()
        self._loop = asyncio.get_running_loop()
        state = Path(config.state_dir)
        self.journal = Journal(
            state / "journal",
            rank=self.rank,
            epoch=secrets.token_hex(6),
            clock=self.clock,
            limit=config.journal_limit,
        )
        self.children = Children()
        self.others = Others(place, others, children=self.children)
        share = (place.local_rank, place.procs)
        self.sampler = GpuSampler(self._sampled_in_thread, environment=os.environ, share=share)
        self.mirror = Mirror(Path(config.project_dir or config.work_dir), state / "files")
        self.copies = Copies(config)
        self.limits = Limits(idle=config.idle_limit, orphan=config.orphan_limit, time=config.time_limit)
        self.runs = Runs(journal=self.journal, clock=self.clock, devices=self._devices)
        self.told_to_end = ""
        """Why a signal to end comes, where that is known before; empty where it is not."""
        self.job: Job | None = None
        self.dask: Wrapped | None = None
        self._payloads = Payloads(
            config,
            command=command,
            place=place,
            journal=self.journal,
            runs=self.runs,
            children=self.children,
            clock=self.clock,
            launched=launched,
        )
        self._keeping = Keeping(config, self.journal, writes=place.rank == 0)
        self._generation = 0
        self._tie = Tie(
            config,
            place=place,
            journal=self.journal,
            mirror=self.mirror,
            stop=self.stop,
            receipt=self.runs.receipt,
        )
        self.payload: Payload = self._tie.bind(self._session())
        if config.echo:
            self.journal.listen(Echo().entry)
        self.phase = Phase.STARTING
        self.audience = Audience(self.clock)
        self._limit: tuple[str, float] | None = None
        self._ending: asyncio.Future[Ending] = self._loop.create_future()

    def clock(self) -> float:
        """Seconds since the agent started."""
        return time.monotonic() - self._born

    def _devices(self) -> tuple[GpuDevice, ...]:
        return self.sampler.devices

    @property
    def gang(self) -> Gang | None:
        """The other ranks, where this is the head of several."""
        return self._tie.gang

    @property
    def together(self) -> Together | None:
        """The payload as that of all ranks, where this is the head of several."""
        return self.payload if isinstance(self.payload, Together) else None

    # the payload

    def _session(self, keep: Keep | None = None) -> Session:
        return self._payloads.session(
            generation=self._generation,
            conductor=self._tie.conductor,
            up=self._tie.up,
            keep=keep,
            lost=None if keep else self._lost,
        )

    def _script(self, argv: tuple[str, ...]) -> Script:
        return self._payloads.script(
            argv, generation=self._generation, conductor=self._tie.conductor, up=self._tie.up
        )

    def _make_job(self, folder: Path, key: bytes) -> Job:
        """Open the seal and make what it asks for.

        Raises:
            SealBroken: it is missing or forged.
        """
        sealed: SealedJob = open_seal(folder, key)
        if self.rank:  # what comes back is rank 0's
            sealed = replace(sealed, run=replace(sealed.run, out=()))
        folder_here = self._keeping.folder if self.rank == 0 else Path(self.config.state_dir)
        results = Results(folder_here, run=sealed.run.id, key=key, save=self._keeping.save)
        own = self._script(sealed.script.argv) if sealed.script else self._session(results.keep)
        self.payload = self._tie.bind(own)
        return Job(
            sealed,
            folder=folder,
            key=key,
            payload=own,
            results=results,
            journal=self.journal,
            mirror=self.mirror,
        )

    # life

    async def run(self) -> Outcome:
        """Bring the payload up, serve until there is a reason to end, and end."""
        self.children.adopt()
        await asyncio.to_thread(self.sampler.start)  # a session's kernel is coming up meanwhile
        kinds = {Kind.JOB: self._run_job, Kind.STORE: self._run_store, Kind.DASK: self._run_dask}
        unusable = await self._open_store() if self.config.kind is Kind.JOB else None
        self._announce()
        lost = functools.partial(self.stop, cause=Cause.LOST)
        works = (
            self._watch_limits(),
            self._keeping.follow(),
            self._tie.run(),
            self.others.watch(lost),
        )
        tasks = [asyncio.create_task(work) for work in works]
        try:
            if unusable is not None:
                raise unusable
            outcome = await kinds.get(self.config.kind, self._run_session)()
        except StoreUnusable as error:
            failure = broken(self.journal, self.config.workload, SealBroken(error.what, why=error.why))
            outcome = await self._not_started(failure, code=Exit.INTERNAL)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            self.sampler.stop()
        self.phase = outcome.phase
        self.journal.end()
        with contextlib.suppress(StoreUnusable):  # what could not be kept until now will not be
            await self._keeping.save()
        return outcome

    async def _open_store(self) -> StoreUnusable | None:
        """Learn how often the run was started before; what is wrong with the store is to be told in the journal."""
        try:
            self._generation = await self._keeping.open()
        except StoreUnusable as error:
            return error
        return None

    def _announce(self) -> None:
        self.journal.append(
            e.AgentStarted(
                kind=self.config.kind,
                version=__version__,
                started=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
                python=platform.python_version(),
                host=socket.gethostname(),
                generation=self._generation,
                gpus=self.sampler.devices,
                gpus_missing=self.sampler.missing,
                world_size=self._place.world_size,
            )
        )

    async def _run_store(self) -> Outcome:
        self.phase = Phase.RUNNING
        self.runs.ready()
        ending = await self._ending
        return Outcome(Phase.STOPPED, reason=ending.reason)

    async def _run_session(self) -> Outcome:
        try:
            await self._unless_it_ends(self.payload.start())
            self.phase = Phase.RUNNING
            ending = await self._ending
        except KernelDied as death:
            return await self._not_started(not_started(death.code, tail=death.tail))
        except Ended as ended:
            ending = ended.ending
        if ending.cause is Cause.LOST:
            return await self._end(ending, Phase.FAILED, patience=SESSION_PATIENCE)
        return await self._end(ending, Phase.STOPPED, patience=SESSION_PATIENCE)

    async def _run_dask(self) -> Outcome:
        self.payload = self.dask = dask = self._payloads.wrapped()
        self.limits.what = "task"
        try:
            await self._unless_it_ends(dask.start())
            self.phase = Phase.RUNNING
            code = await self._unless_it_ends(asyncio.shield(dask.ended))
            failure = describe_death(code, tail=dask.tail(), who="The Dask scheduler")
        except KernelDied as death:
            failure = no_scheduler(death.code, tail=death.tail)
            return await self._not_started(failure, code=failure.exit_code)
        except Ended as ended:
            return await self._end(ended.ending, Phase.STOPPED, patience=SESSION_PATIENCE)
        return await self._not_started(failure)

    async def _run_job(self) -> Outcome:
        try:
            key = (await asyncio.to_thread(Path(self.config.run_key_file).read_bytes)).strip()
            self.job = self._make_job(await self._keeping.sealed(), key)
            await self._unless_it_ends(self.job.begin())
            self.phase = Phase.RUNNING
            ended = await self._unless_it_ends(asyncio.shield(self.job.ended))
        except (SealBroken, OSError) as error:
            wrong = error if isinstance(error, SealBroken) else SealBroken("There is no key", why=str(error))
            failure = broken(self.journal, self.job.run if self.job else self.config.workload, wrong)
            return await self._not_started(failure, code=Exit.BAD_SEAL)
        except KernelDied as death:
            failure = not_started(death.code, tail=death.tail)
            assert self.job is not None
            self.journal.append(e.RunEnded(run=self.job.run, phase=Phase.FAILED, failure=failure))
            return await self._not_started(failure)
        except Ended as stopped:
            phase = Phase.FAILED if stopped.ending.cause is Cause.TIME_LIMIT else Phase.STOPPED
            return await self._end(stopped.ending, phase, patience=JOB_PATIENCE)
        return await self._finish(self.job, ended)

    async def _finish(self, job: Job, ended: e.RunEnded) -> Outcome:
        """Let go of the devices, and wait for somebody to fetch the results."""
        done = Failure(Cause.STOPPED, "The run is over")
        await self.payload.stop(Phase.STOPPED, done, patience=SESSION_PATIENCE)
        self.sampler.stop()
        self.phase = ended.phase
        self.journal.append(e.RankEnded(phase=ended.phase, failure=ended.failure))
        if self.rank:  # the head says when all is over
            await self._ending
        with contextlib.suppress(Ended):
            await self._unless_it_ends(
                job.linger(
                    self.config.linger, clock=self.clock, read=lambda: self.audience.read_to >= job.last
                )
            )
        return Outcome(
            ended.phase,
            code=self._job_code(ended.phase, ended.failure),
            failure=ended.failure,
            receipt=ended.receipt,
        )

    async def _end(self, ending: Ending, phase: Phase, *, patience: float) -> Outcome:
        self.phase = Phase.STOPPING
        failure = Failure(ending.cause, ending.reason)
        self.journal.append(e.StopBegan(reason=ending.reason, phase=phase))
        if self.together is not None:  # a pod that is taken away comes again
            replaced = self.config.kind is Kind.JOB and self.config.gang.node_env
            self.together.others_stay = ending.told and bool(replaced)
        await self.payload.stop(phase, failure, patience=patience)
        if self.job is not None and not self.job.ended.done():  # it was not even queued
            self.journal.append(e.RunEnded(run=self.job.run, phase=phase, failure=failure))
        failed = failure if phase is Phase.FAILED else None
        self.journal.append(e.RankEnded(phase=phase, failure=failed))
        receipt = self.job.ended.result().receipt if self.job and self.job.ended.done() else None
        code = 0
        if self.config.kind is Kind.JOB:
            code = self._job_code(phase, failure, told=ending.told)
        if failed and not code:
            code = Exit.INTERNAL
        return Outcome(phase, code=code, reason=ending.reason, failure=failed, receipt=receipt)

    def _job_code(self, phase: Phase, failure: Failure | None, *, told: bool = False) -> int:
        """The head answers for all ranks: another one's end, when the head has said that all is over, is no failure."""
        if self.rank and not told:
            return 0
        code = exit_code(phase, failure, told=told)
        one_of_many = self._place.world_size > 1 and code and not told
        return Exit.USER_ERROR if one_of_many else code  # no pod of a gang is of any use alone

    async def _not_started(self, failure: Failure, *, code: int | None = None) -> Outcome:
        self.phase = Phase.FAILED
        self.runs.end_all(Phase.FAILED, failure)
        self.journal.append(e.RankEnded(phase=Phase.FAILED, failure=failure))
        with contextlib.suppress(asyncio.TimeoutError):  # whoever waits for it should hear why
            await within(asyncio.shield(self._ending), HEARD_PATIENCE)
        if code is None:
            code = failure.exit_code if failure.exit_code == Exit.NO_IPYKERNEL else Exit.INTERNAL
        return Outcome(Phase.FAILED, code=code, failure=failure)

    async def _unless_it_ends(self, work: Coroutine[None, None, T] | asyncio.Future[T]) -> T:
        """The work's result.

        Raises:
            Ended: the workload is to end first.
        """
        task = asyncio.ensure_future(work)
        first: set[asyncio.Future[Any]] = {task, self._ending}
        await asyncio.wait(first, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            return task.result()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        raise Ended(self._ending.result())

    def stop(self, reason: str, *, cause: Cause = Cause.STOPPED, told: bool = False) -> None:
        """Begin to end; the first reason counts."""
        if not self._ending.done():
            self._ending.set_result(Ending(reason, cause=cause, told=told))

    def _lost(self, failure: Failure) -> None:
        """The kernel is gone for good."""
        self.stop(failure.what, cause=Cause.LOST)

    def forget(self) -> None:
        """Let go of files and folders."""
        self.journal.close()
        shutil.rmtree(self._payloads.folder, ignore_errors=True)

    # limits and state

    async def _watch_limits(self) -> None:
        while True:
            deadline = self._deadline()
            shown = (deadline[0], round(deadline[1])) if deadline else None
            if shown != self._limit:
                self._limit = shown
                self.journal.append(
                    e.LimitSet(limit=deadline[0], ends_at=round(deadline[1], 1))
                    if deadline
                    else e.LimitSet(limit="none")
                )
            if deadline and self.clock() >= deadline[1]:
                reason = self.limits.reason(deadline[0])
                if not self.config.ends_itself:  # who ends it sends a signal, and that says nothing
                    self.told_to_end = reason
                else:
                    cause = Cause.TIME_LIMIT if deadline[0] == "time" else Cause.STOPPED
                    return self.stop(reason, cause=cause)
            elif deadline:
                self.told_to_end = ""
            await asyncio.sleep(1.0 if deadline is None else min(1.0, max(0.05, deadline[1] - self.clock())))

    def _deadline(self) -> tuple[str, float] | None:
        if self.dask is not None:
            state = self.dask.state
            alone = self.audience.alone_since if not state.clients else None
            deadline = self.limits.deadline(idle_since=state.idle_since, alone_since=alone)
            self.dask.of_no_use_since(None if deadline is None else deadline[1] - self.limits.idle)
            return deadline
        idle = None if self.config.kind is Kind.JOB else self.runs.idle_since
        return self.limits.deadline(idle_since=idle, alone_since=self.audience.alone_since)

    def keep(self, seconds: float) -> float:
        """Postpone the idle limit; returns when it ends now."""
        self.limits.keep(now=self.clock(), seconds=seconds)
        return self.limits.kept_until

    def state(self) -> JsonObject:
        """What ``GET /v1/state`` answers."""
        current = self.runs.current
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
            "phase": self.phase.value,
            "run": self.job.run if self.job else None,
            "results": list(self.job.results.names) if self.job else [],
            "busy": current.id if current else None,
            "queue": list(self.runs.waiting),
            "python": self.payload.python,
            "names": dict(self.payload.names),
            "clients": self.audience.clients,
        }

    def _sampled_in_thread(self, samples: tuple[GpuSample, ...]) -> None:
        with contextlib.suppress(RuntimeError):  # the loop may be closed by now
            self._loop.call_soon_threadsafe(self._sampled, samples)

    def _sampled(self, samples: tuple[GpuSample, ...]) -> None:
        if self.phase in (Phase.STARTING, Phase.RUNNING):
            self.runs.sampled(samples)
            self.journal.append(e.GpuSampled(samples=samples))
