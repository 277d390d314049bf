"""What each ``%gpu`` command does: one function each, called with the parsed line."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from gpu_workbench.app.config import unused_kubeconfig
from gpu_workbench.app.dask.opening import OpenedCluster, logs_of
from gpu_workbench.app.detached import RESULT
from gpu_workbench.app.outcomes import outcome_of
from gpu_workbench.app.subscriptions import Subscription
from gpu_workbench.app.workbench import Workbench
from gpu_workbench.core.errors import Conflict, Unreachable
from gpu_workbench.core.model import Kind
from gpu_workbench.core.quantities import parse_duration, show_about, show_bytes
from gpu_workbench.core.spec import DEFAULT_SESSION, Handle
from gpu_workbench.surfaces import scripts
from gpu_workbench.surfaces.command_lines import Command
from gpu_workbench.surfaces.here import Here
from gpu_workbench.surfaces.magics.capacity import capacity
from gpu_workbench.surfaces.magics.choices import profiles, use
from gpu_workbench.surfaces.magics.copying import copy
from gpu_workbench.surfaces.magics.dask import connect, dask, let_go, require_dask
from gpu_workbench.surfaces.magics.detach import launch
from gpu_workbench.surfaces.magics.doctor import doctor
from gpu_workbench.surfaces.magics.dry_run import dry_script, dry_start
from gpu_workbench.surfaces.magics.moving import Moving
from gpu_workbench.surfaces.magics.packages import pip
from gpu_workbench.surfaces.magics.secrets import secret
from gpu_workbench.surfaces.magics.targets import Target, meant, session
from gpu_workbench.surfaces.overview import pictures
from gpu_workbench.surfaces.picture import all_settled, settled, snapshot_of
from gpu_workbench.surfaces.request import Request
from gpu_workbench.surfaces.view import tables
from gpu_workbench.surfaces.view.tables import NameRow, Rendered

Run = Callable[[Here, Any, Command], Any]


def overview(here: Here, shell: Any, command: Command) -> Rendered:
    """This notebook's session and what else is running."""
    request = here.request(command.flags)
    hint = unused_kubeconfig(request.config)
    if hint:
        print(hint + ".")  # noqa: T201
    return ls(here, shell, command)


def start(here: Here, shell: Any, command: Command) -> Rendered | None:
    """Start or queue a session and return at once."""
    request = here.request(command.flags)
    if command.flags.dry_run:
        print(dry_start(here, request, command.flags))  # noqa: T201
        return None
    workbench = here.workbench(request.config)
    opened = here.portal.call(workbench.open, request.backend, request.spec, asked=request.asked)
    here.portal.call(settled, opened.subscription)
    return tables.ls([snapshot_of(opened.subscription)])


def run(here: Here, shell: Any, command: Command) -> None:
    """A script as a run of its own, with its output here unless it is detached."""
    request, package = scripts.pack(here, command)
    if command.flags.dry_run:
        words = (command.word, *command.rest)
        print(dry_script(request, command.flags, package, words))  # noqa: T201
        return
    handle = launch(here, shell, request, package, watched=not command.flags.detach)
    if command.flags.detach:
        return
    from gpu_workbench.surfaces.magics.replay import follow_own

    follow_own(here, shell, request, handle)


def ls(here: Here, shell: Any, command: Command) -> Rendered:
    """Sessions and runs, from every notebook of mine."""
    request = here.request(command.flags)
    workbench = here.workbench(request.config)
    found = here.portal.call(
        pictures, workbench, request.backend, request.spec.owner, every=command.flags.all
    )
    return tables.ls(found)


def why(here: Here, shell: Any, command: Command) -> Rendered:
    """One sentence on why it waits, or how it ended."""
    target = meant(here, command, command.word)
    from gpu_workbench.surfaces.picture import explanation_of

    return tables.why(snapshot_of(target.subscription, target.run), explanation_of(target.subscription))


