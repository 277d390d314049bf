"""``reduce(workload, entry)``: what is known after one more journal entry.

Pure. Reading an entry again, or reading on from any earlier place, changes nothing: an entry counts only if it is newer
than the last one of its rank and epoch, and an epoch once left is history. The workload's own phase is its head's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TypeVar, cast

from gpu_workbench.core import events as e
from gpu_workbench.core.model import (
    Cause,
    DaskPoint,
    DaskState,
    Failure,
    GpuState,
    Kind,
    Limit,
    Phase,
    RankState,
    RunState,
    TimedSample,
    Workload,
)

SAMPLES_KEPT = 120
"""Seconds of GPU samples a workload remembers for drawing."""

LAST_LINE = 200
"""Characters of a run's last line that are remembered."""

E = TypeVar("E")
_Rule = Callable[[Workload, RankState, float, E], Workload]


def reduce(workload: Workload, entry: e.Entry) -> Workload:
    """The workload after ``entry``; the same object where the entry was known already."""
    rank = workload.ranks.get(entry.rank) or RankState(rank=entry.rank)
    if entry.epoch in rank.past or (entry.epoch == rank.epoch and entry.n <= rank.number):
        return workload
    if entry.epoch != rank.epoch:
        past = (*rank.past, rank.epoch) if rank.epoch else rank.past
        if past and rank.rank == 0:
            workload = _lose_life(workload)
        rank = RankState(rank=rank.rank, epoch=entry.epoch, past=past)
    rank = replace(rank, number=entry.n, now=max(rank.now, entry.t))
    workload = replace(workload, ranks={**workload.ranks, rank.rank: rank})
    rule = cast("_Rule[e.Event]", _RULES[type(entry.event)])
    return rule(workload, rank, entry.t, entry.event)


def _with_rank(workload: Workload, rank: RankState) -> Workload:
    return replace(workload, ranks={**workload.ranks, rank.rank: rank})


def _with_run(workload: Workload, run: RunState) -> Workload:
    return replace(workload, runs={**workload.runs, run.id: run})


def _run(workload: Workload, run_id: str) -> RunState:
    return workload.runs.get(run_id) or RunState(id=run_id)


def _agent_started(workload: Workload, rank: RankState, t: float, event: e.AgentStarted) -> Workload:
    gpus = tuple(GpuState(device) for device in event.gpus)
    workload = _with_rank(
        workload, replace(rank, started=event.started, python=event.python, host=event.host, gpus=gpus)
    )
    if rank.rank != 0:
        return workload
    generation = max(workload.generation, event.generation)
    return replace(
        workload,
        kind=event.kind,
        phase=Phase.STARTING,
        generation=generation,
        world_size=event.world_size,
    )


def _rank_started(workload: Workload, rank: RankState, t: float, event: e.RankStarted) -> Workload:
    workload = _with_rank(
        workload, replace(rank, phase=Phase.RUNNING, python=event.python or rank.python, failure=None)
    )
    running = sum(one.phase is Phase.RUNNING for one in workload.ranks.values())
    complete = workload.phase is Phase.STARTING and running >= workload.world_size
    return replace(workload, phase=Phase.RUNNING) if complete else workload


def _rank_reported(workload: Workload, rank: RankState, t: float, event: e.RankReported) -> Workload:
    return _with_rank(
        workload,
        replace(
            rank,
            run=event.run,
            run_phase=event.phase,
            last_line=event.line,
            progress=event.progress,
            failure=event.failure,
        ),
    )


def _rank_ended(workload: Workload, rank: RankState, t: float, event: e.RankEnded) -> Workload:
    workload = _with_rank(workload, replace(rank, phase=event.phase, failure=event.failure))
    first = workload.failure or event.failure
    phase = event.phase if rank.rank == 0 else workload.phase
    return replace(workload, phase=phase, failure=first)


def _payload_restarted(workload: Workload, rank: RankState, t: float, event: e.PayloadRestarted) -> Workload:
    generation = max(workload.generation, event.generation)
    return replace(_forget_state(workload), generation=generation, phase=Phase.STARTING)


