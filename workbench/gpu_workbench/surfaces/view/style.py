"""The view's style sheet: the theme's own variables for ground, text and lines; only the four state colours are ours.

Where no theme is known (GitHub, nbviewer, a bare page) text inherits its colour and lines are a share of it, so that it
reads on any ground; ``light-dark()`` follows a page that declares its colour scheme.
"""

from __future__ import annotations

import re

from gpu_workbench.core.model import Phase
from gpu_workbench.surfaces.view.markup import Html

LIGHT = {"run": "#006cab", "wait": "#8f5a00", "fail": "#bf3a00", "done": "#00785a"}
DARK = {"run": "#56b4e9", "wait": "#e69f00", "fail": "#ff7a45", "done": "#33c48d"}
BETWEEN = {"run": "#2b86c5", "wait": "#b57a00", "fail": "#d9541e", "done": "#1d9a72"}
"""For places that strip style sheets and leave the ground unknown: marks only, at least 3:1 on white and on black."""

STATES = {
    Phase.QUEUED: "wait",
    Phase.PENDING: "wait",
    Phase.STARTING: "wait",
    Phase.RUNNING: "run",
    Phase.STOPPING: "wait",
    Phase.SUCCEEDED: "done",
    Phase.FAILED: "fail",
    Phase.STOPPED: "quiet",
    Phase.LOST: "fail",
}

CARD = "border:1px solid rgba(128,128,128,0.4);border-radius:4px;padding:4px 10px"
"""Kept by JupyterLab's sanitizer, which drops style sheets: an untrusted view is still one framed thing."""


def _colours(which: dict[str, str]) -> str:
    return ";".join(f"--gwb-{name}:{colour}" for name, colour in which.items())


def _both() -> str:
    return ";".join(f"--gwb-{name}:light-dark({LIGHT[name]},{DARK[name]})" for name in LIGHT)