def top(here: Here, shell: Any, command: Command) -> Rendered:
    """What it uses now."""
    return tables.top(meant(here, command, command.word).subscription.workload)


def logs(here: Here, shell: Any, command: Command) -> None:
    """The output of a run again."""
    target = meant(here, command, command.word)
    if target.subscription.handle.spec.kind is Kind.DASK:
        print(here.portal.call(logs_of, target.subscription, tail=command.flags.tail))  # noqa: T201
        return
    if command.flags.rank:
        from gpu_workbench.surfaces.magics.replay import of_rank

        of_rank(here, shell, target, command.flags.rank, follow=command.flags.follow, tail=command.flags.tail)
        return
    _replay(here, shell, command, target, follow=command.flags.follow, tail=command.flags.tail)


def attach(here: Here, shell: Any, command: Command) -> None:
    """A run from its beginning to its end; a session is this notebook's, too, from now on."""
    request = here.request(command.flags)
    target = meant(here, command, command.word)
    subscription, spec = target.subscription, target.subscription.handle.spec
    if spec.kind is Kind.DASK and not subscription.over:
        require_dask()
        connect(here, shell, OpenedCluster(subscription, started=False))
        return
    if spec.kind is Kind.SESSION and not subscription.over and not target.run:
        joined = here.portal.call(here.workbench(request.config).join, subscription)
        if joined and spec.notebook != request.spec.notebook:
            cells = "`%%gpu`" if spec.name == DEFAULT_SESSION else f"`%%gpu --session {spec.name}`"
            print(f"{cells} in this notebook runs in this session now")  # noqa: T201
    _replay(here, shell, command, target, follow=True, tail=None)


def result(here: Here, shell: Any, command: Command) -> Any:
    """What a run gave with ``--out``: bound here, and the value of the line where there is one only."""
    request = here.request(command.flags)
    workbench = here.workbench(request.config)
    found = here.portal.call(workbench.find, request.backend, command.word, owner=request.spec.owner)
    values: dict[str, Any] = here.portal.call(workbench.results, request.backend, found.handle, run=found.run)
    here.namespace.update({name: value for name, value in values.items() if name != RESULT})
    if len(values) == 1:
        return next(iter(values.values()))
    print(f"{', '.join(values)} came back")  # noqa: T201
    return None


def stop(here: Here, shell: Any, command: Command) -> None:
    """End it and release its GPUs; of a session's run, only that run."""
    request = here.request(command.flags)
    workbench = here.workbench(request.config)
    for target in _to_stop(here, workbench, request, command):
        subscription = target.subscription
        if target.run:
            _stop_run(here, subscription, target.run)
            continue
        handle = subscription.handle
        if subscription.over or (_waits_to_be_fetched(subscription) and not command.flags.all):
            print(f"{title(handle)} had ended already")  # noqa: T201
            continue
        lost = _lost_with(subscription)
        if lost:
            print(lost, flush=True)  # noqa: T201
        let_go(here, handle.id)
        here.portal.call(workbench.stop, request.backend, handle, force=command.flags.force)
        print(f"Stopped {title(handle)}")  # noqa: T201


def _waits_to_be_fetched(subscription: Subscription) -> bool:
    """Whether it is a run that has ended, and only its agent is there still, for whoever wants its results."""
    return subscription.handle.spec.kind is Kind.JOB and outcome_of(subscription) is not None


def _stop_run(here: Here, subscription: Subscription, run: str) -> None:
    """The session goes on: others may run in it, and its variables stay."""
    state = subscription.workload.runs[run]
    name, session_ = state.name or run, subscription.handle.spec.name

    async def interrupt() -> None:
        await (await subscription.channel()).interrupt(run, grade=1)

    try:
        here.portal.call(interrupt)
        print(f"Interrupted {name}; the session {session_!r} goes on")  # noqa: T201
    except (Conflict, Unreachable):
        print(f"{name} had ended already")  # noqa: T201