def _forget_state(workload: Workload) -> Workload:
    made = {name: run for name, run in workload.bound_by.items() if run}
    return replace(workload, names={}, bound_by={}, lost={**workload.lost, **made}, failure=None)


def _lose_life(workload: Workload) -> Workload:
    """The head's agent was started again: what its former life held in memory is gone, its clock too."""
    former = _waits_again if workload.kind is Kind.JOB else _lost
    runs = {run.id: former(run) for run in workload.runs.values()}
    return replace(_forget_state(workload), runs=runs, limit=None, dask=None, dask_past=())


def _waits_again(run: RunState) -> RunState:
    """A detached run is begun again by the next life, unless it came to an end of its own."""
    told = run.phase is Phase.STOPPED and run.failure is not None and run.failure.cause is Cause.STOPPED
    if run.phase.ended and not told:
        return run
    return replace(
        run, phase=Phase.QUEUED, ended_at=None, failure=None, receipt=None, waiting_for_input=False
    )


def _lost(run: RunState) -> RunState:
    if run.phase.ended:
        return run
    failure = Failure(Cause.LOST, "The agent was started again before this run had ended")
    return replace(run, phase=Phase.LOST, place=0, ahead=(), waiting_for_input=False, failure=failure)


def _run_queued(workload: Workload, rank: RankState, t: float, event: e.RunQueued) -> Workload:
    run = RunState(
        id=event.run,
        name=event.name,
        notebook=event.notebook,
        cell_id=event.cell_id,
        queued_at=t,
        place=len(event.ahead),
        ahead=event.ahead,
    )
    return _with_run(workload, run)


def _run_started(workload: Workload, rank: RankState, t: float, event: e.RunStarted) -> Workload:
    started = replace(
        _run(workload, event.run),
        phase=Phase.RUNNING,
        started_at=t,
        ended_at=None,
        place=0,
        ahead=(),
        failure=None,
        receipt=None,
    )
    return _with_run(workload, started)


def _output_written(workload: Workload, rank: RankState, t: float, event: e.OutputWritten) -> Workload:
    run = _run(workload, event.run)
    if event.message != "stream":
        return _with_run(workload, replace(run, displays=run.displays + 1))
    name, text = str(event.content.get("name", "stdout")), str(event.content.get("text", ""))
    counts = {**run.characters, name: run.characters.get(name, 0) + len(text)}
    return _with_run(workload, replace(run, characters=counts, last_line=last_line(run.last_line, text)))


def last_line(before: str, text: str) -> str:
    """The last line that has something on it, as a terminal would leave it.

    Args:
        before: What it was before ``text`` came.
        text: What was written since.
    """
    tail = text[-4 * LAST_LINE :]
    for line in reversed(tail.split("\n")):
        shown = line.rstrip("\r").rpartition("\r")[2].strip()
        if shown:
            return shown[-LAST_LINE:]
    return before


def _input_requested(workload: Workload, rank: RankState, t: float, event: e.InputRequested) -> Workload:
    return _with_run(workload, replace(_run(workload, event.run), waiting_for_input=True))


def _input_answered(workload: Workload, rank: RankState, t: float, event: e.InputAnswered) -> Workload:
    return _with_run(workload, replace(_run(workload, event.run), waiting_for_input=False))


def _progress_moved(workload: Workload, rank: RankState, t: float, event: e.ProgressMoved) -> Workload:
    return _with_run(workload, replace(_run(workload, event.run), progress=event.progress))


def _names_bound(workload: Workload, rank: RankState, t: float, event: e.NamesBound) -> Workload:
    gone = frozenset(event.removed)
    names = {**_without(workload.names, gone), **event.names}
    bound_by = {**_without(workload.bound_by, gone), **dict.fromkeys(event.names, event.run)}
    lost = _without(workload.lost, gone | frozenset(event.names))
    return replace(workload, names=names, bound_by=bound_by, lost=lost)


V = TypeVar("V")


