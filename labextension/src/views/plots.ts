/** Utilisation and memory of a run's GPUs over time, on axes, with figures at the cursor. Loaded when it is asked for. */

import uPlot from 'uplot';

import { trans } from '../translation';
import type { Shown } from '../wire';
import { h, say, words } from './dom';
import type { Palette } from './palette';
import { curvesOf, readout } from './curves';
import type { Curves, Measure } from './curves';

const HEIGHT = 130;
const THIN = 6;
const FONT = '11px system-ui, sans-serif';

/** The two charts, one cursor for both. */
export class Plots {
  constructor(palette: Palette) {
    const key = `gpuw-${(plots += 1)}`;
    this._plots = [new Plot('utilisation', palette, key), new Plot('memory', palette, key)];
    this.node.append(...this._plots.map(plot => plot.node));
    this._resized.observe(this.node);
  }

  readonly node = h('div', 'gpuw-Plots');

  /** Show what is known now. */
  show(shown: Shown): void {
    for (const plot of this._plots) {
      plot.show(shown);
    }
  }

  dispose(): void {
    this._resized.disconnect();
    for (const plot of this._plots) {
      plot.dispose();
    }
    this.node.remove();
  }

  private readonly _plots: readonly Plot[];
  private readonly _resized = new ResizeObserver(entries => {
    const width = Math.floor(entries[0]?.contentRect.width ?? 0);
    if (width > 0) {
      for (const plot of this._plots) {
        plot.resize(width);
      }
    }
  });
}

let plots = 0;

/** One chart. Left and right arrow move its cursor as a mouse does. */
class Plot {
  constructor(measure: Measure, palette: Palette, key: string) {
    this._measure = measure;
    this._palette = palette;
    this._key = key;
    const name = measure === 'memory' ? trans.__('memory') : trans.__('utilisation');
    const said = h('div', 'gpuw-TileHead', h('strong', '', `${name} %`), this._readout);
    this.node.append(said, this._place);
    this._place.tabIndex = 0;
    this._place.setAttribute('role', 'slider');
    this._place.setAttribute('aria-label', trans.__('%1 over time, in seconds ago', name));
    this._place.setAttribute('aria-valuemax', '0');
    this._place.addEventListener('keydown', event => {
      const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
      if (step !== undefined) {
        event.preventDefault();
        event.stopPropagation();
        this._move(step);
      }
    });
  }

  readonly node = h('div', 'gpuw-Plot');

  show(shown: Shown): void {
    const curves = curvesOf(shown, this._measure);
    const before = this._curves?.names.join('\n');
    this._curves = curves;
    if (this._plot === null || before !== curves.names.join('\n')) {
      this._make();
    } else {
      this._plot.setData(data(curves));
    }
    words(this._place, 'aria-valuemin', String(Math.round(curves.ago[0] ?? 0)));
    this._say();
  }

  resize(width: number): void {
    if (width !== this._width) {
      this._width = width;
      if (this._plot === null) {
        this._make();
      } else {
        this._plot.setSize({ width, height: HEIGHT });
      }
    }
  }

  dispose(): void {
    this._plot?.destroy();
    this._plot = null;
  }

  private _make(): void {
    this.dispose();
    if (this._curves !== null && this._width > 0) {
      this._plot = new uPlot(this._options(this._curves), data(this._curves), this._place);
    }
  }

