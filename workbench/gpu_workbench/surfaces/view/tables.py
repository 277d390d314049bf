"""What ``%gpu ls``, ``top``, ``vars`` and ``why`` show, as HTML and text, from plain data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from gpu_workbench.core.facts import Explanation
from gpu_workbench.core.model import Kind, Phase, Workload
from gpu_workbench.core.quantities import show_bytes
from gpu_workbench.surfaces.view import clean, dask_lines, dask_tables, lines, series, svg, text
from gpu_workbench.surfaces.view.html import mark
from gpu_workbench.surfaces.view.markup import Html, tag
from gpu_workbench.surfaces.view.model import GpuSeries, Snapshot
from gpu_workbench.surfaces.view.style import CARD, STATES, sheet


@dataclass(frozen=True)
class Rendered:
    """Something to show: as HTML where there is a browser, as text elsewhere."""

    html: str
    text: str

    def __str__(self) -> str:
        return self.text

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, str]:
        return {"text/html": self.html, "text/plain": self.text}


@dataclass(frozen=True)
class NameRow:
    """One variable in ``%gpu vars``.

    Args:
        where: ``here``, ``session`` or ``both``.
        size: Bytes.
        device: ``cuda:0``, ``cpu``; empty where it is not known.
        bound_by: The run or cell that bound it last.
        differs: Whether the two copies differ; ``None`` where that was not looked at.
    """

    name: str
    type: str
    where: str
    size: int | None = None
    shape: str = ""
    device: str = ""
    bound_by: str = ""
    differs: bool | None = None


def ls(found: Sequence[Snapshot]) -> Rendered:
    """``%gpu ls``: runs and sessions, one a line."""
    if not found:
        return _sentence("No runs")
    rows = []
    for one in found:
        _, identity, name, word, where, time, what = text.run_cells(one)
        phase = one.snapshot.phase
        state = tag("span", mark(phase), " ", tag("strong", word), cls=_state(phase))
        code = tag("code", identity, cls="gwb-code")
        rows.append([state, name, where, time, what, code])
    titles = ("phase", "name", "where", "time", "what", "id")
    html = _table(titles, rows, right=frozenset({3}), short=frozenset({0, 1, 5}), long=frozenset({2, 4}))
    return Rendered(html=html, text=text.runs_table(found))


def top(workload: Workload) -> Rendered:
    """``%gpu top``: every GPU with its latest figures and its last minute; of a Dask cluster every worker."""
    if workload.kind is Kind.DASK:
        return _top_of_dask(workload)
    gpus = series.each(workload.ranks, seconds=60.0)
    if not gpus:
        return _sentence("No GPUs")
    several = len(workload.ranks) > 1
    titles = (*(["rank"] if several else []), "GPU", "busy", "memory", "heat", "power", "clock", "device", "")
    plain = [_figures(one, several=several) for one in gpus]
    drawn = [[*row[:-1], _sparkline(one), row[-1]] for row, one in zip(plain, gpus, strict=True)]
    tagged = "SIMULATED" if workload.simulated else ""
    written = text.columns([titles, *plain]) + _of_doubles(tagged)
    return Rendered(
        html=_table(
            (*titles[:-1], "last minute", ""), drawn, short=frozenset(range(len(titles))), caption=tagged
        ),
        text=written,
    )


def _top_of_dask(workload: Workload) -> Rendered:
    titles, rows = dask_tables.rows(workload)
    if not rows:
        return _sentence("No workers")
    right = frozenset(range(1, len(titles) - 1))
    drawn = [[tag("strong", row[0]), *row[1:-1], tag("span", row[-1], cls="gwb-note")] for row in rows]
    tagged = "SIMULATED" if workload.simulated else ""
    return Rendered(
        html=_table(titles, drawn, right=right, short=frozenset({0}), caption=tagged),
        text=text.columns([titles, *rows], right=right) + _of_doubles(tagged),
    )


def _of_doubles(tagged: str) -> str:
    return f"\n{tagged}: the devices are doubles" if tagged else ""


def names(rows: Sequence[NameRow]) -> Rendered:
    """``%gpu vars``: what lives where, and whether two copies differ."""
    if not rows:
        return _sentence("No names: nothing has been sent, and no cell has bound any")
    titles = ("name", "type", "where", "size", "device", "last cell", "differs?")
    plain = [
        (
            clean.line(row.name, 60),
            clean.line(f"{row.type} {row.shape}".strip(), 60),
            clean.line(row.where, 20),
            "n/a" if row.size is None else show_bytes(row.size),
            clean.line(row.device, 20),
            clean.line(row.bound_by, 40),
            {True: "differs", False: "same", None: ""}[row.differs],
        )
        for row in rows
    ]
    shown = [
        [
            tag("strong", row[0]),
            *row[1:6],
            tag("span", row[6], cls="gwb-note") if row[6] == "differs" else row[6],
        ]
        for row in plain
    ]
    return Rendered(
        html=_table(titles, shown, right=frozenset({3})),
        text=text.columns([titles, *plain], right=frozenset({3})),
    )


def plain(titles: Sequence[str], rows: Sequence[Sequence[str]], *, empty: str = "") -> Rendered:
    """Rows of words.

    Args:
        empty: Stands there where there are no rows.
    """
    if not rows:
        return _sentence(empty)
    cleaned = [[clean.line(cell, 300) for cell in row] for row in rows]
    return Rendered(html=_table(titles, cleaned, short=frozenset({0})), text=text.columns([titles, *cleaned]))


def checks(found: Sequence[tuple[bool | None, str, str]]) -> Rendered:
    """``%gpu doctor``: what was looked at, one a line, with what to do.

    Args:
        found: Whether it is in order (``None`` where it works without), what was found, and what to do about it.
    """
    marks = {True: "✓", False: "✗", None: "–"}
    rows = [(marks[ok], clean.line(what, 400), clean.line(fix, 300)) for ok, what, fix in found]
    colours = {"✓": "run", "✗": "fail", "–": "wait"}
    drawn = [
        [tag("strong", mark_, style=f"color:var(--gwb-{colours[mark_]})"), what, _quiet(fix)]
        for mark_, what, fix in rows
    ]
    wrong = sum(ok is False for ok, _, _ in found)
    closing = f"{wrong} to be put right" if wrong else "All that is needed is there"
    lines_ = [
        line for mark_, what, fix in rows for line in (f"{mark_} {what}", f"    {fix}" if fix else "") if line
    ]
    return Rendered(
        html=tag("div", _table(("", closing, ""), drawn, short=frozenset({0}))),
        text="\n".join([*lines_, closing]),
    )


def why(found: Snapshot, explanation: Explanation | None) -> Rendered:
    """``%gpu why``: the reason in a sentence, what to do, and whose word it is."""
    shown = found.snapshot
    sentence = shown.answer or "Nothing holds it up"
    if explanation is None and shown.dask is not None and shown.dask.waits is not None:
        explanation, sentence = shown.dask.waits, dask_lines.waits(shown.dask)
    elif explanation is not None:
        sentence = clean.line(explanation.sentence, 400)
    fix = clean.line(explanation.fix, 300) if explanation else ""
    source = clean.line(explanation.source, 200) if explanation else ""
    head = tag(
        "div", mark(shown.phase), " ", tag("strong", shown.word), " ", _quiet(_about(found)), cls="gwb-head"
    )
    body = [tag("div", sentence, cls="gwb-answer"), tag("div", fix) if fix else None]
    body.append(tag("div", f"read from {source}", cls="gwb-quiet") if source else None)
    card = tag("div", head, tag("div", body, cls="gwb-body"), cls="gwb-card", style=CARD)
    html = tag("div", sheet(), tag("div", card, cls=_state(shown.phase)), cls="gwb")
    written = [
        text.run_line(found),
        f"  {sentence}",
        f"  {fix}" if fix else "",
        f"  (read from {source})" if source else "",
    ]
    return Rendered(html=html, text="\n".join(line for line in written if line))


def _about(found: Snapshot) -> str:
    return lines.joined([found.snapshot.name, *lines.place(found)])


def _quiet(written: str) -> Html:
    return tag("span", written, cls="gwb-quiet")


def _state(phase: Phase) -> str:
    return f"gwb-{STATES[phase] if STATES[phase] != 'quiet' else 'none'}"


def _figures(one: GpuSeries, *, several: bool) -> tuple[str, ...]:
    clock = "n/a" if one.clock is None else f"{one.clock / 1000:.2f} GHz"
    note = one.slowed or "; ".join(sorted(set(one.missing.values())))
    return (
        *([str(one.rank)] if several else []),
        str(one.gpu),
        lines.percent(one.busy),
        lines.memory_text(one.memory_used, one.memory_total),
        "n/a" if one.temperature is None else f"{one.temperature:.0f} °C",
        "n/a" if one.power is None else f"{one.power:.0f} W",
        clock,
        one.name or "n/a",
        note,
    )


def _sparkline(one: GpuSeries) -> Html:
    drawing = svg.spark(one.utilisation, label=lines.gpu_title(one), state="wait" if one.slowed else "run")
    return tag("div", drawing, cls="gwb-cell")


def _sentence(written: str) -> Rendered:
    return Rendered(html=tag("div", sheet(), tag("div", written, cls="gwb-quiet"), cls="gwb"), text=written)


def _table(
    titles: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    right: frozenset[int] = frozenset(),
    short: frozenset[int] = frozenset(),
    long: frozenset[int] = frozenset(),
    caption: str = "",
) -> Html:
    classes = {
        **dict.fromkeys(short, "gwb-short"),
        **dict.fromkeys(right, "gwb-number"),
        **dict.fromkeys(long, "gwb-long"),
    }

    def cells(kind: str, row: Sequence[str]) -> list[Html]:
        return [tag(kind, cell, cls=classes.get(place)) for place, cell in enumerate(row)]

    head = tag("thead", tag("tr", cells("th", titles)))
    body = tag("tbody", [tag("tr", cells("td", row)) for row in rows])
    tagged = tag("div", tag("span", caption, cls="gwb-tag"), cls="gwb-wait") if caption else None
    return tag("div", sheet(), tagged, tag("table", head, body, cls="gwb-table"), cls="gwb")