def _lost_with(subscription: Subscription) -> str:
    """What will be gone with it, to be said before it is."""
    workload = subscription.workload
    modules = {name for name, info in workload.names.items() if info.type == "module"}
    made = sorted(name for name, run in workload.bound_by.items() if run and name not in modules)
    parts = [", ".join(made)] if made else []
    if workload.busy is not None:
        parts.append(f"the run {workload.busy.name or workload.busy.id} that is under way")
    return (
        f"Going with {subscription.handle.spec.name or subscription.handle.id}: {'; '.join(parts)}"
        if parts
        else ""
    )


def _to_stop(here: Here, workbench: Workbench, request: Request, command: Command) -> list[Target]:
    if command.flags.all:
        found: list[Subscription] = here.portal.call(
            workbench.list, request.backend, owner=request.spec.owner
        )
        here.portal.call(all_settled, found)
        return [Target(subscription) for subscription in found if not subscription.over]
    return [meant(here, command, command.word)]


def title(handle: Handle) -> str:
    """A workload's name and id, or its id."""
    return f"{handle.spec.name} ({handle.id})" if handle.spec.name else handle.id


def keep(here: Here, shell: Any, command: Command) -> None:
    """Put off the end of an idle session."""
    seconds = parse_duration(command.word)
    subscription = meant(here, command, command.words[1] if len(command.words) > 1 else "").subscription

    async def ask() -> None:
        await (await subscription.channel()).keep(seconds)

    here.portal.call(ask)
    print(f"{subscription.handle.spec.name} is kept for {show_about(seconds)}, idle or not")  # noqa: T201


def names(here: Here, shell: Any, command: Command) -> Rendered:
    """Variables: where they are, their size, and whether the two copies differ."""
    from gpu_workbench.app.vars import compare

    subscription = session(here, command)
    rows = [
        NameRow(
            name=row.name,
            where=row.where,
            type=row.type,
            size=row.size,
            shape=row.shape,
            device=row.device,
            bound_by=row.run,
            differs=row.differs,
        )
        for row in compare(subscription.workload, here.namespace)
    ]
    return tables.names(rows)


def push(here: Here, shell: Any, command: Command) -> None:
    """Send variables now."""
    request = here.request(command.flags)
    subscription = session(here, command)
    with Moving("is going") as moving:
        cargo = here.portal.call(
            here.workbench(request.config).push, subscription, command.words, progress=moving
        )
    print(f"Sent {', '.join(command.words)}: {show_bytes(cargo.size)}")  # noqa: T201


def pull(here: Here, shell: Any, command: Command) -> None:
    """Bring variables here."""
    request = here.request(command.flags)
    subscription = session(here, command)
    fetch = here.workbench(request.config).fetch
    for name in command.words:
        with Moving("is coming") as moving:
            here.namespace[name] = here.portal.call(fetch, subscription, name, progress=moving)
        here.twins.brought(subscription.handle, subscription.workload, name)
    print(f"Brought {', '.join(command.words)}")  # noqa: T201


def _replay(
    here: Here, shell: Any, command: Command, target: Target, *, follow: bool, tail: int | None
) -> None:
    from gpu_workbench.surfaces.magics.replay import replay

    replay(here, shell, here.request(command.flags), target, follow=follow, tail=tail)


COMMANDS: Mapping[str, Run] = {
    "": overview,
    "start": start,
    "dask": dask,
    "ls": ls,
    "logs": logs,
    "why": why,
    "top": top,
    "capacity": capacity,
    "vars": names,
    "push": push,
    "pull": pull,
    "keep": keep,
    "stop": stop,
    "attach": attach,
    "result": result,
    "use": use,
    "profiles": profiles,
    "run": run,
    "cp": copy,
    "pip": pip,
    "secret": secret,
    "doctor": doctor,
}
