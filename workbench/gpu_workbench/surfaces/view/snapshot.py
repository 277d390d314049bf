"""``snapshot(workload, run)``: one moment of a run as the wire data of its view. Pure."""

from __future__ import annotations

from dataclasses import replace

from gpu_workbench.__about__ import __version__
from gpu_workbench.core.facts import Explanation
from gpu_workbench.core.model import (
    Cause,
    Failure,
    Kind,
    Phase,
    Progress,
    RankState,
    Receipt,
    RunState,
    Workload,
)
from gpu_workbench.surfaces.view import clean, dask, dask_lines, lines, series
from gpu_workbench.surfaces.view.fitting import fit
from gpu_workbench.surfaces.view.model import (
    VERSION,
    Chart,
    Ending,
    Moment,
    Published,
    RankLine,
    ResultLine,
    Saved,
    Shown,
    Snapshot,
    Where,
)

NOTHING_PUBLISHED = Published()

_RANKS = 32
_BEFORE_THE_RUN = frozenset({Phase.QUEUED, Phase.PENDING, Phase.STARTING})


def snapshot(
    workload: Workload,
    run_id: str | None,
    *,
    where: Where,
    explanation: Explanation | None = None,
    saved: Saved | str = Saved.SUMMARY,
    published: Published = NOTHING_PUBLISHED,
    asked: float | None = None,
    workers_wanted: int | None = None,
    workers_waiting: Explanation | None = None,
) -> Snapshot:
    """One moment of a run, cleaned, bounded to 32 KiB of JSON, and without what may not be saved.

    Args:
        workload: What is known of the workload.
        run_id: Which of its runs; ``None`` for the workload itself, which a Dask cluster always is.
        where: Where it runs, in words, complete: what may not be saved is taken out here.
        explanation: Why it waits or ended, where something is known.
        saved: ``summary`` leaves out nodes, namespace, context and cost; ``none`` leaves the ids and the phase alone.
        published: How much of the run's output stands in the cell already.
        asked: Seconds since it was asked for, by the caller's own clock; shown until the agent has a clock to say it.
        workers_wanted: Of a Dask cluster, how many workers it is to have; ``None`` where that is not known.
        workers_waiting: And why not all of them are there.
    """
    saved = Saved(saved)
    run_id = None if workload.kind is Kind.DASK else run_id
    run = _run(workload, run_id)
    phase = _phase(workload, run)
    run_key = clean.line(run_id or "", 64)
    identity = clean.line(workload.id, 64)
    if saved is Saved.NONE:
        bare = Shown(
            saved=saved,
            kind=workload.kind,
            phase=phase,
            word=_word(workload, run, phase),
            published=published,
        )
        hidden = Where(backend=clean.line(where.backend, 20), hidden=("everything but the phase",))
        return fit(
            Snapshot(
                VERSION,
                identity,
                run_key,
                hidden,
                replace(bare, published=_published(published)),
                __version__,
            )
        )
    hosts = tuple(rank.host for rank in workload.ranks.values())
    discreet = clean.Discretion(where, hosts=hosts, active=saved is Saved.SUMMARY)
    shown = _shown(workload, run, phase, where=where, discreet=discreet, saved=saved, asked=asked)
    shown = replace(
        shown, explanation=_explained(explanation, discreet, saved), published=_published(published)
    )
    place = _where(where, saved)
    if workload.kind is Kind.DASK:
        waits = _explained(workers_waiting, discreet, saved)
        shown = _of_dask(shown, workload, name=where.session, wanted=workers_wanted, waits=waits)
    shown = replace(shown, notes=lines.notes(shown, workload))
    shown = replace(shown, answer=lines.answer(shown, run, workload), hint=lines.hint(shown, run))
    if shown.dask is not None:
        shown = dask_lines.told(shown, shown.dask)
    return fit(Snapshot(VERSION, identity, run_key, place, shown, __version__))