def _without(mapping: Mapping[str, V], keys: frozenset[str]) -> dict[str, V]:
    return {key: value for key, value in mapping.items() if key not in keys}


def _result_stored(workload: Workload, rank: RankState, t: float, event: e.ResultStored) -> Workload:
    run = _run(workload, event.run)
    others = tuple(value for value in run.results if value.name != event.value.name)
    return _with_run(workload, replace(run, results=(*others, event.value)))


def _run_ended(workload: Workload, rank: RankState, t: float, event: e.RunEnded) -> Workload:
    run = replace(
        _run(workload, event.run),
        phase=event.phase,
        ended_at=t,
        place=0,
        ahead=(),
        waiting_for_input=False,
        failure=event.failure,
        receipt=event.receipt,
    )
    return _move_up(_with_run(workload, run), event.run)


def _move_up(workload: Workload, ended: str) -> Workload:
    runs = {}
    for run in workload.runs.values():
        ahead = tuple(other for other in run.ahead if other != ended)
        runs[run.id] = run if ahead == run.ahead else replace(run, ahead=ahead, place=len(ahead))
    return replace(workload, runs=runs)


def _gpu_sampled(workload: Workload, rank: RankState, t: float, event: e.GpuSampled) -> Workload:
    taken = {sample.index: sample for sample in event.samples}
    gpus = tuple(
        replace(gpu, samples=(*gpu.samples, TimedSample(t, taken[gpu.device.index]))[-SAMPLES_KEPT:])
        if gpu.device.index in taken
        else gpu
        for gpu in rank.gpus
    )
    return _with_rank(workload, replace(rank, gpus=gpus))


def _dask_sampled(workload: Workload, rank: RankState, t: float, event: e.DaskSampled) -> Workload:
    past = (*workload.dask_past, _point(t, event.state))[-SAMPLES_KEPT:]
    return replace(workload, dask=event.state, dask_past=past)


def _point(t: float, state: DaskState) -> DaskPoint:
    threads = sum(worker.threads for worker in state.workers)
    executing = sum(worker.executing for worker in state.workers)
    used = [gpu.utilisation for worker in state.workers for gpu in worker.gpus if gpu.utilisation is not None]
    return DaskPoint(
        t=t,
        rate=state.tasks.rate or 0.0,
        busy=min(1.0, executing / threads) if threads else 0.0,
        memory=sum(worker.memory or 0 for worker in state.workers),
        utilisation=sum(used) / len(used) if used else None,
    )


def _journal_truncated(workload: Workload, rank: RankState, t: float, event: e.JournalTruncated) -> Workload:
    workload = replace(workload, lost_events=workload.lost_events + event.events)
    if not event.run:
        return workload
    run = _run(workload, event.run)
    return _with_run(workload, replace(run, truncated=run.truncated + event.characters))


def _limit_set(workload: Workload, rank: RankState, t: float, event: e.LimitSet) -> Workload:
    if rank.rank != 0:  # another agent's seconds
        return workload
    limit = None if event.ends_at is None else Limit(event.limit, event.ends_at)
    return replace(workload, limit=limit)


def _stop_began(workload: Workload, rank: RankState, t: float, event: e.StopBegan) -> Workload:
    return replace(workload, phase=Phase.STOPPING)


_RULES: Mapping[type, object] = {
    e.AgentStarted: _agent_started,
    e.RankStarted: _rank_started,
    e.RankEnded: _rank_ended,
    e.RankReported: _rank_reported,
    e.PayloadRestarted: _payload_restarted,
    e.RunQueued: _run_queued,
    e.RunStarted: _run_started,
    e.OutputWritten: _output_written,
    e.InputRequested: _input_requested,
    e.InputAnswered: _input_answered,
    e.ProgressMoved: _progress_moved,
    e.NamesBound: _names_bound,
    e.ResultStored: _result_stored,
    e.RunEnded: _run_ended,
    e.GpuSampled: _gpu_sampled,
    e.DaskSampled: _dask_sampled,
    e.JournalTruncated: _journal_truncated,
    e.LimitSet: _limit_set,
    e.StopBegan: _stop_began,
}
