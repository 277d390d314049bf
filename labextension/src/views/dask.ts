/** A Dask cluster in a card: what its threads and GPUs did over the last two minutes, and its workers now. */

import { ended } from '../models/phases';
import { trans } from '../translation';
import type { DaskPast, DaskShown, Shown } from '../wire';
import { gpuBusy, gpusBusy, hasGpus, open, tooMany } from './daskwords';
import { h, hide } from './dom';
import { notKnown, percent, tasks } from './format';
import { paletteOf } from './palette';
import type { Palette } from './palette';
import { curve } from './sparkline';
import type { Points } from './sparkline';
import type { Look } from './tiles';
import { labelOf, Wide } from './wide';
import type { Said } from './wide';
import { span } from './words';
import { WorkerTable } from './workers';

/** Of many workers, how many are shown that something sets apart. */
const APART = 4;

/** The two curves: busy threads, and beside them GPUs, or tasks a second where there are none. */
export class DaskCurves {
  constructor() {
    this.node.append(this._threads.node, this._other.node);
  }

  readonly node = h('div', 'gpuw-Pair');

  show(shown: Shown): void {
    const { dask } = shown;
    const past = dask?.past ?? null;
    hide(this.node, past === null);
    if (dask == null || past === null) {
      return;
    }
    const look: Look = {
      palette: () => (this._palette ??= paletteOf(this.node)),
      naming: 'gpu',
      simulated: shown.simulated === true,
      live: !ended(shown.phase ?? 'Queued')
    };
    this._draw(this._threads, look, saidOfThreads(dask, past, look.live), past.busy ?? []);
    if (dask.all !== undefined && hasGpus(dask.all)) {
      this._draw(this._other, look, saidOfGpus(dask, past, look.live), past.utilisation ?? []);
    } else {
      const [said, points] = rateOf(dask, past, look.live);
      this._draw(this._other, look, said, points);
    }
  }

  /** The theme has changed: colours are read anew when it is drawn next. */
  restyled(): void {
    this._palette = null;
  }

  private _draw(wide: Wide, look: Look, said: Said, points: Points): void {
    wide.show(said, look, (context, box) => {
      curve(context, box, points, look.palette().run);
    });
  }

  private readonly _threads = new Wide();
  private readonly _other = new Wide();
  private _palette: Palette | null = null;
}

function saidOfThreads({ all = {} }: DaskShown, past: DaskPast, live: boolean): Said {
  const { executing = 0, threads = 0 } = all;
  const busy = threads > 0 ? Math.min(100, (100 * executing) / threads) : null;
  return inPerCent(trans.__('threads busy'), live ? percent(busy) : '', past);
}

function saidOfGpus({ all = {} }: DaskShown, past: DaskPast, live: boolean): Said {
  const figure = gpuBusy(all);
  return inPerCent(gpusBusy(all), live || figure.startsWith(notKnown()) ? figure : '', past);
}

function inPerCent(word: string, figure: string, past: DaskPast): Said {
  const back = span(past);
  return { word, figure, back, label: labelOf(word, figure, back) };
}

/** Tasks a second, drawn up to the most there were. */
export function rateOf(
  { tasks: counts = {} }: DaskShown,
  past: DaskPast,
  live: boolean
): [Said, Points] {
  const points = past.rate ?? [];
  const most = Math.max(0, ...points.map(value => value ?? 0));
  const now = tasks(open(counts) > 0 ? counts.rate : null);
  const figure = now === '' ? trans.__('%1 tasks/s', 0) : now;
  const highest = most > 0 ? trans.__('at most %1', tasks(most)) : '';
  const back = [highest, span(past)].filter(Boolean).join(' · ');
  const word = live ? '' : trans.__('tasks/s');
  const said = { word, figure: live ? figure : '', back };
  const label = [said.word, said.figure, back].filter(Boolean).join(', ');
  const scaled = points.map(value => (value === null || most === 0 ? value : (100 * value) / most));
  return [{ ...said, label }, scaled];
}

/** Its curves and its workers, while it goes on. */
export class DaskView {
  constructor() {
    this.node.append(this._curves.node, this._workers.node);
  }

  readonly node = h('div', 'gpuw-Charts');

  show(shown: Shown): void {
    const dask = shown.dask ?? null;
    const goesOn = shown.phase === 'Running' || shown.phase === 'Stopping';
    const lines = dask === null ? [] : inSight(dask);
    const drawn = dask !== null && goesOn;
    hide(this.node, !drawn || (dask.past == null && lines.length === 0));
    hide(this._workers.node, lines.length === 0);
    if (drawn) {
      this._curves.show(shown);
      this._workers.show(dask, lines);
    }
  }

  /** The theme has changed. */
  restyled(): void {
    this._curves.restyled();
  }

  private readonly _curves = new DaskCurves();
  private readonly _workers = new WorkerTable();
}

/** The workers in the card itself: all of them, or of many those that something sets apart. */
function inSight(dask: DaskShown): NonNullable<DaskShown['workers']> {
  const workers = dask.workers ?? [];
  return tooMany(dask)
    ? workers.filter(({ note }) => (note ?? '') !== '').slice(0, APART)
    : workers;
}