def worth_showing(run: RunState | Shown | None, elapsed: float) -> bool:
    """Whether a run deserves a view: it has taken 2 seconds, or it failed.

    Args:
        run: The run, where it is known already.
        elapsed: Seconds since it was asked for.
    """
    return elapsed >= 2.0 or (run is not None and run.phase in (Phase.FAILED, Phase.LOST))


def _run(workload: Workload, run_id: str | None) -> RunState | None:
    return None if run_id is None else workload.runs.get(run_id) or RunState(id=run_id)


def _phase(workload: Workload, run: RunState | None) -> Phase:
    """The run's phase, unless its workload has not come so far yet, or has ended around it."""
    if run is None or run.phase.ended:
        return workload.phase if run is None else run.phase
    over = workload.phase.ended or workload.phase is Phase.STOPPING
    before = run.phase is Phase.QUEUED and workload.phase in _BEFORE_THE_RUN
    return workload.phase if over or before else run.phase


def _word(workload: Workload, run: RunState | None, phase: Phase) -> str:
    if run is None and workload.kind is Kind.SESSION and phase is Phase.RUNNING:
        return "Busy" if workload.busy else "Idle"
    return phase.value


def _shown(
    workload: Workload,
    run: RunState | None,
    phase: Phase,
    *,
    where: Where,
    discreet: clean.Discretion,
    saved: Saved,
    asked: float | None,
) -> Shown:
    head = workload.ranks.get(0)
    now = head.now if head else 0.0
    failure = (run.failure if run else None) or (workload.failure if phase.ended else None)
    failure = clean.failure(failure)
    if failure:
        failure = replace(failure, what=discreet(failure.what), detail=discreet(failure.detail))
    ran = _ran(run, now)
    receipt = _receipt(run)
    return Shown(
        saved=saved,
        kind=workload.kind,
        phase=phase,
        word=_word(workload, run, phase),
        name=clean.line(run.name if run else "", 80),
        cell=clean.line(run.cell_id if run else "", 64),
        waited=_waited(run, now, asked),
        ran=receipt.seconds if receipt else ran,
        progress=_progress(run.progress if run else None),
        failure=failure,
        results=tuple(
            ResultLine(clean.line(one.name, 80), max(one.size, 0)) for one in (run.results if run else ())
        ),
        receipt=receipt,
        cost=_cost(where, receipt, workload, run) if saved is Saved.FULL else "",
        chart=_chart(workload, run, now),
        ranks=_ranks(workload, run, discreet, saved),
        rank_count=max(len(workload.ranks), workload.world_size) if workload.ranks else 0,
        moments=_moments(run, workload),
        ending=_ending(workload, run, now),
        simulated=workload.simulated or bool(receipt and receipt.simulated),
        characters={clean.line(key, 20): count for key, count in list(run.characters.items())[:4]}
        if run
        else {},
        displays=run.displays if run else 0,
        truncated=run.truncated if run else 0,
    )


def _of_dask(
    shown: Shown, workload: Workload, *, name: str, wanted: int | None, waits: Explanation | None
) -> Shown:
    """With its tasks and workers. It is no gang, so it has no ranks; and what it costs its workers alone would tell."""
    head = workload.ranks.get(0)
    now = head.now if head else 0.0
    found = dask.section(workload, now=now, wanted=wanted, waits=waits, whole_names=shown.saved is Saved.FULL)
    running = shown.phase is Phase.RUNNING
    idle = running and found.count is not None and not found.tasks.open
    return replace(
        shown,
        name=clean.line(name, 80),
        word="Idle" if idle else shown.word,
        ran=clean.seconds(now) if now and not lines.waiting(shown.phase) else None,
        progress=dask_lines.progress(found) if running else None,
        cost="",
        chart=None,
        ranks=(),
        rank_count=0,
        dask=found,
    )


