"""A Dask cluster in the HTML of a view: the bar of its tasks, its curves, its workers and functions.

As everywhere in it, words stand beside what is drawn, never in it.
"""

from __future__ import annotations

from gpu_workbench.core.quantities import show_bytes
from gpu_workbench.surfaces.view import dask_lines, lines, svg
from gpu_workbench.surfaces.view.charts import figure, pair, wide
from gpu_workbench.surfaces.view.dask import fewer
from gpu_workbench.surfaces.view.markup import Html, join, tag
from gpu_workbench.surfaces.view.model import DaskCounts, DaskGroup, DaskShown, DaskWorkerLine, Shown

IN_SIGHT = 8
"""Workers that stand in the card itself; of more, those that something sets apart."""

FOLDED = 24
"""Workers in the table that is opened by hand: a notebook keeps its HTML beside the data."""

_APART = 4
_BETWEEN = Html('<span class="gwb-sep"> · </span>')


def bar(tasks: DaskCounts) -> Html:
    """The tasks: done, running, failed; what is left is the ground."""
    parts = (("gwb-done-part", tasks.done), ("gwb-run-part", tasks.running), ("gwb-fail-part", tasks.failed))
    total = max(tasks.total, 1)
    spans = [
        tag("span", cls=part, style=f"width:{100 * count / total:.2f}%") for part, count in parts if count
    ]
    said = [
        f"{tasks.done:,} of {tasks.total:,} tasks done",
        *(words for _, words in dask_lines.legend(tasks)),
    ]
    return tag("span", spans, cls="gwb-tasks", role="img", aria_label=", ".join(said))


def figures(dask: DaskShown) -> list[Html]:
    """What stands under the bar: its parts, and what all workers do together."""
    parts = [
        tag("span", tag("span", cls=f"gwb-key gwb-{state}-part"), figure(("", words)))
        for state, words in (dask_lines.legend(dask.tasks) if dask.tasks.open else [])
    ]
    return [*parts, *(tag("span", figure(one)) for one in dask_lines.figures(dask))]


def curves(shown: Shown, dask: DaskShown) -> Html | None:
    """What its threads and GPUs did over the last two minutes."""
    cells = []
    for curve in dask_lines.curves(dask, live=not shown.phase.ended):
        assert dask.past is not None
        window = lines.window(dask.past.seconds)
        label = " ".join(part for part in (curve.word, curve.figure) if part)
        words = figure((curve.word, curve.figure)) if curve.figure else join(curve.word)
        right = lines.joined([curve.highest, window])
        cells.append(wide(words, right, svg.spark(curve.values, label=f"{label}, {right}")))
    return pair(cells) if cells else None


def in_sight(dask: DaskShown) -> Html | None:
    """The workers in the card itself: all of them, or of many those that something sets apart."""
    if not _many(dask):
        return table(dask)
    apart = [line for line in dask.workers if line.note][:_APART]
    return _rows(dask, apart) if apart else None


def folded(dask: DaskShown, *, live: bool) -> list[tuple[str, Html]]:
    """What is opened by hand: all workers, where they do not stand in the card, and functions."""
    found = []
    if dask.workers and (_many(dask) or not live):
        found.append(("Workers", table(dask)))
    if dask.tasks.groups:
        found.append(("Functions", _functions(dask.tasks.groups)))
    return [(title, inside) for title, inside in found if inside is not None]


def _many(dask: DaskShown) -> bool:
    return (dask.count or 0) > IN_SIGHT


def table(dask: DaskShown) -> Html | None:
    """The table of workers, with those that have no line of their own together in its last."""
    if not dask.workers:
        return None
    dask = fewer(dask, FOLDED)
    rest = [dask.rest] if dask.rest else []
    return _rows(dask, [*dask.workers, *rest])


def _rows(dask: DaskShown, shown: list[DaskWorkerLine]) -> Html:
    columns = _columns(dask)
    head = tag("tr", [tag("th", title, cls=_cls(title)) for title in columns])
    body = [
        tag("tr", [tag("td", _cell(dask, line, title), cls=_cls(title)) for title in columns])
        for line in shown
    ]
    return tag("table", tag("thead", head), tag("tbody", body), cls="gwb-table gwb-workers")


def _columns(dask: DaskShown) -> list[str]:
    every = dask.all
    return [
        "worker",
        "threads",
        "CPU",
        "memory",
        *(["spilled"] if every.spilled else []),
        *(["in", "out"] if every.sent or every.received else []),
        *(["GPU", "GPU memory"] if every.gpus else []),
        *([""] if any(line.note for line in dask.workers) else []),
    ]


def _cls(title: str) -> str:
    """How a column is set, and whether it goes where there is little room."""
    known = {"": "gwb-note gwb-room", "worker": "gwb-short", "CPU": "gwb-number gwb-much-room"}
    known |= dict.fromkeys(("in", "out"), known["CPU"])
    known |= dict.fromkeys(("spilled", "GPU memory"), "gwb-number gwb-room")
    return known.get(title, "gwb-number")


def _cell(dask: DaskShown, line: DaskWorkerLine, title: str) -> Html | str:
    """A cell by the title of its column."""
    if title == "worker":
        mark = tag("span", "▲ ", cls="gwb-note", title=line.note) if line.note else None
        name = tag("strong", line.name, title=line.whole or None)
        return join(mark, name) if line.name else dask_lines.rest_title(dask)
    if title == "threads":
        return _metered(f"{line.executing:,} / {line.threads:,}", line.executing, line.threads, state="run")
    if title == "memory":
        state = "wait" if line.note.startswith(("paused", "memory")) else "quiet"
        said = lines.memory_text(line.memory, line.memory_limit)
        return _metered(said, line.memory, line.memory_limit, state=state)
    if title == "GPU":
        if not line.gpus:
            return ""
        busy = tag("span", lines.percent(line.busy), title=line.missing or None)
        return _metered(busy, line.busy, 100, state="run")
    if title == "GPU memory":
        return lines.memory_text(line.gpu_memory, line.gpu_memory_total) if line.gpus else ""
    return {
        "CPU": dask_lines.cpu(line.cpu),
        "spilled": show_bytes(line.spilled) if line.spilled else "",
        "in": dask_lines.per_second(line.received) if line.received else "",
        "out": dask_lines.per_second(line.sent) if line.sent else "",
        "": line.note,
    }[title]


def _metered(said: str, used: float | None, total: float | None, *, state: str) -> Html:
    """A figure with a bar under it."""
    share = 0.0 if used is None or not total else 100 * min(max(used / total, 0.0), 1.0)
    inside = tag("span", cls=f"gwb-{state}-bar", style=f"width:{share:.0f}%")
    known = used is not None and total
    return join(said, tag("span", inside, cls="gwb-bar") if known else None)


def _functions(groups: tuple[DaskGroup, ...]) -> Html:
    rows = [
        tag(
            "tr",
            tag("td", tag("code", one.name, cls="gwb-code"), cls="gwb-short"),
            tag("td", tag("span", _done(one), cls="gwb-bar"), cls="gwb-function"),
            tag("td", f"{one.done:,} / {one.total:,}", cls="gwb-number"),
        )
        for one in groups
    ]
    return tag("table", tag("tbody", rows), cls="gwb-table gwb-functions")


def _done(one: DaskGroup) -> Html:
    share = 100 * min(one.done / one.total, 1.0) if one.total else 0.0
    return tag("span", cls="gwb-run-bar", style=f"width:{share:.0f}%")