  private _options(curves: Curves): uPlot.Options {
    const palette = this._palette;
    const axis = { stroke: palette.text, font: FONT };
    const grid = { stroke: palette.line, width: 1 };
    const many = curves.names.length > THIN;
    const series = curves.names.map((label, index): uPlot.Series => {
      const mark = curves.marks[index];
      return {
        label,
        stroke: mark === 'slowed' || mark === 'apart' ? palette.wait : palette.run,
        width: mark === 'edge' ? 0.5 : mark === undefined && many ? 1 : 1.75,
        ...(mark === 'slowed' ? { dash: [6, 3] } : {}),
        points: { show: false },
        spanGaps: false
      };
    });
    const band = curves.band === null ? [] : [filledBetween(curves.band, palette.run)];
    return {
      width: this._width,
      height: HEIGHT,
      legend: { show: false },
      padding: [8, 18, 0, 0],
      scales: { x: { time: false }, y: { range: [0, 100] } },
      axes: [
        {
          ...axis,
          grid,
          ticks: grid,
          size: 26,
          space: 70,
          incrs: [5, 10, 15, 30, 60],
          values: (_, at) => at.map(ago)
        },
        {
          ...axis,
          grid,
          ticks: grid,
          size: 36,
          splits: [0, 50, 100],
          values: (_, at) => at.map(String)
        }
      ],
      series: [{}, ...series],
      bands: band,
      focus: { alpha: 0.35 },
      cursor: {
        y: false,
        drag: { x: false, y: false },
        sync: { key: this._key, setSeries: true },
        ...(many ? { focus: { prox: 24 } } : {})
      },
      hooks: {
        setCursor: [
          () => {
            this._say();
          }
        ],
        setSeries: [
          (_, index) => {
            this._focused = index === null ? null : index - 1;
            this._say();
          }
        ],
        draw: [
          plot => {
            this._mark(plot);
          }
        ]
      }
    };
  }

  /** Devices that are doubles say so in the drawing. */
  private _mark(plot: uPlot): void {
    if (this._curves?.simulated !== true) {
      return;
    }
    const { ctx, bbox } = plot;
    ctx.save();
    ctx.font = `600 ${18 * window.devicePixelRatio}px system-ui, sans-serif`;
    ctx.textAlign = 'center';
    ctx.textBaseline = 'middle';
    ctx.fillStyle = this._palette.text;
    ctx.globalAlpha = 0.25;
    ctx.fillText(trans.__('SIMULATED'), bbox.left + bbox.width / 2, bbox.top + bbox.height / 2);
    ctx.restore();
  }

  private _move(step: number): void {
    const [plot, curves] = [this._plot, this._curves];
    if (plot === null || curves === null) {
      return;
    }
    const newest = curves.ago.length - 1;
    const at = Math.min(newest, Math.max(0, (plot.cursor.idx ?? newest) + step));
    plot.setCursor({
      left: plot.valToPos(curves.ago[at] ?? 0, 'x'),
      top: plot.valToPos(50, 'y')
    });
  }

  private _say(): void {
    if (this._curves === null) {
      return;
    }
    const at = this._plot?.cursor.idx ?? null;
    const text = readout(this._curves, at, this._focused);
    say(this._readout, text);
    words(this._place, 'aria-valuetext', text);
    words(this._place, 'aria-valuenow', String(Math.round(this._curves.ago[at ?? -1] ?? 0)));
  }

  private readonly _measure: Measure;
  private readonly _palette: Palette;
  private readonly _key: string;
  private readonly _place = h('div', 'gpuw-PlotPlace');
  private readonly _readout = h('span', 'gpuw-Quiet');
  private _curves: Curves | null = null;
  private _plot: uPlot | null = null;
  private _focused: number | null = null;
  private _width = 0;
}

function data(curves: Curves): uPlot.AlignedData {
  return [[...curves.ago], ...curves.points.map(points => [...points])];
}

function filledBetween([low, high]: readonly [number, number], colour: string): uPlot.Band {
  return { series: [high + 1, low + 1], fill: faint(colour) };
}

/** The same colour, nearly clear. */
function faint(colour: string): string {
  const context = document.createElement('canvas').getContext('2d');
  if (context === null) {
    return colour;
  }
  context.fillStyle = colour; // which makes six digits of every colour that is not clear
  return /^#.{6}$/.test(context.fillStyle) ? `${context.fillStyle}38` : context.fillStyle;
}

function ago(value: number): string {
  if (value === 0) {
    return trans.__('now');
  }
  const back = -value;
  return back % 60 === 0 ? `−${back / 60} min` : `−${back} s`;
}