def _waited(run: RunState | None, now: float, asked: float | None) -> float | None:
    if run is not None and run.queued_at is not None:
        until = (
            run.started_at
            if run.started_at is not None
            else run.ended_at
            if run.ended_at is not None
            else now
        )
        waited = run.receipt.waited if run.receipt and run.receipt.waited else until - run.queued_at
    elif run is None or run.phase is Phase.QUEUED:
        if asked is None:
            return None
        waited = asked
    else:
        return None
    found = clean.seconds(waited)
    ticking = run is None or run.started_at is None
    return 10.0 * (found // 10) if found is not None and ticking and found >= 60 else found


def _ran(run: RunState | None, now: float) -> float | None:
    if run is None or run.started_at is None:
        return None
    return clean.seconds((run.ended_at if run.ended_at is not None else now) - run.started_at)


def _progress(found: Progress | None) -> Progress | None:
    done = clean.number(found.done, 3) if found else None
    if found is None or done is None:
        return None
    total = clean.number(found.total, 3)
    return Progress(
        label=clean.line(found.label.strip().rstrip(":"), 60),
        done=done,
        total=total if total is not None and total > 0 else None,
        unit=clean.line(found.unit, 20),
        rate=clean.number(found.rate, 3),
        seconds_left=clean.seconds(found.seconds_left),
    )


def _receipt(run: RunState | None) -> Receipt | None:
    found = run.receipt if run else None
    if found is None:
        return None
    return Receipt(
        seconds=clean.seconds(found.seconds) or 0.0,
        waited=clean.seconds(found.waited) or 0.0,
        gpus=found.gpus,
        gpu_seconds=clean.number(found.gpu_seconds) or 0.0,
        mean_utilisation=clean.number(found.mean_utilisation, 0),
        peak_memory=clean.amount(found.peak_memory),
        simulated=found.simulated,
        restarts=found.restarts,
    )


def _cost(where: Where, receipt: Receipt | None, workload: Workload, run: RunState | None) -> str:
    """What it cost; while it goes on, what it has cost so far, and of a session also what its idling has."""
    price = clean.number(where.price, 6)
    gpu_seconds = receipt.gpu_seconds if receipt else _gpu_seconds(workload, run)
    if price is None or not gpu_seconds:
        return ""
    return f"{price * gpu_seconds / 3600:.2f} {clean.line(where.currency, 12)}".rstrip()


def _gpu_seconds(workload: Workload, run: RunState | None) -> float:
    """Seconds until now, times the GPUs of all ranks: of the run, or of the workload where there is none."""
    head = workload.ranks.get(0)
    now = head.now if head else 0.0
    seconds = now if run is None else _ran(run, now) or 0.0
    return seconds * sum(len(rank.gpus) for rank in workload.ranks.values())


def _chart(workload: Workload, run: RunState | None, now: float) -> Chart | None:
    """The chart of the run's own time, or of the last minutes of a workload that has started."""
    if run is None:
        return (
            series.chart(workload.ranks, seconds=series.WINDOW) if workload.phase is Phase.RUNNING else None
        )
    if run.started_at is None:
        return None
    return series.chart(workload.ranks, seconds=now - run.started_at)


def _ranks(
    workload: Workload, run: RunState | None, discreet: clean.Discretion, saved: Saved
) -> tuple[RankLine, ...]:
    """The ranks worth a line: the failed first, then by number."""
    of = run if len(workload.ranks) > 1 else None
    lines_ = [_rank(rank, of, discreet, saved) for rank in workload.ranks.values()]
    first = (Phase.FAILED, Phase.LOST)
    return tuple(sorted(lines_, key=lambda line: (line.phase not in first, line.rank))[:_RANKS])


def _rank(rank: RankState, run: RunState | None, discreet: clean.Discretion, saved: Saved) -> RankLine:
    seen = series.chart({rank.rank: rank}, seconds=5.0)
    slowest = series.slowest(seen.gpus) if seen else None
    phase, failure, progress, last_line = _part(rank, run)
    failure = clean.failure(failure, detail=0)
    return RankLine(
        rank=rank.rank,
        phase=phase,
        host=clean.line(rank.host, 63) if saved is Saved.FULL else "",
        gpus=len(rank.gpus),
        busy=seen.busy if seen else None,
        memory_used=seen.memory_used if seen else None,
        memory_total=seen.memory_total if seen else None,
        clock=slowest.clock if slowest else None,
        clock_max=slowest.clock_max if slowest else None,
        slowed=slowest.slowed if slowest else "",
        progress=_progress(progress),
        last_line=discreet(clean.line(last_line, 120)),
        failure=replace(failure, what=discreet(failure.what), detail="") if failure else None,
    )


def _part(rank: RankState, run: RunState | None) -> tuple[Phase, Failure | None, Progress | None, str]:
    """How a rank stands with the run that is shown: what it reported of it, and of rank 0 what the journal says."""
    if run is None or rank.phase.ended:
        return rank.phase, rank.failure, None, ""
    phase, failure, progress, last_line = rank.run_phase, rank.failure, rank.progress, rank.last_line
    if rank.rank == 0:
        failed = run.failure is not None and run.failure.rank == 0
        others = run.phase is Phase.FAILED and not failed
        phase, failure = Phase.STOPPED if others else run.phase, run.failure if failed else None
        progress, last_line = run.progress, run.last_line
    elif rank.run != run.id or phase is None:
        return rank.phase, rank.failure, None, ""
    if phase is Phase.STOPPED and run.phase is Phase.FAILED and run.failure is not None:
        failure = Failure(Cause.STOPPED, f"stopped by rank {run.failure.rank}")
    return phase, failure, progress, last_line


def _moments(run: RunState | None, workload: Workload) -> tuple[Moment, ...]:
    if run is None or run.queued_at is None:
        return ()
    found = [
        (run.queued_at, "asked for"),
        (run.started_at, "started"),
        (run.ended_at, run.phase.value.lower()),
    ]
    begin = run.queued_at
    return tuple(Moment(clean.seconds(at - begin) or 0.0, what) for at, what in found if at is not None)


def _ending(workload: Workload, run: RunState | None, now: float) -> Ending | None:
    limit = workload.limit
    if limit is None or workload.phase.ended or (run is not None and run.phase.ended):
        return None
    left = clean.seconds(limit.ends_at - now)
    return None if left is None else Ending(clean.line(limit.name, 40), left)


def _explained(found: Explanation | None, discreet: clean.Discretion, saved: Saved) -> Explanation | None:
    if found is None:
        return None
    return Explanation(
        code=clean.line(found.code, 60),
        sentence=discreet(clean.line(found.sentence, 400)),
        fix=discreet(clean.line(found.fix, 300)),
        source=clean.line(found.source, 200) if saved is Saved.FULL else "",
        waits=found.waits,
    )


def _published(found: Published) -> Published:
    counts = {clean.line(key, 20): count for key, count in list(found.characters.items())[:4]}
    return Published(cursor=clean.line(found.cursor, 80), characters=counts, displays=found.displays)


def _where(where: Where, saved: Saved) -> Where:
    shown = Where(
        backend=clean.line(where.backend, 20),
        session=clean.line(where.session, 60),
        gpus=clean.line(where.gpus, 60),
        hidden=tuple(clean.line(part, 30) for part in where.hidden[:8]),
    )
    if saved is Saved.FULL:
        return replace(
            shown,
            context=clean.line(where.context, 60),
            namespace=clean.line(where.namespace, 63),
            nodes=tuple(clean.line(node, 63) for node in where.nodes[:16]),
            price=clean.number(where.price, 6),
            currency=clean.line(where.currency, 12),
        )
    left_out = (
        ("context", where.context),
        ("namespace", where.namespace),
        ("nodes", where.nodes),
        ("cost", where.price),
    )
    return replace(shown, hidden=(*shown.hidden, *(name for name, value in left_out if value)))
