"""``text/html`` of a view, from its snapshot alone: no script, nothing from outside, everything of the user's escaped.

In JupyterLab's trusted outputs the style sheet and drawings are kept; its sanitizer drops both and keeps elements, a few
inline styles and ``<details>``; GitHub keeps text alone. So the text stands by itself, with its own separators.
"""

from __future__ import annotations

from gpu_workbench.core.model import Cause, Phase
from gpu_workbench.core.quantities import show_seconds
from gpu_workbench.surfaces.view import dask_html, lines
from gpu_workbench.surfaces.view.charts import draw, figure
from gpu_workbench.surfaces.view.markup import Html, coded, join, tag
from gpu_workbench.surfaces.view.model import RankLine, Shown, Snapshot
from gpu_workbench.surfaces.view.style import BETWEEN, CARD, STATES, sheet

DOT = " · "
_BETWEEN = Html('<span class="gwb-sep"> · </span>')
"""Between parts that the style sheet sets apart: seen only where that is gone."""

_ONE_LINE = frozenset({Phase.SUCCEEDED, Phase.STOPPED})
_TRACEBACK_IN_CELL = frozenset(
    {Cause.USER_ERROR, Cause.SYNTAX_ERROR, Cause.INTERRUPTED, Cause.CUDA_OUT_OF_MEMORY}
)


def html(found: Snapshot) -> str:
    """The whole view as one self-contained piece of HTML."""
    shown = found.snapshot
    state = f"gwb-{STATES[shown.phase] if STATES[shown.phase] != 'quiet' else 'none'}"
    card = _line(found) if shown.phase in _ONE_LINE else _card(found)
    return tag("div", sheet(), tag("div", card, cls=state), cls="gwb")


def mark(phase: Phase) -> Html:
    """The phase's own mark: ring, dot, square; a character where the style sheet is gone."""
    shape = {
        Phase.STARTING: "gwb-half",
        Phase.RUNNING: "gwb-full",
        Phase.STOPPING: "gwb-half",
        Phase.SUCCEEDED: "gwb-full",
        Phase.FAILED: "gwb-full gwb-square",
        Phase.STOPPED: "gwb-square",
        Phase.LOST: "gwb-square",
    }.get(phase, "")
    colour = BETWEEN.get(STATES[phase])
    return tag(
        "span",
        lines.MARKS[phase],
        cls=f"gwb-mark {shape}".strip(),
        style=f"color:{colour}" if colour else None,
        aria_hidden="true",
    )


def _line(found: Snapshot) -> Html:
    """A finished run: one line, that opens where there is more."""
    shown = found.snapshot
    what = shown.answer if shown.phase is Phase.STOPPED else ""
    place = [part for part in (shown.name, *lines.place(found), what) if part]
    bill = _short_bill(shown)
    inside = [_chart(shown), _notes(shown), _ranks(shown), *_of_dask(shown)]
    more = any(inside)
    back = _came_back(shown)
    head = [
        mark(shown.phase),
        " ",
        tag("strong", shown.word),
        " ",
        tag("span", join(place, between=DOT), DOT if bill else None, cls="gwb-quiet") if place else None,
        tag("span", join(bill, between=DOT), cls="gwb-quiet gwb-bill") if bill else None,
        _simulated(shown),
        join(_BETWEEN, tag("span", back, cls="gwb-quiet gwb-back")) if back else None,
        tag("span", cls="gwb-more") if more else None,
    ]
    if not more:
        return tag("div", tag("div", head, cls="gwb-head"), cls="gwb-card", style=CARD)
    whole = tag("div", join(_bill(shown), between=DOT), cls="gwb-quiet")
    events = _fold("Events", _events(found)) if shown.moments or found.where.hidden else None
    body = tag("div", inside, events, whole, cls="gwb-body")
    return tag("details", tag("summary", head, cls="gwb-head"), body, cls="gwb-card", style=CARD)


def _bill(shown: Shown) -> list[Html]:
    return [figure(pair) for pair in lines.receipt(shown)]


