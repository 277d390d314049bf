/** Utilisation and memory as two wide charts: of the one GPU there is, or how those of a large gang spread. */

import { trans } from '../translation';
import type { Band, Chart, GpuSeries } from '../wire';
import { Canvas } from './canvas';
import type { Paint } from './canvas';
import { h, refill, words } from './dom';
import { notKnown } from './format';
import { curve, newest, spread, thread, watermark } from './sparkline';
import type { Points } from './sparkline';
import type { Look } from './tiles';
import { busyOf, memoryOf, span } from './words';

/** How far from the band a curve is that is drawn beside it. */
const OUTSIDE = 10;

/** The pair of them. */
export class WidePair {
  constructor() {
    this.node.append(this._busy.node, this._memory.node);
  }

  readonly node = h('div', 'gpuw-Pair');

  /** The one GPU there is. */
  showOne(chart: Chart, gpu: GpuSeries, look: Look): void {
    const slowed = gpu.slowed != null && gpu.slowed !== '';
    const one = (points: Points): Paint => {
      return (context, box) => {
        curve(context, box, points, look.palette()[slowed ? 'wait' : 'run']);
      };
    };
    const [busy, memory] = [busyOf(chart), memoryOf(chart)];
    const now = (figure: string) => (look.live || figure.startsWith(notKnown()) ? figure : '');
    const [first, other] = [now(busy.figure), now(memory.figure)];
    this._busy.show(saidOf(chart, busy.word, first), look, one(gpu.utilisation ?? []));
    this._memory.show(saidOf(chart, memory.word, other), look, one(gpu.memory ?? []));
  }

  /** How many GPUs spread, with the curves of those that stand apart. */
  showSpread(chart: Chart, look: Look): void {
    const gpus = chart.gpus ?? [];
    const of = (band: Band, apart: readonly Points[]): Paint => {
      return (context, box) => {
        const palette = look.palette();
        spread(context, box, band, palette.run);
        for (const points of apart) {
          thread(context, box, points, palette.wait);
        }
      };
    };
    const [busy, memory] = [chart.utilisation ?? {}, chart.memory ?? {}];
    const curves = gpus.map(gpu => gpu.utilisation ?? []);
    const full = gpus.map(gpu => gpu.memory ?? []).filter(points => leaves(points, memory));
    const each = (word: string, band: Band, why: string | undefined) =>
      saidOf(chart, word, latest(band, look.live) ?? notKnown(why));
    const missing = chart.missing ?? {};
    this._busy.show(each(trans.__('busy'), busy, missing.utilisation), look, of(busy, curves));
    this._memory.show(
      each(trans.__('memory'), memory, missing.memory_used),
      look,
      of(memory, full)
    );
  }

  private readonly _busy = new Wide();
  private readonly _memory = new Wide();
}

/** What is said of a wide chart, for those who see it and those who do not. */
export interface Said {
  readonly word: string;
  readonly figure: string;

  /** How far it looks back. */
  readonly back: string;
  readonly label: string;
}

function saidOf(chart: Chart, word: string, figure: string): Said {
  const back = span(chart);
  const of = chart.count > 1 ? trans.__('%1 of %2 GPUs', word, chart.count) : word;
  return { word, figure, back, label: labelOf(of, figure, back) };
}

/** What a chart in per cent shows, in a sentence. */
export function labelOf(what: string, figure: string, back: string): string {
  return trans.__('%1: %2, %3, on an axis from 0 to 100 %', what, figure, back);
}

/** One wide chart. */
export class Wide {
  constructor() {
    this.node.setAttribute('role', 'img');
    this.node.append(h('div', 'gpuw-TileHead', this._said, this._span), this._line.node);
  }

  readonly node = h('div', 'gpuw-Wide');

  show({ word, figure, back, label }: Said, look: Look, paint: Paint): void {
    const [before, middle, after] = setOff(figure);
    refill(this._said, `${word} ${figure}`.trim(), () => [
      word === '' ? before : `${word} ${before}`,
      h('strong', '', middle),
      after
    ]);
    refill(this._span, back, () => [back]);
    words(this.node, 'aria-label', label);
    this._line.draw((context, box) => {
      paint(context, box);
      if (look.simulated) {
        watermark(context, box, look.palette());
      }
    });
  }

  private readonly _said = h('span', 'gpuw-Quiet');
  private readonly _span = h('span', 'gpuw-Quiet');
  private readonly _line = new Canvas('gpuw-Sparkline gpuw-mod-wide');
}

/** The newest spread: `p10 88 · p50 93 · p90 97 %`; of what has ended, what the curves are. */
function latest({ p10, p50, p90 }: Band, live: boolean): string | null {
  const at = newest(p50 ?? []);
  const now = (points: Points | undefined) => points?.[at]?.toFixed(0) ?? notKnown();
  if (at < 0) {
    return null;
  }
  return live ? `p10 ${now(p10)} · p50 ${now(p50)} · p90 ${now(p90)} %` : 'p10 · p50 · p90';
}

/** A figure in three parts, of which the middle one is set off: of a spread only the median. */
function setOff(figure: string): readonly [string, string, string] {
  const found = /^(p10 \S+ · )(p50 \S+)(.*)$/.exec(figure);
  const [, before = '', middle = figure, after = ''] = found ?? [];
  return [before, middle, after];
}

/** Whether a curve is far outside the band somewhere. */
function leaves(points: Points, { p10, p90 }: Band): boolean {
  return points.some((value, index) => {
    const [low, high] = [p10?.[index], p90?.[index]];
    return (
      value !== null &&
      low != null &&
      high != null &&
      (value < low - OUTSIDE || value > high + OUTSIDE)
    );
  });
}