_SHEET = f"""
.gwb{{{_colours(LIGHT)};
 --gwb-text:var(--jp-content-font-color1,var(--vscode-foreground,inherit));
 --gwb-quiet:var(--jp-content-font-color2,color-mix(in srgb,currentColor 66%,transparent));
 --gwb-line:var(--jp-border-color2,color-mix(in srgb,currentColor 20%,transparent));
 --gwb-faint:var(--jp-layout-color2,color-mix(in srgb,currentColor 11%,transparent));
 container-type:inline-size;color:var(--gwb-text);margin:4px 0;max-width:1000px;text-align:left;
 font:13px/1.5 var(--jp-ui-font-family,system-ui,-apple-system,"Segoe UI",sans-serif);font-variant-numeric:tabular-nums}}
@supports (color:light-dark(red,red)){{.gwb{{{_both()}}}}}
[data-jp-theme-light="true"] .gwb,.vscode-light .gwb{{{_colours(LIGHT)}}}
[data-jp-theme-light="false"] .gwb,.vscode-dark .gwb{{{_colours(DARK)}}}
.gwb .gwb-card{{border:1px solid var(--gwb-line)!important;border-radius:5px!important;padding:0!important;overflow:hidden}}
.gwb .gwb-head,.gwb summary.gwb-head{{display:flex;align-items:baseline;gap:0 8px;padding:6px 10px}}
.gwb .gwb-head>span{{min-width:0}}
.gwb .gwb-card>summary.gwb-head{{flex-wrap:wrap}}
.gwb .gwb-bill{{flex:0 1 auto}}
.gwb .gwb-back{{margin-left:auto}}
.gwb .gwb-bill+.gwb-more{{margin-left:auto}}
.gwb .gwb-sep{{display:none}}
.gwb .gwb-head+.gwb-body{{border-top:1px solid var(--gwb-line)}}
.gwb .gwb-mark{{display:inline-block;width:9px;height:9px;flex:none;align-self:center;font-size:0!important;
 box-sizing:border-box;border:2px solid var(--gwb-state);border-radius:50%}}
.gwb .gwb-full{{background:var(--gwb-state)}}
.gwb .gwb-half{{background:linear-gradient(90deg,var(--gwb-state) 50%,transparent 50%)}}
.gwb .gwb-square{{border-radius:1px}}
.gwb .gwb-run{{--gwb-state:var(--gwb-run)}}.gwb .gwb-wait{{--gwb-state:var(--gwb-wait)}}
.gwb .gwb-fail{{--gwb-state:var(--gwb-fail)}}.gwb .gwb-done{{--gwb-state:var(--gwb-done)}}
.gwb .gwb-none{{--gwb-state:var(--gwb-quiet)}}
.gwb strong{{font-weight:600;color:var(--gwb-text)}}
.gwb .gwb-quiet{{color:var(--gwb-quiet)}}
.gwb .gwb-quiet strong{{color:var(--gwb-text)}}
.gwb .gwb-right{{margin-left:auto;padding-left:12px}}
.gwb .gwb-tag{{border:1px solid var(--gwb-wait);color:var(--gwb-wait);border-radius:3px;padding:0 5px;
 font-size:10.5px;font-weight:600;letter-spacing:.04em;align-self:center;line-height:1.5}}
.gwb .gwb-body{{padding:8px 10px 10px}}
.gwb .gwb-answer{{font-size:14px;overflow-wrap:anywhere}}
.gwb .gwb-fail-text{{color:var(--gwb-fail);font-weight:600}}
.gwb .gwb-note{{color:var(--gwb-wait);overflow-wrap:anywhere}}
.gwb .gwb-progress{{display:flex;flex-wrap:wrap;align-items:center;gap:0 12px;font-size:14px}}
.gwb progress{{flex:1 1 120px;height:6px;appearance:none;-webkit-appearance:none;border:0;border-radius:2px;
 background:var(--gwb-faint);overflow:hidden}}
.gwb progress::-webkit-progress-bar{{background:var(--gwb-faint);border-radius:2px}}
.gwb progress::-webkit-progress-value{{background:var(--gwb-run);border-radius:2px}}
.gwb progress::-moz-progress-bar{{background:var(--gwb-run);border-radius:2px}}
.gwb .gwb-tasks{{display:flex;gap:1px;flex:1 1 120px;height:6px;border-radius:2px;background:var(--gwb-faint);
 overflow:hidden}}
.gwb .gwb-tasks>span{{min-width:2px}}
.gwb .gwb-done-part{{background:var(--gwb-run)}}
.gwb .gwb-run-part{{background:color-mix(in srgb,var(--gwb-run) 45%,transparent)}}
.gwb .gwb-fail-part{{background:var(--gwb-fail)}}
.gwb .gwb-none-part{{background:var(--gwb-faint);box-shadow:inset 0 0 0 1px var(--gwb-line)}}
.gwb .gwb-key{{display:inline-block;width:8px;height:8px;border-radius:1px;margin-right:5px}}
.gwb .gwb-figures{{display:flex;flex-wrap:wrap;gap:0 16px}}
.gwb .gwb-gpus{{display:grid;grid-template-columns:repeat(var(--gwb-columns,4),minmax(0,1fr));gap:8px 10px;margin-top:8px}}
@container (max-width:560px){{.gwb .gwb-gpus.gwb-wide{{grid-template-columns:minmax(0,1fr)}}}}
@container (max-width:560px){{.gwb .gwb-gpus.gwb-many{{grid-template-columns:repeat(4,minmax(0,1fr))}}}}
.gwb .gwb-gpu{{display:block;min-width:0;font-size:12px;line-height:1.35}}
.gwb .gwb-gpu-top{{display:flex;justify-content:space-between;gap:6px;white-space:nowrap}}
.gwb svg.gwb-spark{{display:block;width:100%;max-width:none;height:22px;margin:2px 0 3px}}
.gwb .gwb-wide svg.gwb-spark{{height:38px}}
.gwb .gwb-ground{{fill:var(--gwb-faint);opacity:.55}}
.gwb .gwb-area{{fill:var(--gwb-state);opacity:.2}}
.gwb .gwb-curve{{fill:none;stroke:var(--gwb-state);stroke-width:1.4;stroke-linejoin:round;stroke-linecap:round;
 vector-effect:non-scaling-stroke}}
.gwb .gwb-dashed{{fill:none;stroke:var(--gwb-quiet);stroke-width:1;stroke-dasharray:2 3;vector-effect:non-scaling-stroke}}
.gwb .gwb-bar{{display:block;height:3px;background:var(--gwb-faint);border-radius:1px}}
.gwb .gwb-bar>span{{display:block;height:3px;background:#7d8fa1;border-radius:1px}}
.gwb .gwb-foot{{display:flex;flex-wrap:wrap;gap:0 16px;padding:4px 10px;border-top:1px solid var(--gwb-line);
 color:var(--gwb-quiet)}}
.gwb .gwb-foot details[open]{{order:1;flex:1 0 100%}}
.gwb .gwb-foot .gwb-right{{padding-left:0}}
.gwb summary{{cursor:pointer}}
.gwb details.gwb-card>summary{{list-style:none}}
.gwb details.gwb-card>summary::-webkit-details-marker{{display:none}}
.gwb summary .gwb-more::before{{content:"▸"}}
.gwb details[open]>summary .gwb-more::before{{content:"▾"}}
.gwb .gwb-more{{color:var(--gwb-quiet)}}
.gwb table.gwb-table{{border-collapse:collapse;margin:4px 0;font:inherit;color:var(--gwb-text);table-layout:auto;width:auto;
 max-width:100%}}
.gwb table.gwb-table tr,.gwb table.gwb-table tbody tr:nth-child(n),
.gwb table.gwb-table tbody tr:nth-child(n):hover{{background:none}}
.gwb table.gwb-table th,.gwb table.gwb-table td{{text-align:left;padding:3px 18px 3px 0;border:0;vertical-align:baseline;
 font-weight:400;line-height:1.5;overflow-wrap:break-word}}
.gwb table.gwb-table .gwb-short{{white-space:nowrap}}
.gwb table.gwb-table thead{{border-bottom:1px solid var(--gwb-line)}}
.gwb table.gwb-table thead th{{color:var(--gwb-quiet);white-space:nowrap}}
.gwb table.gwb-table tbody tr+tr{{border-top:1px solid var(--gwb-line)}}
.gwb code.gwb-code{{font:12px var(--jp-code-font-family,ui-monospace,monospace);background:none;padding:0}}
.gwb td .gwb-mark{{vertical-align:0;overflow:hidden}}
.gwb table.gwb-table .gwb-long{{min-width:140px}}
.gwb td svg.gwb-spark{{display:inline-block;vertical-align:middle;width:120px;height:18px;margin:0}}
.gwb table.gwb-table .gwb-number{{text-align:right;white-space:nowrap}}
.gwb table.gwb-workers{{margin:8px 0 0;width:100%}}
.gwb table.gwb-workers th,.gwb table.gwb-workers td{{padding:2px 18px 2px 0;font-size:12px}}
.gwb table.gwb-workers tbody tr+tr,.gwb table.gwb-functions tbody tr+tr{{border:0}}
.gwb table.gwb-workers th.gwb-number{{text-align:right}}
.gwb table.gwb-workers td:last-child,.gwb table.gwb-workers th:last-child{{padding-right:0}}
@container (max-width:720px){{.gwb table.gwb-workers .gwb-much-room{{display:none}}}}
@container (max-width:520px){{.gwb table.gwb-workers .gwb-room{{display:none}}}}
.gwb td>.gwb-bar{{min-width:52px}}
.gwb .gwb-bar>.gwb-run-bar{{background:var(--gwb-run)}}.gwb .gwb-bar>.gwb-wait-bar{{background:var(--gwb-wait)}}
.gwb table.gwb-functions td:last-child{{padding-right:0}}
.gwb td.gwb-function{{width:60%;vertical-align:middle!important}}
.gwb table.gwb-functions{{width:100%}}
.gwb pre.gwb-lines{{font-family:var(--jp-code-font-family,ui-monospace,monospace);font-size:12px;line-height:1.4;
 margin:4px 0;white-space:pre-wrap;overflow-wrap:anywhere;
 background:none;color:var(--gwb-text);max-height:16em;overflow:auto}}
"""


def sheet() -> Html:
    """The ``<style>`` element that every view carries with it."""
    return _STYLE


_STYLE = Html("<style>" + re.sub(r"\n\s*", "", _SHEET) + "</style>")