def _short_bill(shown: Shown) -> list[Html]:
    """The receipt without what is next to nothing: how long it waited, and less than 0.01 GPU-hours."""
    small = shown.receipt is not None and shown.receipt.gpu_seconds < 36
    kept = [
        pair for pair in lines.receipt(shown) if pair[0] != "waited" and not (small and "GPU-" in pair[1])
    ]
    return [figure(("" if word == "ran" else word, said)) for word, said in kept]


def _card(found: Snapshot) -> Html:
    shown = found.snapshot
    chart = _chart(shown) if _goes_on(shown) else None
    workers = dask_html.in_sight(shown.dask) if shown.dask and _goes_on(shown) else None
    parts = (_answer(shown), _hint(shown), _figures(shown), _notes(shown), chart, workers)
    body = tag("div", parts, cls="gwb-body")
    return tag("div", _head(found), body, _foot(found), cls="gwb-card", style=CARD)


def _head(found: Snapshot) -> Html:
    shown = found.snapshot
    parts = [part for part in (shown.name, *lines.place(found), lines.seen_first(shown)) if part]
    where = tag("span", join(parts, between=DOT), cls="gwb-quiet") if parts else None
    return tag(
        "div",
        mark(shown.phase),
        " ",
        tag("strong", shown.word),
        " ",
        where,
        _simulated(shown),
        cls="gwb-head",
    )


def _simulated(shown: Shown) -> Html | None:
    title = "The devices are doubles: their figures are made up for a test"
    return join(" ", tag("span", "SIMULATED", cls="gwb-tag", title=title)) if shown.simulated else None


def _answer(shown: Shown) -> Html | None:
    progress = shown.progress
    if shown.phase is Phase.RUNNING and progress:
        share = lines.share(progress)
        said = tag("span", _strong_number(lines.progress_text(progress)))
        if share is None:
            return tag("div", said, cls="gwb-progress")
        bar = tag("progress", value=f"{share:.1f}", max=100, aria_label=lines.progress_text(progress))
        if shown.dask is not None:
            bar = dask_html.bar(shown.dask.tasks)
        left = lines.left(shown)
        rest = tag("span", f" {left}", cls="gwb-quiet") if left else None
        return tag(
            "div",
            said,
            " ",
            bar,
            " ",
            tag("span", tag("strong", lines.percent(share)), rest),
            cls="gwb-progress",
        )
    if shown.phase in (Phase.FAILED, Phase.LOST):
        what, where = _split_failure(shown)
        return tag("div", tag("span", what, cls="gwb-fail-text"), where, cls="gwb-answer")
    return tag("div", shown.answer, cls="gwb-answer") if shown.answer else None


def _split_failure(shown: Shown) -> tuple[str, str]:
    """What went wrong, and where and when: only the first is coloured."""
    what = shown.failure.what if shown.failure else ""
    return (what, shown.answer[len(what) :]) if what and shown.answer.startswith(what) else (shown.answer, "")


def _strong_number(text: str) -> Html:
    """The progress text with what is done set off from the total."""
    done, slash, total = text.rpartition(" / ")
    if not slash:
        return tag("strong", text)
    label, space, count = done.rpartition(" ")
    return join(label, space, tag("strong", count), slash, total)


def _hint(shown: Shown) -> Html | None:
    return tag("div", coded(shown.hint), cls="gwb-quiet") if shown.hint else None


def _figures(shown: Shown) -> Html | None:
    """Speed, and what all GPUs have in common, in one line."""
    if shown.phase is not Phase.RUNNING:
        return None
    if shown.dask is not None:
        said = join(dask_html.figures(shown.dask), between=_BETWEEN)
        return tag("div", said, cls="gwb-quiet gwb-figures") if said else None
    found = []
    if shown.progress and (speed := lines.rate(shown.progress)):
        found.append(("", speed))
    if shown.chart and shown.chart.count > 1:
        found.extend(lines.gpu_figures(shown.chart))
    return tag("div", join([figure(pair) for pair in found], between=DOT), cls="gwb-quiet") if found else None


def _came_back(shown: Shown) -> Html | None:
    names = ", ".join(one.name for one in shown.results[:3])
    return join(tag("strong", names), lines.came_back(shown)[len(names) :]) if names else None


def _notes(shown: Shown) -> Html | None:
    return (
        join([tag("div", "▲ ", coded(note), cls="gwb-note") for note in shown.notes]) if shown.notes else None
    )


