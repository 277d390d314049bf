"""The results of a run: from its agent while that is there, else from where they were stored."""

from __future__ import annotations

from contextlib import suppress
from typing import Any, NoReturn

from gpu_workbench.app import incoming
from gpu_workbench.app.detached import not_kept
from gpu_workbench.app.outcomes import outcome_of
from gpu_workbench.app.sessions import SETTLE
from gpu_workbench.app.subscriptions import Subscription
from gpu_workbench.core.errors import NotFound, Unreachable
from gpu_workbench.core.model import Kind, Phase

ASKED = 30.0
"""Seconds that a run which is there is given to answer when its results are asked for."""


async def results_of(
    subscription: Subscription, *, run: str = "", namespace: dict[str, Any]
) -> dict[str, object]:
    """All results of a detached run, or of one run of a session.

    Args:
        subscription: To the workload.
        run: The run in the session; empty of a detached run.
        namespace: What functions of the notebook read as their globals here.

    Raises:
        NotFound: it gave none, or has not ended yet; says which.
        ForgedValue: a stored one is not what the run signed.
    """
    await subscription.started(SETTLE)
    await subscription.settle(ASKED)
    if subscription.connected and not subscription.over:
        with suppress(Unreachable):  # it ended meanwhile: what is kept is read below
            found = await _living(subscription, run=run, namespace=namespace)
            return found or _none(subscription, run=run)
    kept = await subscription.backend.kept(subscription.handle)
    names = await kept.names() if kept is not None and not run else []
    if kept is None or not names:
        return _none(subscription, run=run)
    return {
        name: await incoming.read_kept(kept, name, run=subscription.handle.id, namespace=namespace)
        for name in names
    }


async def _living(subscription: Subscription, *, run: str, namespace: dict[str, Any]) -> dict[str, object]:
    channel = await subscription.channel()
    return {
        value.name: await incoming.fetch(channel, value.name, run=state.id, namespace=namespace)
        for state in subscription.workload.runs.values()
        if run in ("", state.id)
        for value in state.results
    }


def _none(subscription: Subscription, *, run: str) -> NoReturn:
    """Say why there are none."""
    spec, outcome = subscription.handle.spec, outcome_of(subscription)
    title = spec.name or spec.id
    if spec.kind is Kind.SESSION and not run:
        raise NotFound(f"{title} is a session", fix="`%gpu pull A,B` brings its variables here")
    if run and subscription.over:
        raise NotFound(
            f"The results of {run} are gone", why=f"they lived in the session {title!r}, which has ended"
        )
    if run:
        raise NotFound(f"{run} gave no results", fix="Name them with --out when you run the cell")
    if outcome is None:
        raise NotFound(
            f"{title} has no results yet", why="it has not ended", fix=f"`%gpu attach {title}` waits for it"
        )
    if outcome.phase is not Phase.SUCCEEDED:
        why = outcome.sentence or f"it ended as {outcome.phase.value}"
        raise NotFound(f"{title} has no results", why=why, fix=f"`%gpu logs {title}` shows what it wrote")
    if not subscription.heard:
        lost = not_kept(spec, backend=subscription.handle.backend)
        raise NotFound(f"The results of {title} are not there any more", why=lost)
    raise NotFound(f"{title} gave no results", fix="Name them with --out when you start it")