def _foot(found: Snapshot) -> Html | None:
    shown = found.snapshot
    details = _details(found)
    bill = [] if lines.waiting(shown.phase) else _bill(shown)
    if shown.phase is Phase.RUNNING and (ends := lines.ending(shown)) and ends != shown.answer:
        bill.append(join(ends))
    if not details and not bill:
        return None
    return tag(
        "div",
        details,
        tag("span", join(bill, between=DOT), cls="gwb-right") if bill else None,
        cls="gwb-foot",
    )


def _details(found: Snapshot) -> list[Html]:
    shown = found.snapshot
    parts = []
    if shown.phase is Phase.FAILED and (chart := _chart(shown)):
        parts.append(_fold("Over time" if shown.dask else "GPU", chart))
    if ranks := _ranks(shown):
        parts.append(ranks)
    parts.extend(_of_dask(shown))
    if shown.failure and shown.failure.detail and shown.failure.cause not in _TRACEBACK_IN_CELL:
        parts.append(_fold("Last lines", tag("pre", shown.failure.detail, cls="gwb-lines")))
    if len(shown.moments) > 1 and shown.phase.ended:
        parts.append(_fold("Events", _events(found)))
    return parts


def _ranks(shown: Shown) -> Html | None:
    return _fold("Ranks", _rank_table(shown)) if shown.rank_count > 1 and shown.ranks else None


def _of_dask(shown: Shown) -> list[Html]:
    """What is opened by hand of a Dask cluster."""
    found = dask_html.folded(shown.dask, live=_goes_on(shown)) if shown.dask else []
    return [_fold(title, inside) for title, inside in found]


def _goes_on(shown: Shown) -> bool:
    return shown.phase in (Phase.RUNNING, Phase.STOPPING)


def _fold(title: str, inside: Html) -> Html:
    return tag("details", tag("summary", title), inside)


def _events(found: Snapshot) -> Html:
    rows = [(show_seconds(one.at), one.what) for one in found.snapshot.moments]
    if found.where.hidden:
        rows.append(("", f"not kept here: {', '.join(found.where.hidden)}"))
    cells = [tag("tr", tag("td", at, cls="gwb-number"), tag("td", what)) for at, what in rows]
    return tag("table", tag("tbody", cells), cls="gwb-table")


def _rank_table(shown: Shown) -> Html:
    hosts = any(one.host for one in shown.ranks)
    steps = any(one.progress for one in shown.ranks)
    titles = [
        "rank",
        *(["host"] if hosts else []),
        "phase",
        *(["step"] if steps else []),
        "GPU",
        "memory",
        "what",
    ]
    head = tag("thead", tag("tr", [tag("th", title) for title in titles]))
    body = tag("tbody", [_rank_row(one, hosts=hosts, steps=steps) for one in shown.ranks])
    more = shown.rank_count - len(shown.ranks)
    rest = tag("div", f"{more} more", cls="gwb-quiet") if more > 0 else None
    return join(tag("table", head, body, cls="gwb-table"), rest)


def _rank_row(one: RankLine, *, hosts: bool, steps: bool) -> Html:
    what = one.failure.what if one.failure else one.last_line
    if one.failure and one.failure.exit_code is not None:
        what = lines.joined([what, f"exit {one.failure.exit_code}"])
    first = one.phase in (Phase.FAILED, Phase.LOST)
    busy = lines.percent(one.busy) if one.gpus else ""
    memory = lines.memory_text(one.memory_used, one.memory_total) if one.gpus else ""
    step = [lines.progress_text(one.progress) if one.progress else ""] if steps else []
    short = [str(one.rank), *([one.host] if hosts else []), one.phase.value, *step, busy, memory]
    cells = [tag("td", cell, cls="gwb-short") for cell in short]
    return tag("tr", cells, tag("td", tag("span", what, cls="gwb-fail-text" if first else None)))


def _chart(shown: Shown) -> Html | None:
    if shown.dask is not None:
        return dask_html.curves(shown, shown.dask)
    return (
        draw(shown.chart, several_ranks=shown.rank_count > 1, live=not shown.phase.ended)
        if shown.chart
        else None
    )
